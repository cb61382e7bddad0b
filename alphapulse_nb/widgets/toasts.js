/**
 * Toasts: notifications that just arrived, in the corner of the page.
 *
 * Each is shown on one page of a person only, the one that claims it first: a page that nobody sees
 * waits a little, so that one that is seen wins. Of many, those of the highest priority stay on screen,
 * the newest first; the rest are a number. Nothing leaves while somebody points at it, reads it with
 * the keyboard, or does not see the page.
 */

import { Acts, quietButton } from "./acts.js";
import { randomName } from "./api.js";
import { Caller } from "./calling.js";
import { arrange, make, on, pageZone, setText, store, stored } from "./dom.js";
import { counted, happened, kindOf, rankOf, signOf } from "./notice.js";
import { clock } from "./zone.js";

/**
 * @typedef {import("./notice.js").Notice} Notice
 * @typedef {{notice: Notice, left: number, root: HTMLElement, acts?: Acts}} Toast `left` in
 *   milliseconds; infinite for one that stays
 */

const MOST_TOASTS = 5;
const PAGE_KEY = "alphapulse.page";
/** How long a page that nobody sees leaves to others. */
const HIDDEN_WAIT = 1500;
/** How long the first of a burst waits for the others, so that all are claimed with one question. */
const GATHER = 100;
const TICK = 250;
/** What one question may name. */
const MOST_CLAIMED = 1000;

/**
 * Which of some notifications stay on screen: the highest priorities, then the newest. Those that go
 * away by themselves are of one rank. Newest first.
 * @template {{notice: Notice}} T @param {T[]} all @param {number} most @returns {T[]}
 */
export function foremost(all, most) {
  const rank = (/** @type {T} */ { notice }) => Math.max(rankOf(notice.priority), 1);
  const chosen = [...all].sort((a, b) => rank(b) - rank(a) || b.notice.id - a.notice.id).slice(0, most);
  return chosen.sort((a, b) => b.notice.id - a.notice.id);
}

/** How long one stays, in milliseconds. @param {string} priority @param {number} seconds those for a low priority */
export function stayOf(priority, seconds) {
  if (rankOf(priority) >= 2 || !seconds) return Infinity;
  return 1e3 * seconds * (priority === "low" ? 1 : 2);
}

export class Toasts {
  /** @param {import("./attention.js").Attention} attention @param {{hiddenWait?: number}} [pace] */
  constructor(attention, { hiddenWait = HIDDEN_WAIT } = {}) {
    this.attention = attention;
    this.hiddenWait = hiddenWait;
    this.browser = stored(PAGE_KEY) ?? randomName();
    store(PAGE_KEY, this.browser);
    /** Newest first. @type {Toast[]} */
    this.shown = [];
    /** How many more there were. */
    this.more = 0;
    /** @type {Notice[]} those that nobody has claimed yet */
    this.waiting = [];
    this.caller = new Caller(attention);
    this.root = make("section", "ap ap-toasts");
    this.root.setAttribute("aria-label", "New notifications");
    this.foot = make("div", "ap-toasts-foot");
    this.rest = quietButton("", () => this.openRest());
    this.foot.append(this.rest, quietButton("Close all", () => this.clear()));
    document.body.append(this.root);
    let last = performance.now();
    this.timer = setInterval(() => {
      const now = performance.now();
      this.pass(now - last);
      last = now;
    }, TICK);
    this.stops = [
      () => clearInterval(this.timer),
      attention.notices.arrive((found) => this.take(found)),
      attention.notices.watch(() => this.update()),
      on(document, "visibilitychange", () => this.later !== undefined && this.plan()),
      on(this.root, "keydown", (/** @type {any} */ event) => this.press(event)),
    ];
  }

  /** What has arrived. @param {Notice[]} found */
  take(found) {
    this.waiting.push(...found);
    if (this.later === undefined) this.plan();
  }

