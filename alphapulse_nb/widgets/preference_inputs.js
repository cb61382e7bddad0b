/** The inputs of the settings, one for each wish, and what may be typed into them. */

import { pressable } from "./dom.js";
import { Place, Toggle, choiceInput, lineInput } from "./form.js";
import { NOTICE_TYPES, PRIORITIES, capital } from "./notice.js";
import { SOUNDS, playSound } from "./sound.js";

const TYPE_WORDS = /** @type {Record<string, string>} */ ({
  info: "Information", success: "Success", warning: "Warnings", error: "Errors", prediction: "Predictions",
  signal: "Signals", backtest: "Backtests", system: "System",
});
/** What numbers may be: least, greatest, whether whole, and in words. */
const FIGURES = /** @type {Record<string, [number, number, boolean, string]>} */ ({
  min_confidence: [0, 100, false, "a number from 0 to 100"],
  min_rr_ratio: [0, 100, false, "a number from 0 to 100"],
  max_on_screen: [1, 1000, true, "a whole number from 1 to 1000"],
  auto_dismiss_seconds: [0, 3600, true, "a whole number from 0 to 3600"],
});

/** @param {string} name */
export const isFigure = (name) => name in FIGURES;

/**
 * The number that a text is, or what is wrong with it.
 * @param {string} name of a figure @param {string} text @returns {number | string}
 */
export function figureOf(name, text) {
  const [least, most, whole, words] = FIGURES[name];
  const given = text.trim().replace(/\s*%$/, "");
  const value = /^(\d+\.?\d*|\.\d+)$/.test(given) ? Number(given) : NaN;
  if (!(value >= least && value <= most) || (whole && !Number.isInteger(value))) return `It must be ${words}.`;
  return value;
}

/** The values of a group by their whole names. @param {string} group @param {Record<string, any>} values */
export const under = (group, values) => Object.fromEntries(Object.entries(values).map(([name, value]) => [`${group}.${name}`, value]));

/** An input for each wish, in the order in which they are kept. */
export function inputsOfWishes() {
  const figure = (/** @type {string} */ label, hint = "", unit = "") => {
    const place = new Place(label, lineInput({ inputMode: "decimal", className: "ap-input ap-figure" }), { hint });
    place.say(unit);
    return place;
  };
  const time = (/** @type {string} */ label) => new Place(label, lineInput({ type: "time" }));
  const zones = Intl.supportedValuesOf?.("timeZone") ?? [];
  const zone = choiceInput([["", "As in your account"], .../** @type {[string, string][]} */ (zones.map((name) => [name, name.replaceAll("_", " ")]))]);
  return {
    enabled: new Toggle("Notifications", "Off: you are told nothing. The history keeps everything."),
    ...under("types", Object.fromEntries(NOTICE_TYPES.map((name) => [name, new Toggle(TYPE_WORDS[name] ?? capital(name))]))),
    min_confidence: figure("Least confidence", "Of predictions and signals.", "%"),
    min_rr_ratio: figure("Least risk-reward ratio", "Of signals."),
    "quiet_hours.enabled": new Toggle("Quiet hours", "Only what is urgent is told; the rest comes as one digest at their end."),
    "quiet_hours.start": time("From"),
    "quiet_hours.end": time("To"),
    zone: new Place("Time zone", zone),
    max_on_screen: figure("Most at a time"),
    auto_dismiss_seconds: figure("Low priority leaves after", "0: it stays.", "s"),
    browser: new Toggle("Notifications of the browser", "Also while this page is in the background."),
    sound: new Toggle("Play sounds"),
    ...under("sounds", Object.fromEntries(PRIORITIES.map((name) => [name, soundChoice(name)]))),
  };
}

/** @param {string} priority */
function soundChoice(priority) {
  const place = new Place(capital(priority), choiceInput(["none", ...SOUNDS].map((name) => [name, capital(name)])));
  const play = pressable("Play", () => playSound(place.value), "ap-quiet");
  play.setAttribute("aria-label", `Play the sound of ${priority} priority`);
  place.row.append(play);
  return place;
}

/** A browser lists one name of each zone and knows the others, too. @param {HTMLSelectElement} input @param {string} zone */
export function knowZone(input, zone) {
  if (![...input.options].some((option) => option.value === zone)) input.add(new Option(zone, zone));
}
