/** What is said of periods of firing: in the label of a mark, and to a screen reader. */

import { capital } from "./notice.js";
import { clock, stamp, zoneName } from "./zone.js";

/**
 * @typedef {import("./firing.js").Period} Period
 * @typedef {import("./shading.js").Band} Band
 * @typedef {import("./shading.js").Ground} Ground
 */

/** Periods that a mark tells of, and bands that are spoken of. */
const MOST_TOLD = 3;
const MOST_SPOKEN = 5;
const LINES_OF_TEXT = 4;
/** What a sign of a label takes, with its part of the margins of plot and label. */
const SIGN_PIXELS = 8;

/**
 * What a mark says: rule and priority, then what was told, and when. @param {Band} band
 * @param {Ground} ground @param {number} share of the plot's width that is free beside it
 */
export function bandHover(band, ground, share) {
  const { periods } = band;
  const width = Math.min(Math.max(Math.floor((ground.width * share) / SIGN_PIXELS), 24), 56);
  const lines = wrappedText(capital(band.rule), width).map((line) => `<b>${line}</b>`);
  for (const [place, period] of periods.slice(0, MOST_TOLD).entries()) {
    lines.push(...wrappedText(period.title, width));
    if (!place) lines.push(...wrappedText(period.reason, width));
    lines.push(...timesInSeconds(ground.zone, period, width));
    if (period.by) lines.push(...wrappedText(`Acknowledged by ${period.by}`, width));
  }
  if (periods.length > MOST_TOLD) lines.push(`and ${periods.length - MOST_TOLD} more`);
  return [...lines, `Priority: ${band.priority}`].join("<br>");
}

/** How many bands there are of each rule. @param {Band[]} bands @param {Ground} ground */
export function countHover(bands, ground) {
  /** @type {Map<string, Band[]>} */
  const rules = new Map();
  for (const band of bands) rules.set(band.rule, [...(rules.get(band.rule) ?? []), band]);
  const most = [...rules].sort((a, b) => b[1].length - a[1].length);
  const width = Math.floor((0.8 * ground.width) / SIGN_PIXELS);
  const lines = most.slice(0, MOST_SPOKEN).flatMap(([rule, found]) => {
    const newest = Math.max(...found.map((band) => band.from));
    const last = datedMinute(ground.zone, newest);
    return wrappedText(`${found.length} × ${capital(rule)}, last ${last}`, width);
  });
  if (rules.size > MOST_SPOKEN) lines.push(`and ${rules.size - MOST_SPOKEN} other rules`);
  return [...lines, "Zoom in to see each"].join("<br>");
}

/**
 * From when to when, to the second, in one line or two. @param {string} zone @param {Period} period
 * @param {number} width
 */
function timesInSeconds(zone, { from, to }, width) {
  const [start, name] = [stamp(zone, from), zoneName(zone, from)];
  if (to === null) return [`Since ${start} ${name}`];
  if (to <= from) return [`${start} ${name}`];
  const last = stamp(zone, to);
  const end = last.slice(0, 11) === start.slice(0, 11) ? clock(zone, to) : last;
  const lines = [`${start} –`, `${end} ${zoneName(zone, to)}`];
  return lines.join(" ").length > width ? lines : [lines.join(" ")];
}

/**
 * What a screen reader says of bands, the newest first: `Shaded: Funding rate extreme, 14:05–14:20`.
 * @param {Band[]} bands @param {string} zone @param {number} now
 */
export function spokenBands(bands, zone, now) {
  if (!bands.length) return "";
  const said = [...bands].reverse().slice(0, MOST_SPOKEN).map((band) => `${capital(band.rule)}, ${timesInMinutes(zone, band, now)}`);
  if (bands.length > MOST_SPOKEN) said.push(`and ${bands.length - MOST_SPOKEN} more`);
  return `Shaded: ${said.join("; ")}`;
}

/** From when to when, to the minute. @param {string} zone @param {Band} band @param {number} now */
function timesInMinutes(zone, { from, to }, now) {
  const start = dayOf(zone, from) === dayOf(zone, now) ? minuteOf(zone, from) : datedMinute(zone, from);
  if (to === null) return `since ${start}`;
  if (to <= from) return start;
  return `${start}–${dayOf(zone, to) === dayOf(zone, from) ? minuteOf(zone, to) : datedMinute(zone, to)}`;
}

const dayOf = (/** @type {string} */ zone, /** @type {number} */ ms) => stamp(zone, ms).slice(0, 11);
const minuteOf = (/** @type {string} */ zone, /** @type {number} */ ms) => clock(zone, ms).slice(0, 5);
const datedMinute = (/** @type {string} */ zone, /** @type {number} */ ms) =>
  `${stamp(zone, ms).slice(0, 6)} ${minuteOf(zone, ms)}`;

/**
 * A text as lines that fit, each as Plotly shows it literally. @param {string} text
 * @param {number} width in characters
 */
function wrappedText(text, width) {
  const lines = [""];
  for (const word of text.split(/\s+/).flatMap((part) => wordPieces(part, width))) {
    const line = lines[lines.length - 1];
    if (!line) lines[lines.length - 1] = word;
    else if (line.length + word.length < width) lines[lines.length - 1] = `${line} ${word}`;
    else lines.push(word);
  }
  const kept = lines.slice(0, LINES_OF_TEXT);
  if (lines.length > LINES_OF_TEXT) kept[LINES_OF_TEXT - 1] += " …";
  return kept.filter(Boolean).map(plotText);
}

/** @param {string} word @param {number} width */
function wordPieces(word, width) {
  const signs = [...word];
  const count = Math.ceil(signs.length / width);
  return Array.from({ length: count }, (_, place) =>
    signs.slice(place * width, (place + 1) * width).join(""));
}

/**
 * A text as Plotly shows it literally: it draws a small HTML of its own, and formulas between `$`
 * where the page has MathJax. @param {string} text
 */
export const plotText = (text) =>
  text
    .replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]+/g, " ")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll("$", "&#36;");
