/** Headline cards: one number each, with its unit in the text. */

import { deskOf } from "./desk.js";
import { make, setText } from "./dom.js";

/**
 * @typedef {{key: string, label: string, value: number | null, kind: string, tone: string,
 *   hint: string}} Card
 */

const decimals = (/** @type {number} */ digits) => new Intl.NumberFormat("en-GB", {
  minimumFractionDigits: digits, maximumFractionDigits: digits });
const CARD_KINDS = {
  rate: (/** @type {number} */ v) => `${signed(v * 100, 4)} %`,
  percent: (/** @type {number} */ v) => `${decimals(1).format(v * 100)} %`,
  money: (/** @type {number} */ v) => `${signed(v, Math.abs(v) >= 1000 ? 0 : 2)} USDT`,
  count: (/** @type {number} */ v) => decimals(0).format(v),
};

/** @param {number} value @param {number} digits */
function signed(value, digits) {
  const text = decimals(digits).format(Math.abs(value));
  if (value < 0) return `−${text}`;
  return value > 0 ? `+${text}` : text;
}

/** A card's value as text; a dash where there is none. @param {Card} card */
export function written(card) {
  if (card.value === null) return "–";
  const write = /** @type {Record<string, (v: number) => string>} */ (CARD_KINDS)[card.kind];
  return write ? write(card.value) : String(card.value);
}

export class Cards {
  /** @param {HTMLElement} el */
  constructor(el) {
    this.root = make("div", "ap ap-cards");
    el.replaceChildren(this.root);
    /** @type {Map<string, HTMLElement>} */
    this.cards = new Map();
    /** @type {Card[]} */
    this.shown = [];
    this.isBusy = false;
  }

  /** @param {Card[]} cards @param {boolean} busy */
  show(cards, busy) {
    this.shown = cards;
    this.isBusy = busy;
    if (cards.length !== this.cards.size || cards.some((card) => !this.cards.has(card.key))) {
      this.cards = new Map(cards.map((card) => [card.key, cardOf(card)]));
      this.root.replaceChildren(...this.cards.values());
    }
    for (const card of cards) {
      const node = /** @type {HTMLElement} */ (this.cards.get(card.key));
      node.dataset.tone = card.tone;
      node.dataset.key = card.key;
      node.dataset.value = String(card.value);
      node.title = card.hint;
      node.classList.toggle("ap-busy", busy);
      const [, number, hint] = /** @type {HTMLElement[]} */ ([...node.children]);
      setText(number, busy ? " " : written(card));
      setText(hint, card.hint);
    }
  }

  /** No numbers are to be had: those of the view stay, those of the one before do not. */
  fail() {
    if (this.isBusy) this.show(this.shown.map((card) => ({ ...card, value: null, tone: "plain" })), false);
  }
}

/** @param {Card} card */
function cardOf(card) {
  const node = make("div", "ap-card");
  node.append(make("span", "ap-card-label", card.label), make("strong", ""), make("span", "ap-card-hint"));
  return node;
}

/** Show a desk's cards. @param {import("./desk.js").Desk} desk @param {Cards} row */
export function followCards(desk, row) {
  return desk.follow("headline", (message) => {
    if (message.kind === "value") row.show(message.value, false);
    else if (message.kind === "fault") row.fail();
  }, () => row.show(row.shown, true));
}

export const cards = {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el }) {
    const row = new Cards(el);
    const desk = model.get("_feed_name") ? deskOf() : null;
    const show = () => {
      if (desk?.carrier !== "stream") row.show(model.get("_cards"), model.get("_busy"));
    };
    row.show(model.get("_cards"), true);
    const following = desk && followCards(desk, row);
    model.on("change:_cards", show);
    model.on("change:_busy", show);
    show();
    return () => {
      following?.close();
      model.off("change:_cards", show);
      model.off("change:_busy", show);
    };
  },
};
