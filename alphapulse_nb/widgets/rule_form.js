/** The fields of a rule: from a form to its inputs and back, and only those that apply in sight. */

import { make, pressable } from "./dom.js";
import { OneOf, Place, Ticks, Toggle, areaInput, choiceInput, lineInput, section } from "./form.js";
import { Insertable } from "./insertable.js";
import { applies, fieldsOf, recordOf, unitOf } from "./rule_record.js";
import { RULE_SIGNS, lengthMeaning, thresholdMeaning } from "./rule_words.js";

/**
 * @typedef {import("./rule_record.js").RuleForm} RuleForm
 * @typedef {{sources: import("./rule_record.js").RuleSource[], aggregates: string[], operators: string[],
 *   types: string[], priorities: string[], channels: string[], texts: string[],
 *   window_texts: string[]}} Vocabulary `texts` are the names that every text may have, `window_texts`
 *   those that come with a window
 */

const AGGREGATE_WORDS = /** @type {Record<string, string>} */ ({
  count: "number of rows", sum: "sum", mean: "mean", min: "least", max: "greatest", last: "newest value",
  change: "change against the window before", silence: "time since the newest row",
});
const OPERATOR_WORDS = /** @type {Record<string, string>} */ ({
  ">": "above", ">=": "or above", "<": "below", "<=": "or below", "==": "equal to", "!=": "other than",
});
const LENGTH_PARTS = ["window", "for", "keep_firing_for", "cooldown"];

export class RuleFields {
  /** @param {Vocabulary} vocabulary @param {boolean} isNamed the rule has its name, which stays */
  constructor(vocabulary, isNamed) {
    this.vocabulary = vocabulary;
    this.over = new OneOf("What is looked at", [["rows", "Each row"], ["window", "Over a window"]]);
    this.enabled = new Toggle("Enabled");
    this.channels = new Ticks("There is none yet; operators add them under Channels.");
    this.labels = new LabelRows();
    /** The unit that comes with the field that is chosen. */
    this.fieldUnit = "";
    this.names = make("datalist", "");
    this.names.id = "ap-rule-fields";
    /** @type {Record<string, Place>} */
    this.places = this.placesOf(isNamed);
    this.inserts = {
      where: new Insertable(this.places.where.input, (name) => name),
      by: new Insertable(this.places.by.input, (name) => `${this.places.by.value.trim() ? ", " : ""}${name}`),
      title: new Insertable(this.places.title.input, (name) => `{${name}}`),
      message: new Insertable(this.places.message.input, (name) => `{${name}}`),
    };
    for (const [name, insert] of Object.entries(this.inserts)) this.places[name].head.append(insert.root);
    this.root = make("div", "ap-rule-fields");
    this.root.append(this.names, ...this.sections());
  }

