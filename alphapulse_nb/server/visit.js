/**
 * What a page does when its connection breaks. It is part of the page itself and runs first.
 *
 * Jupyter's front end connects again by itself, for as long as the kernel is there. Where the kernel
 * is gone (the server was started anew, the page was away too long, the kernel died) only loading
 * the page again helps, and where the session has ended that leads to signing in.
 *
 * A connection may also be lost without a word: something on the way forgot it, and the browser never
 * learns. The server does, as its pings find no answer. So a page that hears nothing for a while asks
 * whether the server still counts it as connected.
 *
 * Voila's front end says good-bye to the kernel as soon as somebody wants to leave, also where they
 * are asked and stay. So it is said once nobody has objected; and until the next page is there, this
 * one does not miss its kernel.
 */

(() => {
  const AGAIN = 3e3;
  const PATIENCE = 30e3;
  const SILENCE = 20e3;
  const ANSWER = 5e3;
  const KEPT = 6;
  const LAST = "alphapulse.loaded";
  const FAREWELL = "voila/api/shutdown/";
  let asking = false;
  /** @type {WebSocket | null} */
  let socket = null;
  /** When something was last heard from the kernel, or asked of the server. */
  let heard = 0;
  /** Questions in a row that found no answer in time. */
  let missed = 0;

  /** @param {boolean} lost @param {boolean} [anew] what was under way may not have arrived */
  const tell = (lost, anew = false) =>
    document.dispatchEvent(new CustomEvent("alphapulse:connection", { detail: { lost, anew } }));

  const kernel = () => {
    const config = document.getElementById("jupyter-config-data")?.textContent;
    if (!config) return null;
    const { baseUrl, kernelId } = JSON.parse(config);
    return `${baseUrl}api/kernels/${kernelId}`;
  };

  /** Load the page again; not twice in a row, which would hide what is wrong behind a flicker. */
  const reload = () => {
    const last = Number(sessionStorage.getItem(LAST));
    const wait = last + PATIENCE - Date.now();
    if (wait > 0) return void setTimeout(ask, Math.min(wait, PATIENCE));
    sessionStorage.setItem(LAST, String(Date.now()));
    location.reload();
  };

  const ask = async () => {
    const address = kernel();
    if (asking || !address || leaving) return;
    asking = true;
    heard = Date.now();
    const held = socket;
    const signal = AbortSignal.timeout(ANSWER);
    const request = () => fetch(address, { cache: "no-store", redirect: "manual", signal });
    try {
      // The browser asks over connections that it has kept. When one turns out to be dead, so are
      // the others, most likely: all are tried at once, and then it makes a new one.
      const answer = await Promise.any(Array.from({ length: missed === 1 ? KEPT : 1 }, request));
      missed = 0;
      if (answer.ok) found(await answer.json(), held);
      else if (answer.status === 404 || answer.status === 401) reload();
      else setTimeout(ask, AGAIN);
    } catch {
      missed = signal.aborted ? missed + 1 : 0;
      tell(true);
      setTimeout(ask, missed === 1 ? 0 : AGAIN);
    } finally {
      asking = false;
    }
  };

  /**
   * The kernel is there. Where the server holds no connection to this page, but the page believes in
   * one, Jupyter's front end is told that it has closed: it makes another.
   * @param {{connections: number}} kernel @param {WebSocket | null} held when it was asked
   */
  const found = ({ connections }, held) => {
    tell(false);
    if (connections || held !== socket || held?.readyState !== WebSocket.OPEN) return;
    held.dispatchEvent(new CloseEvent("close"));
  };

  setInterval(() => {
    if (socket?.readyState === WebSocket.OPEN && Date.now() - heard > SILENCE) ask();
  }, AGAIN);

  /** Voila's good-bye, until it is said. @type {((event: Event) => void) | null} */
  let farewell = null;
  const listen = window.addEventListener;
  /** @type {typeof listen} */
  window.addEventListener = (/** @type {string} */ type, /** @type {any} */ call, /** @type {any} */ options) => {
    if (type === "beforeunload" && String(call).includes(FAREWELL)) farewell = call;
    else listen.call(window, type, call, options);
  };

  let leaving = false;
  const leave = (/** @type {Event} */ event) => {
    leaving = true;
    farewell?.(event);
    farewell = null;
  };
  // Later, when everybody has been asked who may object.
  addEventListener("beforeunload", (event) => setTimeout(() => {
    if (event.defaultPrevented) return;
    leave(event);
    // Where nothing came of it, the page is still here.
    setTimeout(() => {
      leaving = false;
      ask();
    }, PATIENCE);
  }));
  addEventListener("pagehide", leave);
  addEventListener("pageshow", (event) => {
    leaving = false;
    // A page that the browser kept for its "back" button has said good-bye to its kernel.
    if (event.persisted) ask();
  });
  addEventListener("online", ask);
  addEventListener("offline", () => tell(true));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) ask(); });

  window.WebSocket = class extends WebSocket {
    /** @param {string | URL} url @param {string | string[]} [protocols] */
    constructor(url, protocols) {
      super(url, protocols);
      if (!String(url).includes("/api/kernels/")) return;
      socket = this;
      this.addEventListener("open", () => {
        heard = Date.now();
        // Later, when Jupyter's front end has noticed too.
        setTimeout(() => tell(false, true));
      });
      this.addEventListener("message", () => { heard = Date.now(); });
      this.addEventListener("close", () => setTimeout(ask, 200));
    }
  };
})();
