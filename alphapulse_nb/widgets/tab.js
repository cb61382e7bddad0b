/** What the tabs of the alerts drawer share. */

import { make, setText } from "./dom.js";

/**
 * What a tab is given by the drawer.
 * @typedef {{api: {ask: (name: string, values?: any, body?: any) => Promise<any>}, zone: () => string,
 *   person: {person: string, shared: boolean, role: string}, [more: string]: any}} TabContext
 */

/** Whether somebody may change what all share. @param {{role: string}} person */
export const mayOperate = (person) => person.role === "operator" || person.role === "admin";

/** Call now and then while the page is seen. @param {number} wait milliseconds @param {() => void} call */
export function whileSeen(wait, call) {
  const timer = setInterval(() => document.hidden || call(), wait);
  return () => clearInterval(timer);
}

/** Put rows into a list, and move only what moved, so that the focus stays. @param {HTMLElement} list @param {HTMLElement[]} rows */
export function placeRows(list, rows) {
  for (const row of [...list.children]) if (!rows.includes(/** @type {HTMLElement} */ (row))) row.remove();
  rows.forEach((row, place) => {
    if (list.children[place] !== row) list.insertBefore(row, list.children[place] ?? null);
  });
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
