/** What a rule would say, and what would happen now, on the newest data. */

import { make, pressable, setText } from "./dom.js";
import { capital } from "./notice.js";

/**
 * @typedef {{labels: Record<string, string>, outcome: string, reason: string, title: string,
 *   message: string, missing: string[]}} TrialLine
 * @typedef {{ok: boolean, problems: {place: string, message: string}[], lines: TrialLine[], trouble: string}} Verdict
 */

const MOST_LINES = 30;

/** Whether somebody would be told now, or after a while. @param {TrialLine} line */
const tells = (line) => line.outcome === "fires" || line.outcome.startsWith("would fire");

/** What would happen now, in one line. @param {Verdict} verdict */
export function verdictWords({ ok, problems, lines, trouble }) {
  if (!ok) return problems.length === 1 ? "1 thing to fix" : `${problems.length} things to fix`;
  if (trouble) return "It could not be tried on the newest data";
  const told = lines.filter(tells).length;
  if (!told) return "It would tell nothing now";
  return lines.length === 1 ? "It would tell this now" : `It would tell of ${told} of ${lines.length} now`;
}

export class RulePreview {
  constructor() {
    this.root = make("section", "ap-preview");
    this.root.setAttribute("aria-label", "Preview");
    this.card = make("div", "ap-preview-card");
    this.title = make("strong", "");
    this.message = make("p", "");
    this.missing = make("p", "ap-preview-missing");
    this.card.append(this.title, this.message, this.missing);
    this.now = make("p", "ap-preview-now");
    this.list = make("ul", "ap-preview-lines");
    this.root.append(make("h3", "ap-section-title", "Preview"), this.card, this.now, this.list);
  }

  /** @param {Verdict} verdict @param {import("./rule_record.js").RuleRecord} rule what was tried */
  show(verdict, rule) {
    this.root.classList.toggle("ap-faded", !verdict.ok);
    setText(this.now, verdict.ok ? `${verdictWords(verdict)}.` : "What is marked must be put right first.");
    this.card.dataset.priority = rule.priority ?? "medium";
    if (!verdict.ok) return this.list.childElementCount ? undefined : this.sayNames(rule);
    const { lines, trouble } = verdict;
    if (trouble) setText(this.now, `It could not be tried on the newest data: ${trouble}`);
    this.list.replaceChildren(...lines.slice(0, MOST_LINES).map((line) => this.lineOf(line)));
    if (lines.length > MOST_LINES) this.list.append(make("li", "ap-muted", `and ${lines.length - MOST_LINES} more`));
    const told = lines.find(tells);
    if (told) this.say(told);
    else this.sayNames(rule);
  }

  /** What is said of a line. @param {TrialLine} line */
  say(line) {
    setText(this.title, line.title);
    setText(this.message, line.message);
    setText(this.missing, line.missing.length ? `Without a value now: ${line.missing.join(", ")}` : "");
  }

  /** Nothing would be told: the texts with the names of their fields. @param {import("./rule_record.js").RuleRecord} rule */
  sayNames(rule) {
    setText(this.title, rule.title ?? rule.name ?? "");
    setText(this.message, rule.message ?? "");
    setText(this.missing, "Values stand for the names as soon as something is told.");
  }

  /** @param {TrialLine} line */
  lineOf(line) {
    const row = make("li", "ap-preview-line");
    row.dataset.tone = line.outcome === "fires" ? "bad" : tells(line) ? "warn" : "plain";
    const of = Object.values(line.labels).filter(Boolean).join(" · ");
    const outcome = capital(line.outcome);
    const name = tells(line)
      ? pressable(outcome, () => this.say(line), "ap-preview-outcome")
      : make("span", "ap-preview-outcome", outcome);
    if (tells(line)) name.title = "Show what it would say";
    row.append(name, make("span", "ap-preview-of", of), make("span", "ap-preview-reason", line.reason));
    return row;
  }
}
