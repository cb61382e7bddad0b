/**
 * What a page asks of us about alerts and notifications. There are two ways for the same actions:
 * requests to the server that made the page, or messages to a notebook's kernel.
 */

/** @typedef {{place: string, message: string}} Problem */

/** Each action's method and path; what the path names comes from the values, the rest is its query. */
const ACTIONS = /** @type {Record<string, [string, string]>} */ ({
  notifications: ["GET", "notifications"],
  inbox: ["GET", "notifications/summary"],
  read: ["POST", "notifications/read"],
  remove: ["POST", "notifications/remove"],
  restore: ["POST", "notifications/restore"],
  show: ["POST", "notifications/show"],
  export: ["GET", "notifications/export"],
  import: ["POST", "notifications/import"],
  preferences: ["GET", "preferences"],
  prefer: ["PUT", "preferences"],
  snoozes: ["GET", "snoozes"],
  snooze: ["POST", "snoozes"],
  wake: ["DELETE", "snoozes/{id}"],
  alerts: ["GET", "alerts"],
  acknowledge: ["POST", "alerts/acknowledge"],
  rules: ["GET", "rules"],
  vocabulary: ["GET", "vocabulary"],
  check: ["POST", "trial"],
  save: ["PUT", "rules/{name}"],
  drop: ["DELETE", "rules/{name}"],
  channels: ["GET", "channels"],
  connect: ["PUT", "channels/{name}"],
  disconnect: ["DELETE", "channels/{name}"],
  try_channel: ["POST", "channels/{name}"],
  deliveries: ["GET", "deliveries"],
  resend: ["POST", "deliveries/{id}/resend"],
});
/** How long an answer may take. */
const ANSWER_WITHIN = 20e3;
/** How long that of the summary may take, which is asked first after a connection was lost. */
const SUMMARY_WITHIN = 4e3;
/** Connections to a server that a browser keeps. */
const CONNECTIONS_KEPT = 6;

/** Why something that was asked was not done. `code` is what the server or the kernel calls it. */
export class ApiError extends Error {
  /** @param {{code?: string, message?: string, field?: string, problems?: Problem[]}} told */
  constructor({ code = "", message = "", field, problems }) {
    super(message || "That did not work.");
    this.name = "ApiError";
    this.code = code;
    this.field = field;
    this.problems = problems;
  }
}

/** What both ways share: whoever watches learns of all that was done. */
class Asking {
  constructor() {
    /** @type {Set<(name: string, body: any, answer: any) => void>} */
    this.watchers = new Set();
  }

  /**
   * Ask for an action. Rejects with `ApiError`.
   * @param {string} name @param {Record<string, any>} [values] @param {any} [body] @returns {Promise<any>}
   */
  async ask(name, values = {}, body) {
    const answer = await this.carry(name, given(values), body);
    for (const call of [...this.watchers]) call(name, body ?? {}, answer);
    return answer;
  }

  /** Be told of each action that was done, with its body and answer. @param {(name: string, body: any, answer: any) => void} call */
  watch(call) {
    this.watchers.add(call);
    return () => this.watchers.delete(call);
  }

  /** @param {string} _name @param {any} _values @param {any} _body @returns {Promise<any>} */
  async carry(_name, _values, _body) {
    throw new ApiError({ message: "There is nobody to ask." });
  }
}

/** Requests to our server. */
export class Api extends Asking {
  /** @param {string | URL} base the server's base address, or that of its stream */
  constructor(base) {
    super();
    this.base = new URL("api/", new URL(base, location.href));
    this.base.protocol = this.base.protocol.replace(/^ws/, "http");
  }

  /** @param {string} name @param {Record<string, any>} values @param {any} body */
  async carry(name, values, body) {
    if (name !== "inbox") return this.request(name, values, body, ANSWER_WITHIN);
    try {
      return await this.request(name, values, body, SUMMARY_WITHIN);
    } catch (error) {
      if (/** @type {ApiError} */ (error).code !== "timeout") throw error;
    }
    // The browser asked over a connection that it had kept. When that is dead, so are the others, most
    // likely: all are tried at once, and then it makes a new one.
    const all = Array.from({ length: CONNECTIONS_KEPT }, () => this.request(name, values, body, ANSWER_WITHIN));
    return Promise.any(all).catch(({ errors }) => {
      throw errors[0];
    });
  }

  /** @param {string} name @param {Record<string, any>} values @param {any} body @param {number} within milliseconds */
  async request(name, values, body, within) {
    const [method, path] = ACTIONS[name];
    const signal = AbortSignal.timeout(within);
    const headers = { Accept: "application/json", ...(method === "GET" ? {} : changing()) };
    const text = method === "POST" || method === "PUT" ? JSON.stringify(body ?? {}) : undefined;
    /** @type {Response} */
    let answer;
    try {
      answer = await fetch(addressOf(this.base, path, values), { method, headers, body: text, signal, cache: "no-store" });
    } catch {
      const code = signal.aborted ? "timeout" : "unreachable";
      throw new ApiError({ code, message: code === "timeout" ? "The server did not answer in time." : "The server cannot be reached." });
    }
    const told = await answer.json().catch(() => null);
    if (!answer.ok) throw new ApiError({ message: `The server answered with ${answer.status}.`, ...told?.error });
    if (told === null) throw new ApiError({ message: "The server's answer cannot be read." });
    return told;
  }
}

/** Messages to a kernel, through the comm of one of its widgets. */
export class CommApi extends Asking {
  /** @param {any} model */
  constructor(model) {
    super();
    this.model = model;
    // Several pages may share a kernel, and each gets all answers.
    this.mark = randomName();
    this.count = 0;
  }

  /** @param {string} name @param {Record<string, any>} values @param {any} body */
  carry(name, values, body) {
    const id = `${this.mark}-${(this.count += 1)}`;
    const { model } = this;
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer);
        model.off("msg:custom", take);
      };
      const timer = setTimeout(() => {
        end();
        reject(new ApiError({ code: "timeout", message: "The kernel did not answer in time." }));
      }, ANSWER_WITHIN);
      const take = (/** @type {any} */ said) => {
        if (said.kind !== "answer" || said.id !== id) return;
        end();
        if (said.error) reject(new ApiError(said.error));
        else resolve(said.body);
      };
      model.on("msg:custom", take);
      model.send({ kind: "ask", id, name, values, body: body ?? null });
    });
  }
}

/** A name that nobody else has, of 24 characters. */
export function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What a request that changes something carries, to show that it comes from a page of ours. */
function changing() {
  const found = /(?:^|;\s*)_xsrf=([^;]*)/.exec(document.cookie);
  const own = { "Content-Type": "application/json" };
  return found ? { ...own, "X-XSRFToken": decodeURIComponent(found[1]) } : own;
}

/** What of the values says something; several are one text. @param {Record<string, any>} values */
function given(values) {
  const said = Object.entries(values).filter(([, value]) => ![undefined, null, "", false].includes(value));
  return Object.fromEntries(said.map(([name, value]) => [name, Array.isArray(value) ? value.join(",") : value]));
}

/** @param {URL} base @param {string} path @param {Record<string, any>} values */
function addressOf(base, path, values) {
  const rest = new Map(Object.entries(values));
  const filled = path.replace(/\{(\w+)\}/g, (_, name) => {
    const value = rest.get(name);
    rest.delete(name);
    return encodeURIComponent(value);
  });
  const address = new URL(filled, base);
  for (const [name, value] of rest) address.searchParams.set(name, String(value));
  return address;
}
