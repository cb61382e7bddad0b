/** What a person has snoozed, until when, and how to wake it. */

import { quietButton } from "./acts.js";
import { make, setText } from "./dom.js";
import { stamp } from "./zone.js";

/** @typedef {{id: number, rule: string | null, labels: Record<string, string> | null, alert: string | null, until: string | null}} Snooze */

/** What a snooze covers, in words. @param {Snooze} snooze */
export function snoozeWords({ rule, labels, alert }) {
  const named = Object.entries(labels ?? {}).map(([name, value]) => `${name} ${value}`);
  return [rule ?? (alert ? "one alert" : ""), ...named].filter(Boolean).join(" · ");
}

export class Snoozed {
  /** @param {{api: any, zone: () => string}} context */
  constructor(context) {
    this.context = context;
    this.root = make("details", "ap-snoozed");
    this.root.hidden = true;
    this.title = this.root.appendChild(make("summary", ""));
    this.list = this.root.appendChild(make("ul", ""));
    this.said = this.root.appendChild(make("p", "ap-acts-said"));
    this.said.setAttribute("role", "status");
    this.stop = context.api.watch((/** @type {string} */ name) => {
      if (name === "snooze" || name === "wake") this.load();
    });
    this.load();
  }

  async load() {
    try {
      const { snoozes } = await this.context.api.ask("snoozes");
      this.show(snoozes);
    } catch (error) {
      this.root.hidden = false;
      /** @type {HTMLDetailsElement} */ (this.root).open = true;
      setText(this.title, "Snoozed");
      setText(this.said, `What is snoozed cannot be read: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** @param {Snooze[]} snoozes */
  show(snoozes) {
    setText(this.said, "");
    this.root.hidden = !snoozes.length;
    setText(this.title, `Snoozed (${snoozes.length})`);
    this.list.replaceChildren(...snoozes.map((snooze) => this.row(snooze)));
  }

  /** @param {Snooze} snooze */
  row(snooze) {
    const row = make("li", "");
    const until = snooze.until ? `until ${stamp(this.context.zone(), Date.parse(snooze.until))}` : "until it clears";
    const wake = quietButton("Wake", () => this.wake(snooze.id));
    wake.setAttribute("aria-label", `Wake ${snoozeWords(snooze)}`);
    row.append(make("span", "", snoozeWords(snooze)), make("span", "ap-about", until), wake);
    return row;
  }

  /** @param {number} id */
  async wake(id) {
    try {
      await this.context.api.ask("wake", { id });
    } catch (error) {
      setText(this.said, /** @type {Error} */ (error).message);
    }
  }
}
