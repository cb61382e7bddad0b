/** How a notification is put into words and signs, wherever it is shown. */

import { duration, make } from "./dom.js";
import { clock, moment, offset, stamp } from "./zone.js";

/**
 * @typedef {"low" | "medium" | "high" | "urgent"} Priority
 * @typedef {{id: number, key: string, type: string, priority: Priority, title: string, message: string,
 *   at: string, symbol: string | null, rule: string | null, labels: Record<string, string>,
 *   confidence: number | null, risk_reward_ratio: number | null, late: boolean, alert: string | null,
 *   resolved: boolean, outcome?: string, reason?: string, due_at?: string | null,
 *   read_at?: string | null, acknowledged_by?: string | null}} Notice
 * @typedef {{text: string, until: number | null}} SnoozeEnd `until` in epoch milliseconds, null for
 *   until the alert clears
 */

export const PRIORITIES = /** @type {const} */ (["low", "medium", "high", "urgent"]);
export const NOTICE_TYPES = ["info", "success", "warning", "error", "prediction", "signal", "backtest", "system"];
const TYPE_SIGNS = /** @type {Record<string, string>} */ ({
  info: "i", success: "✓", warning: "!", error: "✕", prediction: "◇", signal: "↗", backtest: "↺", system: "≡",
});
const HOUR_LONG = 3600e3;
/** The hour of the morning until which something may be snoozed. */
const MORNING = 8;

/** A word as a sentence begins. @param {string} word */
export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

/** So many of something. @param {number} count @param {string} one @param {string} [many] */
export const counted = (count, one, many = `${one}s`) => `${count.toLocaleString("en-US")} ${count === 1 ? one : many}`;

/** Where a priority stands among the others, 0 to 3. @param {string} priority */
export const rankOf = (priority) => PRIORITIES.indexOf(/** @type {Priority} */ (priority));

/** When it happened, in epoch milliseconds. @param {Notice} notice */
export const happened = (notice) => Date.parse(notice.at);

/** Priority, type and what it is about, in words. @param {Notice} notice */
export function kindOf(notice) {
  const words = [`${capital(notice.priority)} priority`, notice.type, notice.symbol, notice.resolved ? "cleared" : "", notice.late ? "late" : ""];
  return words.filter(Boolean).join(" · ");
}

/** The sign of its type, in the colour of its priority. The words beside it say both. @param {Notice} notice */
export function signOf(notice) {
  const sign = make("span", "ap-sign", TYPE_SIGNS[notice.type] ?? "●");
  sign.dataset.priority = notice.priority;
  sign.dataset.type = notice.type;
  sign.setAttribute("aria-hidden", "true");
  return sign;
}

/** A moment with its age, and alone when it is long ago. @param {string} zone @param {number} at @param {number} now */
export function aged(zone, at, now) {
  const age = Math.max(0, (now - at) / 1e3);
  return age < 43200 ? `${clock(zone, at)} · ${duration(age)} ago` : stamp(zone, at);
}

/** Whether somebody may change what all share. @param {{role: string} | null} person */
export const mayOperate = (person) => person?.role === "operator" || person?.role === "admin";

/** Whether a person may say that they look after it. @param {Notice} notice @param {{role: string} | null} person */
export function mayAcknowledge(notice, person) {
  return Boolean(mayOperate(person) && notice.alert && !notice.resolved && !notice.acknowledged_by);
}

/** Whether there is anything by which others of its kind can be told. @param {Notice} notice */
export const maySnooze = (notice) => Boolean(notice.rule || notice.alert);

/**
 * Until when a notification's kind may be snoozed, the shorter list first.
 * @param {Notice} notice @param {string} zone @param {number} now @returns {SnoozeEnd[]}
 */
export function snoozeEnds(notice, zone, now) {
  const ends = [
    { text: "1 h", until: now + HOUR_LONG },
    { text: "8 h", until: now + 8 * HOUR_LONG },
    { text: "until tomorrow 08:00", until: tomorrow(zone, now) },
  ];
  if (!notice.alert || notice.resolved) return ends;
  return [ends[0], { text: "until it clears", until: null }, ...ends.slice(1)];
}

/** The morning of the next day of a zone's clocks. @param {string} zone @param {number} now */
export function tomorrow(zone, now) {
  const local = new Date(now + offset(zone, now));
  const at = (/** @type {number} */ days) =>
    Date.UTC(local.getUTCFullYear(), local.getUTCMonth(), local.getUTCDate() + days, MORNING);
  // A day that a zone left out has no morning.
  return moment(zone, at(1)) ?? moment(zone, at(2)) ?? now + 24 * HOUR_LONG;
}

/** What is asked for to snooze it. @param {Notice} notice @param {number | null} until */
export function snoozeOf(notice, until) {
  const { rule, labels, alert } = notice;
  if (until === null) return { alert };
  const wanted = rule ? { rule, labels } : { alert };
  return { ...wanted, until: new Date(until).toISOString() };
}
