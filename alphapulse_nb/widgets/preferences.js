/** What each person wants to be told, and how a page shows it. Each change is kept at once. */

import { make, on, pressable } from "./dom.js";
import { section } from "./form.js";
import { capital } from "./notice.js";
import { figureOf, inputsOfWishes, isFigure, knowZone, under } from "./preference_inputs.js";
import { question } from "./question.js";
import { Said, whileSeen } from "./tab.js";
import { clock } from "./zone.js";

/**
 * @typedef {{enabled: boolean, types: Record<string, boolean>, min_confidence: number, min_rr_ratio: number,
 *   quiet_hours: {enabled: boolean, start: string, end: string}, max_on_screen: number,
 *   auto_dismiss_seconds: number, sounds: Record<string, string>, browser: boolean, sound: boolean,
 *   zone: string}} Wishes
 */

/** The tab; what is returned ends it. @param {HTMLElement} el @param {import("./tab.js").TabContext} context */
export function preferencesTab(el, context) {
  const tab = new PreferencesForm(el, context);
  return () => tab.destroy();
}

/** What a zone's clocks show now. @param {string} zone @param {number} now */
export const thereNow = (zone, now) => `${zone.replaceAll("_", " ")}; now ${clock(zone, now).slice(0, 5)} there`;

export class PreferencesForm {
  /** @param {HTMLElement} el @param {import("./tab.js").TabContext} context */
  constructor(el, context) {
    this.api = context.api;
    this.said = new Said();
    /** @type {Record<string, any>} each input by the name of its wish */
    this.inputs = inputsOfWishes();
    this.asking = pressable("Ask this browser", () => this.askBrowser(), "ap-quiet");
    this.inputs.browser.root.append(this.asking);
    this.root = make("div", "ap ap-tab-content ap-preferences");
    const { person, shared } = context.person;
    if (shared) {
      const words = `“${person}” is a name that several people may share: these settings are those of everybody who signs in this way.`;
      this.root.append(make("p", "ap-shared-note", words));
    }
    const foot = make("div", "ap-editor-bar");
    this.said.root.classList.add("ap-editor-status");
    foot.append(this.said.root, pressable("As by default", () => this.reset()));
    this.body = this.root.appendChild(make("div", ""));
    this.body.append(...this.sections());
    this.body.inert = true;
    this.root.append(foot);
    el.replaceChildren(this.root);
    this.stops = [
      on(this.root, "change", /** @type {any} */ ((/** @type {Event} */ event) => this.changed(event))),
      whileSeen(10e3, () => (this.body?.inert ? this.load() : this.follow())),
    ];
    this.load();
  }

  sections() {
    const { inputs } = this;
    const row = (/** @type {string} */ kind, /** @type {string[]} */ names) => {
      const made = make("div", kind);
      made.append(...names.map((name) => inputs[name].root));
      return made;
    };
    const named = (/** @type {string} */ group) => Object.keys(inputs).filter((name) => name.startsWith(`${group}.`));
    return [
      section("What is told", inputs.enabled.root, row("ap-types", named("types")),
        row("ap-places", ["min_confidence", "min_rr_ratio"])),
      section("Quiet hours", inputs["quiet_hours.enabled"].root,
        row("ap-places", ["quiet_hours.start", "quiet_hours.end"]), inputs.zone.root),
      section("On the screen", row("ap-places", ["max_on_screen", "auto_dismiss_seconds"]), inputs.browser.root),
      section("Sound", inputs.sound.root, row("ap-places ap-four", named("sounds"))),
    ];
  }

  async load() {
    try {
      this.show(await this.api.ask("preferences"));
      this.body.inert = false;
      this.said.recover();
    } catch (error) {
      this.said.fail("The settings", error);
    }
  }

  /** @param {Wishes} wishes */
  show(wishes) {
    if (this.isOver) return;
    const { types, sounds, quiet_hours: quiet, min_confidence: share, ...rest } = wishes;
    const per = Number((share * 100).toPrecision(12));
    const flat = { ...rest, min_confidence: per, ...under("types", types), ...under("sounds", sounds), ...under("quiet_hours", quiet) };
    for (const [name, value] of Object.entries(flat)) {
      const input = this.inputs[name];
      // What somebody is typing meanwhile stays.
      if (!input || input.input === document.activeElement) continue;
      if (name === "zone") knowZone(input.input, value);
      input.value = typeof value === "number" ? String(value) : value;
    }
    for (const input of Object.values(this.inputs)) input.complain();
    this.follow();
  }

