/**
 * A chart's data as the browser holds it: applies the snapshots and numbered patches that
 * `alphapulse_nb/feeds.py` writes. Knows no transport, no Jupyter and no Plotly.
 */

/**
 * @typedef {{type: "number" | "time" | "label", values: Float64Array | Int32Array,
 *   labels: any[]}} Column
 * @typedef {{attrs: Record<string, any>, columns: Record<string, Column>}} Trace
 */

export class FeedState {
  constructor() {
    this.seq = 0;
    /** @type {number | null} the latest moment on any x column, epoch milliseconds */
    this.newest = null;
    /** @type {Trace[]} */
    this.traces = [];
    /** @type {Record<string, any>} layout values by path */
    this.layout = {};
  }

  /**
   * Take in one message. False when a patch does not continue what is held: ask for a snapshot.
   * @param {any} header
   * @param {DataView | undefined} buffer
   */
  apply(header, buffer) {
    if (header.kind === "snapshot") {
      this.traces = header.traces.map((/** @type {any} */ trace) => ({
        attrs: trace.attrs,
        columns: mapValues(trace.columns, (record) => column(undefined, record, buffer)),
      }));
      this.layout = header.layout;
    } else if (header.base !== this.seq) {
      return false;
    } else {
      for (const [place, change] of Object.entries(header.traces ?? {})) {
        const trace = this.traces[Number(place)];
        merge(trace.attrs, change.attrs);
        for (const [path, record] of Object.entries(change.columns ?? {})) {
          trace.columns[path] = column(trace.columns[path], record, buffer);
        }
      }
      merge(this.layout, header.layout);
    }
    this.seq = header.seq;
    this.newest = header.newest;
    return true;
  }
}

/**
 * The values of a column as Plotly takes them, at the given rows or at all of them.
 * @param {Column} col
 * @param {Int32Array | null} rows
 */
export function plain(col, rows) {
  const picked = rows ? pick(col.values, rows) : col.values;
  if (col.type !== "label") return picked;
  return Array.from(picked, (code) => (code < 0 ? null : col.labels[code]));
}

/**
 * Nested objects from values by path (`{"a.b": 1}` to `{a: {b: 1}}`).
 * @param {Record<string, any>} flat
 */
export function nested(flat) {
  const tree = {};
  for (const [path, value] of Object.entries(flat)) put(tree, path, value);
  return tree;
}

/** @param {any} tree @param {string} path @param {any} value */
export function put(tree, path, value) {
  const keys = path.split(".");
  if (keys.some((key) => key === "__proto__" || key === "constructor")) return;
  let node = tree;
  for (const key of keys.slice(0, -1)) node = node[key] ??= {};
  node[/** @type {string} */ (keys.at(-1))] = value;
}

/** @param {any} values @param {Int32Array} rows */
function pick(values, rows) {
  const out = new values.constructor(rows.length);
  for (let i = 0; i < rows.length; i += 1) out[i] = values[rows[i]];
  return out;
}

/**
 * A column from its record: whole, or the kept part of the old one with new rows after it.
 * @param {Column | undefined} old @param {any} record @param {DataView | undefined} buffer
 * @returns {Column}
 */
function column(old, record, buffer) {
  const Kind = record.type === "label" ? Int32Array : Float64Array;
  const fresh = new Kind(record.size);
  if (record.size && buffer) {
    const start = buffer.byteOffset + record.at;
    const bytes = buffer.buffer.slice(start, start + record.size * Kind.BYTES_PER_ELEMENT);
    fresh.set(new Kind(bytes));
  }
  let labels = old?.labels ?? [];
  if (record.labels) labels = labels.slice(0, record.from).concat(record.labels);
  if (record.keep === undefined || !old) return { type: record.type, values: fresh, labels };
  const values = new Kind(record.keep + record.size);
  values.set(old.values.subarray(record.drop, record.drop + record.keep));
  values.set(fresh, record.keep);
  return { type: record.type, values, labels };
}

/** @param {Record<string, any>} held @param {Record<string, any> | undefined} change */
function merge(held, change) {
  for (const [path, value] of Object.entries(change ?? {})) {
    if (value === null) delete held[path];
    else held[path] = value;
  }
}

/** @template T, U @param {Record<string, T>} record @param {(value: T) => U} change */
function mapValues(record, change) {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));
}
