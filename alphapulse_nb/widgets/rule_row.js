/** One rule in the list: what it watches, how it stands, who changed it, and what may be done with it. */

import { make, pressable, setText } from "./dom.js";
import { Toggle } from "./form.js";
import { capital } from "./notice.js";
import { furtherParts, watches } from "./rule_words.js";
import { stamp } from "./zone.js";

/**
 * @typedef {import("./rule_editor.js").KeptRule} KeptRule
 * @typedef {{enable: (one: KeptRule, on: boolean) => void, edit: (one: KeptRule) => void,
 *   duplicate: (one: KeptRule) => void, remove: (one: KeptRule) => void}} RuleActs
 */

/**
 * How a rule stands, with the reason where it does not work.
 * @param {KeptRule} one @returns {{text: string, tone: string, reason: string}}
 */
export function standingOf(one) {
  if (!one.rule || one.fault) return { text: "cannot work", tone: "bad", reason: one.fault };
  if (one.rule.enabled === false) return { text: "disabled", tone: "plain", reason: "" };
  if (one.error) return { text: "in error", tone: "bad", reason: one.error };
  const parts = [one.firing ? `firing ${one.firing}` : "", one.pending ? `pending ${one.pending}` : ""].filter(Boolean);
  if (!parts.length) return { text: "quiet", tone: "good", reason: "" };
  return { text: parts.join(", "), tone: one.firing ? "bad" : "warn", reason: "" };
}

export class RuleRow {
  /** @param {string} name @param {RuleActs | null} acts null for those who may only look */
  constructor(name, acts) {
    this.name = name;
    this.root = make("li", "ap-rule");
    this.root.dataset.rule = name;
    const head = this.root.appendChild(make("div", "ap-rule-head"));
    this.title = head.appendChild(make("strong", "ap-rule-name", name));
    this.title.tabIndex = -1;
    this.priority = head.appendChild(make("span", "ap-mark"));
    this.standing = head.appendChild(make("span", "ap-mark"));
    this.words = this.root.appendChild(make("p", "ap-rule-words"));
    this.reason = this.root.appendChild(make("p", "ap-rule-reason"));
    this.about = this.root.appendChild(make("p", "ap-rule-about"));
    this.more = this.root.appendChild(make("details", "ap-rule-more"));
    this.more.append(make("summary", "", "All parts"));
    this.parts = this.more.appendChild(make("dl", "ap-rule-parts"));
    const foot = this.root.appendChild(make("div", "ap-rule-foot"));
    this.changed = foot.appendChild(make("span", "ap-muted"));
    if (acts) this.addActs(foot, head, acts);
  }

  /** @param {HTMLElement} foot @param {HTMLElement} head @param {RuleActs} acts */
  addActs(foot, head, acts) {
    const one = () => /** @type {KeptRule} */ (this.one);
    this.enabled = new Toggle("");
    this.enabled.input.setAttribute("aria-label", `${this.name} is enabled`);
    this.enabled.input.onchange = () => acts.enable(one(), this.enabled?.value ?? false);
    head.append(this.enabled.root);
    const button = (/** @type {string} */ text, /** @type {(one: KeptRule) => void} */ call) => {
      const made = pressable(text, () => call(one()), "ap-quiet");
      made.setAttribute("aria-label", `${text} ${this.name}`);
      return made;
    };
    this.editing = button("Edit", acts.edit);
    this.duplicating = button("Duplicate", acts.duplicate);
    const row = foot.appendChild(make("div", "ap-actions"));
    row.append(this.editing, this.duplicating, button("Remove", acts.remove));
  }

  /** @param {KeptRule} one @param {import("./rule_record.js").RuleSource[]} sources @param {string} zone */
  show(one, sources, zone) {
    this.one = one;
    const rule = one.rule ?? {};
    const { text, tone, reason } = standingOf(one);
    this.root.dataset.tone = tone;
    this.root.classList.toggle("ap-faded", rule.enabled === false);
    setText(this.standing, text);
    this.standing.dataset.tone = tone;
    setText(this.priority, one.rule ? `${rule.priority ?? "medium"}` : "");
    this.priority.dataset.priority = rule.priority ?? "medium";
    setText(this.words, one.rule ? capital(watches(rule, sources)) : "");
    setText(this.reason, reason);
    setText(this.about, rule.about ?? "");
    this.showParts(rule, sources);
    const when = one.changed_at ? stamp(zone, Date.parse(one.changed_at)) : "";
    setText(this.changed, one.changed_by ? `Changed by ${one.changed_by}, ${when}` : `Since ${when}`);
    for (const node of [this.reason, this.words, this.about, this.priority]) node.hidden = !node.textContent;
    this.more.hidden = !one.rule;
    if (!this.enabled || !this.editing || !this.duplicating) return;
    this.enabled.root.hidden = this.editing.hidden = this.duplicating.hidden = !one.rule;
    this.enabled.value = rule.enabled !== false;
  }

  /** @param {import("./rule_record.js").RuleRecord} rule @param {import("./rule_record.js").RuleSource[]} sources */
  showParts(rule, sources) {
    const parts = furtherParts(rule, sources);
    const key = JSON.stringify(parts);
    if (this.shown === key) return;
    this.shown = key;
    this.parts.replaceChildren(...parts.flatMap(([name, text]) => [make("dt", "", name), make("dd", "", text)]));
  }

  focus() {
    this.title.focus();
    this.title.scrollIntoView({ block: "nearest" });
  }
}
