/** What can be done with one notification, as a row of buttons: acknowledge it, snooze its kind. */

import { make, pageZone, pressable, setText } from "./dom.js";
import { mayAcknowledge, maySnooze, snoozeEnds, snoozeOf } from "./notice.js";

/** @typedef {import("./notice.js").Notice} Notice */

/** A quiet button. @param {string} text @param {() => void} press */
export const quietButton = (text, press) => pressable(text, press, "ap-quiet");

export class Acts {
  /**
   * @param {import("./attention.js").Attention} attention @param {Notice} notice
   * @param {{ends?: string[], more?: HTMLElement[], done?: (name: string) => void}} [wanted] `ends` are
   *   those of a snooze that are offered, `more` are buttons of the owner, and `done` is called with
   *   "acknowledge" or "snooze" once that is done
   */
  constructor(attention, notice, { ends, more = [], done = () => {} } = {}) {
    this.attention = attention;
    this.notice = notice;
    this.ends = ends;
    this.more = more;
    this.done = done;
    this.root = make("div", "ap-acts");
    this.row = this.root.appendChild(make("div", "ap-acts-row"));
    this.said = this.root.appendChild(make("span", "ap-acts-said"));
    this.said.setAttribute("role", "status");
    this.show();
  }

  /** @param {Notice} notice the same one as it is now */
  update(notice) {
    const isSame = notice.acknowledged_by === this.notice.acknowledged_by;
    this.notice = notice;
    if (!isSame && !this.choosing) this.show();
  }

  show() {
    this.choosing = false;
    const { notice } = this;
    const buttons = [];
    if (mayAcknowledge(notice, this.attention.notices.person)) {
      buttons.push(quietButton("Acknowledge", () => this.acknowledge()));
    } else if (notice.acknowledged_by) {
      buttons.push(make("span", "ap-acts-owner", `Acknowledged by ${notice.acknowledged_by}`));
    }
    if (maySnooze(notice) && this.ends?.length !== 0) {
      this.opener = quietButton("Snooze", () => this.choose());
      this.opener.setAttribute("aria-expanded", "false");
      buttons.push(this.opener);
    }
    this.row.replaceChildren(...buttons, ...this.more);
  }

  /** Until when? In the place of the buttons, since a menu would not fit everywhere. */
  choose() {
    this.choosing = true;
    const ends = snoozeEnds(this.notice, pageZone(), Date.now());
    const offered = ends.filter(({ text }) => this.ends?.includes(text) ?? true);
    const buttons = offered.map(({ text, until }) => quietButton(text, () => this.snooze(text, until)));
    this.row.replaceChildren(make("span", "ap-acts-owner", "Snooze"), ...buttons, quietButton("Cancel", () => this.cancel()));
    setText(this.said, "");
    buttons[0]?.focus();
  }

  cancel() {
    this.show();
    this.opener?.focus();
  }

  async acknowledge() {
    const { alert } = this.notice;
    const answer = await this.try("acknowledge", { alert });
    if (!answer) return;
    this.notice = { ...this.notice, acknowledged_by: answer.by };
    this.show();
    this.done("acknowledge");
  }

  /** @param {string} text @param {number | null} until */
  async snooze(text, until) {
    const answer = await this.try("snooze", snoozeOf(this.notice, until));
    if (!answer) return;
    this.cancel();
    setText(this.said, `Snoozed ${text.startsWith("until") ? text : `for ${text}`}.`);
    this.done("snooze");
  }

  /** Ask for it, and say why where it is not done. @param {string} name @param {any} body */
  async try(name, body) {
    setText(this.said, "");
    for (const button of this.row.querySelectorAll("button")) button.disabled = true;
    try {
      return await this.attention.api.ask(name, {}, body);
    } catch (error) {
      setText(this.said, /** @type {Error} */ (error).message);
      return null;
    } finally {
      for (const button of this.row.querySelectorAll("button")) button.disabled = false;
    }
  }
}
