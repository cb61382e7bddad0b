/**
 * A chart's panel: heading, age of the data, the plot, its table, and what went wrong. It takes
 * messages from a transport (the kernel's comm, or a stream) and knows neither.
 */

import { duration, make, on, pageZone, setText } from "./dom.js";
import { FeedState, plain } from "./feed.js";
import { Plot } from "./plot.js";
import { bandsOf } from "./shading.js";
import { spokenBands } from "./shading_words.js";
import { stamp, zoneName } from "./zone.js";

/**
 * @typedef {{send: (message: any) => void,
 *   listen: (take: (message: any, buffer?: DataView) => void) => () => void}} Transport
 * @typedef {{symbol: string, span: string, turn: number}} View
 */

const ALIVE_EVERY = 50e3;
const TABLE_ROWS = 200;
/** Panels so far, for identities that no two of them share. */
let shadedCount = 0;

/** One feed on this page: its state, and those who look at it. */
export class Source {
  /**
   * @param {Transport} transport
   * @param {() => number} [drawEvery] seconds between two drawings of one view at least
   */
  constructor(transport, drawEvery = () => 0) {
    this.transport = transport;
    this.drawEvery = drawEvery;
    this.drawnAt = 0;
    this.state = new FeedState();
    /** @type {View} the view that the data belongs to */
    this.view = { symbol: "", span: "", turn: -1 };
    /** @type {View | null} the view that was asked for and has not come yet */
    this.awaited = null;
    /** @type {{component: string, message: string, error?: string} | null} */
    this.fault = null;
    this.freshFor = 0;
    /** When the sender last looked at the data: by the data's clock, and by this page's. */
    this.at = 0;
    this.beatAt = 0;
    this.every = 10;
    /** @type {Set<() => void>} */
    this.watchers = new Set();
    /** @type {((script: ArrayBuffer) => void) | null} */
    this.takeScript = null;
    this.unlisten = transport.listen((message, buffer) => this.take(message, buffer));
    this.timer = setInterval(() => transport.send({ kind: "alive" }), ALIVE_EVERY);
    this.onShow = () => {
      if (!document.hidden) transport.send({ kind: "alive" });
    };
    document.addEventListener("visibilitychange", this.onShow);
    // What was sent while the connection was lost is lost too.
    this.unwatch = on(document, "alphapulse:connection", (/** @type {any} */ event) => {
      if (event.detail.anew) transport.send({ kind: "ready" });
    });
    transport.send({ kind: "ready" });
  }

  /** @param {any} message @param {DataView} [buffer] */
  take(message, buffer) {
    if (message.kind === "script") {
      const view = /** @type {DataView} */ (buffer);
      const start = view.byteOffset;
      this.takeScript?.(/** @type {ArrayBuffer} */ (view.buffer.slice(start, start + view.byteLength)));
      return;
    }
    if (message.kind === "anew") {
      this.state.seq = NaN; // somebody else sends from now on: no patch of theirs continues this
      return;
    }
    if (message.view && message.view.turn < (this.awaited ?? this.view).turn) return;
    if (message.at) {
      this.at = message.at;
      this.beatAt = Date.now() - (message.waited ?? 0);
      this.every = message.every ?? this.every;
    }
    if (message.kind === "busy") {
      this.awaited = message.view;
    } else if (message.kind === "fault") {
      this.fault = { component: message.component, message: message.message, error: message.error };
      this.awaited = null;
      if (message.view.turn > this.view.turn) {
        this.view = message.view;
        this.state = new FeedState();
      }
    } else if (message.kind === "beat") {
      this.fault = null;
      this.awaited = null;
    } else {
      if (!this.state.apply(message, buffer)) {
        this.transport.send({ kind: "ready" });
        return;
      }
      this.transport.send({ kind: "ack", seq: this.state.seq });
      this.fault = null;
      this.awaited = null;
      this.view = message.view;
      this.freshFor = message.fresh_for ?? 0;
    }
    this.tell(message.kind === "patch" ? this.drawEvery() * 1e3 : 0);
  }

  /** Have it drawn: at once, or when so much time has passed since the last. @param {number} rest */
  tell(rest) {
    clearTimeout(this.telling);
    const left = this.drawnAt + rest - Date.now();
    if (left > 0) {
      this.telling = setTimeout(() => this.tell(0), left);
      return;
    }
    this.drawnAt = Date.now();
    for (const watcher of this.watchers) watcher();
  }

