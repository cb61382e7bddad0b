/**
 * A rule being written. While somebody types the server is asked whether the rule can work and what
 * it would say now; of several answers the one to the newest question counts. A rule that somebody
 * else has saved meanwhile is not overwritten unless that is wanted.
 */

import { make, on, pressable, setText } from "./dom.js";
import { capital } from "./notice.js";
import { question } from "./question.js";
import { RuleFields } from "./rule_form.js";
import { RulePreview, verdictWords } from "./rule_preview.js";
import { formOf, recordOf, slips } from "./rule_record.js";
import { pointedAt } from "./rule_words.js";

/**
 * @typedef {import("./rule_record.js").RuleRecord} RuleRecord
 * @typedef {import("./rule_preview.js").Verdict} Verdict
 * @typedef {{name: string, rule: RuleRecord | null, version: number, changed_at: string, changed_by: string,
 *   fault: string, firing: number, pending: number, error: string}} KeptRule
 * @typedef {{api: any, vocabulary: import("./rule_form.js").Vocabulary, kept: KeptRule | null,
 *   start: RuleRecord, taken: string[], done: (saved: KeptRule | null) => void}} Editing `kept` is null
 *   for a new rule, `taken` are the names of the others; `done` gets null if nothing was saved
 */

/** Milliseconds after the last key until the server is asked. */
const CHECK_AFTER = 300;

export class RuleEditor {
  /** @param {HTMLElement} el @param {Editing} editing */
  constructor(el, editing) {
    const { kept, start } = editing;
    this.api = editing.api;
    this.taken = editing.taken;
    this.done = editing.done;
    this.base = start;
    this.version = kept?.version ?? 0;
    /** Places whose mistakes are shown; null is all of them. @type {Set<string> | null} */
    this.touched = kept ? null : new Set();
    this.asked = 0;
    this.fields = new RuleFields(editing.vocabulary, kept !== null);
    this.preview = new RulePreview();
    this.note = make("div", "ap-editor-note");
    this.note.setAttribute("role", "alert");
    this.status = make("span", "ap-editor-status");
    this.status.setAttribute("role", "status");
    this.saving = pressable("Save", () => this.save(), "ap-button ap-strong");
    this.root = make("div", "ap-editor");
    this.root.append(this.head(kept), this.note, this.body(), this.bar());
    el.replaceChildren(this.root);
    this.fields.show(formOf(start, editing.vocabulary.sources));
    this.first = JSON.stringify(this.record);
    this.stops = [
      on(this.fields.root, "input", /** @type {any} */ ((/** @type {Event} */ event) => this.changed(event))),
      on(window, "beforeunload", /** @type {any} */ ((/** @type {Event} */ event) => this.isChanged && event.preventDefault())),
    ];
    this.check();
    this.root.scrollIntoView({ block: "start" });
    if (kept) this.title.focus();
    else this.fields.places.name.focus();
  }

  /** @param {KeptRule | null} kept */
  head(kept) {
    const head = make("header", "ap-editor-head");
    this.title = make("h3", "", kept ? `Rule ${kept.name}` : "New rule");
    this.title.tabIndex = -1;
    head.append(pressable("‹ Rules", () => this.cancel(), "ap-quiet"), this.title);
    return head;
  }

  body() {
    const body = make("div", "ap-editor-body");
    body.append(this.fields.root, this.preview.root);
    return body;
  }

  bar() {
    const bar = make("div", "ap-editor-bar");
    bar.append(this.status, pressable("Cancel", () => this.cancel()), this.saving);
    return bar;
  }

  get record() {
    return recordOf(this.fields.value, this.base);
  }

  get isChanged() {
    return JSON.stringify(this.record) !== this.first;
  }