  /** What depends on what is chosen, on the clock and on the browser. */
  follow() {
    const { inputs } = this;
    const zone = inputs.zone.value;
    inputs.zone.help(zone ? thereNow(zone, Date.now()) : "That of your account; without one it is UTC.");
    const isQuiet = inputs["quiet_hours.enabled"].value;
    for (const name of ["quiet_hours.start", "quiet_hours.end", "zone"]) inputs[name].input.disabled = !isQuiet;
    const refusal = inputs.browser.value ? browserRefusal() : "";
    inputs.browser.complain(refusal);
    this.asking.hidden = !inputs.browser.value || refusal !== "" || Notification.permission !== "default";
  }

  /** The wishes that the inputs hold; null where one is no such thing, which it then says. @returns {Wishes | null} */
  get wishes() {
    /** @type {any} */
    const wishes = {};
    let isRight = true;
    for (const [name, input] of Object.entries(this.inputs)) {
      const found = isFigure(name) ? figureOf(name, input.value) : input.value;
      const isTime = name.endsWith(".start") || name.endsWith(".end");
      const wrong = isFigure(name) && typeof found === "string" ? found : isTime && !found ? "It must be a time." : "";
      if (name !== "browser") input.complain(wrong);
      if (wrong) isRight = false;
      const [group, part] = name.split(".");
      if (part) (wishes[group] ??= {})[part] = found;
      else wishes[name] = name === "min_confidence" ? Number(found) / 100 : found;
    }
    return isRight ? wishes : null;
  }

  /** @param {Event} event */
  async changed(event) {
    const { browser } = this.inputs;
    if (event.target === browser.input && browser.value) await this.askBrowser();
    else await this.save();
  }

  /** Ask whether notifications may be shown; where they may not, they are off. */
  async askBrowser() {
    const { browser } = this.inputs;
    let refusal = browserRefusal();
    if (!refusal && Notification.permission === "default") {
      await Notification.requestPermission();
      refusal = browserRefusal() || (Notification.permission === "default" ? "This browser has not been allowed to show any." : "");
    }
    if (refusal) browser.value = false;
    else await this.save();
    this.follow();
    browser.complain(refusal);
  }

  /** Keep what is chosen; what is chosen while that goes on is kept after it. */
  async save() {
    this.follow();
    const wishes = this.wishes;
    if (!wishes) return this.said.say("Not saved: what is marked must be put right.", true);
    this.next = wishes;
    this.said.say("Saving…");
    if (this.isSaving) return;
    this.isSaving = true;
    try {
      while (this.next) {
        const wanted = this.next;
        this.next = null;
        await this.put(wanted);
      }
    } finally {
      this.isSaving = false;
    }
  }

  /** @param {Partial<Wishes>} wanted */
  async put(wanted) {
    try {
      const kept = await this.api.ask("prefer", {}, wanted);
      if (this.next) return; // What is kept is no longer what is shown.
      this.show(kept);
      this.said.say("Saved.");
    } catch (error) {
      const { message, field } = /** @type {any} */ (error);
      const input = this.inputs[field ?? /^[a-z_.]+/.exec(message)?.[0]];
      input?.complain(capital(message));
      this.said.say(`Not saved: ${message}`, true);
    }
  }

  async reset() {
    if (!(await question(this.root, "Set all settings as they are by default?", "Set"))) return;
    await this.put({});
  }

  destroy() {
    this.isOver = true;
    for (const stop of this.stops) stop();
  }
}

/** Why this browser shows no notifications; empty where it does, or may be asked. */
function browserRefusal() {
  if (!globalThis.isSecureContext) return "Browsers allow it on pages that come over https only; this one does not.";
  if (!globalThis.Notification) return "This browser knows no notifications.";
  if (Notification.permission === "denied") return "This browser refuses: allow notifications of this site in its settings.";
  return "";
}
