/**
 * The connection badge: does this page show what the desk knows now, and if not, why.
 *
 * live      the stream is open, or refreshes arrive on time and the desk is writing
 * quiet     the stream is open, but the newest data is older than it should be
 * polling   the stream is lost and the kernel asks the database instead; or there is no stream,
 *           refreshes arrive on time, but nothing new comes
 * paused    the viewer stopped the refreshes
 * offline   no connection (the server), no refresh arrives (the kernel), or it brings no data (the
 *           database)
 */

import { duration, make, on, pageZone, setText } from "./dom.js";
import { clock } from "./zone.js";

/**
 * @typedef {{at: number, sent: number, newest: number | null, every: number, paused: boolean,
 *   fault: string, stream?: "open" | "lost" | "replaced"}} Status times in epoch milliseconds: `at` and `newest`
 *   on the data's clock, `sent` on the sender's machine; `every` in seconds; `stream` where there is
 *   one, which the kernel may replace
 */

const QUIET_AFTER = 60e3;

/**
 * What the badge says. A pure function of the last status, when it came, and now (browser clock).
 * @param {Status | null} status @param {number} receivedAt @param {number} now
 * @returns {{state: "starting" | "live" | "quiet" | "polling" | "paused" | "offline", text: string}}
 */
export function judge(status, receivedAt, now) {
  if (!status?.at) return { state: "starting", text: "Starting" };
  if (status.stream === "lost") return LOST;
  const silence = now - receivedAt;
  if (!status.paused && silence > 2500 * status.every + 5e3) {
    return { state: "offline", text: `Offline: no answer for ${duration(silence / 1e3)}` };
  }
  if (status.fault) return { state: "offline", text: `Offline: ${status.fault}` };
  if (status.paused) return { state: "paused", text: "Paused" };
  const age = status.newest === null ? null : status.at - status.newest + silence;
  const late = Math.max(QUIET_AFTER, 3e3 * status.every);
  if (status.stream === "replaced") return { state: "polling", text: "Polling: the stream is interrupted" };
  if (status.stream) {
    if (age === null) return { state: "quiet", text: "Live: no data yet" };
    if (age > late) return { state: "quiet", text: `Live: nothing new for ${duration(age / 1e3)}` };
    return { state: "live", text: "Live" };
  }
  if (age === null) return { state: "polling", text: "Polling: no data yet" };
  if (age > late) return { state: "polling", text: `Polling: nothing new for ${duration(age / 1e3)}` };
  return { state: "live", text: "Live" };
}

const LOST = /** @type {const} */ ({
  state: "offline",
  text: "Offline: no connection to the server",
});

export class Badge {
  constructor() {
    /** @type {Status | null} */
    this.status = null;
    this.receivedAt = 0;
    this.lost = false;
    this.root = make("div", "ap-badge");
    this.spoken = this.root.appendChild(make("span", "ap-spoken"));
    this.spoken.setAttribute("role", "status");
    this.dot = this.root.appendChild(make("span", "ap-dot"));
    this.text = this.root.appendChild(make("span", "ap-badge-text"));
    this.detail = this.root.appendChild(make("span", "ap-badge-detail"));
    this.timer = setInterval(() => this.show(), 1000);
    this.stop = on(document, "alphapulse:connection", (/** @type {any} */ event) => {
      this.lost = event.detail.lost;
      this.show();
    });
    this.show();
  }

  /** @param {Status} status @param {boolean} [kept] it was kept, and may be old */
  take(status, kept = false) {
    this.status = status;
    this.receivedAt = kept ? Math.min(Date.now(), status.sent) : Date.now();
    this.show();
  }

  show() {
    const { status } = this;
    // Whether the kernel can be reached does not matter while a stream brings the data.
    const isLost = this.lost && status?.at && status.stream !== "open";
    const { state, text } = isLost ? LOST : judge(status, this.receivedAt, Date.now());
    this.root.dataset.state = state;
    setText(this.text, text);
    setText(this.spoken, state === "offline" && status?.fault ? text : state);
    if (!status?.at) return;
    const parts = [`updated ${clock(pageZone(), this.receivedAt)}`];
    if (status.newest !== null) {
      const age = (status.at - status.newest + Date.now() - this.receivedAt) / 1e3;
      parts.push(`data ${duration(Math.max(0, age))} old`);
    }
    setText(this.detail, parts.join(" · "));
  }

  destroy() {
    clearInterval(this.timer);
    this.stop();
  }
}
