/** One notification in the history. Pressed it opens, shows all there is of it, and counts as read. */

import { Acts, quietButton } from "./acts.js";
import { make, setText } from "./dom.js";
import { aged, happened, kindOf, signOf } from "./notice.js";
import { stamp } from "./zone.js";

/**
 * @typedef {import("./notice.js").Notice} Notice
 * @typedef {{api: any, notices: any, zone: () => string}} HistoryContext
 * @typedef {{mark: (id: number, read: boolean) => void, remove: (id: number) => void}} RowActs
 */

export class HistoryRow {
  /** @param {Notice} notice @param {HistoryContext} context @param {RowActs} can */
  constructor(notice, context, can) {
    this.notice = notice;
    this.context = context;
    this.can = can;
    this.root = make("li", "ap-entry");
    this.root.dataset.id = String(notice.id);
    this.root.dataset.priority = notice.priority;
    this.dot = quietButton("", () => can.mark(notice.id, !this.notice.read_at));
    this.dot.className = "ap-dot-button";
    this.head = make("button", "ap-entry-head");
    this.head.setAttribute("type", "button");
    this.head.setAttribute("aria-expanded", "false");
    this.head.onclick = () => this.toggle();
    this.time = make("time", "");
    const first = make("span", "ap-entry-title");
    first.append(make("strong", "", notice.title), this.time);
    this.head.append(first, make("span", "ap-entry-kind", this.kind));
    this.message = make("p", "ap-entry-message", notice.message);
    this.more = make("div", "ap-entry-more");
    this.more.hidden = true;
    this.root.append(signOf(notice), this.head, this.dot, this.message, this.more);
    this.update(notice);
    this.showAge(Date.now());
  }

  get kind() {
    const { rule, outcome } = this.notice;
    return [kindOf(this.notice), rule, outcome === "sent" || !outcome ? "" : "held back"].filter(Boolean).join(" · ");
  }

  /** @param {Notice} notice the same one as it is now */
  update(notice) {
    this.notice = { ...this.notice, ...notice };
    const isUnread = !this.notice.read_at;
    this.root.dataset.unread = String(isUnread);
    const words = isUnread ? "Mark read" : "Mark unread";
    this.dot.title = words;
    this.dot.setAttribute("aria-label", `${words}: ${notice.title}`);
    this.acts?.update(this.notice);
  }

  /** @param {boolean} [wanted] */
  toggle(wanted = this.more.hidden) {
    this.more.hidden = !wanted;
    this.root.classList.toggle("ap-open", wanted);
    this.head.setAttribute("aria-expanded", String(wanted));
    if (!wanted) return;
    if (!this.acts) this.fill();
    if (!this.notice.read_at) this.can.mark(this.notice.id, true);
  }

  /** What is seen only of an open one. */
  fill() {
    const { notice } = this;
    const remove = quietButton("Remove", () => this.can.remove(notice.id));
    this.acts = new Acts(this.context, notice, { more: [remove] });
    const facts = make("dl", "ap-entry-facts");
    for (const [name, value] of this.facts()) facts.append(make("dt", "", name), make("dd", "", value));
    this.more.append(facts, this.acts.root);
  }

  /** @returns {[string, string][]} */
  facts() {
    const { notice } = this;
    const zone = this.context.zone();
    const perCent = (/** @type {number} */ value) => `${(100 * value).toLocaleString("en-US", { maximumFractionDigits: 1 })} %`;
    /** @type {[string, string | null | undefined | false][]} */
    const all = [
      ["Happened", `${stamp(zone, happened(notice))}${notice.late ? ", told late" : ""}`],
      ["Held back", notice.outcome !== "sent" && notice.reason],
      ["Comes", notice.due_at && `with what else was kept, ${stamp(zone, Date.parse(notice.due_at))}`],
      ["Confidence", notice.confidence !== null && notice.confidence !== undefined && perCent(notice.confidence)],
      ["Risk-reward", notice.risk_reward_ratio?.toLocaleString("en-US", { maximumFractionDigits: 2 })],
      ["Rule", notice.rule],
      ...Object.entries(notice.labels ?? {}),
    ];
    return all.flatMap(([name, value]) => (value ? [[name, value]] : []));
  }

  /** @param {number} now */
  showAge(now) {
    setText(this.time, aged(this.context.zone(), happened(this.notice), now));
  }
}
