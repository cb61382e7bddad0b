/** Names beside a text: a click puts one where the caret is. */

import { make, pressable } from "./dom.js";

export class Insertable {
  /** @param {HTMLInputElement | HTMLTextAreaElement} input @param {(name: string) => string} written */
  constructor(input, written) {
    this.input = input;
    this.written = written;
    this.root = make("details", "ap-insert");
    this.root.append(make("summary", "", "Insert a field"));
    this.list = this.root.appendChild(make("div", "ap-insert-names"));
  }

  /** @param {{name: string, unit: string}[]} fields */
  show(fields) {
    this.root.hidden = !fields.length;
    this.list.replaceChildren(...fields.map(({ name, unit }) => {
      const button = pressable(name, () => this.insert(name), "ap-chip");
      button.title = unit ? `Insert ${name}, in ${unit}` : `Insert ${name}`;
      return button;
    }));
  }

  /** @param {string} name */
  insert(name) {
    const { input } = this;
    const from = input.selectionStart ?? input.value.length;
    input.setRangeText(this.written(name), from, input.selectionEnd ?? from, "end");
    input.focus();
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
}
