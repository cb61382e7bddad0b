/**
 * Periods of firing as a chart shows them: bands under its data with a mark on top of each. It knows
 * no page and no clock.
 */

import { bandHover, countHover } from "./shading_words.js";

/**
 * @typedef {import("./firing.js").Period} Period
 * @typedef {{rule: string, priority: Period["priority"], from: number, to: number | null,
 *   periods: Period[]}} Band periods of one rule that touch, the newest first
 * @typedef {{zone: string, end: number, width: number, extent: [number, number] | null,
 *   colour: (role: string) => string}} Ground what is drawn on: the zone, the newest moment of the
 *   time axis, the width in pixels, the first and the last moment of the data, the palette
 */

/** Marks beyond this would be a heap: then there is one, with their number. */
const MOST_MARKS = 20;
const MARK_SIZE = 14;
const MOST_LANES = 4;
const MERGED_PIXELS = 1;
const BANDS = {
  low: { role: "muted", opacity: 0.13, sign: "○" },
  medium: { role: "warn", opacity: 0.15, sign: "●" },
  high: { role: "bad", opacity: 0.13, sign: "▲" },
  urgent: { role: "bad", opacity: 0.2, sign: "‼" },
};
const RANKS = Object.keys(BANDS);

/**
 * Add bands and marks to a layout whose time axes have their ranges in epoch ms. What the chart has
 * of its own stays. @param {any} layout @param {Period[]} periods @param {Ground} ground
 */
export function shade(layout, periods, ground) {
  if (!periods.length) return;
  const shapes = [];
  const marks = [];
  for (const name of timeColumns(layout)) {
    const range = layout[name].range ?? ground.extent;
    if (!range) continue;
    const pixel = (range[1] - range[0]) / ground.width;
    const bands = bandsOf(periods, MERGED_PIXELS * pixel)
      .map((band) => bandPlaced(band, layout[name].range ? null : ground.extent, ground.end))
      .filter((band) => bandNear(band, range, range[1] - range[0]));
    shapes.push(...bands.flatMap((band) => bandShapes(band, name, ground)));
    marks.push(...bandMarks(bands.filter((band) => bandNear(band, range, 0)), range, name, ground));
  }
  layout.shapes = [...shapes, ...(layout.shapes ?? [])];
  layout.annotations = [...(layout.annotations ?? []), ...marks];
}

/** The time axes that stand side by side: of those one above another, the first. @param {any} layout */
function timeColumns(layout) {
  const seen = new Set();
  return Object.keys(layout).filter((name) => {
    const axis = layout[name];
    if (!/^xaxis\d*$/.test(name) || axis.type !== "date" || axis.visible === false) return false;
    const column = JSON.stringify(axis.domain ?? [0, 1]);
    return !seen.has(column) && Boolean(seen.add(column));
  });
}

/**
 * Periods as bands: those of one rule that touch, or are no more than `gap` ms apart, are one.
 * @param {Period[]} periods @param {number} [gap] @returns {Band[]} by their beginning
 */
export function bandsOf(periods, gap = 0) {
  /** @type {Band[]} */
  const bands = [];
  /** @type {Map<string, Band>} */
  const last = new Map();
  for (const period of [...periods].sort((a, b) => a.from - b.from)) {
    const { rule, priority, from, to } = period;
    const band = last.get(rule);
    if (!band || from > (band.to ?? Infinity) + gap) {
      const made = { rule, priority, from, to, periods: [period] };
      last.set(rule, made);
      bands.push(made);
      continue;
    }
    band.periods.unshift(period);
    band.to = band.to === null || to === null ? null : Math.max(band.to, to);
    if (RANKS.indexOf(priority) > RANKS.indexOf(band.priority)) band.priority = priority;
  }
  return bands;
}

/**
 * Where a band is drawn: an open one ends at the newest moment. An axis without a range of its own
 * must not grow by it. @param {Band} band @param {[number, number] | null} limits @param {number} end
 */
function bandPlaced(band, limits, end) {
  const [low, high] = limits ?? [-Infinity, Infinity];
  const last = Number.isFinite(end) ? end : high;
  const [x0, x1] = [band.from, Math.max(band.to ?? last, band.from)];
  return { ...band, x0: Math.min(Math.max(x0, low), high), x1: Math.max(Math.min(x1, high), low) };
}

/** @param {{x0: number, x1: number}} band @param {number[]} range @param {number} margin */
const bandNear = ({ x0, x1 }, range, margin) => x0 <= range[1] + margin && x1 >= range[0] - margin;

/** @param {ReturnType<typeof bandPlaced>} band @param {string} axis @param {Ground} ground */
function bandShapes(band, axis, ground) {
  const { role, opacity } = BANDS[band.priority] ?? BANDS.medium;
  const colour = ground.colour(role);
  const { x0, x1 } = band;
  const place = { xref: axis.replace("axis", ""), yref: "paper", y0: 0, y1: 1, layer: "below" };
  return [
    { ...place, type: "rect", x0, x1, opacity, fillcolor: colour, line: { width: 0 } },
    { ...place, type: "line", x0, x1: x0, opacity: 0.5, line: { width: 1, color: colour } },
  ];
}

/**
 * A mark on top of each band in sight, one below the other where they would cover each other.
 * @param {ReturnType<typeof bandPlaced>[]} bands @param {number[]} range @param {string} axis
 * @param {Ground} ground
 */
function bandMarks(bands, range, axis, ground) {
  if (bands.length > MOST_MARKS) {
    const hover = countHover(bands, ground);
    return [bandMark(range[1], `${bands.length} alerts`, "muted", hover, axis, ground, { xanchor: "right" })];
  }
  const size = ((range[1] - range[0]) / ground.width) * MARK_SIZE;
  /** @type {number[]} where the last mark of each lane stands */
  const lanes = [];
  return bands.map((band) => {
    const x = Math.min(Math.max(band.x0, range[0]), range[1]);
    const free = lanes.findIndex((last) => x - last >= size);
    const lane = free < 0 ? Math.min(lanes.length, MOST_LANES - 1) : free;
    lanes[lane] = x;
    const { role, sign } = BANDS[band.priority] ?? BANDS.medium;
    const more = { xanchor: x - range[0] < size ? "left" : "center", yshift: -lane * MARK_SIZE };
    const share = Math.max(x - range[0], range[1] - x) / (range[1] - range[0]);
    return bandMark(x, sign, role, bandHover(band, ground, share), axis, ground, more);
  });
}

/**
 * @param {number} x @param {string} text @param {string} role @param {string} hovertext
 * @param {string} axis @param {Ground} ground @param {Record<string, any>} more
 */
function bandMark(x, text, role, hovertext, axis, ground, more) {
  const font = { size: 11, color: ground.colour(role) };
  const label = { color: ground.colour("text"), size: 12 };
  return {
    x, text, hovertext, font, showarrow: false, borderpad: 1, captureevents: true,
    xref: axis.replace("axis", ""), yref: "paper", y: 1, yanchor: "top", bgcolor: ground.colour("panel"),
    hoverlabel: { bgcolor: ground.colour("panel"), bordercolor: font.color, font: label },
    ...more,
  };
}
