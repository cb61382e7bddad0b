/** What all our scripts on a page share: small helpers, the viewer's zone, the theme. */

import { zoneOf } from "./zone.js";

/** The state that belongs to the page and not to one widget. */
export const page = (globalThis.__alphapulse ??= {});

/** The zone in which this page shows times. */
export const pageZone = () => zoneOf(page.zone ?? "local");

/** What stands for the symbol until one is known. */
export const NO_SYMBOL = "–";

/** Whether the page is ours alone, so that its address, title and theme are ours to change. */
export const ownPage = () => document.body.dataset.alphapulse === "page";

/** Whether the page is dark: what Jupyter's theme says, else what the system prefers. */
export function isDark() {
  const theme = document.body.dataset.jpThemeLight;
  if (theme !== undefined) return theme === "false";
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** A length of time in the largest unit that fits. @param {number} seconds */
export function duration(seconds) {
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

/** An element with a class and a text (never HTML). @param {string} tag @param {string} kind @param {string} [text] */
export function make(tag, kind, text) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== undefined) node.textContent = text;
  return node;
}

/** A button. @param {string} text @param {() => void} press @param {string} [kind] */
export function pressable(text, press, kind = "ap-button") {
  const button = /** @type {HTMLButtonElement} */ (make("button", kind, text));
  button.type = "button";
  button.onclick = press;
  return button;
}

/** Set a text only when it changed. @param {HTMLElement} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Have these children and no others, in this order. One by one: what stays in its place keeps the focus
 * and is not read aloud again. @param {HTMLElement} parent @param {HTMLElement[]} wanted
 */
export function arrange(parent, wanted) {
  const kept = new Set(wanted);
  for (const node of [...parent.children]) if (!kept.has(/** @type {HTMLElement} */ (node))) node.remove();
  wanted.forEach((node, place) => {
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
  });
}

/** Listen, and get what ends it. @param {EventTarget} target @param {string} kind @param {() => void} call */
export function on(target, kind, call) {
  target.addEventListener(kind, call);
  return () => target.removeEventListener(kind, call);
}

/**
 * Call before the next frame, or within a tenth of a second where none is drawn, as in a hidden tab.
 * @param {() => void} call @returns {() => void} what takes it back
 */
export function soon(call) {
  const once = () => {
    stop();
    call();
  };
  const frame = requestAnimationFrame(once);
  const timer = setTimeout(once, 100);
  const stop = () => {
    cancelAnimationFrame(frame);
    clearTimeout(timer);
  };
  return stop;
}

/** What this browser remembers under a name. @param {string} key */
export function stored(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // storage is blocked: a choice lives as long as the page
  }
}

/** @param {string} key @param {string} value */
export function store(key, value) {
  try {
    localStorage.setItem(key, value);
  } catch {
    // storage is blocked: the choice lives as long as the page
  }
}
