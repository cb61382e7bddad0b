/** The head of the dashboard: symbol, range, refresh, pause, time zone, theme, notifications, badge. */

import { Badge } from "./badge.js";
import { Bell } from "./bell.js";
import { deskOf } from "./desk.js";
import { NO_SYMBOL, isDark, make, on, ownPage, page, setText, store, stored } from "./dom.js";
import { startKiosk } from "./kiosk.js";
import { startShortcuts } from "./shortcuts.js";
import { localZone, zoneOf } from "./zone.js";

/** @typedef {import("./choices.js").Choices} Choices */

const INTERVALS = [[5, "5 s"], [10, "10 s"], [30, "30 s"], [60, "1 min"], [300, "5 min"]];
const ZONE_KEY = "alphapulse.zone";
const THEME_KEY = "alphapulse.theme";

export class Controls {
  /**
   * @param {HTMLElement} el @param {Choices} choices
   * @param {import("./desk.js").Desk | null} [desk] where the page has a stream
   */
  constructor(el, choices, desk) {
    this.choices = choices;
    this.badge = new Badge();
    this.root = make("header", "ap ap-head");
    this.root.append(make("div", "ap-brand", "AlphaPulse"));
    const notice = choices.get("notice");
    if (notice) this.root.append(make("span", "ap-notice", notice));
    this.symbol = this.select("Symbol", (value) => this.choose("symbol", value));
    this.ranges = this.root.appendChild(make("div", "ap-ranges"));
    this.ranges.setAttribute("role", "radiogroup");
    this.ranges.setAttribute("aria-label", "Range");
    this.every = this.select("Refresh every", (value) => choices.set("every", Number(value)), "Refresh");
    this.pause = this.button("Pause", () => choices.set("paused", !choices.get("paused")));
    this.zone = this.select("Time zone", (value) => this.chooseZone(value), "Zone");
    this.theme = this.button("", () => this.switchTheme());
    this.theme.hidden = !ownPage();
    this.bell = new Bell(() => this.showTitle());
    this.root.append(this.bell.root);
    this.showPerson();
    this.now = this.root.appendChild(make("span", "ap-now"));
    this.root.append(this.badge.root);
    el.replaceChildren(this.root);
    this.startZone();
    this.stops = [
      choices.watch(["symbol", "span", "symbols", "spans", "every", "paused"], () => this.show()),
      this.feedBadge(desk),
      on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.showTheme()),
    ];
    this.show();
    this.showTheme();
    if (!ownPage()) return;
    this.stops.push(startShortcuts(choices, this));
    if (new URLSearchParams(location.search).has("kiosk")) startKiosk();
  }

  /** Tell the badge how the desk does, else the kernel. @param {import("./desk.js").Desk | null} [desk] */
  feedBadge(desk) {
    const { badge, choices } = this;
    if (desk) {
      const timer = setInterval(() => badge.take(desk.status, true), 500);
      return () => clearInterval(timer);
    }
    if (choices.get("status")?.at) badge.take(choices.get("status"), true);
    return choices.watch(["status"], () => badge.take(choices.get("status")));
  }

  /** @param {string} label @param {(value: string) => void} choose @param {string} [caption] */
  select(label, choose, caption) {
    const wrap = make("label", "ap-field");
    if (caption) wrap.append(make("span", "ap-caption", caption));
    const field = /** @type {HTMLSelectElement} */ (make("select", "ap-select"));
    field.setAttribute("aria-label", label);
    field.onchange = () => choose(field.value);
    wrap.append(field);
    this.root.append(wrap);
    return field;
  }

  /** @param {string} text @param {() => void} press */
  button(text, press) {
    const button = /** @type {HTMLButtonElement} */ (make("button", "ap-button", text));
    button.type = "button";
    button.onclick = press;
    this.root.append(button);
    return button;
  }

  /** @param {string} name @param {any} value */
  choose(name, value) {
    this.choices.set(name, value);
    this.writeAddress();
  }

  /** The symbol so many places further in the list, around its ends. @param {number} places */
  step(places) {
    const names = [...this.symbol.options].map((option) => option.value);
    const at = names.indexOf(this.symbol.value);
    if (at >= 0) this.choose("symbol", names[(at + places + names.length) % names.length]);
  }

  /** Who is signed in, as the way to sign out. */
  showPerson() {
    const name = this.choices.get("person");
    if (!name || !ownPage()) return;
    const link = /** @type {HTMLAnchorElement} */ (make("a", "ap-person", name));
    link.href = "logout";
    link.title = `Signed in as ${name}. Sign out`;
    this.root.append(link);
  }

  show() {
    const { choices } = this;
    const symbol = choices.get("symbol");
    const symbols = choices.get("symbols");
    const known = symbols.includes(symbol);
    const list = known ? symbols : [symbol, ...symbols];
    fillSelect(this.symbol, list.map((/** @type {string} */ name) => [
      name, known || name !== symbol || !symbols.length ? name : `${name} (unknown)`]), symbol);
    const every = choices.get("every");
    const listed = INTERVALS.some(([seconds]) => seconds === every);
    fillSelect(this.every, listed ? INTERVALS : [[every, `${every} s`], ...INTERVALS], every);
    this.showRanges();
    const paused = choices.get("paused");
    setText(this.now, [symbol, choices.get("span")].filter((word) => word !== NO_SYMBOL).join(" · "));
    setText(this.pause, paused ? "Resume" : "Pause");
    this.pause.setAttribute("aria-pressed", String(paused));
    this.showTitle();
  }

  /** What the browser's tab says: how much is unread, and what is looked at. */
  showTitle() {
    const symbol = this.choices.get("symbol");
    if (!ownPage()) return;
    const unread = this.bell?.unread ? `(${this.bell.unread}) ` : "";
    document.title = `${unread}${symbol === NO_SYMBOL ? "" : `${symbol} · `}AlphaPulse`;
  }

  showRanges() {
    const chosen = this.choices.get("span");
    const spans = this.choices.get("spans");
    if (this.ranges.childElementCount !== spans.length) {
      this.ranges.replaceChildren(...spans.map((/** @type {string} */ span) => this.range(span)));
    }
    for (const input of this.ranges.querySelectorAll("input")) input.checked = input.value === chosen;
  }

  /** @param {string} span */
  range(span) {
    const label = make("label", "ap-range");
    const input = document.createElement("input");
    Object.assign(input, { type: "radio", name: `ap-range-${this.id ??= ++rangeGroups}`, value: span });
    input.onchange = () => this.choose("span", span);
    label.append(input, make("span", "", span));
    return label;
  }

  /** The zone of the address, else the one chosen last on this browser, else the notebook's. */
  startZone() {
    const asked = ownPage() ? new URLSearchParams(location.search).get("tz") : null;
    const wanted = asked ?? stored(ZONE_KEY) ?? this.choices.get("zone");
    const zone = wanted === "local" ? wanted : zoneOf(wanted);
    // A browser lists one name of each zone and knows the others too: the chosen one joins the list.
    const named = new Set([zone, ...(Intl.supportedValuesOf?.("timeZone") ?? [])]);
    named.delete("local");
    named.delete("UTC");
    const rest = [...named].sort().map((name) => [name, name.replaceAll("_", " ")]);
    fillSelect(this.zone, [["local", `Local (${localZone()})`], ["UTC", "UTC"], ...rest], zone);
    this.setZone(zone);
  }

  /** @param {string} zone */
  chooseZone(zone) {
    store(ZONE_KEY, zone);
    this.setZone(zone);
    this.writeAddress();
  }

  /** @param {string} zone */
  setZone(zone) {
    page.zone = zone;
    document.dispatchEvent(new Event("alphapulse:zone"));
  }

  switchTheme() {
    store(THEME_KEY, isDark() ? "light" : "dark");
    document.dispatchEvent(new Event("alphapulse:theme"));
    this.showTheme();
  }

  showTheme() {
    setText(this.theme, isDark() ? "Light" : "Dark");
    this.theme.title = `Switch to the ${isDark() ? "light" : "dark"} theme`;
  }

  /** Put the view into the address, so that a link to it shows the same. */
  writeAddress() {
    if (!ownPage()) return;
    const query = new URLSearchParams(location.search);
    query.set("symbol", this.symbol.value);
    query.set("range", this.ranges.querySelector("input:checked")?.value ?? this.choices.get("span"));
    if (this.zone.value === "local") query.delete("tz");
    else query.set("tz", this.zone.value);
    const text = query.toString().replaceAll("%2F", "/");
    history.replaceState(history.state, "", `${location.pathname}?${text}${location.hash}`);
  }

  destroy() {
    for (const stop of this.stops) stop();
    this.badge.destroy();
    this.bell.destroy();
  }
}

let rangeGroups = 0;

/** @param {HTMLSelectElement} field @param {any[][]} options value and text @param {any} chosen */
function fillSelect(field, options, chosen) {
  const key = JSON.stringify(options);
  if (field.dataset.options !== key) {
    field.dataset.options = key;
    field.replaceChildren(...options.map(([value, text]) => new Option(text, String(value))));
  }
  field.value = String(chosen);
}

export const controls = {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el }) {
    const desk = model.get("_streamed") ? deskOf() : null;
    /** @type {Choices} */
    const kernel = {
      get: (name) => model.get(name === "status" ? "_status" : name),
      set: (name, value) => {
        model.set(name, value);
        model.save_changes();
      },
      watch: (names, call) => {
        const events = names.map((name) => `change:${name === "status" ? "_status" : name}`);
        for (const event of events) model.on(event, call);
        return () => events.forEach((event) => model.off(event, call));
      },
    };
    const unmirror = desk?.mirror(kernel);
    const head = new Controls(el, desk?.choices ?? kernel, desk);
    return () => {
      head.destroy();
      unmirror?.();
    };
  },
};
