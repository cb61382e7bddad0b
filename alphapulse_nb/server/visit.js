/**
 * What a page does when its connection breaks. It is part of the page itself and runs first.
 *
 * Jupyter's front end connects again by itself, for as long as the kernel is there. Where the kernel
 * is gone (the server was started anew, the page was away too long, the kernel died) only loading
 * the page again helps, and where the session has ended that leads to signing in.
 */

(() => {
  const AGAIN = 3e3;
  const PATIENCE = 30e3;
  const LAST = "alphapulse.loaded";
  let asking = false;

  /** @param {boolean} lost */
  const tell = (lost) =>
    document.dispatchEvent(new CustomEvent("alphapulse:connection", { detail: { lost } }));

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
    try {
      const answer = await fetch(address, { cache: "no-store", redirect: "manual" });
      if (answer.ok) tell(false);
      else if (answer.status === 404 || answer.status === 401) reload();
      else setTimeout(ask, AGAIN);
    } catch {
      tell(true);
      setTimeout(ask, AGAIN);
    } finally {
      asking = false;
    }
  };

  let leaving = false;
  addEventListener("pagehide", () => { leaving = true; });
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
      this.addEventListener("open", () => tell(false));
      this.addEventListener("close", () => setTimeout(ask, 200));
    }
  };
})();
