// Import and export in the panel of runs: what goes on, how far it is, and what was refused, said where it was asked for.

import { exportRun, importRun } from "./files.js";
import { runName } from "./runs.js";
import { clip, count, visible } from "./text.js";

const at = (id) => document.getElementById(id);

export class FileBar {
  #announce;
  #imported;
  #exists;
  #file = null;
  #abort = null;

  /** `imported(answer)` shows a run that came out of a file; `exists(id)` whether there is such a run. */
  constructor({ announce, imported, exists }) {
    this.#announce = announce;
    this.#imported = imported;
    this.#exists = exists;
    const input = at("import-file");
    at("import").addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      if (input.files[0]) this.#import(input.files[0]);
      // The same file once more is a change, too.
      input.value = "";
    });
    at("import-cancel").addEventListener("click", () => this.#abort?.abort());
    at("import-as").addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.#import(this.#file, at("import-id").value);
    });
    at("import-not").addEventListener("click", () => {
      this.#say({});
      at("import").focus();
    });
    this.#wireDrop(at("runs-panel"));
  }

  /** Writes a run to a file. */
  async export(run, mask) {
    if (this.#abort) return;
    this.#say({ state: `Exporting ${runName(run)}…` });
    try {
      const size = await exportRun(run, mask, (bytes) => this.#say({ state: `Exporting ${runName(run)}: ${bytesText(bytes)}` }));
      const said = `Exported ${runName(run)}${mask ? " with its secrets masked" : ""}: ${bytesText(size)}.`;
      this.#say({ state: said });
      this.#announce(said);
    } catch (error) {
      this.#say({ error: error.message });
    }
  }

  async #import(file, run) {
    if (this.#abort || !file) return;
    this.#file = file;
    this.#abort = new AbortController();
    const name = clip(visible(file.name), 60);
    this.#say({ state: `Importing ${name}…`, progress: 0 });
    try {
      const answer = await importRun(file, run, (part) => this.#say({ state: part < 1 ? `Importing ${name}` : `Checking ${name}…`, progress: part }), this.#abort.signal);
      this.#file = null;
      const said = `Imported ${count(answer.events, "event")} as ${runName(answer.run_id)}.`;
      this.#say({ state: said });
      this.#announce(said);
      this.#imported(answer);
    } catch (error) {
      if (error.reason === "RUN_EXISTS") this.#askForId(error.message, run);
      else this.#say(error.name === "AbortError" ? { state: error.message } : { error: error.message });
    } finally {
      this.#abort = null;
      at("import-cancel").hidden = true;
    }
  }

  /** The file's run is here already: under which other name? */
  #askForId(message, run) {
    const id = run ?? /run "(.*)"/.exec(message)?.[1] ?? "";
    let n = 2;
    while (this.#exists(`${id || "run"}-${n}`)) n += 1;
    this.#say({ error: message, ask: true });
    at("import-id").value = `${id || "run"}-${n}`;
    at("import-id").focus();
    at("import-id").select();
  }

  #say({ state = "", error = "", progress, ask = false }) {
    at("file-bar").hidden = !state && !error;
    at("file-state").textContent = state;
    at("file-error").textContent = error.replace(/^./u, (first) => first.toUpperCase());
    at("import-as").hidden = !ask;
    at("import-cancel").hidden = progress === undefined;
    at("import-progress").hidden = progress === undefined;
    if (progress === undefined || progress >= 1) at("import-progress").removeAttribute("value");
    else at("import-progress").value = progress;
  }

  /** A file may be dropped anywhere on the panel; beside it nothing happens, and the page is not left. */
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
