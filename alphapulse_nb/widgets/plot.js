/**
 * From a feed's state to pixels: theme, time zone, decimation, kept zoom, `Plotly.react`.
 */

import { isDark, page } from "./dom.js";
import { nested, plain, put } from "./feed.js";
import { shade } from "./shading.js";
import { stamp, ticks, zoneName } from "./zone.js";

const CONFIG = {
  displaylogo: false,
  showSendToCloud: false,
  plotlyServerURL: "",
  responsive: false,
  displayModeBar: false,
  doubleClick: false,
};
const POINTS_PER_PIXEL = 2;
const SCRIPT_PATIENCE = 30e3;

/**
 * plotly.js, loaded once per page: by the page's own script tag where it has one (it is parsed while
 * the kernel starts), otherwise from `fetchScript` (gzip bytes).
 * @param {() => Promise<ArrayBuffer>} fetchScript
 */
export function plotly(fetchScript) {
  page.plotly ??= load(fetchScript).catch((error) => {
    page.plotly = undefined;
    throw error;
  });
  return page.plotly;
}

/** @param {() => Promise<ArrayBuffer>} fetchScript */
async function load(fetchScript) {
  if (globalThis.Plotly?.react) return globalThis.Plotly;
  const tag = document.querySelector('script[data-alphapulse="plotly"]');
  if (tag) await arrival(tag).catch(() => undefined);
  if (!globalThis.Plotly?.react) await run(await fetchScript());
  return globalThis.Plotly;
}

/** @param {Element} tag a script that the page itself loads */
function arrival(tag) {
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error("the chart library could not be loaded"));
    if (globalThis.Plotly?.react) resolve(undefined);
    if (/** @type {HTMLElement} */ (tag).dataset.failed) fail();
    tag.addEventListener("load", resolve);
    tag.addEventListener("error", fail);
    setTimeout(fail, SCRIPT_PATIENCE);
  });
}

/** @param {ArrayBuffer} packed a script as gzip bytes */
async function run(packed) {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = await new Response(stream).blob();
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const tag = document.createElement("script");
  tag.src = url;
  document.head.append(tag);
  try {
    await arrival(tag);
  } finally {
    URL.revokeObjectURL(url);
  }
}

export class Plot {
  /**
   * @param {HTMLElement} place where to draw
   * @param {{swaps: Record<string, string>, plotly: () => Promise<any>,
   *   zone: () => string, onDraw?: () => void,
   *   periods?: () => import("./firing.js").Period[]}} options
   */
  constructor(place, options) {
    this.place = place;
    this.options = options;
    /** @type {Record<string, [number, number]>} ranges that the user chose, by axis */
    this.zoom = {};
    this.revision = "";
    this.end = NaN;
    this.drawing = false;
    /** @type {import("./feed.js").FeedState | null} */
    this.wanted = null;
  }

  /**
   * Draw a state; while one drawing runs, only the newest state waits.
   * @param {import("./feed.js").FeedState} state
   */
  async draw(state) {
    this.wanted = state;
    if (this.drawing) return;
    this.drawing = true;
    try {
      const Plotly = await this.options.plotly();
      while (this.wanted) {
        const next = this.wanted;
        this.wanted = null;
        if (!this.place.isConnected || !this.place.clientWidth) break;
        await this.react(Plotly, next);
      }
    } finally {
      this.drawing = false;
    }
  }

  /** @param {any} Plotly @param {import("./feed.js").FeedState} state */
  async react(Plotly, state) {
    const { data, layout } = this.figure(state);
    const first = !this.place.classList.contains("js-plotly-plot");
    await Plotly.react(this.place, data, layout, CONFIG);
    if (first) this.listen(state);
    this.options.onDraw?.();
  }

  /** @param {import("./feed.js").FeedState} first */
  listen(first) {
    const graph = /** @type {any} */ (this.place);
    this.shown = first;
    graph.on("plotly_relayout", (/** @type {Record<string, any>} */ change) => {
      if (this.drawing) return;
      let moved = false;
      for (const axis of axesOf(this.current)) {
        const low = change[`${axis}.range[0]`] ?? change[`${axis}.range`]?.[0];
        const high = change[`${axis}.range[1]`] ?? change[`${axis}.range`]?.[1];
        if (low === undefined || high === undefined) continue;
        this.zoom[axis] = [epoch(low), epoch(high)];
        moved = true;
      }
      if (moved && this.shown) this.draw(this.shown);
    });
    graph.on("plotly_doubleclick", () => this.home());
  }

