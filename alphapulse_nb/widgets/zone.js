/**
 * Times in any IANA zone over Plotly's axis, which knows only UTC: tick positions on round local
 * times, and texts. Right across clock changes, because every moment asks for its own offset.
 */

const MINUTE = 60e3;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1e3, 5e3, 15e3, 30e3, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 7 * DAY, 14 * DAY, 30 * DAY,
];
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** @type {Map<string, {clock: Intl.DateTimeFormat, cache: Map<number, number>}>} */
const zones = new Map();

/** The browser's own zone. */
export const localZone = () => Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";

/**
 * The IANA name to use for a choice: "local" is the browser's zone, an unknown one is UTC.
 * @param {string} choice
 */
export function zoneOf(choice) {
  if (!choice || choice === "local") return localZone();
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: choice });
    return choice;
  } catch {
    return "UTC";
  }
}

/**
 * Milliseconds to add to UTC at a moment. Zones change on quarter hours, so these are cached.
 * @param {string} zone @param {number} ms
 */
export function offset(zone, ms) {
  if (zone === "UTC" || !Number.isFinite(ms)) return 0;
  let entry = zones.get(zone);
  if (!entry) {
    const clock = new Intl.DateTimeFormat("en-GB", {
      timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
      hour: "numeric", minute: "numeric", second: "numeric",
    });
    zones.set(zone, (entry = { clock, cache: new Map() }));
  }
  const quarter = Math.floor(ms / (15 * MINUTE));
  let found = entry.cache.get(quarter);
  if (found === undefined) {
    const at = quarter * 15 * MINUTE;
    /** @type {Record<string, number>} */
    const part = {};
    for (const { type, value } of entry.clock.formatToParts(at)) part[type] = Number(value);
    found = Date.UTC(part.year, part.month - 1, part.day, part.hour, part.minute, part.second) - at;
    entry.cache.set(quarter, found);
  }
  return found;
}

const two = (/** @type {number} */ n) => String(n).padStart(2, "0");

/**
 * A moment as `21 Nov 2026 14:05:09`, in the zone.
 * @param {string} zone @param {number} ms
 */
export function stamp(zone, ms) {
  if (!Number.isFinite(ms)) return "unknown";
  const d = new Date(ms + offset(zone, ms));
  const date = `${two(d.getUTCDate())} ${MONTHS[d.getUTCMonth()]} ${d.getUTCFullYear()}`;
  return `${date} ${clock(zone, ms)}`;
}

/** A moment as `14:05:09`, in the zone. @param {string} zone @param {number} ms */
export function clock(zone, ms) {
  const d = new Date(ms + offset(zone, ms));
  return `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`;
}

/** The zone's short name at a moment: `UTC`, `CET`, `GMT+9`. @param {string} zone @param {number} ms */
export function zoneName(zone, ms) {
  const parts = new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "short" })
    .formatToParts(ms);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? zone;
}

/**
 * The moment at which a zone's clocks show a local time (in ms as if it were UTC). A time that a
 * clock change skips has none, and is null; a repeated one is its first occurrence.
 * @param {string} zone @param {number} local
 */
export function moment(zone, local) {
  for (const guess of [offset(zone, local - DAY), offset(zone, local + DAY)]) {
    const ms = local - guess;
    if (offset(zone, ms) === guess) return ms;
  }
  return null;
}

/**
 * Tick positions and texts for the axis from `a` to `b` (epoch ms), at most `most` of them.
 * @param {string} zone @param {number} a @param {number} b @param {number} most
 * @returns {{tickvals: number[], ticktext: string[]}}
 */
export function ticks(zone, a, b, most) {
  const step = STEPS.find((size) => (b - a) / size <= most) ?? Math.ceil((b - a) / most / DAY) * DAY;
  const tickvals = [];
  const ticktext = [];
  let day = "";
  for (let k = Math.ceil((a + offset(zone, a)) / step); tickvals.length <= most + 1; k += 1) {
    const local = k * step;
    if (local - DAY > b + offset(zone, b)) break;
    const ms = moment(zone, local);
    if (ms === null || ms < a) continue;
    if (ms > b) break;
    const d = new Date(local);
    const date = `${d.getUTCDate()} ${MONTHS[d.getUTCMonth()]}`;
    const time = `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}`;
    const text = step < MINUTE ? `${time}:${two(d.getUTCSeconds())}` : time;
    tickvals.push(ms);
    ticktext.push(step >= DAY ? date : date === day ? text : `${text}<br>${date}`);
    day = date;
  }
  return { tickvals, ticktext };
}
