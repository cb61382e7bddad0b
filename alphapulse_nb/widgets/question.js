/** A question that must be answered before anything else goes on. */

import { make, pressable } from "./dom.js";

/**
 * Ask, and get whether the answer was yes. Escape is no; the focus goes back to where it was.
 * @param {HTMLElement} el where the question lives @param {string} text @param {string} yes
 * @param {string} [no] @returns {Promise<boolean>}
 */
export function question(el, text, yes, no = "Cancel") {
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  const dialog = /** @type {HTMLDialogElement} */ (make("dialog", "ap ap-question"));
  dialog.setAttribute("role", "alertdialog");
  dialog.setAttribute("aria-label", text);
  return new Promise((answer) => {
    const end = (/** @type {boolean} */ said) => {
      dialog.remove();
      before?.focus?.();
      answer(said);
    };
    const row = make("div", "ap-actions");
    const refuse = pressable(no, () => end(false));
    row.append(refuse, pressable(yes, () => end(true), "ap-button ap-strong"));
    dialog.append(make("p", "", text), row);
    dialog.onkeydown = (event) => {
      // What listens for keys behind the question is not meant.
      event.stopPropagation();
      if (event.key !== "Escape") return;
      event.preventDefault();
      end(false);
    };
    dialog.oncancel = (event) => {
      event.preventDefault();
      end(false);
    };
    el.append(dialog);
    dialog.showModal();
    refuse.focus();
  });
}
