/** The rules of a desk: all of them in words, how they stand, and for operators the ways to change them. */

import { arrange, make, on, pressable, setText } from "./dom.js";
import { lineInput } from "./form.js";
import { counted, mayOperate } from "./notice.js";
import { question } from "./question.js";
import { RuleEditor } from "./rule_editor.js";
import { RuleRow, standingOf } from "./rule_row.js";
import { watches } from "./rule_words.js";
import { Said, whileSeen } from "./tab.js";

/**
 * @typedef {import("./rule_editor.js").KeptRule} KeptRule
 * @typedef {import("./tab.js").TabContext} TabContext
 */

/** Milliseconds after which the list is read again while it is in sight. */
const RULES_EVERY = 10e3;
const COPY_ENDS = /( copy( \d+)?)?$/;

/**
 * The tab. What is returned ends it; its `mayLeave` asks, where something typed would be lost.
 * @param {HTMLElement} el @param {TabContext} context
 */
export function rulesTab(el, context) {
  const tab = new Rules(el, context);
  return Object.assign(() => tab.destroy(), { mayLeave: () => tab.mayLeave() });
}

export class Rules {
  /** @param {HTMLElement} el @param {TabContext} context */
  constructor(el, context) {
    this.api = context.api;
    this.zone = context.zone;
    this.may = mayOperate(context.person);
    this.asked = 0;
    /** @type {KeptRule[]} */
    this.rules = [];
    /** @type {import("./rule_form.js").Vocabulary | null} */
    this.vocabulary = null;
    /** @type {Map<string, RuleRow>} */
    this.rows = new Map();
    /** @type {RuleEditor | null} */
    this.editor = null;
    this.root = make("div", "ap ap-tab-content ap-rules");
    this.listing = this.listingOf();
    this.writing = make("div", "");
    this.writing.hidden = true;
    this.root.append(this.listing, this.writing);
    el.replaceChildren(this.root);
    this.stops = [
      whileSeen(RULES_EVERY, () => this.editor || this.load()),
      on(document, "alphapulse:zone", () => this.show()),
    ];
    this.load();
  }

  listingOf() {
    const listing = make("div", "");
    const bar = make("div", "ap-tab-bar");
    this.search = lineInput({ type: "search", placeholder: "Search rules", oninput: () => this.show() });
    this.search.setAttribute("aria-label", "Search rules");
    this.count = make("span", "ap-muted");
    this.count.setAttribute("role", "status");
    bar.append(this.search, this.count);
    if (this.may) bar.append(pressable("New rule", () => this.edit(null, {}), "ap-button ap-strong"));
    this.said = new Said();
    this.list = make("ul", "ap-rule-list");
    this.list.setAttribute("aria-label", "Rules");
    listing.append(bar, this.said.root, this.list);
    if (!this.may) bar.after(make("p", "ap-muted", "Operators and administrators may change rules."));
    return listing;
  }

  /** @returns {Promise<void>} */
  async load() {
    this.asked += 1;
    const number = this.asked;
    try {
      const [{ rules }, vocabulary] = await Promise.all([this.api.ask("rules"), this.vocabulary ?? this.api.ask("vocabulary")]);
      // What was asked before something was saved knows nothing of that.
      if (this.isOver || number !== this.asked) return;
      this.rules = rules;
      this.vocabulary = vocabulary;
      this.said.recover();
      this.show();
    } catch (error) {
      this.said.fail("The rules", error);
    }
  }

  show() {
    const sources = this.vocabulary?.sources ?? [];
    const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.rules.filter((one) => {
      const text = searchedText(one, sources);
      return words.every((word) => text.includes(word));
    });
    const rows = found.map((one) => {
      const row = this.rows.get(one.name) ?? new RuleRow(one.name, this.may ? this.acts : null);
      row.show(one, sources, this.zone());
      return row;
    });
    this.rows = new Map(rows.map((row) => [row.name, row]));
    arrange(this.list, rows.map(({ root }) => root));
    const all = this.rules.length;
    setText(this.count, found.length === all ? counted(all, "rule") : `${found.length} of ${counted(all, "rule")}`);
    if (all && !found.length) this.list.append(make("li", "ap-tab-none", "No rule has these words."));
    if (!all && this.vocabulary) this.list.append(make("li", "ap-tab-none", "There are no rules."));
  }

