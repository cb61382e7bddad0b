/** The history: what was told and what was held back, to look through, to read, and to put away. */

import { quietButton } from "./acts.js";
import { arrange, make, on, setText } from "./dom.js";
import { HistoryFile } from "./history_file.js";
import { HistoryFilter } from "./history_filter.js";
import { HistoryRow } from "./history_row.js";
import { counted } from "./notice.js";
import { Snoozed } from "./snoozed.js";
import { UndoBar } from "./undo.js";

/** @typedef {import("./notice.js").Notice} Notice */

/** What one answer may bring. */
const MOST_ROWS = 200;
/** Pixels from the top within which what is new comes by itself. */
const NEAR_TOP = 40;
const AGES_EVERY = 10e3;

/** @param {HTMLElement} el @param {any} context see `drawer.js` */
export function historyTab(el, context) {
  const tab = new NoticeHistory(el, context);
  return Object.assign(() => tab.destroy(), { show: (/** @type {{id?: number}} */ place) => tab.goTo(place.id) });
}

export class NoticeHistory {
  /** @param {HTMLElement} el @param {any} context */
  constructor(el, context) {
    this.context = context;
    this.api = context.api;
    /** Newest first. @type {Map<number, HistoryRow>} */
    this.rows = new Map();
    /** Before which the older ones are; null where there are none. @type {number | null} */
    this.next = null;
    /** Where the list begins, if not with the newest. @type {number | null} */
    this.from = null;
    /** How many came that the list does not show. */
    this.fresh = 0;
    /** Counts the questions, so that a late answer to an old one is dropped. */
    this.turn = 0;
    this.filter = new HistoryFilter(() => this.load());
    this.snoozed = new Snoozed(context);
    this.build(el);
    this.stops = [
      this.snoozed.stop,
      context.notices.arrive((/** @type {Notice[]} */ found) => this.arrived(found.length)),
      this.api.watch((/** @type {string} */ name, /** @type {any} */ body, /** @type {any} */ answer) => this.done(name, body, answer)),
      on(document, "alphapulse:zone", () => this.showAges()),
    ];
    const timer = setInterval(() => this.showAges(), AGES_EVERY);
    this.stops.push(() => clearInterval(timer));
    this.loading = this.load();
  }

  /** @param {HTMLElement} el */
  build(el) {
    this.root = make("div", "ap-history");
    const file = new HistoryFile((name, body) => this.change(name, body), (words) => setText(this.said, words));
    this.readAll = quietButton("Mark all read", () => this.mark(this.meant, true));
    this.clear = quietButton("Clear all", () => this.remove(this.meant));
    const bar = make("div", "ap-history-bar");
    bar.append(this.readAll, this.clear, make("span", "ap-gap"), ...file.parts);
    this.said = make("p", "ap-history-said");
    this.said.setAttribute("role", "status");
    this.newer = quietButton("", () => this.toTop());
    this.newer.classList.add("ap-history-newer");
    this.newer.hidden = true;
    this.list = make("ul", "ap-history-list");
    this.list.setAttribute("aria-label", "Notifications, newest first");
    this.foot = make("div", "ap-history-foot");
    this.undo = new UndoBar(this.api);
    this.root.append(this.filter.root, bar, this.said, this.snoozed.root, this.newer, this.list, this.foot, this.undo.root);
    el.replaceChildren(this.root);
    this.scroller = el;
  }

  get limit() {
    return Math.min(MOST_ROWS, this.context.notices.preferences.max_on_screen);
  }

  /** Those that the buttons for all mean: all there are, or what the filter lets through. */
  get meant() {
    return this.filter.isOn ? [...this.rows.keys()] : null;
  }

  /** @param {number | null} before @param {number} [limit] */
  async ask(before, limit = this.limit) {
    const turn = this.turn;
    const answer = await this.api.ask("notifications", { ...this.filter.values, limit, before });
    return turn === this.turn ? answer : null;
  }

  /** Read the list from its beginning, or from a notification on. @param {number | null} [from] */
  async load(from = null) {
    this.turn += 1;
    this.root.setAttribute("aria-busy", "true");
    await this.try(async () => {
      const answer = await this.ask(from === null ? null : from + 1);
      if (!answer) return;
      this.from = from;
      this.fresh = 0;
      this.put(answer.notifications, new Map());
      this.next = answer.next;
      this.showFoot();
    }, () => this.load(from));
    this.root.removeAttribute("aria-busy");
  }

  async older() {
    await this.try(async () => {
      const answer = await this.ask(this.next);
      if (!answer) return;
      this.put(answer.notifications, this.rows);
      this.next = answer.next;
      this.showFoot();
    }, () => this.older());
  }

  /** What came since, above what is there. */
  async catchUp() {
    this.fresh = 0;
    if (this.catching) return;
    this.catching = true;
    await this.try(async () => {
      const answer = await this.ask(null);
      if (!answer) return;
      // Where more came than an answer brings, there would be a gap.
      const meets = !this.rows.size || answer.notifications.some((/** @type {Notice} */ { id }) => this.rows.has(id));
      if (!meets) this.next = answer.next;
      this.put(answer.notifications, meets ? this.rows : new Map());
      this.showFoot();
    }, () => this.load());
    this.catching = false;
    if (this.fresh) this.showFoot();
  }

