/**
 * The periods in which alerts fired, for the charts that show what their rules read. A page with a
 * stream follows them once, however many its charts; elsewhere, and while the stream is lost, each
 * chart has them of its kernel.
 */

/**
 * @typedef {import("./desk.js").Desk} Desk
 * @typedef {{key: string, charts: string[], symbol: string | null, rule: string, title: string,
 *   reason: string, priority: "low" | "medium" | "high" | "urgent", from: number,
 *   to: number | null, by: string | null}} Period times in epoch milliseconds; `to` is null while it
 *   fires, `by` until somebody acknowledges it
 * @typedef {{list: () => Period[], watch: (call: () => void) => () => void}} Shades what one chart
 *   shows; `watch` calls when that is another list
 */

/** @type {WeakMap<Desk, Firing>} */
const firings = new WeakMap();

/** What the stream brings, for all charts of a page. */
class Firing {
  /** @param {Desk} desk */
  constructor(desk) {
    this.desk = desk;
    /** @type {Period[]} */
    this.periods = [];
    /** Which view they are of, so that none of another one is shown. */
    this.view = "";
    /** @type {Set<() => void>} */
    this.watchers = new Set();
    this.tell = () => this.watchers.forEach((call) => call());
  }

  /** @param {() => void} call */
  watch(call) {
    if (!this.watchers.size) this.begin();
    this.watchers.add(call);
    return () => {
      this.watchers.delete(call);
      if (!this.watchers.size) this.end();
    };
  }

  begin() {
    this.following = this.desk.follow("firing", (message) => {
      if (message.kind !== "value") return; // a beat; or a fault, which the charts have, too
      this.periods = message.value;
      this.view = viewName({ symbol: message.feed[1], span: message.feed[2] });
      this.tell();
    });
    this.desk.watchers.add(this.tell);
  }

  end() {
    this.following?.close();
    this.desk.watchers.delete(this.tell);
  }

  /** @param {string} chart */
  of(chart) {
    const { view } = this.desk;
    if (!view || viewName(view) !== this.view) return [];
    return this.periods.filter((period) => period.charts.includes(chart));
  }
}

/** @param {{symbol: string, span: string}} view */
const viewName = ({ symbol, span }) => `${symbol} ${span}`;

/**
 * What a chart of the catalog shows on a page with a stream. @param {Desk} desk
 * @param {string} chart its name @param {Shades} [kernel] who stands in for the stream
 * @returns {Shades}
 */
export function streamShades(desk, chart, kernel) {
  const firing = firings.get(desk) ?? new Firing(desk);
  firings.set(desk, firing);
  const list = () => (desk.carrier === "stream" || !kernel ? firing.of(chart) : kernel.list());
  return telling(list, (call) => {
    const stops = [firing.watch(call), kernel?.watch(call)];
    return () => stops.forEach((stop) => stop?.());
  });
}

/** What the kernel of a chart has for it. @param {any} model @returns {Shades} */
export function kernelShades(model) {
  return telling(() => model.get("_periods") ?? [], (call) => {
    model.on("change:_periods", call);
    return () => model.off("change:_periods", call);
  });
}

/**
 * Tell only of another list: what is the same must draw nothing. @param {() => Period[]} list
 * @param {(call: () => void) => () => void} watch @returns {Shades}
 */
function telling(list, watch) {
  return {
    list,
    watch: (call) => {
      let known = JSON.stringify(list());
      return watch(() => {
        const found = JSON.stringify(list());
        if (found === known) return;
        known = found;
        call();
      });
    },
  };
}
