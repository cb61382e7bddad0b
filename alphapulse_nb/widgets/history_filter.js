/** What of the history is wanted: words, types, priorities, symbols, rules; unread, or held back. */

import { make, setText } from "./dom.js";
import { NOTICE_TYPES, PRIORITIES, capital } from "./notice.js";

/** How long somebody who types may rest before the history is asked. */
const TYPING_RESTS = 300;

export class HistoryFilter {
  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
    this.root = /** @type {HTMLFormElement} */ (make("form", "ap-filter"));
    this.root.setAttribute("role", "search");
    this.root.onsubmit = (event) => event.preventDefault();
    const first = this.root.appendChild(make("div", "ap-filter-row"));
    this.words = this.typed("Search titles and messages", "search");
    this.unread = this.check("Unread only");
    first.append(this.words, /** @type {HTMLElement} */ (this.unread.parentElement));
    this.further = this.root.appendChild(make("details", "ap-filter-more"));
    this.title = this.further.appendChild(make("summary", "", "Filters"));
    const rest = this.further.appendChild(make("div", "ap-filter-grid"));
    this.type = this.choice("All types", NOTICE_TYPES);
    this.priority = this.choice("All priorities", [...PRIORITIES].reverse());
    this.symbol = this.typed("Symbol");
    this.rule = this.typed("Rule");
    this.held = this.check("Held back");
    /** @type {HTMLElement} */ (this.held.parentElement).title = "What was not told, with the reason";
    this.clear = make("button", "ap-quiet", "Clear filters");
    this.clear.setAttribute("type", "button");
    this.clear.onclick = () => this.reset();
    rest.append(this.type, this.priority, this.symbol, this.rule, /** @type {HTMLElement} */ (this.held.parentElement), this.clear);
    this.show();
  }

  /** The values that the action takes. */
  get values() {
    const text = (/** @type {{value: string}} */ { value }) => value.trim();
    return {
      words: text(this.words), type: this.type.value, priority: this.priority.value, symbol: text(this.symbol),
      rule: text(this.rule), unread: this.unread.checked, held: this.held.checked,
    };
  }

  /** Whether anything is left out. */
  get isOn() {
    return Object.values(this.values).some(Boolean);
  }

  /** @param {string} label @param {string} [type] */
  typed(label, type = "text") {
    const input = document.createElement("input");
    Object.assign(input, { type, placeholder: label, className: "ap-filter-input", autocomplete: "off", maxLength: 200 });
    input.setAttribute("aria-label", label);
    /** @type {number | undefined} */
    let timer;
    input.oninput = () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.change(), TYPING_RESTS);
    };
    return input;
  }

  /** @param {string} all @param {string[]} names */
  choice(all, names) {
    const field = /** @type {HTMLSelectElement} */ (make("select", "ap-select"));
    field.setAttribute("aria-label", all.replace("All ", ""));
    field.append(new Option(all, ""), ...names.map((name) => new Option(capital(name), name)));
    field.onchange = () => this.change();
    return field;
  }

  /** @param {string} text */
  check(text) {
    const label = make("label", "ap-filter-check");
    const input = document.createElement("input");
    input.type = "checkbox";
    input.onchange = () => this.change();
    label.append(input, text);
    return input;
  }

  reset() {
    this.root.reset();
    this.change();
  }

  change() {
    this.show();
    this.changed();
  }

  show() {
    const { words, unread, ...rest } = this.values;
    const count = Object.values(rest).filter(Boolean).length;
    setText(this.title, count ? `Filters (${count})` : "Filters");
    this.clear.hidden = !this.isOn;
  }
}
