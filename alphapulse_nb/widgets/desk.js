/**
 * What the widgets of one page share: the viewer's choices, and where the data comes from. On a page
 * of our server that is the stream; while it is broken, the page's kernel, if there is one.
 */

import { page } from "./dom.js";
import { Stream } from "./stream.js";

/**
 * @typedef {import("./controls.js").Choices} Choices
 * @typedef {import("./panel.js").Transport} Transport
 */

const PATIENCE = 3e3;
/** Turns of one carrier are below this, so that those of the next one are greater. */
const TURNS = 1e6;
const USUAL = 10;

export class Desk {
  /** @param {Stream} stream */
  constructor(stream) {
    this.stream = stream;
    /** @type {Choices | null} */
    this.choices = null;
    /** @type {string[]} */
    this.symbols = [];
    /** @type {"stream" | "kernel"} who brings the data */
    this.carrier = "stream";
    this.hasKernel = false;
    this.turn = 0;
    /** @type {Set<() => void>} called when the choices or the carrier have changed */
    this.watchers = new Set();
    /** @type {Set<import("./panel.js").Source>} */
    this.sources = new Set();
    stream.onState.add(() => this.judge());
    this.timer = setInterval(() => this.judge(), 500);
    stream.watch({ feed: "symbols", symbol: "", span: "", every: 0 }, (message) => {
      if (message.kind === "value") this.know(message.value);
    });
  }

  /** Take the viewer's choices from here. @param {Choices} choices @param {boolean} hasKernel */
  use(choices, hasKernel) {
    this.choices = choices;
    this.hasKernel = hasKernel;
    this.stopChoices?.();
    this.stopChoices = choices.watch(["symbol", "span", "every", "paused"], () => this.changed());
    this.chooseFirst();
    this.changed();
  }

  /** @param {string[]} symbols */
  know(symbols) {
    this.symbols = symbols;
    this.chooseFirst();
    this.changed();
  }

  /** Without a choice of the viewer's: the first symbol there is. */
  chooseFirst() {
    const symbol = this.choices?.get("symbol");
    if (this.choices && (!symbol || symbol === "–") && this.symbols.length) {
      this.choices.set("symbol", this.symbols[0]);
    }
  }

  /** What is looked at; null until that is known. */
  get view() {
    const symbol = this.choices?.get("symbol");
    if (!this.choices || !symbol || symbol === "–") return null;
    return { symbol, span: this.choices.get("span") };
  }

  get every() {
    return this.choices?.get("every") ?? USUAL;
  }

  /** Seconds between two drawings of a chart: more than the stream's own only if asked for. */
  get drawEvery() {
    return this.every > USUAL ? this.every : 0;
  }

  get paused() {
    return Boolean(this.choices?.get("paused"));
  }

  changed() {
    const key = JSON.stringify([this.view, this.paused, this.every, this.carrier, this.symbols]);
    if (key === this.key) return;
    this.key = key;
    this.turn += 1;
    for (const call of [...this.watchers]) call();
  }

  /** Whether the stream has been gone for longer than connecting again takes. */
  get isLost() {
    const { state, since, silent } = this.stream;
    return silent || (state !== "open" && Date.now() - since > PATIENCE);
  }

  /** Who carries: the stream, unless it has been gone for a while and there is a kernel. */
  judge() {
    const { stream } = this;
    const isWell = stream.state === "open" && !stream.silent;
    const carrier = this.isLost && this.hasKernel ? "kernel" : isWell ? "stream" : this.carrier;
    if (carrier === this.carrier) return;
    this.carrier = carrier;
    this.changed();
  }