  /** What may be done with a rule. */
  get acts() {
    return {
      /** @param {KeptRule} one @param {boolean} enabled */
      enable: (one, enabled) => this.enable(one, enabled),
      /** @param {KeptRule} one */
      edit: (one) => this.edit(one, one.rule ?? {}),
      /** @param {KeptRule} one */
      duplicate: (one) => this.edit(null, { ...one.rule, name: this.copyOf(one.name) }),
      /** @param {KeptRule} one */
      remove: (one) => this.remove(one),
    };
  }

  /** A name for a copy that no rule has. @param {string} name */
  copyOf(name) {
    const names = this.rules.map((one) => one.name);
    const stem = name.replace(COPY_ENDS, "").slice(0, 68);
    for (let number = 1; ; number += 1) {
      const found = `${stem} copy${number > 1 ? ` ${number}` : ""}`;
      if (!names.includes(found)) return found;
    }
  }

  /** @param {KeptRule} one @param {boolean} enabled */
  async enable(one, enabled) {
    const { enabled: _, ...rest } = /** @type {any} */ (one.rule);
    const rule = enabled ? rest : { ...rest, enabled: false };
    try {
      const saved = await this.api.ask("save", { name: one.name }, { rule, version: one.version });
      this.asked += 1;
      this.rules = this.rules.map((other) => (other.name === one.name ? saved : other));
      this.said.say(`${one.name} is ${enabled ? "enabled" : "disabled"}.`);
    } catch (error) {
      const { code, message } = /** @type {any} */ (error);
      this.said.say(code === "conflict" ? `Somebody has changed ${one.name} meanwhile; this is how it is now.` : message, true);
      await this.load();
    }
    this.show();
  }

  /** @param {KeptRule} one */
  async remove(one) {
    if (!(await question(this.root, `Remove the rule “${one.name}”? Its open alerts end with it.`, "Remove"))) return;
    try {
      await this.api.ask("drop", { name: one.name });
      this.said.say(`${one.name} is removed.`);
      this.search.focus();
    } catch (error) {
      this.said.refuse(error);
    }
    await this.load();
  }

  /** @param {KeptRule | null} kept @param {import("./rule_record.js").RuleRecord} start */
  async edit(kept, start) {
    try {
      // Channels and sources may have come since the list was opened.
      this.vocabulary = await this.api.ask("vocabulary");
    } catch (error) {
      return this.said.refuse(error);
    }
    if (this.isOver || !this.vocabulary) return;
    this.listing.hidden = true;
    this.writing.hidden = false;
    const taken = this.rules.map((one) => one.name).filter((name) => name !== kept?.name);
    const done = (/** @type {KeptRule | null} */ saved) => this.edited(saved, kept);
    this.editor = new RuleEditor(this.writing, { api: this.api, vocabulary: this.vocabulary, kept, start, taken, done });
  }

  /** @param {KeptRule | null} saved @param {KeptRule | null} kept */
  async edited(saved, kept) {
    this.editor?.destroy();
    this.editor = null;
    this.writing.hidden = true;
    this.writing.replaceChildren();
    this.listing.hidden = false;
    if (saved) this.said.say(`${saved.name} is saved.`);
    await this.load();
    const row = this.rows.get(saved?.name ?? kept?.name ?? "");
    if (row) row.focus();
    else this.search.focus();
  }

  /** Whether the tab may be left, asked if that loses something. @returns {Promise<boolean>} */
  async mayLeave() {
    return this.editor ? this.editor.mayLeave() : true;
  }

  destroy() {
    this.isOver = true;
    this.editor?.destroy();
    for (const stop of this.stops) stop();
  }
}

/** What a rule is searched by. @param {KeptRule} one @param {import("./rule_record.js").RuleSource[]} sources */
function searchedText(one, sources) {
  const rule = one.rule ?? {};
  const parts = [
    one.name, rule.about, watches(rule, sources), rule.title, rule.type ?? "warning", rule.priority ?? "medium",
    standingOf(one).text, one.changed_by, ...(rule.channels ?? []), ...Object.entries(rule.labels ?? {}).flat(),
  ];
  return parts.join(" ").toLowerCase();
}
