/**
 * The script that every widget of ours carries: it loads the real one, once per page. A page of our
 * own server names it in a link; elsewhere the kernel sends it through the comm.
 */

const shared = (globalThis.__alphapulse ??= {});

/** @param {any} model */
function load(model) {
  const key = `widgets-${model.get("_bundle")}`;
  shared[key] ??= fetchBundle(model).catch((error) => {
    shared[key] = undefined;
    throw error;
  });
  return shared[key];
}

/** @param {any} model */
async function fetchBundle(model) {
  const link = document.querySelector('link[data-alphapulse="widgets"]');
  if (link) return import(/** @type {HTMLLinkElement} */ (link).href);
  const { code, style } = await ask(model);
  const sheet = document.createElement("style");
  sheet.textContent = style;
  document.head.append(sheet);
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  try {
    return await import(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

/** @param {any} model @returns {Promise<{code: DataView, style: string}>} */
function ask(model) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      model.off("msg:custom", take);
    };
    const timer = setTimeout(() => {
      stop();
      reject(new Error("the kernel did not send the widgets' script within 30 s"));
    }, 30e3);
    const take = (/** @type {any} */ message, /** @type {DataView[]} */ buffers) => {
      if (message.kind !== "bundle") return;
      stop();
      resolve({ code: buffers[0], style: message.style });
    };
    model.on("msg:custom", take);
    model.send({ kind: "bundle" });
  });
}

export default {
  /** @param {{model: any, el: HTMLElement}} context */
  async render({ model, el }) {
    try {
      const widgets = await load(model);
      return widgets[model.get("_part")].render({ model, el });
    } catch (error) {
      el.textContent = `AlphaPulse could not show this widget: ${error}`;
    }
  },
};
