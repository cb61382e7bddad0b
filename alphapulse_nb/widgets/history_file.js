/** The history as a file: saved from the page, and put back. */

import { quietButton } from "./acts.js";
import { counted } from "./notice.js";

const HISTORY_FILE = "alphapulse-notifications.json";
/** How long a browser may take to begin with a file that it saves. */
const SAVED_WITHIN = 60e3;

export class HistoryFile {
  /**
   * @param {(name: string, body?: any) => Promise<any>} change asks for an action, and gets null where that failed
   * @param {(words: string) => void} say
   */
  constructor(change, say) {
    this.change = change;
    this.say = say;
    this.input = document.createElement("input");
    Object.assign(this.input, { type: "file", accept: ".json,application/json", hidden: true });
    this.input.setAttribute("aria-label", "A file of notifications");
    this.input.onchange = () => this.take();
    this.parts = [quietButton("Export", () => this.save()), quietButton("Import", () => this.input.click()), this.input];
  }

  async save() {
    const answer = await this.change("export");
    if (!answer) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([answer.file], { type: "application/json" }));
    link.download = HISTORY_FILE;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), SAVED_WITHIN);
  }

  async take() {
    const [file] = this.input.files ?? [];
    if (!file) return;
    const text = await file.text().catch(() => null);
    this.input.value = "";
    if (text === null) return this.say(`${file.name} cannot be read.`);
    const answer = await this.change("import", { file: text });
    if (answer) this.say(`${counted(answer.imported, "notification")} imported, ${answer.known} were here already.`);
  }
}