  /** Give up the user's zoom and follow the newest data again. */
  home() {
    this.zoom = {};
    if (this.shown) this.draw(this.shown);
  }

  /** @param {import("./feed.js").FeedState} state */
  figure(state) {
    this.shown = state;
    const zone = this.options.zone();
    const layout = /** @type {any} */ (nested(structuredClone(state.layout)));
    layout.uirevision ??= "";
    for (const axis of timeAxesOf(layout)) plainRange(layout[axis]);
    if (layout.uirevision !== this.revision) {
      this.revision = layout.uirevision;
      this.zoom = {};
      this.end = NaN;
    }
    this.follow(layout);
    for (const [axis, range] of Object.entries(this.zoom)) {
      if (layout[axis]) Object.assign(layout[axis], { range: [...range], autorange: false });
    }
    const width = this.place.clientWidth;
    for (const axis of timeAxesOf(layout)) {
      const target = layout[axis];
      if (!target.range || target.visible === false) continue;
      const most = Math.max(2, Math.floor(width / 90));
      Object.assign(target, { tickmode: "array", ...ticks(zone, target.range[0], target.range[1], most) });
    }
    layout.autosize = false;
    layout.width = width;
    layout.height = this.place.clientHeight;
    this.shade(layout, state, zone, width);
    this.current = layout;
    const data = state.traces.map((trace) => drawable(trace, layout, width, zone));
    identify(data);
    if (!isDark()) return { data, layout };
    return { data: swapped(data, this.options.swaps), layout: swapped(layout, this.options.swaps) };
  }

  /**
   * Shade when alerts fired. @param {any} layout @param {import("./feed.js").FeedState} state
   * @param {string} zone @param {number} width
   */
  shade(layout, state, zone, width) {
    const periods = this.options.periods?.() ?? [];
    if (!periods.length) return;
    const style = getComputedStyle(this.place);
    const colour = (/** @type {string} */ role) => style.getPropertyValue(`--ap-${role}`).trim();
    shade(layout, periods, { zone, width, colour, end: this.end, extent: extentOf(state.traces) });
  }

  /**
   * Move a chosen time range along with the data while it stands at the right edge.
   * @param {any} layout
   */
  follow(layout) {
    const axis = timeAxesOf(layout)[0];
    const range = layout[axis]?.range;
    if (!range) return;
    const step = range[1] - this.end;
    if (step > 0) {
      for (const name of timeAxesOf(layout)) {
        const zoom = this.zoom[name];
        if (zoom && zoom[1] >= this.end - (zoom[1] - zoom[0]) * 0.02) {
          this.zoom[name] = [zoom[0] + step, zoom[1] + step];
        }
      }
    }
    this.end = range[1];
  }

  /** Remove the drawing and its listeners. */
  destroy() {
    globalThis.Plotly?.purge?.(this.place);
  }
}

const axesOf = (/** @type {any} */ layout) =>
  Object.keys(layout ?? {}).filter((key) => /^[xy]axis\d*$/.test(key));
const timeAxesOf = (/** @type {any} */ layout) =>
  axesOf(layout).filter((key) => layout[key].type === "date");

/**
 * The first and the last moment of the data. @param {import("./feed.js").Trace[]} traces
 * @returns {[number, number] | null}
 */
function extentOf(traces) {
  let [low, high] = [Infinity, -Infinity];
  for (const { columns } of traces) {
    if (columns.x?.type !== "time") continue;
    for (const ms of columns.x.values) {
      if (ms < low) low = ms;
      if (ms > high) high = ms;
    }
  }
  return low <= high ? [low, high] : null;
}

/** A date as epoch ms: Plotly writes dates as text in UTC. @param {any} value */
function epoch(value) {
  if (typeof value === "number") return value;
  const text = String(value).replace(" ", "T");
  const dated = text.includes("T") && !/(Z|[+-]\d\d:?\d\d)$/.test(text);
  const ms = Date.parse(dated ? `${text}Z` : text);
  return Number.isNaN(ms) ? Number(value) : ms;
}

/** Write a time axis's range in epoch ms; one that is no time is left to Plotly. @param {any} axis */
function plainRange(axis) {
  const range = axis.range?.map(epoch);
  if (range?.every(Number.isFinite)) axis.range = range;
  else delete axis.range;
}

/**
 * Name each trace for good, so that a hidden one stays the hidden one when others come and go.
 * @param {any[]} data
 */
function identify(data) {
  const seen = new Map();
  for (const trace of data) {
    const name = [trace.type, trace.name, trace.xaxis, trace.yaxis].join("|");
    seen.set(name, (seen.get(name) ?? 0) + 1);
    trace.uid ??= selectable(`${name}|${seen.get(name)}`);
  }
}

