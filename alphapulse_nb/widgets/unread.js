/** The newest notifications that are unread, with what is done with them at once. */

import { Acts, quietButton } from "./acts.js";
import { arrange, make, pageZone, setText } from "./dom.js";
import { aged, counted, happened, kindOf, signOf } from "./notice.js";

/**
 * @typedef {import("./attention.js").Attention} Attention
 * @typedef {import("./notice.js").Notice} Notice
 */

/** Unread notifications that are listed: what needs attention now shall stay in sight below them. */
const MOST_UNREAD = 3;

export class Unread {
  constructor() {
    /** @type {Attention | null} */
    this.attention = null;
    this.root = make("section", "ap-unread");
    this.root.hidden = true;
    const head = this.root.appendChild(make("header", "ap-unread-head"));
    head.append(make("h3", "", "Unread"), quietButton("Mark all read", () => this.mark(null)));
    this.list = this.root.appendChild(make("ul", "ap-alert-rows"));
    this.rest = this.root.appendChild(quietButton("", () => this.open()));
    this.rest.className = "ap-link ap-unread-rest";
    this.said = this.root.appendChild(make("p", "ap-acts-said"));
    this.said.setAttribute("role", "status");
    /** @type {Map<number, {root: HTMLElement, time: HTMLElement, acts: Acts, notice: Notice}>} */
    this.rows = new Map();
  }

  /** @param {Attention} attention */
  show(attention) {
    this.attention = attention;
    const { entries, preferences, summary } = attention.notices;
    const most = Math.min(MOST_UNREAD, preferences.max_on_screen);
    const found = entries.filter(({ read_at }) => !read_at).slice(0, most);
    const rows = new Map();
    for (const notice of found) {
      const row = this.rows.get(notice.id) ?? this.row(notice);
      row.acts.update(notice);
      rows.set(notice.id, row);
    }
    this.rows = rows;
    arrange(this.list, [...rows.values()].map(({ root }) => root));
    const left = summary.unread - found.length;
    setText(this.rest, `${counted(left, "more", "more")} in the history`);
    this.rest.hidden = left <= 0;
    this.root.hidden = !found.length && left <= 0;
    this.showAges(pageZone(), Date.now());
  }

  /** @param {Notice} notice */
  row(notice) {
    const root = make("li", "ap-alert ap-unread-row");
    root.dataset.id = String(notice.id);
    const title = quietButton(notice.title, () => this.open(notice.id));
    title.className = "ap-link";
    title.title = kindOf(notice);
    const time = make("time", "");
    const done = (/** @type {string} */ name) => name === "acknowledge" && this.mark([notice.id]);
    const read = quietButton("Mark read", () => this.mark([notice.id]));
    const acts = new Acts(/** @type {Attention} */ (this.attention), notice, { ends: [], more: [read], done });
    const kind = make("span", "ap-spoken", kindOf(notice));
    const first = make("div", "ap-unread-line");
    first.append(title, kind, time);
    const second = make("div", "ap-unread-line");
    second.append(make("p", "", notice.message), acts.root);
    root.append(signOf(notice), first, second);
    return { root, time, acts, notice };
  }

  /** @param {number} [id] */
  open(id) {
    this.attention?.open({ tab: "history", id });
  }

  /** @param {number[] | null} ids */
  async mark(ids) {
    setText(this.said, "");
    try {
      await this.attention?.api.ask("read", {}, { ids, read: true });
    } catch (error) {
      setText(this.said, `Not marked as read: ${/** @type {Error} */ (error).message}`);
    }
  }

  /** @param {string} zone @param {number} now */
  showAges(zone, now) {
    for (const { time, notice } of this.rows.values()) setText(time, aged(zone, happened(notice), now));
  }
}
