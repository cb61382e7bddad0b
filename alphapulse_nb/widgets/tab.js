/** What the tabs of the alerts drawer share. */

import { make, setText } from "./dom.js";

/**
 * What a tab is given by the drawer.
 * @typedef {{api: {ask: (name: string, values?: any, body?: any) => Promise<any>}, zone: () => string,
 *   person: {person: string, shared: boolean, role: string}, [more: string]: any}} TabContext
 */

/** Call now and then while the page is seen. @param {number} wait milliseconds @param {() => void} call */
export function whileSeen(wait, call) {
  const timer = setInterval(() => document.hidden || call(), wait);
  return () => clearInterval(timer);
}

/** A line that says what was done, or why it was not; it is read aloud. */
export class Said {
  /** @param {string} [tag] */
  constructor(tag = "p") {
    this.root = make(tag, "ap-said");
    this.root.setAttribute("role", "status");
  }

  /** @param {string} text @param {boolean} [isBad] */
  say(text, isBad = false) {
    this.failed = false;
    setText(this.root, text);
    this.root.classList.toggle("ap-bad-text", isBad);
  }

  /** Something was not done. @param {unknown} error */
  refuse(error) {
    this.say(/** @type {Error} */ (error).message, true);
  }

  /** Something could not be read, and will be tried again. @param {string} what @param {unknown} error */
  fail(what, error) {
    this.say(`${what} could not be read. ${/** @type {Error} */ (error).message}`, true);
    this.failed = true;
  }

  /** It can be read again: what failed is not said any longer. */
  recover() {
    if (this.failed) this.say("");
  }
}
