/** Keys for those who have them: a list of all under `?`. */

import { make, on } from "./dom.js";

/** Where keys are for what is written or chosen there. */
const TYPED_INTO = "input:not([type=radio], [type=checkbox], [type=button]), select, textarea, [contenteditable]";

/** @typedef {{keys: string, text: string, press: (key: string) => void}} Shortcut */

/**
 * Listen for keys. @param {import("./controls.js").Choices} choices
 * @param {import("./controls.js").Controls} controls
 */
export function startShortcuts(choices, controls) {
  const spans = () => choices.get("spans");
  const help = helpDialog();
  /** @type {Shortcut[]} */
  const all = [
    { keys: "[ ]", text: "symbol before, after", press: (key) => controls.step(key === "]" ? 1 : -1) },
    { keys: "s", text: "choose a symbol", press: () => controls.symbol.focus() },
    { keys: `1–${spans().length}`, text: `range: ${spans().join(", ")}`, press: (key) => controls.choose("span", spans()[Number(key) - 1]) },
    { keys: "p", text: "pause, resume", press: () => choices.set("paused", !choices.get("paused")) },
    { keys: "n", text: "notifications", press: () => controls.bell.press() },
    { keys: "t", text: "light, dark", press: () => controls.switchTheme() },
    { keys: "k", text: "kiosk: without controls", press: () => document.body.classList.toggle("ap-kiosk") },
    { keys: "f", text: "full screen", press: fullScreen },
    { keys: "?", text: "this list", press: () => (help.open ? help.close() : help.showModal()) },
  ];
  help.append(listOf(all));
  document.body.append(help);
  return on(document, "keydown", (/** @type {any} */ event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest?.(TYPED_INTO)) return;
    const isSpan = /^[1-9]$/.test(event.key) && Number(event.key) <= spans().length;
    const found = all.find(({ keys }) => (isSpan ? keys.startsWith("1") : keys.split(" ").includes(event.key)));
    const isBehind = document.querySelector("dialog:modal") && !(help.open && event.key === "?");
    if (!found || isBehind) return;
    event.preventDefault();
    found.press(event.key);
  });
}

function helpDialog() {
  const dialog = /** @type {HTMLDialogElement} */ (make("dialog", "ap ap-help"));
  dialog.setAttribute("aria-label", "Keyboard shortcuts");
  dialog.append(make("h2", "", "Keyboard shortcuts"));
  dialog.onclick = (event) => {
    if (event.target === dialog) dialog.close();
  };
  return dialog;
}

/** @param {Shortcut[]} all */
function listOf(all) {
  const list = make("dl", "");
  for (const { keys, text } of all) {
    const term = make("dt", "");
    term.append(...keys.split(" ").map((key) => make("kbd", "", key)));
    list.append(term, make("dd", "", text));
  }
  return list;
}

function fullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {});
}