  /** @param {boolean} isNamed */
  placesOf(isNamed) {
    const { vocabulary } = this;
    const line = (/** @type {string} */ label, /** @type {string} */ hint, more = {}) =>
      new Place(label, lineInput(more), { hint });
    const length = (/** @type {string} */ label, /** @type {string} */ hint) => line(label, hint, { placeholder: "15m" });
    const same = (/** @type {string[]} */ names, words = /** @type {Record<string, string>} */ ({})) =>
      choiceInput(names.map((name) => [name, words[name] ?? name]));
    const named = isNamed ? { readOnly: true } : { placeholder: "drawdown of BTC" };
    const operators = Object.fromEntries(vocabulary.operators.map((name) => [name, `${RULE_SIGNS[name] ?? name}  ${OPERATOR_WORDS[name] ?? ""}`]));
    return {
      name: line("Name", isNamed ? "To change it, duplicate the rule and remove this one." : "What people call it.", { ...named, maxLength: 80 }),
      about: new Place("About", areaInput(2), { hint: "Why there is such a rule." }),
      source: new Place("Source", choiceInput([["", "Choose…"], ...vocabulary.sources.map(sourceOption)]), {
        hint: "A table of the desk, or a type of events." }),
      where: new Place("Where", areaInput(2, { className: "ap-input ap-code", placeholder: "confidence > 0.9 and symbol == \"BTC/USDT\"" })),
      aggregate: new Place("Value", same(vocabulary.aggregates, AGGREGATE_WORDS), { hint: "Of the rows in the window." }),
      field: line("Of field", "One with numbers.", { className: "ap-input ap-code" }),
      window: length("Window", "How far it looks back."),
      operator: new Place("Holds if it is", same(vocabulary.operators, operators), { hint: "Against the threshold." }),
      threshold: line("Threshold", "", { className: "ap-input ap-figure" }),
      recovery: line("Recovers at", "Empty: at the threshold.", { className: "ap-input ap-figure" }),
      unit: line("Unit", "Only shown.", { maxLength: 20 }),
      apart: new Place("Alerts are told apart by", choiceInput([
        ["usual", "the symbol, if there is one"], ["fields", "these fields"], ["nothing", "nothing: all is one alert"]]), {
        hint: "Each has an alert of its own." }),
      by: line("Fields", "With commas between them.", { className: "ap-input ap-code", placeholder: "symbol, exchange" }),
      for: length("For", "How long it must hold before it fires."),
      keep_firing_for: length("Goes on for", ""),
      cooldown: length("Cooldown", "How long nobody is told again."),
      type: new Place("Type", same(vocabulary.types), { hint: "People choose the types they are told of." }),
      priority: new Place("Priority", same(vocabulary.priorities), { hint: "What is urgent is told in quiet hours, too." }),
      title: line("Title", "Empty: the name of the rule.", { placeholder: "{rule}" }),
      message: new Place("Message", areaInput(3), { hint: "{pnl:.2}, {pnl:signed} and {value:%} say how a number is written." }),
      labels: new Place("Labels", this.labels.root, { hint: "Passed on with each notification." }),
      channels: new Place("Channels", this.channels.root, { hint: "What it finds goes out by these at once." }),
    };
  }

  sections() {
    const at = (/** @type {string[]} */ names, kind = "") => {
      const row = make("div", `ap-places ${kind}`.trim());
      row.append(...names.map((name) => this.places[name].root));
      return row;
    };
    const place = (/** @type {string} */ name) => this.places[name].root;
    const shape = make("div", "ap-places ap-shape");
    shape.append(place("source"), this.over.root);
    return [
      section("", place("name"), place("about"), this.enabled.root),
      section("What it watches", shape, place("where"), at(["aggregate", "field", "window"], "ap-three"),
        at(["operator", "threshold", "recovery", "unit"], "ap-three"), at(["apart", "by"])),
      section("When it fires", at(["for", "keep_firing_for", "cooldown"], "ap-three")),
      section("What it says", at(["type", "priority"]), place("title"), place("message")),
      section("Where it goes", place("channels"), place("labels")),
    ];
  }

  /** @param {RuleForm} form */
  show(form) {
    for (const [name, place] of Object.entries(this.places)) {
      if (name === "channels" || name === "labels") continue;
      const text = /** @type {any} */ (form)[name];
      const { input } = place;
      if (input.matches("select") && ![...input.options].some((/** @type {any} */ option) => option.value === text)) {
        input.append(new Option(`${text} (unknown)`, text));
      }
      place.value = text;
    }
    this.over.value = form.over;
    this.enabled.value = form.enabled;
    const known = this.vocabulary.channels;
    const gone = form.channels.filter((name) => !known.includes(name));
    this.channels.show([...form.channels, ...known.filter((name) => !form.channels.includes(name))], form.channels,
      (name) => (gone.includes(name) ? `${name} (not there)` : name));
    this.labels.show(form.labels);
    this.follow();
  }

  /** @returns {RuleForm} */
  get value() {
    const typed = Object.fromEntries(Object.entries(this.places).map(([name, place]) => [name, place.value]));
    // A condition is one line, which may be shown on several.
    const where = typed.where.replace(/\n/g, " ");
    return /** @type {any} */ ({
      ...typed, where, over: this.over.value, enabled: this.enabled.value,
      labels: this.labels.value, channels: this.channels.value });
  }

