/** What was sent by the channels, what waits, and what could not be delivered. */

import { arrange, make, on, pressable, setText } from "./dom.js";
import { choiceInput } from "./form.js";
import { counted } from "./notice.js";
import { Said } from "./tab.js";
import { stamp } from "./zone.js";

/**
 * @typedef {{id: number, channel: string, state: string, attempts: number, due_at: string,
 *   sent_at: string | null, error: string, title: string, at: string}} Delivery
 */

const MOST_DELIVERIES = 50;
const DELIVERY_TONES = /** @type {Record<string, string>} */ ({ sent: "good", waiting: "warn", dead: "bad" });

/** When it was sent, or will be tried. @param {Delivery} one @param {string} zone */
function deliveryTimes(one, zone) {
  const tried = one.attempts ? `, ${counted(one.attempts, "attempt")}` : "";
  if (one.sent_at) return `sent ${stamp(zone, Date.parse(one.sent_at))}${tried}`;
  if (one.state === "waiting") return `next ${stamp(zone, Date.parse(one.due_at))}${tried}`;
  return `of ${stamp(zone, Date.parse(one.at))}${tried}`;
}

export class DeliveryList {
  /** @param {import("./tab.js").TabContext} context */
  constructor(context) {
    this.api = context.api;
    this.zone = context.zone;
    /** @type {Delivery[]} */
    this.deliveries = [];
    this.asked = 0;
    this.root = make("section", "ap-deliveries");
    this.root.setAttribute("aria-label", "Deliveries");
    const bar = make("div", "ap-tab-bar");
    this.state = choiceInput([["", "All"], ["waiting", "Waiting"], ["sent", "Sent"], ["dead", "Dead"]]);
    this.state.setAttribute("aria-label", "Which deliveries");
    this.state.onchange = () => this.load();
    this.said = new Said("span");
    bar.append(make("h3", "ap-section-title", "Deliveries"), this.state, pressable("Refresh", () => this.load()), this.said.root);
    this.list = make("ul", "ap-delivery-list");
    this.list.setAttribute("aria-label", "Deliveries, newest first");
    this.root.append(bar, this.list);
    /** @type {Map<number, HTMLElement>} */
    this.rows = new Map();
    this.stop = on(document, "alphapulse:zone", () => this.show());
  }

  async load() {
    this.asked += 1;
    const number = this.asked;
    try {
      const { deliveries } = await this.api.ask("deliveries", { state: this.state.value, limit: MOST_DELIVERIES });
      if (number !== this.asked || this.isOver) return;
      this.deliveries = deliveries;
      this.said.say(deliveries.length < MOST_DELIVERIES ? "" : `The newest ${MOST_DELIVERIES}`);
      this.show();
    } catch (error) {
      if (number === this.asked) this.said.fail("The deliveries", error);
    }
  }

  show() {
    const rows = this.deliveries.map((one) => {
      const row = this.rows.get(one.id) ?? this.rowOf(one);
      this.fill(row, one);
      return /** @type {[number, HTMLElement]} */ ([one.id, row]);
    });
    this.rows = new Map(rows);
    arrange(this.list, rows.map(([, row]) => row));
    if (!rows.length) this.list.append(make("li", "ap-tab-none", this.state.value ? `Nothing is ${this.state.value}.` : "Nothing was sent yet."));
  }

  /** @param {Delivery} one */
  rowOf(one) {
    const row = make("li", "ap-delivery");
    const resend = pressable("Resend", () => this.resend(one.id), "ap-quiet");
    resend.setAttribute("aria-label", `Resend ${one.title}`);
    row.append(make("span", "ap-mark"), make("strong", "", one.title), make("span", "ap-muted"), make("p", "ap-rule-reason"), resend);
    return row;
  }

  /** @param {HTMLElement} row @param {Delivery} one */
  fill(row, one) {
    const [state, , times, error, resend] = /** @type {HTMLElement[]} */ ([...row.children]);
    setText(state, one.state);
    state.dataset.tone = DELIVERY_TONES[one.state] ?? "plain";
    setText(times, `${one.channel} · ${deliveryTimes(one, this.zone())}`);
    setText(error, one.error);
    error.hidden = !one.error;
    resend.hidden = one.state !== "dead";
  }

  /** @param {number} id */
  async resend(id) {
    try {
      await this.api.ask("resend", { id }, {});
    } catch (error) {
      return this.said.refuse(error);
    }
    await this.load();
    this.said.say("It is sent again.");
  }

  destroy() {
    this.isOver = true;
    this.stop();
  }
}
