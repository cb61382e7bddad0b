/**
 * What the widgets of a page with a stream share: the viewer's choices, and who brings the data. That
 * is the stream; while it is broken, the page's kernel, if there is one.
 */

import { OwnChoices, mirror } from "./choices.js";
import { NO_SYMBOL, page } from "./dom.js";
import { Stream } from "./stream.js";

/**
 * @typedef {import("./choices.js").Choices} Choices
 * @typedef {import("./panel.js").Transport} Transport
 */

/** How long a connection may be gone before we say so: making a new one takes a moment. */
const PATIENCE = 3e3;
/** Seconds between two refreshes of a feed that nobody wants more often. */
const USUAL = 10;
/** How often a kernel that carries is asked whether it is there, and how long it may take. */
const ASK_EVERY = 1500;
const KERNEL_SILENT_AFTER = 4500;
/** Turns of one carrier are below this, so that those of the next one are greater. */
const TURNS = 1e6;

export class Desk {
  /** @param {Stream} stream @param {OwnChoices} choices @param {boolean} [hasKernel] */
  constructor(stream, choices, hasKernel = false) {
    this.stream = stream;
    this.choices = choices;
    this.hasKernel = hasKernel;
    /** Counts the choices, as `View.turn`. */
    this.turn = 0;
    /** @type {"stream" | "kernel"} who brings the data, see `judge` */
    this.carrier = "stream";
    /** Counts the changes of that. */
    this.epoch = 0;
    /** When the kernel was heard last since it carries; 0 for never. */
    this.kernelAt = 0;
    this.askedAt = 0;
    /** What the kernel says of its own refreshes. @type {() => import("./badge.js").Status | null} */
    this.kernelStatus = () => null;
    /** @type {Set<() => void>} called when the carrier has changed */
    this.watchers = new Set();
    /** @type {Set<import("./panel.js").Source>} */
    this.sources = new Set();
    /** @type {Set<Transport>} the ways to the kernel, one for each chart */
    this.kernels = new Set();
    choices.watch(["symbol", "span"], () => { this.turn += 1; });
    setInterval(() => this.judge(), 500);
    stream.watch({ feed: "symbols", symbol: "", span: "", every: 0 }, (message) => {
      if (message.kind === "value") this.know(message.value);
    });
  }

  /** @param {string[]} symbols */
  know(symbols) {
    this.isEmpty = !symbols.length;
    this.stream.retry();
    this.choices.set("symbols", symbols);
    if (this.choices.get("symbol") === NO_SYMBOL && symbols.length) this.choices.set("symbol", symbols[0]);
  }

  /** Let a kernel have the same choices, and stand in for the stream. @param {Choices} kernel */
  mirror(kernel) {
    this.kernelStatus = () => kernel.get("status");
    return mirror(this.choices, kernel);
  }

  /** What is looked at; null until that is known. On an empty desk it has no symbol. */
  get view() {
    const [chosen, span] = [this.choices.get("symbol"), this.choices.get("span")];
    const symbol = chosen === NO_SYMBOL ? "" : chosen;
    return span && (symbol || this.isEmpty) ? { symbol, span } : null;
  }

  /** Seconds between two drawings of a chart: more than the stream's own only if asked for. */
  get drawEvery() {
    const every = this.choices.get("every");
    return every > USUAL ? every : 0;
  }

  /** Whether the stream has been gone for longer than connecting again takes. */
  get isLost() {
    const { state, since, silent } = this.stream;
    return silent || (state !== "open" && Date.now() - since > PATIENCE);
  }

  /** See who carries: the kernel while the stream is lost, the stream as soon as it is back. */
  judge() {
    const { state, silent } = this.stream;
    let carrier = this.carrier;
    if (state === "open" && !silent) carrier = "stream";
    else if (this.hasKernel && this.isLost) carrier = "kernel";
    if (carrier === "kernel" && Date.now() - this.askedAt > ASK_EVERY) {
      this.askedAt = Date.now();
      const [way] = this.kernels;
      way?.send({ kind: "ping" });
    }
    if (carrier === this.carrier) return;
    this.carrier = carrier;
    this.epoch += 1;
    this.kernelAt = 0;
    for (const call of [...this.watchers]) call();
  }