  /** Show what applies to what is chosen, and what thresholds mean. */
  follow() {
    const { sources } = this.vocabulary;
    const fieldUnit = unitOf({ ...recordOf(this.value), unit: "" }, sources);
    // The unit of the field before goes with it.
    if (this.places.unit.value.trim() === this.fieldUnit && fieldUnit !== this.fieldUnit) this.places.unit.value = "";
    this.fieldUnit = fieldUnit;
    const form = this.value;
    const rule = recordOf(form);
    for (const [name, place] of Object.entries(this.places)) place.root.hidden = !applies(name, form);
    this.places.by.root.hidden = form.apart !== "fields";
    this.places.unit.root.hidden ||= fieldUnit !== "" && ["", fieldUnit].includes(form.unit.trim());
    for (const name of ["threshold", "recovery"]) {
      this.places[name].say(thresholdMeaning(this.places[name].value, rule, sources));
    }
    for (const name of LENGTH_PARTS) this.places[name].say(lengthMeaning(this.places[name].value));
    this.places.keep_firing_for.help(form.over === "window"
      ? "After it held last." : "Rows that match until then belong to the same alert.");
    this.places.threshold.help(form.aggregate === "silence" ? "A length of time, such as 15m."
      : unitOf(rule, sources) === "%" ? "15 % or 0.15" : "");
    this.places.where.help(form.over === "window" ? "Which rows count; empty for all." : "Which rows matter.");
    this.offerFields(form);
  }

  /** @param {RuleForm} form */
  offerFields(form) {
    const fields = fieldsOf(form.source, this.vocabulary.sources);
    const numbers = fields.filter(({ kind }) => kind !== "text" && kind !== "flag");
    const key = JSON.stringify([form.source, form.over, form.apart, form.by, form.labels]);
    if (this.offered === key) return;
    this.offered = key;
    this.names.replaceChildren(...numbers.map(({ name, unit }) => new Option(unit, name)));
    this.places.field.input.setAttribute("list", this.names.id);
    const bare = (/** @type {string[]} */ names) => names.map((name) => ({ name, unit: "" }));
    const over = form.over === "window";
    const { texts, window_texts: measured } = this.vocabulary;
    const extra = over ? [...texts, ...measured] : texts;
    const own = form.labels.map(([name]) => name.trim()).filter(Boolean);
    const apart = form.apart === "fields" ? fields.filter(({ name }) => form.by.split(/[\s,]+/).includes(name)) : [];
    const said = uniqueFields([...(over ? apart : fields), ...bare(extra), ...bare(own)]);
    this.inserts.where.show(fields);
    this.inserts.by.show(fields);
    this.inserts.title.show(said);
    this.inserts.message.show(said);
  }
}

/** @param {{name: string, unit: string}[]} fields */
const uniqueFields = (fields) => fields.filter(({ name }, place) => fields.findIndex((one) => one.name === name) === place);

/** @param {import("./rule_record.js").RuleSource} source @returns {[string, string]} */
const sourceOption = ({ name, kind }) => [name, kind === "event" ? `${name} (events)` : name];

/** Names with texts, a row each. */
class LabelRows {
  constructor() {
    this.root = make("div", "ap-label-rows");
    this.list = this.root.appendChild(make("div", ""));
    this.root.append(pressable("Add a label", () => this.add("", "").querySelector("input")?.focus(), "ap-quiet"));
  }

  /** @param {[string, string][]} pairs */
  show(pairs) {
    this.list.replaceChildren();
    for (const [name, text] of pairs) this.add(name, text);
  }

  /** @param {string} name @param {string} text */
  add(name, text) {
    const row = this.list.appendChild(make("div", "ap-label-row"));
    const inputs = [["Name of the label", name, "team"], ["Text of the label", text, "risk"]].map(([label, value, placeholder]) => {
      const input = lineInput({ value, placeholder });
      input.setAttribute("aria-label", label);
      return input;
    });
    const remove = pressable("Remove", () => {
      row.remove();
      this.root.dispatchEvent(new Event("input", { bubbles: true }));
    }, "ap-quiet");
    row.append(...inputs, remove);
    return row;
  }

  /** @returns {[string, string][]} */
  get value() {
    return [...this.list.children].map((row) => {
      const [name, text] = row.querySelectorAll("input");
      return [name.value, text.value];
    });
  }
}