  plan() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.claim(), document.hidden ? this.hiddenWait : GATHER);
  }

  /** Show those that no other page of this person shows. */
  async claim() {
    this.later = undefined;
    if (this.claiming) return;
    this.claiming = true;
    const found = this.waiting.splice(0, MOST_CLAIMED);
    try {
      this.show(await this.ours(found));
    } finally {
      this.claiming = false;
      if (this.waiting.length) this.plan();
    }
  }

  /** @param {Notice[]} found */
  async ours(found) {
    try {
      const asked = { ids: found.map(({ id }) => id), page: this.browser };
      const { ids } = await this.attention.api.ask("show", {}, asked);
      const given = new Set(ids);
      return found.filter(({ id }) => given.has(id));
    } catch {
      return found; // Twice is better than never.
    }
  }

  /** @param {Notice[]} found */
  show(found) {
    if (!found.length) return;
    const { auto_dismiss_seconds: seconds, max_on_screen: bound } = this.attention.notices.preferences;
    const made = found.map((notice) => ({ notice, left: stayOf(notice.priority, seconds), root: null }));
    const kept = foremost([...made, ...this.shown], Math.min(MOST_TOASTS, bound));
    const fresh = made.filter((one) => kept.includes(/** @type {any} */ (one)));
    this.more += made.length + this.shown.length - kept.length;
    for (const one of fresh) /** @type {any} */ (one).root = this.toast(/** @type {any} */ (one));
    this.shown = /** @type {Toast[]} */ (/** @type {unknown} */ (kept));
    this.draw();
    this.caller.ring(found);
    for (const { notice } of fresh) this.caller.knock(notice);
  }

  /** Words of our own, which are no notification. @param {string} title @param {string} message */
  say(title, message) {
    const own = { type: "error", priority: "low", symbol: null, rule: null, alert: null, labels: {}, resolved: false, late: false };
    const notice = /** @type {any} */ ({ ...own, id: Number.MAX_SAFE_INTEGER, key: "own", title, message, at: new Date().toISOString() });
    this.shown = this.shown.filter((one) => one.notice.key !== "own").slice(0, MOST_TOASTS - 1);
    const one = /** @type {Toast} */ ({ notice, left: 2 * stayOf("low", 5) });
    one.root = this.toast(one);
    this.shown.unshift(one);
    this.draw();
  }

  /** @param {Toast} one */
  toast(one) {
    const { notice } = one;
    const isPressing = rankOf(notice.priority) >= 2;
    const root = make("article", "ap-toast");
    Object.assign(root.dataset, { id: notice.id, priority: notice.priority, type: notice.type });
    const words = make("div", "ap-toast-words");
    words.setAttribute("role", isPressing ? "alert" : "status");
    const head = make("p", "ap-toast-kind", kindOf(notice));
    head.append(" · ", make("time", "", clock(pageZone(), happened(notice))));
    words.append(head, make("strong", "", notice.title), make("p", "ap-toast-message", notice.message));
    const close = quietButton("✕", () => this.dismiss(one));
    close.classList.add("ap-toast-close");
    close.setAttribute("aria-label", `Close: ${notice.title}`);
    root.append(signOf(notice), words, close);
    if (notice.key === "own") return root;
    const more = [quietButton("Open", () => this.attention.open({ tab: "history", id: notice.id }))];
    const done = (/** @type {string} */ name) => name === "acknowledge" && this.read(notice);
    one.acts = new Acts(this.attention, notice, { ends: ["1 h", "until it clears"], more, done });
    root.append(one.acts.root);
    return root;
  }

  /** @param {Notice} notice */
  read(notice) {
    this.attention.api.ask("read", {}, { ids: [notice.id], read: true }).catch(() => {
      // It stays unread, which its entry shows.
    });
  }

  /** Others may have acknowledged what is on screen. */
  update() {
    const known = new Map(this.attention.notices.entries.map((one) => [one.id, one]));
    for (const { notice, acts } of this.shown) {
      const now = known.get(notice.id);
      if (now) acts?.update(now);
    }
  }

  /** So much time has gone by. @param {number} milliseconds */
  pass(milliseconds) {
    if (document.hidden || this.root.matches(":hover, :focus-within")) return;
    const over = this.shown.filter((one) => (one.left -= Math.min(milliseconds, 4 * TICK)) <= 0);
    for (const one of over) this.dismiss(one);
  }

  /** @param {Toast} one */
  dismiss(one) {
    const place = this.shown.indexOf(one);
    const hadFocus = one.root.contains(document.activeElement);
    this.shown = this.shown.filter((other) => other !== one);
    if (!this.shown.length) this.more = 0;
    this.draw();
    if (!hadFocus) return;
    const next = this.shown[place] ?? this.shown[place - 1];
    /** @type {HTMLElement | null | undefined} */ (next?.root.querySelector(".ap-toast-close"))?.focus();
  }

  clear() {
    this.shown = [];
    this.more = 0;
    this.draw();
  }

  openRest() {
    this.attention.open({ tab: "history" });
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const one = this.shown.find(({ root }) => root.contains(/** @type {Node} */ (event.target)));
    if (event.key !== "Escape" || !one) return;
    event.preventDefault();
    event.stopPropagation();
    if (one.acts?.choosing) one.acts.cancel();
    else this.dismiss(one);
  }

  draw() {
    const wanted = this.shown.map(({ root }) => root);
    if (this.more || wanted.length > 2) wanted.push(this.foot);
    setText(this.rest, this.more ? `and ${counted(this.more, "more", "more")}` : "Open the history");
    arrange(this.root, wanted);
  }

  close() {
    clearTimeout(this.later);
    for (const stop of this.stops) stop();
    this.root.remove();
  }
}