  /** Put some among the others. @param {Notice[]} found @param {Map<number, HistoryRow>} others */
  put(found, others) {
    const rows = new Map(others);
    for (const notice of found) {
      const row = this.rows.get(notice.id) ?? new HistoryRow(notice, this.context, this);
      row.update(notice);
      rows.set(notice.id, row);
    }
    this.rows = new Map([...rows].sort(([a], [b]) => b - a));
    arrange(this.list, [...this.rows.values()].map(({ root }) => root));
  }

  /** Do something that may fail, and say so with a way to try again. @param {() => Promise<void>} call @param {() => void} again */
  async try(call, again) {
    try {
      await call();
      this.failure?.remove();
      this.failure = undefined;
    } catch (error) {
      this.failure?.remove();
      this.failure = make("div", "ap-failure");
      this.failure.setAttribute("role", "alert");
      const words = make("p", "", `The history cannot be read: ${/** @type {Error} */ (error).message}`);
      this.failure.append(words, quietButton("Try again", again));
      this.list.before(this.failure);
      this.foot.replaceChildren();
    }
  }

  showFoot() {
    const { rows, filter, foot } = this;
    setText(this.readAll, filter.isOn ? "Mark these read" : "Mark all read");
    setText(this.clear, filter.isOn ? "Remove these" : "Clear all");
    for (const button of [this.readAll, this.clear]) /** @type {HTMLButtonElement} */ (button).disabled = !rows.size;
    const newer = this.from !== null ? "Back to the newest" : `${counted(this.fresh, "new", "new")}: show`;
    setText(this.newer, newer);
    this.newer.hidden = this.from === null && !this.fresh;
    if (!rows.size) foot.replaceChildren(make("p", "ap-none", this.emptiness));
    else if (this.next !== null) foot.replaceChildren(this.olderButton ??= quietButton("Older", () => this.older()));
    else foot.replaceChildren(make("p", "ap-none", "That is all."));
  }

  get emptiness() {
    const { held, ...rest } = this.filter.values;
    if (Object.values(rest).some(Boolean)) return "Nothing matches these filters.";
    return held ? "Nothing was held back." : "No notifications. What rules find will be listed here.";
  }

  /** @param {number} count */
  arrived(count) {
    this.fresh += count;
    if (this.from === null && this.scroller.scrollTop < NEAR_TOP) this.catchUp();
    else this.showFoot();
  }

  async toTop() {
    await this.load();
    this.scroller.scrollTop = 0;
    /** @type {HTMLElement | null} */ (this.list.querySelector(".ap-entry-head"))?.focus();
  }

  /** Show a notification among its neighbours. @param {number} [id] */
  async goTo(id) {
    if (id === undefined) return;
    await this.loading;
    if (!this.rows.has(id)) {
      if (this.filter.isOn) this.filter.root.reset();
      this.filter.show();
      await this.load(id);
    }
    const row = this.rows.get(id);
    row?.toggle(true);
    row?.root.scrollIntoView({ block: "center" });
    row?.head.focus();
  }

  /** @param {number | number[] | null} ids @param {boolean} read */
  async mark(ids, read) {
    await this.change("read", { ids: typeof ids === "number" ? [ids] : ids, read });
  }

  /** @param {number | number[] | null} ids */
  async remove(ids) {
    const named = typeof ids === "number" ? [ids] : ids;
    const place = named ? [...this.rows.keys()].indexOf(named[0]) : -1;
    const answer = await this.change("remove", { ids: named });
    if (!answer) return;
    this.undo.offer(answer.changed, answer.undo);
    const heads = this.list.querySelectorAll(".ap-entry-head");
    if (place >= 0) /** @type {HTMLElement | undefined} */ (heads[Math.min(place, heads.length - 1)])?.focus();
    if (!this.rows.size) this.load();
  }

  /** Ask for a change, and say why where it is not made. @param {string} name @param {any} body */
  async change(name, body) {
    setText(this.said, "");
    try {
      return await this.api.ask(name, {}, body);
    } catch (error) {
      setText(this.said, `That was not done: ${/** @type {Error} */ (error).message}`);
      return null;
    }
  }

  /** What was done, here or elsewhere on the page. @param {string} name @param {any} body @param {any} answer */
  done(name, body, answer) {
    if (name === "restore" || name === "import") return void this.load();
    const ids = body.ids && new Set(body.ids);
    for (const [id, row] of this.rows) {
      if (name === "acknowledge" && row.notice.alert === body.alert) row.update({ ...row.notice, acknowledged_by: answer.by });
      if (ids && !ids.has(id)) continue;
      if (name === "read") row.update({ ...row.notice, read_at: body.read ? new Date().toISOString() : null });
      if (name === "remove") this.rows.delete(id);
    }
    if (name !== "remove") return;
    this.put([], this.rows);
    this.showFoot();
  }

  showAges() {
    for (const row of this.rows.values()) row.showAge(Date.now());
  }

  destroy() {
    this.turn += 1;
    this.undo.destroy();
    for (const stop of this.stops) stop();
  }
}
