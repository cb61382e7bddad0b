/** The anywidget of `LiveChart`: a panel fed through the kernel's comm. */

import { FeedTransport, deskOf } from "./desk.js";
import { kernelShades, streamShades } from "./firing.js";
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

/** A chart of the catalog comes by the page's stream where there is one. @param {any} model */
function sourceOf(model) {
  const feed = model.get("_feed_name");
  const desk = feed ? deskOf() : null;
  if (!desk) return new Source(comm(model));
  const source = new Source(new FeedTransport(desk, feed, comm(model)), () => desk.drawEvery);
  desk.sources.add(source);
  return source;
}

/** When alerts fired, from whoever brings the chart. @param {any} model */
function shadesFor(model) {
  const [feed, own] = [model.get("_feed_name"), kernelShades(model)];
  const desk = feed ? deskOf() : null;
  return desk ? streamShades(desk, feed, own) : own;
}

/** @type {Map<string, {source: Source, views: number}>} */
const held = new Map();

export const liveChart = {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el }) {
    const key = model.get("_key");
    if (!held.has(key)) held.set(key, { source: sourceOf(model), views: 0 });
    const entry = /** @type {{source: Source, views: number}} */ (held.get(key));
    entry.views += 1;
    const panel = new Panel(el, entry.source, {
      title: model.get("title"),
      height: model.get("height"),
      swaps: model.get("_swaps"),
      plotly,
      shades: shadesFor(model),
    });
    return () => {
      panel.destroy();
      entry.views -= 1;
      if (entry.views) return;
      deskOf()?.sources.delete(entry.source);
      entry.source.close();
      held.delete(key);
    };
  },
};
