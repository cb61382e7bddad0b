/** A channel being added or changed. What is kept of its address and secret never comes here. */

import { SIGNED_KIND, exampleOf, kindLabel } from "./channel_kinds.js";
import { Place, Toggle, choiceInput, lineInput } from "./form.js";
import { make, pressable } from "./dom.js";
import { capital } from "./notice.js";

/**
 * @typedef {{name: string, kind: string, masked: string, enabled: boolean, watch: boolean, version: number,
 *   changed_at: string, changed_by: string, error: string}} KeptChannel
 * @typedef {{name: string, address: string, secret: string, enabled: boolean, watch: boolean}} WantedChannel
 */

export class ChannelForm {
  /**
   * @param {KeptChannel | null} kept @param {string[]} kinds
   * @param {{save: (wanted: WantedChannel) => Promise<void>, cancel: () => void}} acts `save` rejects
   *   with what is wrong
   */
  constructor(kept, kinds, acts) {
    this.kept = kept;
    this.acts = acts;
    const all = [...new Set([...kinds, SIGNED_KIND])];
    this.kind = new Place("Kind", choiceInput(all.map((name) => [name, kindLabel(name)])));
    this.kind.value = kept?.kind || all[0];
    this.name = new Place("Name", lineInput(kept ? { value: kept.name, readOnly: true } : { placeholder: "desk" }), {
      hint: kept ? "" : "Rules name it so." });
    this.address = secretPlace("Address", "");
    this.secret = secretPlace("Secret", kept ? "16 characters or more. Empty: the one that is kept, unless the address is new." : "16 characters or more; what is sent is signed with it.");
    this.enabled = new Toggle("Enabled");
    this.watch = new Toggle("Also told when nobody evaluates the rules");
    this.enabled.value = kept?.enabled ?? true;
    this.watch.value = kept?.watch ?? true;
    this.note = make("p", "ap-bad-text");
    this.note.setAttribute("role", "alert");
    this.root = make("form", "ap-channel-form");
    this.root.setAttribute("aria-label", kept ? `Change the channel ${kept.name}` : "Add a channel");
    this.saving = pressable(kept ? "Save" : "Add", () => this.save(), "ap-button ap-strong");
    this.saving.type = "submit";
    this.saving.onclick = null;
    this.root.append(...this.content());
    this.root.onsubmit = (event) => {
      event.preventDefault();
      this.save();
    };
    this.kind.input.onchange = () => this.follow();
    this.follow();
  }

  content() {
    const pair = make("div", "ap-places");
    pair.append(this.name.root, this.kind.root);
    const toggles = make("div", "ap-places");
    toggles.append(this.enabled.root, this.watch.root);
    const row = make("div", "ap-actions");
    row.append(pressable("Cancel", () => this.acts.cancel()), this.saving);
    return [pair, this.address.root, this.secret.root, toggles, this.note, row];
  }

  follow() {
    const kind = this.kind.value;
    const example = exampleOf(kind);
    this.address.help([this.kept ? "Empty: the one that is kept." : "", example && `Such as ${example}`].filter(Boolean).join(" "));
    this.secret.root.hidden = kind !== SIGNED_KIND;
  }

  focus() {
    (this.kept ? this.address : this.name).focus();
  }

  async save() {
    if (this.isSaving) return;
    for (const place of [this.name, this.address, this.secret]) place.complain();
    this.note.textContent = "";
    const name = this.name.value.trim();
    if (!name) return this.wrong(this.name, "It is missing.");
    if (!this.kept && !this.address.value.trim()) return this.wrong(this.address, "It is missing.");
    this.isSaving = true;
    const secret = this.secret.root.hidden ? "" : this.secret.value;
    try {
      await this.acts.save({
        name, address: this.address.value.trim(), secret, enabled: this.enabled.value, watch: this.watch.value });
    } catch (error) {
      this.refused(/** @type {any} */ (error));
    } finally {
      this.isSaving = false;
    }
  }

  /** @param {Place} place @param {string} text */
  wrong(place, text) {
    place.complain(text);
    place.focus();
  }

  /** @param {{code?: string, message: string}} error */
  refused({ code, message }) {
    const about = /\bsecret\b/.test(message) && !this.secret.root.hidden ? this.secret
      : /\bname\b/.test(message) && !/\baddress\b/.test(message) ? this.name : this.address;
    if (code === "bad_parameter" || code === "bad_request") this.wrong(about, capital(message));
    else this.note.textContent = message;
  }
}

/** A place for what nobody may read over a shoulder, unless that is wanted. @param {string} label @param {string} hint */
function secretPlace(label, hint) {
  // No browser shall offer a kept password here, nor keep what is typed.
  const place = new Place(label, lineInput({ type: "password", autocomplete: "new-password" }), { hint });
  const show = pressable("Show", () => {
    const hides = place.input.type === "text";
    place.input.type = hides ? "password" : "text";
    show.textContent = hides ? "Show" : "Hide";
    show.setAttribute("aria-pressed", String(!hides));
  }, "ap-quiet");
  show.setAttribute("aria-label", `Show what is typed as ${label.toLowerCase()}`);
  show.setAttribute("aria-pressed", "false");
  place.row.append(show);
  return place;
}
