/**
 * The parts of a form: a label, what is typed or chosen, and one line below that helps, or says what
 * is wrong instead, so that nothing moves when an error comes or goes.
 */

import { make, setText } from "./dom.js";

/** @typedef {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Typed */

let placesMade = 0;

/** One labelled place of a form; what is not typed into is a group of what is. */
export class Place {
  /** @param {string} label @param {HTMLElement} input @param {{hint?: string, kind?: string}} [more] */
  constructor(label, input, { hint = "", kind = "" } = {}) {
    this.input = /** @type {any} */ (input);
    this.usual = hint;
    input.id = `ap-place-${++placesMade}`;
    this.root = make("div", `ap-place ${kind}`.trim());
    this.head = this.root.appendChild(make("div", "ap-place-head"));
    this.label = this.head.appendChild(labelOf(label, input));
    this.row = this.root.appendChild(make("div", "ap-place-row"));
    this.row.append(input);
    this.beside = this.row.appendChild(make("span", "ap-place-beside"));
    this.beside.hidden = true;
    this.note = this.root.appendChild(make("p", "ap-place-note", hint));
    this.note.id = `${input.id}-note`;
    /** @type {HTMLElement | null} */
    this.pointer = null;
    input.setAttribute("aria-describedby", this.note.id);
  }

  get value() {
    return this.input.value;
  }

  set value(text) {
    if (this.input.value !== text) this.input.value = text;
  }

  /** Say what is wrong here; without a text all is well. @param {string} [text] */
  complain(text = "") {
    setText(this.note, text || this.usual);
    this.root.classList.toggle("ap-wrong", text !== "");
    if (text) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
  }

  get isWrong() {
    return this.root.classList.contains("ap-wrong");
  }

  /** Show where in a text something is wrong. @param {{before: string, word: string, after: string} | null} place */
  point(place) {
    this.pointer?.remove();
    if (!place) return;
    this.pointer = make("code", "ap-place-pointer");
    // Behind the last character something is missing, which is shown as a blank.
    this.pointer.append(place.before, make("mark", "", place.word || "\u00a0"), place.after);
    this.root.append(this.pointer);
  }

  /** What stands below while nothing is wrong. @param {string} text */
  help(text) {
    this.usual = text;
    if (!this.isWrong) setText(this.note, text);
  }

  /** What stands beside the input, such as its unit. @param {string} text */
  say(text) {
    this.beside.hidden = !text;
    setText(this.beside, text);
  }

  focus() {
    const first = this.input.matches("input, select, textarea") ? this.input : this.input.querySelector("input, button");
    first?.focus();
  }
}

/** @param {string} text @param {HTMLElement} input */
function labelOf(text, input) {
  if (input.matches("input, select, textarea")) {
    const label = /** @type {HTMLLabelElement} */ (make("label", "ap-place-label", text));
    label.htmlFor = input.id;
    return label;
  }
  const name = make("span", "ap-place-label", text);
  name.id = `${input.id}-label`;
  if (!input.hasAttribute("role")) input.setAttribute("role", "group");
  input.setAttribute("aria-labelledby", name.id);
  return name;
}

/** A line to type into. @param {Record<string, any>} [more] properties of the element */
export function lineInput(more = {}) {
  const input = /** @type {HTMLInputElement} */ (make("input", "ap-input"));
  // What is typed here is nobody's name or address that a browser should offer or mend.
  return Object.assign(input, { type: "text", autocomplete: "off", spellcheck: false }, more);
}

/** Several lines to type into. @param {number} rows @param {Record<string, any>} [more] */
export function areaInput(rows, more = {}) {
  const input = /** @type {HTMLTextAreaElement} */ (make("textarea", "ap-input"));
  return Object.assign(input, { rows, spellcheck: false }, more);
}

/** A choice of one. @param {[string, string][]} options value and text */
export function choiceInput(options) {
  const input = /** @type {HTMLSelectElement} */ (make("select", "ap-input ap-choice"));
  input.append(...options.map(([value, text]) => new Option(text, value)));
  return input;
}

/** A switch with its words beside it, and a line below. */
export class Toggle {
  /** @param {string} label @param {string} [hint] */
  constructor(label, hint = "") {
    this.place = new Place("", make("span", ""), { hint, kind: "ap-toggle-place" });
    this.root = this.place.root;
    const wrap = make("label", "ap-toggle");
    this.input = /** @type {HTMLInputElement} */ (make("input", ""));
    this.input.type = "checkbox";
    this.input.setAttribute("role", "switch");
    this.input.setAttribute("aria-describedby", this.place.note.id);
    wrap.append(this.input, make("span", "ap-toggle-track"));
    if (label) wrap.append(make("span", "ap-toggle-text", label));
    this.place.head.replaceChildren(wrap);
    this.place.row.remove();
    this.place.note.hidden = hint === "";
  }

  get value() {
    return this.input.checked;
  }

  set value(on) {
    this.input.checked = on;
  }

  /** @param {string} [text] */
  complain(text = "") {
    this.place.complain(text);
    this.place.note.hidden = !text && !this.place.usual;
  }

  /** @param {string} text */
  help(text) {
    this.place.help(text);
    this.place.note.hidden = !text && !this.place.isWrong;
  }

  focus() {
    this.input.focus();
  }
}

/** Boxes to tick, with a `value` of the names that are ticked, in the order of the boxes. */
export class Ticks {
  /** @param {string} none what stands here without a box */
  constructor(none) {
    this.root = make("div", "ap-ticks");
    this.none = none;
  }

  /** @param {string[]} names @param {string[]} ticked @param {(name: string) => string} [text] */
  show(names, ticked, text = (name) => name) {
    this.root.replaceChildren(...names.map((name) => tickOf(name, ticked.includes(name), text(name))));
    if (!names.length) this.root.append(make("span", "ap-muted", this.none));
  }

  get value() {
    return [...this.root.querySelectorAll("input")].filter((box) => box.checked).map((box) => box.value);
  }
}

/** @param {string} name @param {boolean} checked @param {string} text */
function tickOf(name, checked, text) {
  const label = make("label", "ap-tick");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name, checked });
  label.append(box, make("span", "", text));
  return label;
}

/** A choice of one, with all of them in sight. */
export class OneOf {
  /** @param {string} label @param {[string, string][]} options value and text */
  constructor(label, options) {
    this.root = make("div", "ap-ranges ap-one-of");
    this.root.setAttribute("role", "radiogroup");
    this.root.setAttribute("aria-label", label);
    const name = `ap-one-of-${++placesMade}`;
    this.inputs = options.map(([value, text]) => {
      const wrap = make("label", "ap-range");
      const input = Object.assign(document.createElement("input"), { type: "radio", name, value });
      wrap.append(input, make("span", "", text));
      this.root.append(wrap);
      return input;
    });
  }

  get value() {
    return this.inputs.find((input) => input.checked)?.value ?? "";
  }

  set value(chosen) {
    for (const input of this.inputs) input.checked = input.value === chosen;
  }
}

/** A part of a form, under its heading if it has one. @param {string} title @param {...HTMLElement} content */
export function section(title, ...content) {
  const part = make("section", "ap-section");
  part.append(...content);
  if (!title) return part;
  const heading = make("h3", "ap-section-title", title);
  heading.id = `ap-section-${++placesMade}`;
  part.setAttribute("aria-labelledby", heading.id);
  part.prepend(heading);
  return part;
}