  /** @param {Event} event */
  changed(event) {
    const found = Object.entries(this.fields.places).find(([, place]) => place.root.contains(/** @type {Node} */ (event.target)));
    if (found) this.touched?.add(found[0]);
    this.fields.follow();
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), CHECK_AFTER);
  }

  /** Ask whether it can work. Null where a newer question was asked meanwhile, or nobody answered. @returns {Promise<Verdict | null>} */
  async check() {
    clearTimeout(this.timer);
    this.asked += 1;
    const number = this.asked;
    const rule = this.record;
    const own = slips(this.fields.value, this.taken);
    try {
      const verdict = await this.api.ask("check", {}, { rule });
      if (number !== this.asked || this.isOver) return null;
      const problems = [...own, ...verdict.problems.filter((/** @type {any} */ one) => !own.some(({ place }) => place === one.place))];
      this.take({ ...verdict, problems, ok: !problems.length }, rule);
      return this.verdict ?? null;
    } catch (error) {
      if (number === this.asked && !this.isOver) this.fail(`It could not be checked. ${/** @type {Error} */ (error).message}`);
      return null;
    }
  }

  /** @param {Verdict} verdict @param {RuleRecord} rule */
  take(verdict, rule) {
    this.verdict = verdict;
    this.checked = rule;
    this.preview.show(verdict, rule);
    this.showProblems();
  }

  showProblems() {
    const { problems, ok } = /** @type {Verdict} */ (this.verdict);
    const lost = [];
    /** @type {Map<string, string>} */
    const said = new Map();
    for (const { place, message } of problems) {
      const there = this.fields.places[place];
      if (!there || there.root.hidden) lost.push(`${place}: ${message}`);
      else if (!said.has(place)) said.set(place, message);
    }
    for (const [name, place] of Object.entries(this.fields.places)) {
      const shown = !this.touched || this.touched.has(name);
      const message = shown ? said.get(name) ?? "" : "";
      place.complain(capital(message));
      place.point(message ? pointedAt(String(this.checked?.[name] ?? ""), message) : null);
    }
    setText(this.status, lost.length ? lost.join("; ") : verdictWords(/** @type {Verdict} */ (this.verdict)));
    this.status.classList.toggle("ap-bad-text", !ok);
    // Not `disabled`: whoever presses it is led to what is wrong.
    this.saving.setAttribute("aria-disabled", String(!ok));
  }

  /** @param {string} text */
  fail(text) {
    setText(this.status, text);
    this.status.classList.add("ap-bad-text");
    this.saving.setAttribute("aria-disabled", "false");
  }

  async save() {
    if (this.isSaving) return;
    this.isSaving = true;
    this.touched = null;
    try {
      const verdict = await this.check();
      if (verdict && !verdict.ok) this.showFirst();
      else if (verdict && this.checked) await this.put(this.checked);
    } finally {
      this.isSaving = false;
    }
  }

  showFirst() {
    Object.values(this.fields.places).find((place) => place.isWrong)?.focus();
  }

  /** @param {RuleRecord} rule */
  async put(rule) {
    try {
      const saved = await this.api.ask("save", { name: rule.name }, { rule, version: this.version });
      this.done(saved);
    } catch (error) {
      const { code, problems, message } = /** @type {any} */ (error);
      if (code === "conflict") await this.dispute(rule.name);
      else if (problems?.length) this.take({ ok: false, problems, lines: [], trouble: "" }, rule);
      else this.fail(message);
    }
  }

  /** Somebody has saved it meanwhile: show that, and let it be chosen whose counts. @param {string} name */
  async dispute(name) {
    /** @type {{rules: KeptRule[]}} */
    const { rules } = await this.api.ask("rules").catch(() => ({ rules: [] }));
    const theirs = rules.find((one) => one.name === name);
    const mine = this.fields.value;
    if (!theirs?.rule) {
      this.say(theirs ? "Somebody has changed this rule meanwhile, and it cannot be read." : "Somebody has removed this rule meanwhile.", [
        ["Keep mine", () => this.keepMine(theirs?.version ?? 0)]]);
      return;
    }
    const who = theirs.changed_by || "Somebody";
    this.say(`${who} has changed this rule meanwhile. What you typed is still here.`, [
      ["Load theirs", () => this.loadTheirs(theirs, mine)],
      ["Keep mine", () => this.keepMine(theirs.version)],
    ]);
  }

  /** @param {number} version */
  keepMine(version) {
    this.version = version;
    this.say("Saving puts what you typed in place of theirs.", []);
    this.saving.focus();
  }

  /** @param {KeptRule} theirs @param {import("./rule_record.js").RuleForm} mine */
  loadTheirs(theirs, mine) {
    const mineOn = this.base;
    this.version = theirs.version;
    this.base = /** @type {RuleRecord} */ (theirs.rule);
    this.show(formOf(this.base, this.fields.vocabulary.sources));
    this.say(`This is what ${theirs.changed_by || "somebody"} saved.`, [["Back to what I typed", () => {
      this.base = mineOn;
      this.show(mine);
      this.keepMine(theirs.version);
    }]]);
  }

  /** @param {import("./rule_record.js").RuleForm} form */
  show(form) {
    this.fields.show(form);
    this.check();
  }

  /** @param {string} text @param {[string, () => void][]} ways */
  say(text, ways) {
    const row = make("div", "ap-actions");
    row.append(...ways.map(([words, call]) => pressable(words, call)));
    this.note.replaceChildren(make("p", "", text), row);
    this.note.scrollIntoView({ block: "nearest" });
  }

  async cancel() {
    if (await this.mayLeave()) this.done(null);
  }

  /** Whether it may be left, asked if that loses something. @returns {Promise<boolean>} */
  async mayLeave() {
    if (!this.isChanged) return true;
    return question(this.root, "Leave without saving what you changed?", "Leave", "Stay");
  }

  destroy() {
    this.isOver = true;
    clearTimeout(this.timer);
    for (const stop of this.stops) stop();
  }
}
