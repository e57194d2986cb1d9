// Import and export in the panel of runs: progress, results and errors.

import { clip, count, visible } from "../../core/text.js";
import { runName } from "../../model/runs.js";
import { exportRun, importRun } from "./files.js";

const at = (id) => document.getElementById(id);

export class FileBar {
  #announce;
  #imported;
  #exists;
  #file = null;
  #abort = null;

  /** `imported(response)` shows an imported run, `exists(id)` returns whether there is a run with this id. */
  constructor({ announce, imported, exists }) {
    this.#announce = announce;
    this.#imported = imported;
    this.#exists = exists;
    const input = at("import-file");
    at("import").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      if (input.files[0]) this.#import(input.files[0]);
      // Choosing the same file again must be a change, too.
      input.value = "";
    });
    at("import-cancel").addEventListener("click", () => this.#abort?.abort());
    at("import-as").addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.#import(this.#file, at("import-id").value);
    });
    at("import-not").addEventListener("click", () => {
      this.#show({});
      at("import").focus();
    });
    this.#wireDrop(at("runs-panel"));
  }

  /** Exports a run to a file. */
  async export(run, mask) {
    if (this.#abort) return;
    this.#show({ state: `Exporting ${runName(run)}…` });
    try {
      const size = await exportRun(run, mask, (bytes) => this.#show({ state: `Exporting ${runName(run)}: ${bytesText(bytes)}` }));
      const summary = `Exported ${runName(run)}${mask ? " with secrets masked" : ""}: ${bytesText(size)}.`;
      this.#show({ state: summary });
      this.#announce(summary);
    } catch (error) {
      this.#show({ error: error.message });
    }
  }

  async #import(file, run) {
    if (this.#abort || !file) return;
    this.#file = file;
    this.#abort = new AbortController();
    const name = clip(visible(file.name), 60);
    this.#show({ state: `Importing ${name}…`, progress: 0 });
    try {
      const answer = await importRun(file, run, (part) => this.#show({ state: part < 1 ? `Importing ${name}` : `Checking ${name}…`, progress: part }), this.#abort.signal);
      this.#file = null;
      const summary = `Imported ${count(answer.events, "event")} as ${runName(answer.run_id)}.`;
      this.#show({ state: summary });
      this.#announce(summary);
      this.#imported(answer);
    } catch (error) {
      if (error.reason === "RUN_EXISTS") this.#askForId(error.message, run);
      else this.#show(error.name === "AbortError" ? { state: error.message } : { error: error.message });
    } finally {
      this.#abort = null;
      at("import-cancel").hidden = true;
    }
  }

  /** There is a run with the id of the file already: asks for another id. */
  #askForId(message, run) {
    const id = run ?? /run "(.*)"/.exec(message)?.[1] ?? "";
    let n = 2;
    while (this.#exists(`${id || "run"}-${n}`)) n += 1;
    this.#show({ error: message, ask: true });
    at("import-id").value = `${id || "run"}-${n}`;
    at("import-id").focus();
    at("import-id").select();
  }

  #show({ state = "", error = "", progress, ask = false }) {
    at("file-bar").hidden = !state && !error;
    at("file-state").textContent = state;
    at("file-error").textContent = error.replace(/^./u, (first) => first.toUpperCase());
    at("import-as").hidden = !ask;
    at("import-cancel").hidden = progress === undefined;
    at("import-progress").hidden = progress === undefined;
    if (progress === undefined || progress >= 1) at("import-progress").removeAttribute("value");
    else at("import-progress").value = progress;
  }

  /** A file can be dropped on the panel. Elsewhere it is ignored, and the browser does not open it. */
  #wireDrop(panel) {
    const carries = (event) => event.dataTransfer?.types.includes("Files");
    for (const type of ["dragover", "drop"]) {
      addEventListener(type, (event) => {
        if (carries(event)) event.preventDefault();
      });
    }
    panel.addEventListener("dragover", (event) => carries(event) && (panel.dataset.drop = ""));
    panel.addEventListener("dragleave", (event) => panel.contains(event.relatedTarget) || delete panel.dataset.drop);
    panel.addEventListener("drop", (event) => {
      delete panel.dataset.drop;
      this.#import(event.dataTransfer?.files[0]);
    });
  }
}

function bytesText(n) {
  if (n < 1000) return `${n} bytes`;
  return n < 1_000_000 ? `${(n / 1000).toFixed(1)} kB` : `${(n / 1_000_000).toFixed(1)} MB`;
}
