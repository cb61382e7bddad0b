/** What a viewer chose, kept by the page. */

import { NO_SYMBOL } from "./dom.js";

/**
 * Where the choices live: a kernel's model, or the page itself.
 * @typedef {{get: (name: string) => any, set: (name: string, value: any) => void,
 *   watch: (names: string[], call: () => void) => () => void}} Choices
 */

/** What a viewer chooses, and what the page is given. */
const CHOSEN = ["symbol", "span", "every", "paused"];
const GIVEN = ["spans", "symbols", "notice", "person", "zone"];

/** Choices kept by the page. @implements {Choices} */
export class OwnChoices {
  /** @param {Record<string, any>} values */
  constructor(values) {
    this.values = values;
    /** @type {Set<{names: string[], call: () => void}>} */
    this.watchers = new Set();
  }

  /** @param {string} name */
  get(name) {
    return this.values[name];
  }

  /** @param {string} name @param {any} value */
  set(name, value) {
    if (this.values[name] === value) return;
    this.values[name] = value;
    for (const { names, call } of [...this.watchers]) if (names.includes(name)) call();
  }

  /** @param {string[]} names @param {() => void} call */
  watch(names, call) {
    const watcher = { names, call };
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }
}

/**
 * Keep the page's choices and a kernel's equal, whoever changes them. What the kernel holds counts at
 * first, unless it holds nothing yet.
 * @param {OwnChoices} own @param {Choices} kernel
 */
export function mirror(own, kernel) {
  const take = (/** @type {string} */ name) => {
    const value = kernel.get(name);
    if (value !== NO_SYMBOL && !(name === "symbols" && !value.length)) own.set(name, value);
  };
  const give = (/** @type {string} */ name) => {
    if (kernel.get(name) !== own.get(name)) kernel.set(name, own.get(name));
  };
  for (const name of [...GIVEN, ...CHOSEN]) take(name);
  for (const name of CHOSEN) give(name);
  const stops = [
    ...[...GIVEN, ...CHOSEN].map((name) => kernel.watch([name], () => take(name))),
    ...CHOSEN.map((name) => own.watch([name], () => give(name))),
  ];
  return () => stops.forEach((stop) => stop());
}
