/**
 * What every page has of notifications, once: the model, the toasts, and the drawer with the history,
 * the rules and the settings. The drawer is a script of its own, which is loaded when it is opened
 * first: by its address where our server made the page, through the comm elsewhere.
 */

import { Api, ApiError, CommApi } from "./api.js";
import { page, pageZone } from "./dom.js";
import { Notices } from "./notices.js";
import { Toasts } from "./toasts.js";

/**
 * @typedef {{tab?: string, id?: number}} Place a tab, and in the history a notification
 * @typedef {{open: (place: Place, opener: Element | null) => void, close: () => void, isOpen: boolean, destroy: () => void}} DrawerHere
 * @typedef {{drawer: (attention: Attention) => DrawerHere}} DrawerScript
 */

/** How long a kernel may take to send the drawer's script. */
const SCRIPT_WITHIN = 30e3;

export class Attention {
  /**
   * @param {Api | CommApi} api @param {import("./stream.js").Stream | null} stream
   * @param {(attempt: number) => Promise<DrawerScript>} load
   */
  constructor(api, stream, load) {
    this.api = api;
    this.load = load;
    this.attempts = 0;
    this.zone = pageZone;
    this.notices = new Notices(api, stream);
    this.toasts = new Toasts(this);
    /** @type {DrawerHere | null} */
    this.drawer = null;
  }

  /** Open the drawer. A page for a wall has none. @param {Place} [place] where; else as it was last */
  async open(place = {}) {
    if (document.body.classList.contains("ap-kiosk")) return;
    const opener = document.activeElement;
    try {
      this.loading ??= this.load((this.attempts += 1));
      this.drawer ??= (await this.loading).drawer(this);
    } catch (error) {
      this.loading = undefined;
      this.toasts.say("The notifications could not be opened", String(/** @type {Error} */ (error).message));
      return;
    }
    this.drawer.open(place, opener);
  }

  toggle() {
    if (this.drawer?.isOpen) this.drawer.close();
    else this.open();
  }

  close() {
    this.notices.close();
    this.toasts.close();
    this.drawer?.destroy();
  }
}

/** That of a page of our server. @param {import("./stream.js").Stream} stream @returns {Attention} */
export function attendStream(stream) {
  if (!page.attention) announce(new Attention(new Api(stream.address), stream, importDrawer));
  return page.attention;
}

/** @type {WeakMap<Attention, {model: any, views: number}>} */
const attending = new WeakMap();

/**
 * That of a notebook, through one of its widgets, and what gives it back; null where another widget
 * of the page has it already. @param {any} model
 */
export function attendKernel(model) {
  if (!page.attention) {
    const made = new Attention(new CommApi(model), null, () => drawerThrough(model));
    attending.set(made, { model, views: 0 });
    announce(made);
  }
  const attention = /** @type {Attention} */ (page.attention);
  const held = attending.get(attention);
  if (held?.model !== model) return null;
  held.views += 1;
  const leave = () => {
    held.views -= 1;
    if (held.views) return;
    attention.close();
    announce(undefined);
  };
  return { attention, leave };
}

/** Let those know who began without it. @param {Attention | undefined} attention */
function announce(attention) {
  page.attention = attention;
  document.dispatchEvent(new Event("alphapulse:attention"));
}

/** @param {number} attempt @returns {Promise<DrawerScript>} */
function importDrawer(attempt) {
  const link = /** @type {HTMLLinkElement | null} */ (document.querySelector('link[data-alphapulse="drawer"]'));
  if (!link) throw new ApiError({ message: "This page has no script for it." });
  // A browser may remember that an address could not be loaded.
  return import(attempt > 1 ? `${link.href}?${attempt}` : link.href).catch(() => {
    throw new ApiError({ message: "The server cannot be reached. Try again in a moment." });
  });
}

/** @param {any} model @returns {Promise<DrawerScript>} */
async function drawerThrough(model) {
  const code = await new Promise((resolve, reject) => {
    const take = (/** @type {any} */ said, /** @type {DataView[]} */ buffers) => {
      if (said.kind === "drawer") end(() => resolve(buffers[0]));
    };
    const end = (/** @type {() => void} */ then) => {
      clearTimeout(timer);
      model.off("msg:custom", take);
      then();
    };
    const silent = new ApiError({ message: "The kernel did not answer in time." });
    const timer = setTimeout(() => end(() => reject(silent)), SCRIPT_WITHIN);
    model.on("msg:custom", take);
    model.send({ kind: "drawer" });
  });
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}
