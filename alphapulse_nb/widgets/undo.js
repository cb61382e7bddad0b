/** A bar that offers to take back what was removed, for a while. */

import { quietButton } from "./acts.js";
import { make, setText } from "./dom.js";
import { counted } from "./notice.js";

/** How long the bar stays after the last removal, while nobody points at it. */
const UNDO_STAYS = 15e3;

export class UndoBar {
  /** @param {{ask: (name: string, values: any, body: any) => Promise<any>}} api */
  constructor(api) {
    this.api = api;
    /** @type {string[]} what takes each removal back, the last one at the end */
    this.undos = [];
    this.count = 0;
    this.root = make("div", "ap-undo");
    this.root.hidden = true;
    this.text = this.root.appendChild(make("span", ""));
    this.text.setAttribute("role", "status");
    this.root.append(quietButton("Undo", () => this.take()));
  }

  /** @param {number} changed how many were removed @param {string} undo */
  offer(changed, undo) {
    if (!changed) return;
    this.undos.push(undo);
    this.count += changed;
    setText(this.text, `${counted(this.count, "notification")} removed.`);
    this.root.hidden = false;
    this.wait();
  }

  wait() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.root.matches(":hover, :focus-within") ? this.wait() : this.hide()), UNDO_STAYS);
  }

  async take() {
    clearTimeout(this.timer);
    try {
      while (this.undos.length) {
        await this.api.ask("restore", {}, { undo: this.undos[this.undos.length - 1] });
        this.undos.pop();
      }
      this.hide();
    } catch (error) {
      setText(this.text, `Not brought back: ${/** @type {Error} */ (error).message}`);
      this.wait();
    }
  }

  hide() {
    this.undos = [];
    this.count = 0;
    this.root.hidden = true;
  }

  destroy() {
    clearTimeout(this.timer);
  }
}