  /**
   * The messages of a feed for the present view, while the stream carries. Paused, a new view comes
   * once. @param {string} feed
   * @param {(message: any, buffer?: DataView) => void} take @param {() => void} [began] a new view
   */
  follow(feed, take, began = () => {}) {
    const { choices, stream } = this;
    /** @type {(() => void) | null} */
    let stop = null;
    let [watched, shown] = ["", ""];
    const look = (isAnew = false) => {
      const { view } = this;
      const isPaused = choices.get("paused");
      const name = view ? JSON.stringify(view) : "";
      const isNew = isAnew || name !== shown;
      // Less often than usual only means that this page draws less often.
      const every = Math.min(choices.get("every"), USUAL);
      const wanted = view && (isNew || !isPaused) ? JSON.stringify([view, every, isPaused]) : "";
      if (wanted === watched && !isAnew) return;
      watched = wanted;
      stop?.();
      stop = null;
      if (!view || !wanted) return;
      shown = name;
      if (isNew && this.carrier === "stream") began();
      const end = stream.watch({ feed, ...view, every }, (message, buffer) => {
        this.judge();
        if (this.carrier === "stream") take(message, buffer);
        if (isPaused) end();
      });
      stop = end;
    };
    const unwatch = choices.watch(["symbols", "symbol", "span", "every", "paused"], () => look());
    look();
    return {
      again: () => look(true),
      close: () => {
        unwatch();
        stop?.();
      },
    };
  }

  /** What the badge is told of all panels. @returns {import("./badge.js").Status} */
  get status() {
    const sources = [...this.sources].filter((source) => source.at);
    const newest = sources.map((source) => source.state.newest ?? 0).filter(Boolean);
    const stream = this.kernelAt ? "replaced" : this.isLost ? "lost" : "open";
    return {
      at: Math.max(0, ...sources.map((source) => source.at)),
      sent: Math.max(0, ...sources.map((source) => source.beatAt)),
      newest: newest.length ? Math.max(...newest) : null,
      every: Math.max(this.choices.get("every"), USUAL),
      paused: this.choices.get("paused"),
      fault: this.fault,
      stream,
    };
  }

  /** Why whoever carries brings no data, in a few words; empty where it does. */
  get fault() {
    if (this.kernelAt) {
      const isSilent = Date.now() - this.kernelAt > KERNEL_SILENT_AFTER;
      return isSilent ? "the kernel does not answer" : this.kernelStatus()?.fault ?? "";
    }
    const away = [...this.sources].some((source) => source.fault?.error === "DatabaseUnavailable");
    return away ? "the database cannot be reached" : "";
  }
}

/** A chart's way to its feed: the stream, or the kernel in its place. @implements {Transport} */
export class FeedTransport {
  /** @param {Desk} desk @param {string} feed @param {Transport} [kernel] */
  constructor(desk, feed, kernel) {
    this.desk = desk;
    this.feed = feed;
    this.kernel = kernel;
    this.isNew = true;
  }

  /** @param {(message: any, buffer?: DataView) => void} take */
  listen(take) {
    const { desk, kernel } = this;
    /** @param {any} message @param {DataView | undefined} buffer @param {number} turn */
    const pass = (message, buffer, turn) =>
      take({ ...message, view: { ...message.view, turn: desk.epoch * TURNS + turn } }, buffer);
    const following = desk.follow(
      this.feed,
      (message, buffer) => pass(message, buffer, desk.turn),
      () => pass({ kind: "busy", view: desk.view }, undefined, desk.turn),
    );
    this.again = following.again;
    if (kernel) desk.kernels.add(kernel);
    const unlisten = kernel?.listen((message, buffer) => {
      if (message.kind === "script") take(message, buffer);
      else if (desk.carrier === "kernel") {
        desk.kernelAt = Date.now();
        if (message.kind !== "pong") pass(message, buffer, message.view?.turn ?? 0);
      }
    });
    const change = () => {
      take({ kind: "anew" });
      if (desk.carrier === "kernel") kernel?.send({ kind: "ready" });
    };
    desk.watchers.add(change);
    return () => {
      desk.watchers.delete(change);
      following.close();
      unlisten?.();
      if (kernel) desk.kernels.delete(kernel);
    };
  }

  /** @param {any} message */
  send(message) {
    const isFirst = this.isNew && message.kind === "ready";
    if (isFirst) this.isNew = false;
    if (message.kind === "script" || this.desk.carrier === "kernel") this.kernel?.send(message);
    // Whoever begins to follow is sent everything without asking.
    else if (message.kind === "retry" || (message.kind === "ready" && !isFirst)) this.again?.();
  }
}

/** The desk of a page whose kernel stands behind a stream; null where there is no stream. */
export function deskOf() {
  if (page.desk === undefined) {
    const link = /** @type {HTMLLinkElement | null} */ (
      document.querySelector('link[data-alphapulse="stream"]'));
    const choices = { symbol: NO_SYMBOL, symbols: [], spans: [], every: USUAL, paused: false };
    page.desk = link && new Desk(new Stream(link.href), new OwnChoices(choices), true);
  }
  return /** @type {Desk | null} */ (page.desk);
}
