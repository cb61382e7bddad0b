/** What the widgets of a page without a kernel share: the viewer's choices, and the stream's feeds. */

import { NO_SYMBOL } from "./dom.js";

/**
 * @typedef {import("./controls.js").Choices} Choices
 * @typedef {import("./panel.js").Transport} Transport
 * @typedef {import("./stream.js").Stream} Stream
 */

/** How long a connection may be gone before we say so: making a new one takes a moment. */
const PATIENCE = 3e3;
/** Seconds between two refreshes of a feed that nobody wants more often. */
const USUAL = 10;

export class Desk {
  /** @param {Stream} stream @param {Choices} choices */
  constructor(stream, choices) {
    this.stream = stream;
    this.choices = choices;
    /** Counts the choices, as `View.turn`. */
    this.turn = 0;
    /** @type {Set<import("./panel.js").Source>} */
    this.sources = new Set();
    choices.watch(["symbol", "span"], () => { this.turn += 1; });
    stream.watch({ feed: "symbols", symbol: "", span: "", every: 0 }, (message) => {
      if (message.kind === "value") this.know(message.value);
    });
  }

  /** @param {string[]} symbols */
  know(symbols) {
    this.choices.set("symbols", symbols);
    if (!this.view && symbols.length) this.choices.set("symbol", symbols[0]);
  }

  /** What is looked at; null until that is known. */
  get view() {
    const symbol = this.choices.get("symbol");
    return symbol === NO_SYMBOL ? null : { symbol, span: this.choices.get("span") };
  }

  /** Seconds between two drawings of a chart: more than the stream's own only if asked for. */
  get drawEvery() {
    const every = this.choices.get("every");
    return every > USUAL ? every : 0;
  }

  /**
   * The messages of a feed for the present view. @param {string} feed
   * @param {(message: any, buffer?: DataView) => void} take @param {() => void} [began] a new view
   */
  follow(feed, take, began = () => {}) {
    const { choices, stream } = this;
    /** @type {(() => void) | null} */
    let stop = null;
    let key = "";
    const look = () => {
      const view = choices.get("paused") ? null : this.view;
      // Less often than usual only means that this page draws less often.
      const every = Math.min(choices.get("every"), USUAL);
      const next = view ? JSON.stringify([view, every]) : "";
      if (next === key) return;
      key = next;
      stop?.();
      stop = null;
      if (!view) return;
      began();
      stop = stream.watch({ feed, ...view, every }, take);
    };
    choices.watch(["symbol", "span", "every", "paused"], look);
    look();
    return {
      again: () => {
        key = "";
        look();
      },
    };
  }

  /** What the badge is told of all panels. @returns {import("./badge.js").Status} */
  get status() {
    const sources = [...this.sources].filter((source) => source.at);
    const newest = sources.map((source) => source.state.newest ?? 0).filter(Boolean);
    const away = sources.some((source) => source.fault?.error === "DatabaseUnavailable");
    const { state, since, silent } = this.stream;
    const isLost = silent || (state !== "open" && Date.now() - since > PATIENCE);
    return {
      at: Math.max(0, ...sources.map((source) => source.at)),
      sent: Math.max(0, ...sources.map((source) => source.beatAt)),
      newest: newest.length ? Math.max(...newest) : null,
      every: Math.max(this.choices.get("every"), USUAL),
      paused: this.choices.get("paused"),
      fault: away ? "the database cannot be reached" : "",
      stream: isLost ? "lost" : "open",
    };
  }
}

/** A chart's way to its feed. @implements {Transport} */
export class FeedTransport {
  /** @param {Desk} desk @param {string} feed */
  constructor(desk, feed) {
    this.desk = desk;
    this.feed = feed;
    this.isNew = true;
  }

  /** @param {(message: any, buffer?: DataView) => void} take */
  listen(take) {
    const { desk } = this;
    /** @param {any} message @param {DataView} [buffer] */
    const pass = (message, buffer) =>
      take({ ...message, view: { ...message.view, turn: desk.turn } }, buffer);
    this.following = desk.follow(this.feed, pass, () => pass({ kind: "busy", view: desk.view }));
    return () => {};
  }

  /** @param {any} message */
  send(message) {
    // Whoever begins to follow is sent everything without asking.
    const isAnew = message.kind === "retry" || (message.kind === "ready" && !this.isNew);
    if (message.kind === "ready") this.isNew = false;
    if (isAnew) this.following?.again();
  }
}
