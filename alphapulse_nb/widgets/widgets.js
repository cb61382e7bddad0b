/** Everything that our widgets need, as one module: each export is one widget's `render`. */

export { alerts } from "./alerts.js";
export { cards } from "./cards.js";
export { controls } from "./controls.js";
export { live } from "./live.js";
export { liveChart } from "./live_chart.js";
