/** Which notifications a page has seen, so that none arrives twice. */

/** Numbers that are remembered. */
const NUMBERS_KEPT = 5000;

export class Known {
  constructor() {
    /** @type {Set<number>} */
    this.numbers = new Set();
    /** Numbers up to this one count as seen. */
    this.floor = 0;
  }

  /** @param {number} id */
  has(id) {
    return id <= this.floor || this.numbers.has(id);
  }

  /** Whether it was seen. One of an old number may be new: what quiet hours kept is told at their end. @param {number} id */
  hasSeen(id) {
    return this.numbers.has(id);
  }

  /** @param {number[]} ids */
  add(ids) {
    for (const id of ids) this.numbers.add(id);
    if (this.numbers.size <= NUMBERS_KEPT) return;
    const kept = [...this.numbers].sort((a, b) => b - a).slice(0, NUMBERS_KEPT / 2);
    this.floor = Math.max(this.floor, kept[kept.length - 1]);
    this.numbers = new Set(kept);
  }
}
