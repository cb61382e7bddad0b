/** The alerts area: the newest notifications that nobody has read, and what needs attention now. */

import { quietButton } from "./acts.js";
import { attendKernel, attendStream } from "./attention.js";
import { deskOf } from "./desk.js";
import { arrange, make, on, pageZone, setText } from "./dom.js";
import { aged, counted } from "./notice.js";
import { Unread } from "./unread.js";

/**
 * @typedef {{key: string, type: string, priority: "low" | "medium" | "high" | "urgent",
 *   title: string, message: string, at: number}} Alert `at` in epoch milliseconds
 * @typedef {import("./attention.js").Attention} Attention
 */

/** Alerts on screen, unless the viewer prefers fewer; the oldest beyond that are left out. */
const MOST_ALERTS = 50;
const ALERT_SIGNS = { urgent: "‼", high: "▲", medium: "●", low: "○" };

export class Alerts {
  /** @param {HTMLElement} el */
  constructor(el) {
    this.root = make("section", "ap ap-panel ap-alerts");
    this.root.setAttribute("aria-label", "Alerts");
    const head = make("header", "ap-panel-head");
    head.append(make("h2", "", "Alerts"));
    this.count = head.appendChild(make("span", "ap-about"));
    this.figures = head.appendChild(make("span", "ap-age ap-alert-figures"));
    this.history = head.appendChild(quietButton("History", () => this.attention?.open({ tab: "history" })));
    this.history.hidden = true;
    const place = make("div", "ap-alert-list");
    place.tabIndex = 0;
    place.setAttribute("role", "group");
    place.setAttribute("aria-label", "Alerts, newest first");
    this.unread = new Unread();
    this.list = make("ul", "ap-alert-rows");
    this.list.setAttribute("role", "log");
    this.list.setAttribute("aria-live", "polite");
    place.append(this.unread.root, make("h3", "ap-alert-now", "Now"), this.list);
    this.quiet = make("p", "ap-alert-quiet");
    this.root.append(head, place, this.quiet);
    el.replaceChildren(this.root);
    /** @type {Map<string, HTMLElement>} */
    this.rows = new Map();
    /** @type {Alert[]} */
    this.alerts = [];
    /** @type {Attention | null} */
    this.attention = null;
    /** Alerts on screen; those beyond that are left out. */
    this.most = MOST_ALERTS;
    this.stops = [on(document, "alphapulse:zone", () => this.showAges())];
    const timer = setInterval(() => this.showAges(), 5000);
    this.stops.push(() => clearInterval(timer));
    this.show([]);
  }

  /** @param {Alert[]} alerts */
  show(alerts) {
    this.all = alerts;
    this.alerts = alerts = alerts.slice(0, this.most);
    const rows = new Map();
    for (const alert of alerts) rows.set(alert.key, this.rows.get(alert.key) ?? alertRow(alert));
    this.rows = rows;
    for (const alert of alerts) fillAlert(rows.get(alert.key), alert);
    this.none ??= make("li", "ap-alert-none", "Nothing needs attention.");
    arrange(this.list, alerts.length ? [...rows.values()] : [this.none]);
    setText(this.count, this.all.length ? `${this.all.length} open` : "");
    this.showAges();
  }

  /** What there is of notifications. @param {Attention} attention */
  showNotices(attention) {
    this.attention = attention;
    const { fault, person, preferences, summary } = attention.notices;
    this.most = Math.min(MOST_ALERTS, preferences.max_on_screen);
    const figures = [
      counted(summary.unread, "unread", "unread"),
      `${summary.last_hour.toLocaleString("en-US")} last hour`,
      `${summary.total.toLocaleString("en-US")} total`,
    ];
    setText(this.figures, person ? figures.join(" · ") : "");
    this.history.hidden = !person;
    setText(this.quiet, fault ? `No new notifications: ${fault.message}` : "");
    this.root.dataset.unread = String(summary.unread);
    this.unread.show(attention);
    this.show(this.all ?? []);
  }

