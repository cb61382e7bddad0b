/** The tabs of the drawer, in their order. Each is a function `(el, context) -> stop`. */

import { channelsTab } from "./channels_tab.js";
import { historyTab } from "./history.js";
import { preferencesTab } from "./preferences.js";
import { rulesTab } from "./rules.js";

/**
 * @typedef {(() => void) & {show?: (place: {id?: number}) => void, mayLeave?: () => boolean | Promise<boolean>}} Stop
 *   `show` goes to a place within the tab, `mayLeave` says whether the tab may go
 * @typedef {{key: string, title: string, operators?: boolean, tab: (el: HTMLElement, context: any) => Stop}} Tab
 *   `operators` for one that is only theirs
 */

/** @type {Tab[]} */
export const TABS = [
  { key: "history", title: "History", tab: historyTab },
  { key: "rules", title: "Rules", tab: rulesTab },
  { key: "channels", title: "Channels", operators: true, tab: channelsTab },
  { key: "settings", title: "Settings", tab: preferencesTab },
];