  /** plotly.js from the other end of the transport, as gzip bytes. */
  script() {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("the chart library did not arrive")), 60e3);
      this.takeScript = (script) => {
        clearTimeout(timer);
        resolve(script);
      };
      this.transport.send({ kind: "script" });
    });
  }

  close() {
    clearInterval(this.timer);
    clearTimeout(this.telling);
    document.removeEventListener("visibilitychange", this.onShow);
    this.unwatch();
    this.unlisten();
  }
}

export class Panel {
  /**
   * @param {HTMLElement} el
   * @param {Source} source
   * @param {{title: string, swaps: Record<string, string>, height: number,
   *   plotly: (fetchScript: () => Promise<ArrayBuffer>) => Promise<any>,
   *   shades?: import("./firing.js").Shades}} options
   */
  constructor(el, source, options) {
    this.source = source;
    this.options = options;
    this.asTable = false;
    this.build(el);
    this.plot = new Plot(this.body, {
      swaps: options.swaps,
      plotly: () => options.plotly(() => source.script()),
      zone: pageZone,
      onDraw: () => this.root.classList.add("ap-drawn"),
      periods: options.shades?.list,
    });
    this.stops = [
      observe(new ResizeObserver(() => this.later()), this.body),
      observe(new MutationObserver(() => this.later()), document.body,
        { attributes: true, attributeFilter: ["data-jp-theme-light"] }),
      on(document, "visibilitychange", () => this.later()),
      on(document, "alphapulse:zone", () => this.later()),
      on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.later()),
    ];
    this.frame = 0;
    const watcher = () => this.later();
    source.watchers.add(watcher);
    this.stops.push(() => source.watchers.delete(watcher));
    if (options.shades) this.stops.push(options.shades.watch(watcher));
    const clock = setInterval(() => this.showAge(), 1000);
    this.stops.push(() => clearInterval(clock));
    this.later();
  }

  /** @param {HTMLElement} el */
  build(el) {
    this.root = make("section", "ap ap-panel");
    this.root.dataset.title = this.options.title;
    this.root.setAttribute("aria-label", this.options.title);
    const head = make("header", "ap-panel-head");
    head.append(make("h2", "", this.options.title));
    this.about = head.appendChild(make("span", "ap-about"));
    this.age = head.appendChild(make("span", "ap-age"));
    this.toggle = /** @type {HTMLButtonElement} */ (
      head.appendChild(make("button", "ap-quiet", "Table")));
    this.toggle.type = "button";
    this.toggle.setAttribute("aria-pressed", "false");
    this.toggle.title = "Show as table";
    this.toggle.onclick = () => this.switchTable();
    const stage = make("div", "ap-stage");
    stage.style.height = `${this.options.height}px`;
    this.body = stage.appendChild(make("div", "ap-plot"));
    this.body.setAttribute("role", "img");
    this.body.setAttribute("aria-label", `${this.options.title}: loading`);
    this.shaded = stage.appendChild(make("p", "ap-spoken"));
    this.shaded.id = `ap-shaded-${(shadedCount += 1)}`;
    this.body.setAttribute("aria-describedby", this.shaded.id);
    this.table = stage.appendChild(make("div", "ap-table"));
    this.table.hidden = true;
    this.note = stage.appendChild(make("div", "ap-note"));
    this.note.setAttribute("role", "status");
    this.note.hidden = true;
    this.root.append(head, stage);
    el.replaceChildren(this.root);
  }

  /** Draw with the next frame; a hidden page draws once when it is shown again. */
  later() {
    if (this.frame || document.hidden) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.show();
    });
  }

  async show() {
    const { source } = this;
    const { view, awaited, fault, state } = source;
    const shown = awaited ?? view;
    setText(this.about, [shown.symbol, shown.span].filter(Boolean).join(" · "));
    this.root.classList.toggle("ap-busy", awaited !== null || (state.seq === 0 && !fault));
    this.root.classList.toggle("ap-faulty", fault !== null);
    this.root.dataset.turn = String(view.turn);
    this.root.dataset.seq = String(state.seq);
    this.showNote(fault);
    this.showAge();
    this.body.classList.toggle("ap-hidden", !state.seq);
    if (!state.seq || awaited) return;
    this.body.setAttribute("aria-label", this.spoken());
    const bands = bandsOf(this.options.shades?.list() ?? []);
    setText(this.shaded, spokenBands(bands, pageZone(), Date.now()));
    try {
      if (this.asTable) this.fillTable();
      else await this.plot.draw(state);
    } catch (error) {
      this.showNote({ component: `${this.options.title} (script)`, message: String(error) });
    }
  }

  /** @param {{component: string, message: string} | null} fault */
  showNote(fault) {
    this.note.hidden = !fault;
    if (!fault) return;
    const retry = /** @type {HTMLButtonElement} */ (make("button", "ap-button", "Retry"));
    retry.type = "button";
    retry.onclick = () => {
      this.source.transport.send({ kind: "retry" });
      this.later();
    };
    this.note.replaceChildren(
      make("strong", "", fault.component), make("p", "", fault.message), retry);
  }

  showAge() {
    const { source } = this;
    const now = source.at + Date.now() - source.beatAt;
    const { newest } = source.state;
    const seconds = newest === null || !source.state.seq ? null : Math.max(0, (now - newest) / 1e3);
    setText(this.age, seconds === null ? "" : `data ${duration(seconds)} old`);
    const silent = source.beatAt && Date.now() - source.beatAt > 3e3 * source.every + 5e3;
    const stale = Boolean(
      silent || source.fault || (source.freshFor && seconds !== null && seconds > source.freshFor));
    this.root.classList.toggle("ap-stale", stale);
    this.age.title = stale ? "This data is older than it should be" : "";
  }

  /** What a screen reader says: the newest value of each series. */
  spoken() {
    const { state, view } = this.source;
    const about = `${this.options.title} for ${view.symbol || "all"}, ${view.span}`;
    const said = state.traces.flatMap((trace) => {
      const y = trace.columns.y;
      if (!y || !trace.attrs.name || trace.attrs.hoverinfo === "skip") return [];
      const last = plain(y, null).at(-1);
      return Number.isFinite(last) ? [`${trace.attrs.name} ${Number(last).toPrecision(4)}`] : [];
    });
    return said.length ? `${about}: latest ${said.join(", ")}` : `${about}: no data`;
  }

  switchTable() {
    this.asTable = !this.asTable;
    this.table.hidden = !this.asTable;
    this.body.hidden = this.asTable;
    this.toggle.setAttribute("aria-pressed", String(this.asTable));
    setText(this.toggle, this.asTable ? "Chart" : "Table");
    this.later();
  }

  fillTable() {
    const zone = pageZone();
    const rows = this.source.state.traces.flatMap((trace) => {
      const { x, y } = trace.columns;
      if (!x || !y) return [];
      const values = plain(y, null);
      return Array.from(plain(x, null), (at, row) => [at, trace.attrs.name ?? "", values[row]]);
    }).filter((row) => row[2] !== null && !Number.isNaN(row[2]));
    rows.sort((a, b) => b[0] - a[0]);
    const table = make("table", "");
    const name = zoneName(zone, Date.now());
    table.append(tableRow("th", [`Time (${name})`, "Series", "Value"]));
    for (const [at, series, value] of rows.slice(0, TABLE_ROWS)) {
      table.append(tableRow("td", [stamp(zone, at), unescaped(series), cellText(value)]));
    }
    const more = rows.length > TABLE_ROWS ? [make("p", "", `The newest ${TABLE_ROWS} of ${rows.length} rows.`)] : [];
    this.table.replaceChildren(table, ...more);
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    for (const stop of this.stops) stop();
    this.plot.destroy();
  }
}

/** @param {any} observer @param {Element} target @param {any} [how] */
function observe(observer, target, how) {
  observer.observe(target, how);
  return () => observer.disconnect();
}

/** @param {string} tag @param {any[]} cells */
function tableRow(tag, cells) {
  const row = document.createElement("tr");
  row.append(...cells.map((cell) => make(tag, "", String(cell))));
  return row;
}

const cellText = (/** @type {any} */ value) =>
  typeof value === "number" ? String(Number(value.toPrecision(6))) : value;
const unescaped = (/** @type {string} */ text) =>
  text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