  showAges() {
    const [zone, now] = [pageZone(), Date.now()];
    for (const alert of this.alerts) {
      const time = this.rows.get(alert.key)?.querySelector("time");
      if (time) setText(time, aged(zone, alert.at, now));
    }
    this.unread.showAges(zone, now);
  }

  destroy() {
    for (const stop of this.stops) stop();
  }
}

/** @param {Alert} alert */
function alertRow(alert) {
  const row = make("li", "ap-alert");
  row.dataset.key = alert.key;
  row.append(make("span", "ap-alert-sign"), make("strong", ""), make("time", ""), make("p", ""));
  return row;
}

/** @param {HTMLElement} row @param {Alert} alert */
function fillAlert(row, alert) {
  row.dataset.priority = alert.priority;
  row.dataset.type = alert.type;
  const [sign, title, , message] = /** @type {HTMLElement[]} */ ([...row.children]);
  setText(sign, ALERT_SIGNS[alert.priority] ?? "●");
  sign.setAttribute("aria-label", `${alert.priority} priority`);
  setText(title, alert.title);
  setText(message, alert.message);
}

/** Show what there is of notifications. @param {Attention} attention @param {Alerts} area */
export function followNotices(attention, area) {
  const show = () => area.showNotices(attention);
  const unwatch = attention.notices.watch(show);
  show();
  return unwatch;
}

/** Show what breaks a threshold and which panels fail. @param {import("./desk.js").Desk} desk @param {Alerts} area */
export function followAlerts(desk, area) {
  /** @type {Alert[]} */
  let breaches = [];
  /** @type {Map<string, number>} when each fault began */
  const since = new Map();
  const show = () => {
    if (desk.carrier === "stream") area.show([...faultAlerts(desk, since), ...breaches]);
  };
  const following = desk.follow("alerts", (message) => {
    if (message.kind === "value") breaches = message.value;
    show();
  });
  const timer = setInterval(show, 1000);
  return {
    close: () => {
      clearInterval(timer);
      following.close();
    },
  };
}

/** One alert for panels that fail for the same reason. @param {import("./desk.js").Desk} desk @param {Map<string, number>} since */
function faultAlerts(desk, since) {
  /** @type {Map<string, string[]>} */
  const byMessage = new Map();
  for (const { fault } of desk.sources) {
    if (fault) byMessage.set(fault.message, [...(byMessage.get(fault.message) ?? []), fault.component]);
  }
  for (const message of [...since.keys()]) if (!byMessage.has(message)) since.delete(message);
  return [...byMessage].map(([message, names]) => {
    if (!since.has(message)) since.set(message, Date.now());
    const title = names.length === 1 ? names[0] : `${names.length} panels have no new data`;
    const at = /** @type {number} */ (since.get(message));
    return { key: `fault-${message}`, type: "error", priority: /** @type {const} */ ("high"), title, message, at };
  });
}

/**
 * Who asks for notifications: the page's server, or the widget's kernel where that answers.
 * @param {any} model @param {import("./desk.js").Desk | null} desk
 * @returns {{attention?: Attention, leave?: () => void}}
 */
function attentionOf(model, desk) {
  if (desk) return { attention: attendStream(desk.stream) };
  return (model.get("_answers") && attendKernel(model)) || {};
}

export const alerts = {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el }) {
    const area = new Alerts(el);
    const desk = model.get("_feed_name") ? deskOf() : null;
    const show = () => {
      if (desk?.carrier !== "stream") area.show(model.get("_alerts"));
    };
    const following = desk && followAlerts(desk, area);
    const { attention, leave } = attentionOf(model, desk);
    const unfollow = attention && followNotices(attention, area);
    model.on("change:_alerts", show);
    show();
    return () => {
      following?.close();
      unfollow?.();
      leave?.();
      model.off("change:_alerts", show);
      area.destroy();
    };
  },
};
