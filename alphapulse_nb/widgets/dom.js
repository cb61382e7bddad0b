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

/** Set a text only when it changed. @param {HTMLElement} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Listen, and get what ends it. @param {EventTarget} target @param {string} kind @param {() => void} call */
export function on(target, kind, call) {
  target.addEventListener(kind, call);
  return () => target.removeEventListener(kind, call);
}
