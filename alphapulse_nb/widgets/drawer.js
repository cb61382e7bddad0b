/**
 * The drawer at the side of the page: the history of notifications, and what is set up about them.
 * The page beside it stays in use, so that somebody can look at charts while reading.
 */

import { quietButton } from "./acts.js";
import { make, on, store, stored } from "./dom.js";
import { mayOperate } from "./notice.js";
import { TABS } from "./tabs.js";

/**
 * @typedef {import("./attention.js").Attention} Attention
 * @typedef {import("./attention.js").Place} Place
 * @typedef {import("./tabs.js").Tab} Tab
 */

const TAB_KEY = "alphapulse.drawer";

/** @param {Attention} attention */
export const drawer = (attention) => new Drawer(attention, TABS);

export class Drawer {
  /** @param {Attention} attention @param {Tab[]} tabs */
  constructor(attention, tabs) {
    this.attention = attention;
    this.tabs = tabs;
    /** @type {Tab | null} */
    this.tab = null;
    /** @type {import("./tabs.js").Stop | null} */
    this.stop = null;
    /** @type {Map<string, HTMLButtonElement>} */
    this.buttons = new Map();
    this.root = /** @type {HTMLDialogElement} */ (make("dialog", "ap ap-drawer"));
    this.root.setAttribute("aria-label", "Notifications");
    const head = this.root.appendChild(make("header", "ap-drawer-head"));
    this.names = head.appendChild(make("div", "ap-tabs"));
    this.names.setAttribute("role", "tablist");
    this.names.setAttribute("aria-label", "Notifications");
    const close = quietButton("✕", () => this.close());
    close.classList.add("ap-drawer-close");
    close.setAttribute("aria-label", "Close notifications");
    head.append(close);
    this.panel = this.root.appendChild(make("div", "ap-drawer-panel"));
    this.panel.id = "ap-drawer-panel";
    this.panel.setAttribute("role", "tabpanel");
    document.body.append(this.root);
    this.stops = [
      on(this.names, "keydown", (/** @type {any} */ event) => this.step(event)),
      on(document, "keydown", (/** @type {any} */ event) => this.escape(event)),
    ];
  }

  get isOpen() {
    return this.root.open;
  }

  /** The tabs that are for whoever looks. */
  get offered() {
    return this.tabs.filter(({ operators }) => !operators || mayOperate(this.attention.notices.person));
  }

  /** @param {Place} place @param {Element | null} opener where the focus returns to */
  async open(place, opener) {
    const wasOpen = this.isOpen;
    if (!wasOpen) {
      this.opener = opener;
      this.root.show();
      document.body.classList.add("ap-drawer-open");
    }
    const { notices } = this.attention;
    if (!notices.person) await notices.look();
    if (!this.isOpen) return;
    this.showNames();
    if (!notices.person) return this.fail(notices.fault?.message ?? "", () => this.open(place, opener));
    const name = place.tab ?? this.tab?.key ?? stored(TAB_KEY);
    const wanted = this.offered.find(({ key }) => key === name) ?? this.offered[0];
    if (!(await this.choose(wanted))) return;
    if (!wasOpen) this.buttons.get(wanted.key)?.focus();
    this.stop?.show?.(place);
    // What they tell stands in the history.
    if (wanted.key === "history") this.attention.toasts.clear();
  }

  /** Show a tab; whether that was possible. @param {Tab} tab */
  async choose(tab) {
    if (tab === this.tab && this.stop) return true;
    if (!(await this.leave())) return false;
    this.tab = tab;
    store(TAB_KEY, tab.key);
    this.showNames();
    const { api, notices, zone } = this.attention;
    const el = make("div", "ap-drawer-tab");
    this.panel.replaceChildren(el);
    try {
      this.stop = tab.tab(el, { api, notices, zone, person: notices.person, attention: this.attention });
    } catch (error) {
      this.fail(`${tab.title}: ${error}`, () => this.choose(tab));
    }
    return true;
  }

  /** End the tab that is shown, unless somebody would lose what they typed. */
  async leave() {
    if (this.stop?.mayLeave && !(await this.stop.mayLeave())) return false;
    this.stop?.();
    this.stop = null;
    this.tab = null;
    return true;
  }

  /** @param {string} message @param {() => void} again */
  fail(message, again) {
    const failure = make("div", "ap-failure");
    failure.setAttribute("role", "alert");
    failure.append(make("p", "", `Notifications cannot be read: ${message}`), quietButton("Try again", again));
    this.panel.replaceChildren(failure);
  }

  showNames() {
    this.buttons = new Map(this.offered.map((tab) => [tab.key, this.buttons.get(tab.key) ?? this.button(tab)]));
    for (const [key, button] of this.buttons) {
      const isChosen = key === this.tab?.key;
      button.setAttribute("aria-selected", String(isChosen));
      button.tabIndex = isChosen || !this.tab ? 0 : -1;
      if (isChosen) this.panel.setAttribute("aria-labelledby", button.id);
    }
    const wanted = [...this.buttons.values()];
    if (wanted.some((button, place) => this.names.children[place] !== button)) this.names.replaceChildren(...wanted);
  }

  /** @param {Tab} tab */
  button(tab) {
    const button = /** @type {HTMLButtonElement} */ (make("button", "ap-tab", tab.title));
    button.type = "button";
    button.id = `ap-tab-${tab.key}`;
    button.setAttribute("role", "tab");
    button.setAttribute("aria-controls", this.panel.id);
    button.onclick = () => this.choose(tab);
    return button;
  }

  /** The arrow keys go from tab to tab. @param {KeyboardEvent} event */
  async step(event) {
    const names = [...this.buttons.keys()];
    const at = names.indexOf(this.tab?.key ?? "");
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const name = names[(to + names.length) % names.length];
    const tab = this.offered.find(({ key }) => key === name);
    if (tab && (await this.choose(tab))) this.buttons.get(name)?.focus();
  }

  /** @param {KeyboardEvent} event */
  escape(event) {
    if (event.key !== "Escape" || event.defaultPrevented || !this.isOpen) return;
    const target = /** @type {HTMLElement} */ (event.target);
    // A dialog in front is meant instead, and a search field empties itself first.
    if (document.querySelector("dialog:modal")) return;
    if (target.matches?.("input[type=search]") && /** @type {HTMLInputElement} */ (target).value) return;
    event.preventDefault();
    this.close();
  }

  async close() {
    if (!this.isOpen || !(await this.leave())) return;
    const hadFocus = this.root.contains(document.activeElement) || document.activeElement === document.body;
    this.root.close();
    document.body.classList.remove("ap-drawer-open");
    this.panel.replaceChildren();
    const back = /** @type {HTMLElement | null} */ (this.opener?.isConnected ? this.opener : document.querySelector(".ap-bell"));
    if (hadFocus) back?.focus();
  }

  destroy() {
    this.stop?.();
    for (const stop of this.stops) stop();
    document.body.classList.remove("ap-drawer-open");
    this.root.remove();
  }
}
