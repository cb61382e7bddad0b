/** The ways by which notifications leave the house: for operators to add, change, try and remove. */

import { ChannelForm } from "./channel_form.js";
import { kindLabel } from "./channel_kinds.js";
import { DeliveryList } from "./delivery_list.js";
import { arrange, make, pressable, setText } from "./dom.js";
import { Toggle } from "./form.js";
import { counted, mayOperate } from "./notice.js";
import { question } from "./question.js";
import { Said, whileSeen } from "./tab.js";

/**
 * @typedef {import("./channel_form.js").KeptChannel} KeptChannel
 * @typedef {import("./channel_form.js").WantedChannel} WantedChannel
 */

/** Milliseconds after which channels and deliveries are read again while they are in sight. */
const CHANNELS_EVERY = 15e3;

/** The tab; what is returned ends it. @param {HTMLElement} el @param {import("./tab.js").TabContext} context */
export function channelsTab(el, context) {
  if (!mayOperate(context.person)) {
    const root = make("div", "ap ap-tab-content");
    root.append(make("p", "ap-tab-none", "Operators and administrators may see and change channels."));
    el.replaceChildren(root);
    return () => {};
  }
  const tab = new Channels(el, context);
  return () => tab.destroy();
}

export class Channels {
  /** @param {HTMLElement} el @param {import("./tab.js").TabContext} context */
  constructor(el, context) {
    this.api = context.api;
    this.asked = 0;
    /** @type {string[]} */
    this.kinds = [];
    /** @type {Map<string, ChannelRow>} */
    this.rows = new Map();
    this.root = make("div", "ap ap-tab-content ap-channels");
    const bar = make("div", "ap-tab-bar");
    this.count = make("span", "ap-muted");
    this.adding = pressable("Add a channel", () => this.add(), "ap-button ap-strong");
    // Its form offers the kinds that the server knows, which come with the list.
    this.adding.disabled = true;
    bar.append(this.count, this.adding);
    this.said = new Said();
    this.place = make("div", "");
    this.list = make("ul", "ap-channel-list");
    this.list.setAttribute("aria-label", "Channels");
    this.deliveries = new DeliveryList(context);
    this.root.append(bar, this.said.root, this.place, this.list, this.deliveries.root);
    el.replaceChildren(this.root);
    this.stops = [whileSeen(CHANNELS_EVERY, () => this.load()), () => this.deliveries.destroy()];
    this.load();
  }

  async load() {
    this.asked += 1;
    const number = this.asked;
    try {
      const { channels, kinds } = await this.api.ask("channels");
      if (this.isOver || number !== this.asked) return;
      this.kinds = kinds;
      this.adding.disabled = false;
      this.said.recover();
      this.show(channels);
    } catch (error) {
      this.said.fail("The channels", error);
    }
    this.deliveries.load();
  }

  /** @param {KeptChannel[]} channels */
  show(channels) {
    const rows = channels.map((one) => {
      const row = this.rows.get(one.name) ?? new ChannelRow(one.name, this);
      row.show(one);
      return row;
    });
    this.rows = new Map(rows.map((row) => [row.name, row]));
    arrange(this.list, rows.map(({ root }) => root));
    setText(this.count, counted(channels.length, "channel"));
    if (!channels.length) this.list.append(make("li", "ap-tab-none", "There is none yet: notifications stay on these pages."));
  }

  add() {
    const end = () => {
      this.place.replaceChildren();
      this.adding.hidden = false;
      this.adding.focus();
    };
    const form = new ChannelForm(null, this.kinds, {
      cancel: end,
      save: async (wanted) => {
        if (this.rows.has(wanted.name)) throw Object.assign(new Error("There is a channel of this name already."), { code: "bad_parameter" });
        await this.connect(wanted);
        end();
        this.said.say(`${wanted.name} is added. Test it to see whether it arrives.`);
      },
    });
    this.adding.hidden = true;
    this.place.replaceChildren(form.root);
    form.focus();
  }

  /** @param {WantedChannel} wanted */
  async connect({ name, ...body }) {
    await this.api.ask("connect", { name }, body);
    await this.load();
  }