  /**
   * The messages of a feed for the present view. @param {string} feed
   * @param {(message: any, buffer?: DataView) => void} take @param {() => void} [began] a new view
   */
  follow(feed, take, began = () => {}) {
    /** @type {(() => void) | null} */
    let stop = null;
    let key = "";
    const look = () => {
      const { view } = this;
      const wanted = view && !this.paused && this.carrier === "stream";
      const next = wanted ? JSON.stringify([view, this.every]) : "";
      if (next === key) return;
      key = next;
      stop?.();
      stop = null;
      if (!view || !wanted) return;
      began();
      // Less often than usual only means that this page draws less often.
      const every = Math.min(this.every, USUAL);
      stop = this.stream.watch({ feed, ...view, every }, take);
    };
    this.watchers.add(look);
    look();
    return {
      again: () => {
        key = "";
        look();
      },
      close: () => {
        this.watchers.delete(look);
        stop?.();
      },
    };
  }

  /** What the badge is told of all panels. */
  get status() {
    const sources = [...this.sources].filter((source) => source.at);
    const ats = sources.map((source) => source.at);
    const newest = sources.map((source) => source.state.newest ?? 0).filter(Boolean);
    const away = sources.some((source) => source.fault?.error === "DatabaseUnavailable");
    return {
      at: Math.max(0, ...ats),
      sent: Math.max(0, ...sources.map((source) => source.beatAt)),
      newest: newest.length ? Math.max(...newest) : null,
      every: Math.max(this.every, USUAL),
      paused: this.paused,
      fault: away ? "the database cannot be reached" : "",
      carrier: this.carrier,
      lost: this.isLost,
    };
  }
}

/**
 * A chart's way to its feed: the stream, or the kernel while the stream is gone.
 * @implements {Transport}
 */
export class Switch {
  /** @param {Desk} desk @param {string} feed @param {Transport | null} kernel */
  constructor(desk, feed, kernel) {
    this.desk = desk;
    this.feed = feed;
    this.kernel = kernel;
    this.epoch = 0;
    this.carrier = desk.carrier;
    this.isNew = true;
  }

  /** @param {(message: any, buffer?: DataView) => void} take */
  listen(take) {
    const { desk } = this;
    /** @param {any} message @param {DataView} [buffer] @param {number} turn */
    const pass = (message, buffer, turn) =>
      take(message.view ? { ...message, view: { ...message.view, turn: this.epoch * TURNS + turn } } : message, buffer);
    const spans = () => ({ symbol: desk.view?.symbol ?? "", span: desk.view?.span ?? "" });
    this.following = desk.follow(
      this.feed,
      (message, buffer) => pass(message, buffer, desk.turn % TURNS),
      () => pass({ kind: "busy", view: spans() }, undefined, desk.turn % TURNS),
    );
    const look = () => {
      if (desk.carrier === this.carrier) return;
      this.carrier = desk.carrier;
      this.epoch += 1;
      if (this.carrier === "kernel") this.kernel?.send({ kind: "ready" });
    };
    desk.watchers.add(look);
    const unlisten = this.kernel?.listen((message, buffer) => {
      if (message.kind === "script") take(message, buffer);
      else if (this.carrier === "kernel") pass(message, buffer, message.view?.turn ?? 0);
    });
    return () => {
      desk.watchers.delete(look);
      this.following?.close();
      unlisten?.();
    };
  }

  /** @param {any} message */
  send(message) {
    if (message.kind === "ready" && this.isNew && this.carrier === "stream") {
      this.isNew = false; // whoever begins to follow is sent everything
      return;
    }
    if (this.carrier === "kernel" || message.kind === "script" || message.kind === "alive") {
      this.kernel?.send(message);
    } else if (message.kind === "retry" || message.kind === "ready") {
      this.following?.again();
    }
  }
}

/** The desk of this page; null where the page has no stream. @returns {Desk | null} */
export function deskOf() {
  if (page.desk === undefined) {
    const link = /** @type {HTMLLinkElement | null} */ (
      document.querySelector('link[data-alphapulse="stream"]'));
    page.desk = link ? new Desk(new Stream(link.href)) : null;
  }
  return page.desk;
}
