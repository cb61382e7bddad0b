/** The drawer and its tabs, as one module that is loaded when it is opened first. */

export { drawer } from "./drawer.js";
