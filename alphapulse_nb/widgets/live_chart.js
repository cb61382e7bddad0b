/** The anywidget of `LiveChart`: a panel fed through the kernel's comm. */

import { Panel, Source } from "./panel.js";
import { plotly } from "./plot.js";

/** @param {any} model @returns {import("./panel.js").Transport} */
function comm(model) {
  return {
    send: (message) => model.send(message),
    listen: (take) => {
      const handler = (/** @type {any} */ message, /** @type {DataView[]} */ buffers) =>
        take(message, buffers?.[0]);
      model.on("msg:custom", handler);
      return () => model.off("msg:custom", handler);
    },
  };
}

/** @type {Map<string, {source: Source, views: number}>} */
const held = new Map();

export const liveChart = {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el }) {
    const key = model.get("_key");
    if (!held.has(key)) held.set(key, { source: new Source(comm(model)), views: 0 });
    const entry = /** @type {{source: Source, views: number}} */ (held.get(key));
    entry.views += 1;
    const panel = new Panel(el, entry.source, {
      title: model.get("title"),
      height: model.get("height"),
      swaps: model.get("_swaps"),
      plotly,
    });
    return () => {
      panel.destroy();
      entry.views -= 1;
      if (entry.views) return;
      entry.source.close();
      held.delete(key);
    };
  },
};
