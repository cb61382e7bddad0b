/** The anywidget of `LiveChart`: a panel fed through the kernel's comm. */

import { Panel, Source } from "./panel.js";
import { plotly } from "./plot.js";

/** @type {Map<string, Source>} */
const sources = new Map();

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

export default {
  /** @param {{model: any}} context */
  initialize({ model }) {
    const key = model.get("_key");
    sources.set(key, new Source(comm(model)));
    return () => {
      sources.get(key)?.close();
      sources.delete(key);
    };
  },

  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el }) {
    const source = /** @type {Source} */ (sources.get(model.get("_key")));
    const panel = new Panel(el, source, {
      title: model.get("title"),
      height: model.get("height"),
      swaps: model.get("_swaps"),
      plotly,
    });
    return () => panel.destroy();
  },
};
