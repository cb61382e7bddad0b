/** The bell in the head: how many notifications are unread, and the way to them. */

import { make, on, ownPage, page, setText } from "./dom.js";
import { counted } from "./notice.js";

export class Bell {
  /** @param {() => void} changed called when the number has changed */
  constructor(changed) {
    this.changed = changed;
    this.unread = 0;
    this.root = /** @type {HTMLButtonElement} */ (make("button", "ap-button ap-bell"));
    this.root.type = "button";
    this.root.setAttribute("aria-haspopup", "dialog");
    this.root.onclick = () => this.press();
    this.number = make("span", "ap-bell-number");
    this.root.append(make("span", "ap-bell-picture"), this.number);
    this.stops = [on(document, "alphapulse:attention", () => this.follow())];
    this.follow();
  }

  /** Follow whatever the page has now of notifications. */
  follow() {
    this.unwatch?.();
    const attention = /** @type {import("./attention.js").Attention | undefined} */ (page.attention);
    this.unwatch = attention?.notices.watch(() => this.show());
    // On a page of our own there will be one, and nothing in the head shall jump.
    this.root.hidden = !attention && !ownPage();
    this.root.disabled = !attention;
    this.show();
  }

  press() {
    page.attention?.toggle();
  }

  show() {
    const unread = page.attention?.notices.summary.unread ?? 0;
    const words = unread ? `Notifications, ${counted(unread, "unread", "unread")}` : "Notifications";
    setText(this.number, unread > 99 ? "99+" : String(unread));
    this.number.hidden = !unread;
    this.root.title = `${words} (n)`;
    this.root.setAttribute("aria-label", words);
    if (unread === this.unread) return;
    this.unread = unread;
    this.changed();
  }

  destroy() {
    this.unwatch?.();
    for (const stop of this.stops) stop();
  }
}
