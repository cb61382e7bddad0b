/** The dashboard as a page without a kernel: the same widgets, fed by the stream alone. */

import { Alerts, followAlerts, followNotices } from "./alerts.js";
import { attendStream } from "./attention.js";
import { Cards, followCards } from "./cards.js";
import { OwnChoices } from "./choices.js";
import { Controls } from "./controls.js";
import { Desk, FeedTransport } from "./desk.js";
import { NO_SYMBOL, make } from "./dom.js";
import { streamShades } from "./firing.js";
import { Panel, Source } from "./panel.js";
import { plotly } from "./plot.js";
import { Stream } from "./stream.js";

/**
 * @typedef {{name: string, title: string}} Chart
 * @typedef {{stream: string, charts: Chart[], cards: import("./cards.js").Card[], spans: string[], span: string, every: number, notice: string,
 *   person: string, zone: string, height: number, swaps: Record<string, string>}} Config
 */

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
  new Controls(head, choices, desk);
  const row = new Cards(cards);
  row.show(config.cards, true);
  followCards(desk, row);
  for (const chart of config.charts) grid.append(panelOf(desk, chart, config));
  const area = grid.appendChild(make("div", ""));
  const alerts = new Alerts(area);
  followAlerts(desk, alerts);
  followNotices(attendStream(desk.stream), alerts);
  root.replaceChildren(head, cards, grid);
}

/** @param {import("./desk.js").Desk} desk @param {Chart} chart @param {Config} config */
function panelOf(desk, chart, config) {
  const place = make("div", "");
  const source = new Source(new FeedTransport(desk, chart.name), () => desk.drawEvery);
  desk.sources.add(source);
  new Panel(place, source, {
    title: chart.title, height: config.height, swaps: config.swaps, plotly,
    shades: streamShades(desk, chart.name) });
  return place;
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
