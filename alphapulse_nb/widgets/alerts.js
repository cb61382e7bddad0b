/** The alerts area: what needs attention now, newest first. */

import { deskOf } from "./desk.js";
import { duration, make, on, pageZone, setText } from "./dom.js";
import { clock, stamp } from "./zone.js";

/**
 * @typedef {{key: string, type: string, priority: "low" | "medium" | "high" | "urgent",
 *   title: string, message: string, at: number}} Alert `at` in epoch milliseconds
 */

/** Alerts on screen; the oldest beyond that are left out. */
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
    this.list = make("ul", "ap-alert-list");
    this.list.setAttribute("role", "log");
    this.list.setAttribute("aria-live", "polite");
    this.list.tabIndex = 0;
    this.list.setAttribute("aria-label", "Alerts, newest first");
    this.root.append(head, this.list);
    el.replaceChildren(this.root);
    /** @type {Map<string, HTMLElement>} */
    this.rows = new Map();
    /** @type {Alert[]} */
    this.alerts = [];
    this.stops = [on(document, "alphapulse:zone", () => this.show(this.alerts))];
    const timer = setInterval(() => this.showAges(), 5000);
    this.stops.push(() => clearInterval(timer));
  }

  /** @param {Alert[]} alerts */
  show(alerts) {
    this.alerts = alerts;
    const rows = new Map();
    for (const alert of alerts) rows.set(alert.key, this.rows.get(alert.key) ?? alertRow(alert));
    this.rows = rows;
    for (const alert of alerts) fillAlert(rows.get(alert.key), alert);
    const wanted = alerts.length ? [...rows.values()] : [make("li", "ap-alert-none", "Nothing needs attention.")];
    if (wanted.some((row, place) => this.list.children[place] !== row) || wanted.length !== this.list.children.length) {
      // One by one: a replaced list would be read aloud as a whole.
      for (const row of [...this.list.children]) if (!wanted.includes(row)) row.remove();
      wanted.forEach((row, place) => {
        if (this.list.children[place] !== row) this.list.insertBefore(row, this.list.children[place]);
      });
    }
    setText(this.count, alerts.length ? `${alerts.length} open` : "");
    this.showAges();
  }

  showAges() {
    for (const alert of this.alerts) {
      const time = this.rows.get(alert.key)?.querySelector("time");
      if (!time) continue;
      const zone = pageZone();
      const age = Math.max(0, (Date.now() - alert.at) / 1e3);
      setText(time, age < 43200 ? `${clock(zone, alert.at)} · ${duration(age)} ago` : stamp(zone, alert.at));
    }
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

/** Show what breaks a threshold and which panels fail. @param {import("./desk.js").Desk} desk @param {Alerts} area */
export function followAlerts(desk, area) {
  /** @type {Alert[]} */
  let breaches = [];
  /** @type {Map<string, number>} when each fault began */
  const since = new Map();
  const show = () => {
    if (desk.carrier === "stream") area.show([...faultAlerts(desk, since), ...breaches].slice(0, MOST_ALERTS));
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

export const alerts = {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el }) {
    const area = new Alerts(el);
    const desk = model.get("_feed_name") ? deskOf() : null;
    const show = () => {
      if (desk?.carrier !== "stream") area.show(model.get("_alerts"));
    };
    const following = desk && followAlerts(desk, area);
    model.on("change:_alerts", show);
    show();
    return () => {
      following?.close();
      model.off("change:_alerts", show);
      area.destroy();
    };
  },
};
