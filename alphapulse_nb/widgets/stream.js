/**
 * The page's one socket to our server, for the feeds that it watches and the events that it
 * subscribes to. It connects again by itself and then asks for everything anew. See docs/stream.md for what is said on it.
 */

/**
 * @typedef {{feed: string, symbol: string, span: string, every: number}} Asked `every` in seconds, 0
 *   for the usual
 * @typedef {(message: any, buffer?: DataView) => void} Take
 * @typedef {{asked: Asked, take: Take, refused?: boolean, again?: number}} Watch
 * @typedef {{types: string[], take: (message: any) => void}} Subscription
 */

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10e3;
/** How long until the server is asked again for what it had no room for. */
const AGAIN = 10e3;
/** Silence after which the server is asked whether it is there, we say it is not, and try anew. */
const ASK_AFTER = 2e3;
const SILENT_AFTER = 4500;
const DEAD_AFTER = 12e3;

export class Stream {
  /** @param {string} address @param {() => void} [refused] called when connecting fails again and again */
  constructor(address, refused = () => {}) {
    this.address = new URL(address, location.href);
    this.address.protocol = this.address.protocol === "https:" ? "wss:" : "ws:";
    this.refused = refused;
    /** @type {"connecting" | "open" | "lost"} */
    this.state = "connecting";
    /** When it was last open, or the page began to try; epoch milliseconds. */
    this.since = Date.now();
    this.wait = FIRST_WAIT;
    this.failures = 0;
    this.heardAt = 0;
    this.asked = false;
    /** Whether the connection looks open and brings nothing, not even answers. */
    this.silent = false;
    /** @type {Set<Watch>} */
    this.watches = new Set();
    /** @type {Set<Subscription>} */
    this.subscriptions = new Set();
    setInterval(() => this.listenForSilence(), 500);
    const wake = () => {
      if (this.state !== "open") this.connect();
    };
    addEventListener("online", wake);
    addEventListener("pageshow", wake);
    this.connect();
  }

  /**
   * Have a feed; `take` gets its messages. What is returned ends that.
   * @param {Asked} asked @param {Take} take
   */
  watch(asked, take) {
    const watch = { asked, take };
    this.watches.add(watch);
    this.ask(asked);
    return () => {
      this.watches.delete(watch);
      const same = [...this.watches].some((other) => sameFeed(other.asked, asked));
      if (!same) this.say("unwatch", { feed: asked.feed, symbol: asked.symbol, range: asked.span });
    };
  }

  /**
   * Have the events of some types that come from now on. `take` gets them, and each time they are
   * subscribed to anew, before the first of them, the answer of the type `subscribed`. What is
   * returned ends that. @param {string[]} types @param {(message: any) => void} take
   */
  subscribe(types, take) {
    const subscription = { types, take };
    this.subscriptions.add(subscription);
    this.say("subscribe", { types });
    return () => {
      this.subscriptions.delete(subscription);
      const kept = new Set([...this.subscriptions].flatMap((other) => other.types));
      const over = types.filter((type) => !kept.has(type));
      if (over.length) this.say("unsubscribe", { types: over });
    };
  }

  /** Ask for a feed from its beginning. @param {Asked} asked */
  ask(asked) {
    const { feed, symbol, span, every } = asked;
    this.say("watch", { feed, symbol, range: span, every }, `${feed} ${symbol} ${span}`.slice(0, 64));
  }

  /** @param {string} type @param {any} data @param {string} [id] */
  say(type, data, id) {
    if (this.state === "open") this.socket?.send(JSON.stringify({ type, data, id }));
  }

  connect() {
    clearTimeout(this.again);
    this.drop();
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (event) => this.heard(event.data);
    socket.onclose = () => this.closed(socket);
    this.heardAt = Date.now();
  }

  opened() {
    this.wait = FIRST_WAIT;
    this.failures = 0;
    this.heardAt = Date.now();
    this.asked = false;
    this.become("open");
    this.askAll([...this.watches]);
    const types = new Set([...this.subscriptions].flatMap((one) => one.types));
    if (types.size) this.say("subscribe", { types: [...types] });
  }