  /** Do something with a channel, and say what became of it. @param {() => Promise<any>} call @param {string} done */
  async act(call, done) {
    try {
      await call();
      this.said.say(done);
    } catch (error) {
      this.said.refuse(error);
    }
    await this.load();
  }

  /** @param {string} name @param {boolean} enabled */
  enable(name, enabled) {
    return this.act(() => this.api.ask("connect", { name }, { enabled }), `${name} is ${enabled ? "enabled" : "disabled"}.`);
  }

  /** @param {string} name */
  async remove(name) {
    if (!(await question(this.root, `Remove the channel “${name}”? What waits for it is not sent.`, "Remove"))) return;
    await this.act(() => this.api.ask("disconnect", { name }), `${name} is removed.`);
    this.adding.focus();
  }

  destroy() {
    this.isOver = true;
    for (const stop of this.stops) stop();
  }
}

/** One channel in the list. */
class ChannelRow {
  /** @param {string} name @param {Channels} tab */
  constructor(name, tab) {
    this.name = name;
    this.tab = tab;
    this.root = make("li", "ap-channel");
    this.root.dataset.channel = name;
    const head = this.root.appendChild(make("div", "ap-rule-head"));
    this.kind = make("span", "ap-mark");
    this.watch = make("span", "ap-mark", "watches");
    this.watch.title = "Also told when nobody evaluates the rules";
    this.enabled = new Toggle("");
    this.enabled.input.setAttribute("aria-label", `${name} is enabled`);
    this.enabled.input.onchange = () => tab.enable(name, this.enabled.value);
    head.append(make("strong", "ap-rule-name", name), this.kind, this.watch, this.enabled.root);
    this.masked = this.root.appendChild(make("code", "ap-channel-address"));
    this.error = this.root.appendChild(make("p", "ap-rule-reason"));
    this.result = make("span", "ap-channel-result");
    this.result.setAttribute("role", "status");
    const foot = this.root.appendChild(make("div", "ap-rule-foot"));
    const row = make("div", "ap-actions");
    this.testing = this.button("Test", () => this.test());
    this.changing = this.button("Change", () => this.change());
    row.append(this.testing, this.changing, this.button("Remove", () => tab.remove(name)));
    foot.append(this.result, row);
    this.place = this.root.appendChild(make("div", ""));
  }

  /** @param {string} text @param {() => void} press */
  button(text, press) {
    const made = pressable(text, press, "ap-quiet");
    made.setAttribute("aria-label", `${text} ${this.name}`);
    return made;
  }

  /** @param {KeptChannel} one */
  show(one) {
    this.one = one;
    setText(this.kind, kindLabel(one.kind));
    setText(this.masked, one.masked);
    setText(this.error, one.error);
    this.kind.hidden = !one.kind;
    this.masked.hidden = !one.masked;
    this.error.hidden = !one.error;
    this.watch.hidden = !one.watch;
    this.enabled.value = one.enabled;
    this.root.classList.toggle("ap-faded", !one.enabled);
  }

  async test() {
    if (this.isTesting) return;
    this.isTesting = true;
    this.told("Sending…", "");
    try {
      const { sent, error } = await this.tab.api.ask("try_channel", { name: this.name }, {});
      if (sent) this.told("Sent: a message that is marked TEST.", "good");
      else this.told(`Not sent: ${error}`, "bad");
    } catch (error) {
      this.told(/** @type {Error} */ (error).message, "bad");
    } finally {
      this.isTesting = false;
    }
  }

  /** @param {string} text @param {string} tone */
  told(text, tone) {
    setText(this.result, text);
    this.result.dataset.tone = tone;
  }

  change() {
    const end = () => {
      this.place.replaceChildren();
      this.changing.focus();
    };
    const form = new ChannelForm(this.one ?? null, this.tab.kinds, {
      cancel: end,
      save: async (wanted) => {
        await this.tab.connect(wanted);
        end();
        this.told("", "");
        this.tab.said.say(`${this.name} is saved.`);
      },
    });
    this.place.replaceChildren(form.root);
    form.focus();
  }
}