/**
 * A text as a part of a CSS class, which is what Plotly makes of an identity when a trace goes.
 * @param {string} text
 */
const selectable = (text) =>
  text.replaceAll(/[^A-Za-z0-9]/g, (sign) => `_${sign.charCodeAt(0).toString(36)}_`);

/**
 * One trace as Plotly takes it: decimated to the pixels it has, with times in the viewer's zone.
 * @param {import("./feed.js").Trace} trace @param {any} layout @param {number} width
 * @param {string} zone
 */
function drawable(trace, layout, width, zone) {
  const out = /** @type {any} */ (nested(structuredClone(trace.attrs)));
  const range = layout[`xaxis${(out.xaxis ?? "x").slice(1)}`]?.range;
  const rows = decimated(trace, out, range, width);
  /** @type {Record<string, any>} */
  const parts = {};
  for (const [path, column] of Object.entries(trace.columns)) {
    let values = plain(column, rows);
    if (path.startsWith("customdata") && column.type === "time") {
      values = Array.from(values, (ms) => stamp(zone, ms));
    }
    if (/^customdata\.\d+$/.test(path)) parts[path.slice(11)] = values;
    else put(out, path, values);
  }
  const count = Object.keys(parts).length;
  if (count) {
    out.customdata = Array.from(parts[0], (_, row) =>
      Array.from({ length: count }, (_unused, place) => parts[place][row]));
  }
  localHover(out, trace, rows, zone);
  return out;
}

/**
 * Put the viewer's zone where a hover text says UTC: `%{x|…} UTC` and `%{customdata…|…} UTC`.
 * @param {any} out @param {import("./feed.js").Trace} trace @param {Int32Array | null} rows
 * @param {string} zone
 */
function localHover(out, trace, rows, zone) {
  const x = trace.columns.x;
  if (typeof out.hovertemplate !== "string" || x?.type !== "time" || "text" in out) return;
  const times = plain(x, rows);
  const name = zoneName(zone, times.length ? times[times.length - 1] : 0);
  out.text = Array.from(times, (ms) => stamp(zone, ms));
  out.hovertemplate = out.hovertemplate
    .replace(/%\{x\|[^}]*\} UTC/g, `%{text} ${name}`)
    .replace(/%\{(customdata(?:\[\d+\])?)\|[^}]*\} UTC/g, `%{$1} ${name}`);
}

/**
 * The rows of a line that its pixels can show: first, last, least and greatest per column of
 * pixels, and every break. Null for all rows.
 * @param {import("./feed.js").Trace} trace @param {any} out @param {number[] | undefined} range
 * @param {number} width
 */
function decimated(trace, out, range, width) {
  const x = trace.columns.x?.values;
  const y = trace.columns.y?.values;
  const counted = trace.columns.x?.type !== "label" && trace.columns.y?.type !== "label";
  const line = /^lines(?!.*markers)/.test(out.mode ?? "");
  if (!x || !y || !counted || !line) {
    return null;
  }
  const [low, high] = range ?? [x[0], x[x.length - 1]];
  let from = lowerBound(x, low);
  let to = lowerBound(x, high);
  from = Math.max(0, from - 1);
  to = Math.min(x.length, to + 2);
  if (to - from <= POINTS_PER_PIXEL * 2 * width) return null;
  const size = (high - low) / width;
  const rows = [];
  for (let row = from; row < to; ) {
    const edge = low + (Math.floor((x[row] - low) / size) + 1) * size;
    let [least, most, broken] = [row, row, -1];
    const start = row;
    for (; row < to && (x[row] < edge || row === start); row += 1) {
      if (Number.isNaN(y[row])) broken = row;
      if (!(y[row] >= y[least])) least = Number.isNaN(y[row]) ? least : row;
      if (!(y[row] <= y[most])) most = Number.isNaN(y[row]) ? most : row;
    }
    const kept = new Set([start, least, most, row - 1]);
    if (broken >= 0) kept.add(broken);
    rows.push(...[...kept].sort((a, b) => a - b));
  }
  return Int32Array.from(rows);
}

/** @param {ArrayLike<number>} values sorted @param {number} wanted */
function lowerBound(values, wanted) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** @param {any} value @param {Record<string, string>} partner @returns {any} */
function swapped(value, partner) {
  if (typeof value === "string") return partner[value] ?? value;
  if (Array.isArray(value)) return value.map((item) => swapped(item, partner));
  if (!value || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, swapped(item, partner)]));
}
