/** How somebody who looks elsewhere is called: by a sound, and by the browser's own notifications. */

import { rankOf } from "./notice.js";
import { playSound, soundOf } from "./sound.js";

/** @typedef {import("./notice.js").Notice} Notice */

/** A sound that is for nothing more urgent than the last one waits that long. */
const SOUND_REST = 3e3;

export class Caller {
  /** @param {import("./attention.js").Attention} attention */
  constructor(attention) {
    this.attention = attention;
    /** When the last sound was played, and for which rank of priority. */
    this.rangAt = 0;
    this.rangFor = 0;
  }

  /** One sound for all that comes together, unless something more urgent follows. @param {Notice[]} found */
  ring(found) {
    const rank = Math.max(...found.map(({ priority }) => rankOf(priority)));
    const now = Date.now();
    if (now - this.rangAt < SOUND_REST && rank <= this.rangFor) return;
    this.rangAt = now;
    this.rangFor = rank;
    playSound(soundOf(found, /** @type {any} */ (this.attention.notices.preferences)));
  }

  /** Tell somebody who does not see the page. @param {Notice} notice */
  knock(notice) {
    if (!document.hidden || !this.attention.notices.preferences.browser) return;
    if (globalThis.Notification?.permission !== "granted") return;
    try {
      const shown = new Notification(notice.title, { body: notice.message, tag: notice.key });
      shown.onclick = () => {
        window.focus();
        shown.close();
        this.attention.open({ tab: "history", id: notice.id });
      };
    } catch {
      // Some browsers allow that to workers only; the toast is there all the same.
    }
  }
}
