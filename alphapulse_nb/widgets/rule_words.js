/** A rule in words; pure. */

import { perCent, secondsOf, shortNumber, unitOf, valueOf } from "./rule_record.js";

/** @typedef {import("./rule_record.js").RuleRecord} RuleRecord */

/** How operators are shown. */
export const RULE_SIGNS = /** @type {Record<string, string>} */ ({
  ">": ">", ">=": "≥", "<": "<", "<=": "≤", "==": "=", "!=": "≠",
});
const LENGTH_NAMES = /** @type {[number, string][]} */ ([[86_400, "d"], [3_600, "h"], [60, "min"], [1, "s"]]);

/** A length of time as `1 d 12 h`; what is none stays as it is. @param {string} text */
export function lengthWords(text) {
  const seconds = secondsOf(text);
  return seconds === null ? text : secondsWords(seconds);
}

/** @param {number} seconds */
export function secondsWords(seconds) {
  let rest = Math.round(seconds);
  const parts = [];
  for (const [size, name] of LENGTH_NAMES) {
    if (rest >= size) parts.push(`${Math.floor(rest / size)} ${name}`);
    rest %= size;
  }
  return parts.join(" ") || "0 s";
}

/**
 * What a rule watches: `count of signals where confidence > 0.8 over 2 h ≥ 3`.
 * @param {RuleRecord} rule @param {import("./rule_record.js").RuleSource[]} sources
 */
export function watches(rule, sources) {
  const where = rule.where ? ` where ${rule.where}` : "";
  const apart = rule.by?.length ? `, for each ${rule.by.join(", ")}` : rule.by ? ", all as one" : "";
  if (!rule.aggregate) {
    const kind = sources.find(({ name }) => name === rule.source)?.kind === "event" ? "event" : "row";
    return `each ${kind} of ${rule.source}${where}${apart}`;
  }
  const link = ["sum", "change"].includes(rule.aggregate) ? " of" : "";
  const of = rule.field ? `${link} ${rule.field} in ${rule.source}` : ` of ${rule.source}`;
  const over = rule.aggregate === "silence" ? "" : ` over ${lengthWords(rule.window ?? "")}`;
  const held = rule.for ? `, for ${lengthWords(rule.for)}` : "";
  const limit = `${RULE_SIGNS[rule.operator] ?? rule.operator} ${thresholdWords(rule.threshold, rule, sources)}`;
  return `${rule.aggregate}${of}${where}${over} ${limit}${held}${apart}`;
}

/**
 * A threshold with its unit. @param {number | string | undefined} given @param {RuleRecord} rule
 * @param {import("./rule_record.js").RuleSource[]} sources
 */
export function thresholdWords(given, rule, sources) {
  const value = valueOf(given ?? 0);
  if (value === null) return String(given);
  if (rule.aggregate === "silence") return secondsWords(value);
  const unit = unitOf(rule, sources);
  return unit === "%" ? perCent(value) : `${shortNumber(value)} ${unit}`.trim();
}

/**
 * What stands beside a threshold while it is typed: what it means, where that is not plain to see.
 * @param {string} text @param {RuleRecord} rule @param {import("./rule_record.js").RuleSource[]} sources
 */
export function thresholdMeaning(text, rule, sources) {
  const unit = unitOf(rule, sources);
  const value = valueOf(text);
  if (value === null) return rule.aggregate === "silence" ? "" : unit;
  const words = thresholdWords(text, rule, sources);
  const asTyped = bareText(words) === bareText(text);
  if (unit === "%" && asTyped) return `= ${shortNumber(value)}`;
  if (text.includes("%") || unit === "%" || rule.aggregate === "silence") return asTyped ? "" : `= ${words}`;
  return unit;
}

/** What a length of time means, where it is written differently. @param {string} text */
export function lengthMeaning(text) {
  const words = text.trim() ? lengthWords(text) : "";
  return bareText(words) === bareText(text) ? "" : `= ${words}`;
}

/** A text by which two ways of writing the same are compared. @param {string} text */
const bareText = (text) => text.replaceAll(" ", "").replaceAll("min", "m");

/** The parts of a rule that `watches` leaves out, as pairs of a heading and a text. @param {RuleRecord} rule @param {import("./rule_record.js").RuleSource[]} sources */
export function furtherParts(rule, sources) {
  /** @type {[string, string | undefined][]} */
  const parts = [
    ["Title", rule.title], ["Message", rule.message], ["Type", rule.type ?? "warning"],
    ["Looks back over", rule.aggregate === "silence" ? lengthWords(rule.window ?? "") : ""],
    ["Recovers at", rule.recovery === undefined ? "" : thresholdWords(rule.recovery, rule, sources)],
    ["Goes on for", rule.keep_firing_for && lengthWords(rule.keep_firing_for)],
    ["Cooldown", rule.cooldown && lengthWords(rule.cooldown)],
    ["Labels", Object.entries(rule.labels ?? {}).map(([name, text]) => `${name}: ${text}`).join(", ")],
    ["Channels", (rule.channels ?? []).join(", ")],
  ];
  return /** @type {[string, string][]} */ (parts.filter(([, text]) => text));
}

/**
 * The text about a place that a message names ("character 12: …", counted from 1 in characters), cut
 * into what is before, what is meant and what is after; null where it names none.
 * @param {string} text @param {string} message
 */
export function pointedAt(text, message) {
  const found = /^character (\d+):/.exec(message);
  if (!found) return null;
  const letters = [...text.trim()];
  const at = Math.min(Number(found[1]) - 1, letters.length);
  const word = /^(\w+|.)/su.exec(letters.slice(at).join(""))?.[0] ?? "";
  const end = at + [...word].length;
  const before = letters.slice(Math.max(0, at - 24), at).join("");
  const after = letters.slice(end, end + 24).join("");
  return { before: at > 24 ? `…${before}` : before, word, after: end + 24 < letters.length ? `${after}…` : after };
}
