/** The dashboard as a page without a kernel: the same widgets, fed by the stream alone. */

import { Alerts, followAlerts } from "./alerts.js";
import { Cards, followCards } from "./cards.js";
import { Controls } from "./controls.js";
import { Desk, FeedTransport } from "./desk.js";
import { NO_SYMBOL, make } from "./dom.js";
import { Panel, Source } from "./panel.js";
import { plotly } from "./plot.js";
import { startShortcuts } from "./shortcuts.js";
import { Stream } from "./stream.js";

/**
 * @typedef {{name: string, title: string}} Chart
 * @typedef {{stream: string, charts: Chart[], spans: string[], span: string, every: number, notice: string,
 *   person: string, zone: string, height: number, swaps: Record<string, string>}} Config
 */

const IDLE = 3e3;

/** The viewer's choices, kept by the page. @implements {import("./controls.js").Choices} */
class OwnChoices {
  /** @param {Record<string, any>} values */
  constructor(values) {
    this.values = values;
    /** @type {Set<{names: string[], call: () => void}>} */
    this.watchers = new Set();
  }

  /** @param {string} name */
  get(name) {
    return this.values[name];
  }

  /** @param {string} name @param {any} value */
  set(name, value) {
    if (this.values[name] === value) return;
    this.values[name] = value;
    for (const { names, call } of [...this.watchers]) if (names.includes(name)) call();
  }

  /** @param {string[]} names @param {() => void} call */
  watch(names, call) {
    const watcher = { names, call };
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }
}

/** @param {HTMLElement} root @param {Config} config */
export function live(root, config) {
  const query = new URLSearchParams(location.search);
  const span = query.get("range") ?? "";
  const choices = new OwnChoices({
    symbol: query.get("symbol") || NO_SYMBOL,
    span: config.spans.includes(span) ? span : config.span,
    spans: config.spans,
    symbols: [],
    every: config.every,
    paused: false,
    notice: config.notice,
    person: config.person,
    zone: config.zone,
  });
  const desk = new Desk(new Stream(config.stream, signInAgain), choices);
  const [head, cards, grid] = ["", "", "ap-grid"].map((kind) => make("div", kind));
  const controls = new Controls(head, choices);
  setInterval(() => controls.badge.take(desk.status, true), 500);
  followCards(desk, new Cards(cards));
  for (const chart of config.charts) grid.append(panelOf(desk, chart, config));
  const area = grid.appendChild(make("div", ""));
  followAlerts(desk, new Alerts(area));
  root.replaceChildren(head, cards, grid);
  if (query.has("kiosk")) kiosk();
  startShortcuts(choices, controls);
}

/** @param {import("./desk.js").Desk} desk @param {Chart} chart @param {Config} config */
function panelOf(desk, chart, config) {
  const place = make("div", "");
  const source = new Source(new FeedTransport(desk, chart.name), () => desk.drawEvery);
  desk.sources.add(source);
  new Panel(place, source, {
    title: chart.title, height: config.height, swaps: config.swaps, plotly });
  return place;
}

/** A page for a wall: no controls, no pointer, a screen that stays on */
function kiosk() {
  document.body.classList.add("ap-kiosk");
  let timer = 0;
  const move = () => {
    document.body.classList.remove("ap-idle");
    clearTimeout(timer);
    timer = setTimeout(() => document.body.classList.add("ap-idle"), IDLE);
  };
  addEventListener("pointermove", move);
  move();
  const stay = () => {
    if (!document.hidden) navigator.wakeLock?.request("screen").catch(() => {});
  };
  document.addEventListener("visibilitychange", stay);
  stay();
}

/** Where connecting fails again and again: is it that we have to sign in? */
async function signInAgain() {
  try {
    const answer = await fetch(location.href, { method: "HEAD", redirect: "manual", cache: "no-store" });
    if (answer.type === "opaqueredirect" || answer.status === 401) location.reload();
  } catch {
    // no server: the badge says so, and the stream goes on trying
  }
}
