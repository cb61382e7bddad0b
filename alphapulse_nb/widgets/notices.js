/**
 * The newest notifications of whoever looks at the page, and how many there are.
 *
 * Where the page has a stream, its events bring what is new at once; after each connection, and
 * while there is none, the summary is asked for, and the list where that shows something new.
 * Without a stream that happens every ten seconds. What was not there when the page was opened, and
 * is not read yet, has *arrived*: those who wait for that are told, once for all that comes together.
 */

import { on, soon } from "./dom.js";
import { Known } from "./known.js";

/**
 * @typedef {import("./notice.js").Notice} Notice
 * @typedef {import("./api.js").ApiError} ApiError
 * @typedef {{total: number, unread: number, last_hour: number, newest: number}} Summary
 * @typedef {{person: string, shared: boolean, role: "viewer" | "operator" | "admin"}} PersonHere
 * @typedef {{poll: number, rest: number}} Pace milliseconds between two questions where no stream is,
 *   and of rest after which a burst is over
 */

/** Notifications that are kept here, and that one answer may bring. */
const NOTICES_KEPT = 200;
const FIRST_LOOK = 50;
/** Questions that are left out while a stream tells what is new, or while there are no answers. */
const PATIENT = 6;
const USUAL_PACE = { poll: 10e3, rest: 400 };
const LONGEST_BURST = 3e3;
/** How long the stream has until it is asked without it what there is. */
const STREAM_WITHIN = 2e3;
const CHANNEL = "alphapulse.notices";
/** What a person prefers until that is known: what matters here of the usual. */
const USUAL_WISHES = { max_on_screen: 100, auto_dismiss_seconds: 5, sounds: {}, browser: false, sound: false };
/** Actions after which others are to be asked for what there is. */
const CHANGES = ["read", "remove", "restore", "import", "acknowledge", "prefer"];

export class Notices {
  /**
   * @param {{ask: (name: string, values?: any, body?: any) => Promise<any>, watch: (call: (name: string, body: any, answer: any) => void) => () => void}} api
   * @param {import("./stream.js").Stream | null} [stream] @param {Partial<Pace>} [pace]
   */
  constructor(api, stream = null, pace = {}) {
    this.api = api;
    this.stream = stream;
    this.pace = { ...USUAL_PACE, ...pace };
    /** Newest first. @type {Notice[]} */
    this.entries = [];
    /** @type {Summary} */
    this.summary = { total: 0, unread: 0, last_hour: 0, newest: 0 };
    /** Null until it is known. @type {PersonHere | null} */
    this.person = null;
    /** @type {Record<string, any>} */
    this.preferences = USUAL_WISHES;
    /** Why the last question was not answered. @type {ApiError | null} */
    this.fault = null;
    /** @type {Set<() => void>} */
    this.watchers = new Set();
    /** @type {Set<(found: Notice[]) => void>} */
    this.takers = new Set();
    /** Those that were there or have arrived. */
    this.known = new Known();
    /** @type {Notice[]} what the stream brought since the last frame */
    this.heard = [];
    this.ticks = 0;
    this.isSubscribed = false;
    /** Whether what is found next is no news. */
    this.isQuiet = false;
    this.start();
  }

  start() {
    const { stream, pace } = this;
    const timer = setInterval(() => this.tick(), pace.poll);
    this.stops = [
      () => clearInterval(timer),
      this.api.watch((name, body, answer) => this.done(name, body, answer)),
      on(document, "visibilitychange", () => this.seen()),
    ];
    if (globalThis.BroadcastChannel) {
      this.others = new BroadcastChannel(CHANNEL);
      this.others.onmessage = ({ data }) => (data === "prefer" ? this.wish() : this.lookAfter(data));
    }
    if (!stream) return void this.look();
    this.stops.push(stream.subscribe(["notification"], (message) => this.hear(message)));
    const late = setTimeout(() => this.isSubscribed || this.look(), STREAM_WITHIN);
    this.stops.push(() => clearTimeout(late));
  }

  /** Be told when anything has changed. @param {() => void} call */
  watch(call) {
    this.watchers.add(call);
    return () => this.watchers.delete(call);
  }

  /** Get what arrives. @param {(found: Notice[]) => void} take */
  arrive(take) {
    this.takers.add(take);
    return () => this.takers.delete(take);
  }

  /** Whether what is new comes by itself. */
  get isLive() {
    return Boolean(this.stream && this.isSubscribed && this.stream.state === "open" && !this.stream.silent);
  }

  /** @param {any} message of the stream */
  hear(message) {
    if (message.type === "subscribed") {
      this.isSubscribed = true;
      this.look();
      return;
    }
    this.heard.push({ read_at: null, acknowledged_by: null, ...message.data });
    this.unframe ??= soon(() => this.takeHeard());
  }

  /** Everything that came since the last frame, in one go. */
  takeHeard() {
    this.unframe = undefined;
    const once = new Map(this.heard.splice(0).map((one) => [one.id, one]));
    const found = [...once.values()].filter(({ id }) => !this.known.hasSeen(id));
    if (!found.length) return;
    const { total, unread, last_hour, newest } = this.summary;
    this.summary = {
      total: total + found.length,
      unread: unread + found.length,
      last_hour: last_hour + found.length,
      newest: Math.max(newest, ...found.map(({ id }) => id)),
    };
    this.keep(found);
    this.pass(found);
    this.lookLater();
  }