  /** Ask again for what the server did not know: it may know it now. */
  retry() {
    this.askAll([...this.watches].filter((watch) => watch.refused));
  }

  /** Each feed once. @param {Watch[]} watches */
  askAll(watches) {
    const asked = new Set();
    for (const watch of watches) {
      watch.refused = false;
      clearTimeout(watch.again);
      const name = JSON.stringify([watch.asked.feed, watch.asked.symbol, watch.asked.span]);
      if (!asked.has(name)) this.ask(watch.asked);
      asked.add(name);
    }
  }

  /** @param {WebSocket} socket */
  closed(socket) {
    if (socket !== this.socket) return;
    this.socket = undefined;
    this.failures += 1;
    if (this.failures % 3 === 0) this.refused();
    this.become("lost");
    // Half of it by chance, so that pages do not come back all at once.
    this.again = setTimeout(() => this.connect(), this.wait * (0.5 + Math.random() / 2));
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT);
  }

  /** A connection that says nothing for too long is dead, whatever it pretends. */
  listenForSilence() {
    const silence = Date.now() - this.heardAt;
    if (silence > ASK_AFTER && !this.asked) {
      this.say("ping", {});
      this.asked = true;
    }
    this.silent = this.state === "open" && silence > SILENT_AFTER;
    if (silence > DEAD_AFTER && this.socket) {
      const socket = this.socket;
      this.drop();
      this.socket = socket;
      this.closed(socket);
    }
  }

  drop() {
    const { socket } = this;
    this.socket = undefined;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  /** @param {"open" | "lost"} state */
  become(state) {
    if (state === this.state) return;
    this.state = state;
    this.since = Date.now();
  }

  /** @param {string | ArrayBuffer} data */
  heard(data) {
    this.heardAt = Date.now();
    this.asked = false;
    this.silent = false;
    if (typeof data !== "string") {
      const length = new DataView(data).getUint32(0, true);
      const head = new TextDecoder().decode(new Uint8Array(data, 4, length));
      this.deliver(JSON.parse(head), new DataView(data, 4 + length));
      return;
    }
    const said = JSON.parse(data);
    if (said.type === "feed") this.deliver(said.data);
    else if (said.type === "error") this.fail(said);
    else this.hand(said);
  }

  /** @param {any} said an event, or that events are subscribed to */
  hand(said) {
    const isAnswer = said.type === "subscribed";
    for (const { types, take } of [...this.subscriptions]) {
      if (types.includes(said.type) || (isAnswer && types.every((type) => said.data.types?.includes(type)))) take(said);
    }
  }

  /** @param {any} message @param {DataView} [buffer] */
  deliver(message, buffer) {
    const [feed, symbol, span] = message.feed;
    for (const { asked, take } of [...this.watches]) {
      if (sameFeed(asked, { feed, symbol: symbol || asked.symbol, span: span || asked.span })) {
        take(message, buffer);
      }
    }
  }

  /** What cannot be watched is the fault of the panel that asked. @param {any} said */
  fail(said) {
    for (const watch of [...this.watches]) {
      const { asked, take } = watch;
      if (said.id !== `${asked.feed} ${asked.symbol} ${asked.span}`.slice(0, 64)) continue;
      const view = { symbol: asked.symbol, span: asked.span };
      const about = { view, at: Date.now(), every: asked.every || 10 };
      take({ kind: "fault", component: "Stream", message: said.data.message, ...about });
      watch.refused = true;
      clearTimeout(watch.again);
      if (said.data.status >= 500) watch.again = setTimeout(() => this.askAgain(watch), AGAIN);
    }
  }

  /** @param {Watch} watch */
  askAgain(watch) {
    if (this.watches.has(watch)) this.askAll([watch]);
  }
}

/** @param {{feed: string, symbol: string, span: string}} one @param {{feed: string, symbol: string, span: string}} other */
const sameFeed = (one, other) =>
  one.feed === other.feed && one.symbol === other.symbol && one.span === other.span;
