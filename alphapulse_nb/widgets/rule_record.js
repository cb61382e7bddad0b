/**
 * A rule as a form has it and as it is kept; pure. A form holds texts, for all that a rule may have;
 * the record holds only what applies and is not as usual, as `Rule.plain` in rule.py writes it.
 */

/**
 * @typedef {Record<string, any>} RuleRecord
 * @typedef {{name: string, unit: string, kind: string}} RuleField
 * @typedef {{name: string, kind: string, fields: RuleField[], anything: boolean}} RuleSource
 * @typedef {{name: string, about: string, enabled: boolean, source: string,
 *   over: "rows" | "window", where: string, aggregate: string, field: string, window: string,
 *   operator: string, threshold: string, recovery: string, unit: string,
 *   apart: "usual" | "fields" | "nothing", by: string, for: string, keep_firing_for: string,
 *   cooldown: string, type: string, priority: string, title: string, message: string,
 *   labels: [string, string][], channels: string[]}} RuleForm
 */

/** The parts of a record, in its order. */
export const RULE_PARTS = [
  "name", "about", "enabled", "source", "where", "aggregate", "field", "window", "operator", "threshold",
  "recovery", "unit", "by", "for", "keep_firing_for", "cooldown", "type", "priority", "title", "message",
  "labels", "channels",
];
/** What a record leaves out. */
const USUAL_PARTS = /** @type {RuleRecord} */ ({ type: "warning", priority: "medium" });
const OF_ROWS = ["count", "silence"];
const NUMBER_TEXT = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const SHARE_TEXT = /^(-?\d+(?:\.\d+)?)\s*%$/;
const LENGTH_TEXT = /^(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/;
const LENGTH_UNITS = [86_400, 3_600, 60, 1];

/** Whether a part has a meaning in such a rule. @param {string} part @param {RuleForm} form */
export function applies(part, form) {
  const over = form.over === "window";
  switch (part) {
    case "aggregate": case "window": case "operator": case "threshold": case "for":
      return over;
    case "field":
      return over && !OF_ROWS.includes(form.aggregate);
    case "recovery":
      return over && /^[<>]/.test(form.operator);
    case "unit":
      return over && !["silence", "change"].includes(form.aggregate);
    case "by":
      return form.apart !== "usual";
    default:
      return true;
  }
}

/** The unit of a rule's value: its own, else that of its field. @param {RuleRecord} rule @param {RuleSource[]} sources */
export function unitOf(rule, sources) {
  if (!rule.aggregate || rule.aggregate === "silence") return "";
  if (rule.unit) return rule.unit;
  if (rule.aggregate === "change") return "%";
  if (OF_ROWS.includes(rule.aggregate)) return "";
  return fieldsOf(rule.source, sources).find(({ name }) => name === rule.field)?.unit ?? "";
}

/** @param {string} source @param {RuleSource[]} sources */
export function fieldsOf(source, sources) {
  return sources.find(({ name }) => name === source)?.fields ?? [];
}

/** A new rule as the form begins with it. @returns {RuleForm} */
export const newForm = () => formOf({}, []);

/** @param {RuleRecord} rule @param {RuleSource[]} sources @returns {RuleForm} */
export function formOf(rule, sources) {
  const text = (/** @type {string} */ name) => rule[name] ?? USUAL_PARTS[name] ?? "";
  const unit = unitOf(rule, sources);
  return {
    name: text("name"), about: text("about"), enabled: rule.enabled ?? true,
    source: text("source"), over: rule.aggregate ? "window" : "rows", where: text("where"),
    aggregate: rule.aggregate ?? "count", field: text("field"), window: text("window"),
    operator: rule.operator ?? ">", threshold: typed(rule.threshold, unit),
    recovery: typed(rule.recovery, unit), unit: text("unit"),
    apart: !rule.by ? "usual" : rule.by.length ? "fields" : "nothing",
    by: (rule.by ?? []).join(", "), for: text("for"), keep_firing_for: text("keep_firing_for"),
    cooldown: text("cooldown"), type: text("type"), priority: text("priority"),
    title: text("title"), message: text("message"),
    labels: Object.entries(rule.labels ?? {}), channels: [...(rule.channels ?? [])],
  };
}

/** A threshold as people type it. @param {number | string | null | undefined} value @param {string} unit */
function typed(value, unit) {
  if (value === undefined || value === null) return "";
  return typeof value === "number" && unit === "%" ? perCent(value) : String(value);
}

/**
 * The record that a form is; parts of the kept one that no form knows stay.
 * @param {RuleForm} form @param {RuleRecord} [kept] @returns {RuleRecord}
 */
export function recordOf(form, kept = {}) {
  /** @type {RuleRecord} */
  const record = {};
  for (const name of RULE_PARTS) {
    if (!applies(name, form)) continue;
    const value = partOf(name, form, kept);
    if (value !== undefined) record[name] = value;
  }
  for (const [name, value] of Object.entries(kept)) if (!RULE_PARTS.includes(name)) record[name] = value;
  return record;
}

/** @param {string} name @param {RuleForm} form @param {RuleRecord} kept */
function partOf(name, form, kept) {
  switch (name) {
    case "enabled":
      return form.enabled ? undefined : false;
    case "threshold": case "recovery":
      return form[name].trim() ? sameOr(kept[name], numberOf(form[name])) : undefined;
    case "by":
      return form.apart === "nothing" ? [] : namesIn(form.by);
    case "labels":
      return labelsOf(form.labels);
    case "channels":
      return form.channels.length ? form.channels : undefined;
    default: {
      const text = /** @type {any} */ (form)[name].trim();
      return text === "" || text === USUAL_PARTS[name] ? undefined : text;
    }
  }
}

/** @param {[string, string][]} pairs */
function labelsOf(pairs) {
  const filled = pairs.map(([name, text]) => [name.trim(), text.trim()]).filter(([name, text]) => name || text);
  return filled.length ? Object.fromEntries(filled) : undefined;
}

/** Names in a text, between commas or spaces. @param {string} text */
export const namesIn = (text) => text.split(/[\s,]+/).filter(Boolean);

/** A number as a number, and any other text as it is. @param {string} text */
function numberOf(text) {
  const given = text.trim();
  return NUMBER_TEXT.test(given) ? Number(given) : given;
}

/** What is kept where the same is meant: 0.2 and `20 %`. @param {any} kept @param {any} given */
function sameOr(kept, given) {
  const [one, other] = [valueOf(kept), valueOf(given)];
  if (one === null || other === null) return given;
  return Math.abs(one - other) <= 1e-12 * Math.abs(one) ? kept : given;
}

/** The number that a threshold is, lengths of time in seconds; null for none. @param {any} given @returns {number | null} */
export function valueOf(given) {
  if (typeof given === "number") return given;
  const text = String(given ?? "").trim();
  if (NUMBER_TEXT.test(text)) return Number(text);
  const share = SHARE_TEXT.exec(text);
  return share ? Number(share[1]) / 100 : secondsOf(text);
}

/** The seconds of `1d12h`; null for what is no length of time. @param {string} text */
export function secondsOf(text) {
  const found = LENGTH_TEXT.exec(text.replaceAll(" ", ""));
  if (!found || !found[0]) return null;
  return LENGTH_UNITS.reduce((sum, size, place) => sum + size * Number(found[place + 1] ?? 0), 0);
}

/** A fraction as `15 %`. @param {number} value */
export function perCent(value) {
  return `${shortNumber(value * 100)} %`;
}

/** A number without the dust of binary fractions. @param {number} value */
export const shortNumber = (value) => String(Number(value.toPrecision(12)));

/**
 * What no record can say and would get lost in it: what is missing, what is there twice.
 * @param {RuleForm} form @param {string[]} taken names of other rules
 * @returns {{place: string, message: string}[]}
 */
export function slips(form, taken) {
  const found = [];
  if (taken.includes(form.name.trim())) found.push({ place: "name", message: "There is a rule of this name already." });
  if (form.over === "window" && !form.threshold.trim()) {
    found.push({ place: "threshold", message: "It is missing: a number, 15 %, or a length of time for silence." });
  }
  if (form.apart === "fields" && !namesIn(form.by).length) {
    found.push({ place: "by", message: "Name one field at least, as in symbol, exchange." });
  }
  const names = form.labels.map(([name]) => name.trim()).filter(Boolean);
  const twice = names.find((name, place) => names.indexOf(name) !== place);
  if (twice) found.push({ place: "labels", message: `${twice} is there twice.` });
  if (form.labels.some(([name, text]) => !name.trim() && text.trim())) {
    found.push({ place: "labels", message: "A label needs a name." });
  }
  return found;
}