  tick() {
    this.ticks += 1;
    const isUnheard = ["timeout", "unreachable"].includes(this.fault?.code ?? "");
    const isPatient = (this.isLive || this.fault) && !isUnheard;
    if (isPatient && this.ticks % PATIENT) return;
    const wishes = this.preferences;
    // A page that nobody sees has nobody to tell, unless it may ring.
    if (document.hidden && (this.stream || !(wishes.browser || wishes.sound))) return;
    this.look();
  }

  seen() {
    if (!document.hidden && !this.isLive) this.look();
  }

  /** Something was done, here or on another page. @param {string} name of the action */
  lookAfter(name) {
    if (name !== "import" && name !== "restore") return this.lookLater();
    // At once, since what comes in the same answer is taken for what was imported or brought back.
    this.isQuiet = true;
    this.look();
  }

  /** Ask once a burst is over. */
  lookLater() {
    this.burstSince ??= Date.now();
    clearTimeout(this.later);
    const wait = Math.min(this.pace.rest, Math.max(0, this.burstSince + LONGEST_BURST - Date.now()));
    this.later = setTimeout(() => this.look(), wait);
  }

  /** Ask what there is. While that is asked, asking again comes after it. @returns {Promise<void>} */
  look() {
    clearTimeout(this.later);
    this.burstSince = undefined;
    if (this.asking) {
      this.isWanted = true;
      return this.asking;
    }
    this.asking = this.ask().finally(() => {
      this.asking = undefined;
      if (!this.isWanted || this.isClosed) return;
      this.isWanted = false;
      this.look();
    });
    return this.asking;
  }

  async ask() {
    const { isQuiet } = this;
    this.isQuiet = false;
    try {
      const { person, shared, role, ...found } = await this.api.ask("inbox");
      const isFirst = !this.person;
      const old = this.summary;
      if (isFirst || ["total", "unread", "newest"].some((name) => found[name] !== old[/** @type {keyof Summary} */ (name)])) {
        await this.list(isFirst, isQuiet);
      }
      this.summary = found;
      this.person = { person, shared, role };
      this.fault = null;
      if (isFirst) this.wish();
    } catch (error) {
      this.fault = /** @type {ApiError} */ (error);
    }
    this.tell();
  }

  /**
   * Read the newest ones. Those that are new here have arrived, unless we look for the first time, or
   * they were imported or brought back. @param {boolean} isFirst @param {boolean} isQuiet
   */
  async list(isFirst, isQuiet) {
    const limit = isFirst ? FIRST_LOOK : NOTICES_KEPT;
    const newest = this.entries[0]?.id ?? 0;
    /** @type {{notifications: Notice[]}} */
    const { notifications: found } = await this.api.ask("notifications", { limit });
    if (isFirst && found.length === limit) this.known.floor = found[limit - 1].id;
    const fresh = found.filter(({ id, read_at }) => !read_at && !this.known.has(id));
    // What the stream brought meanwhile is not in the answer.
    this.entries = this.entries.filter(({ id }) => id > newest);
    this.keep(found);
    if (!isFirst && !isQuiet && fresh.length) this.pass(fresh);
  }

  /** @param {Notice[]} found */
  keep(found) {
    this.known.add(found.map(({ id }) => id));
    const all = new Map([...this.entries, ...found].map((one) => [one.id, one]));
    this.entries = [...all.values()].sort((a, b) => b.id - a.id).slice(0, NOTICES_KEPT);
  }

  /** @param {Notice[]} found */
  pass(found) {
    for (const take of [...this.takers]) take(found);
    this.tell();
  }

  tell() {
    this.untell ??= soon(() => {
      this.untell = undefined;
      for (const call of [...this.watchers]) call();
    });
  }

  async wish() {
    try {
      await this.api.ask("preferences");
    } catch {
      // The usual ones hold, and whoever opens the settings is told why.
    }
  }

  /** What was done on this page holds here at once. @param {string} name @param {any} body @param {any} answer */
  done(name, body, answer) {
    if (name === "preferences" || name === "prefer") {
      this.preferences = { ...USUAL_WISHES, ...answer };
      this.tell();
    }
    if (!CHANGES.includes(name)) return;
    const isMeant = (/** @type {Notice} */ one) => !body.ids || body.ids.includes(one.id);
    const { summary } = this;
    if (name === "read") {
      const at = body.read ? new Date().toISOString() : null;
      this.entries = this.entries.map((one) => (isMeant(one) ? { ...one, read_at: at } : one));
      this.summary = { ...summary, unread: Math.max(0, summary.unread + (body.read ? -1 : 1) * answer.changed) };
    } else if (name === "remove") this.entries = this.entries.filter((one) => !isMeant(one));
    else if (name === "acknowledge") {
      this.entries = this.entries.map((one) => (one.alert === body.alert ? { ...one, acknowledged_by: answer.by } : one));
    }
    this.others?.postMessage(name);
    this.tell();
    if (name !== "prefer") this.lookAfter(name);
  }

  close() {
    this.isClosed = true;
    for (const stop of this.stops ?? []) stop();
    this.unframe?.();
    this.untell?.();
    clearTimeout(this.later);
    this.others?.close();
  }
}
