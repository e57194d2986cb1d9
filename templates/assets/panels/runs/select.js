// The select in the toolbar that chooses a run, or all of them.

import { describeRun } from "../../model/runs.js";
import { element } from "../../ui/dom.js";

/** A run's id is free text; the value of its option must not be mistaken for that of another. */
const ALL = "all";
const ONE = "run:";

export class RunSelect {
  #select;
  #suggestions;
  #runs;
  #options = new Map();

  /** `suggestions` is the datalist of known run ids, `runs` the model. */
  constructor({ select, suggestions, runs }) {
    this.#select = select;
    this.#suggestions = suggestions;
    this.#runs = runs;
    select.replaceChildren(option(ALL, "All runs"));
    select.addEventListener("change", () => runs.choose(select.value === ALL ? null : select.value.slice(ONE.length)));
    this.draw();
  }

  /** Options change in place, so that an open list does not jump. */
  draw() {
    const { chosen, all } = this.#runs;
    const wanted = chosen !== null && !this.#runs.get(chosen) ? [...all, { run_id: chosen }] : all;
    const ids = new Set(wanted.map((run) => run.run_id));
    for (const [id, old] of this.#options) {
      if (ids.has(id)) continue;
      old.remove();
      this.#options.delete(id);
    }
    for (const run of wanted) {
      const label = describeRun(run);
      let one = this.#options.get(run.run_id);
      if (!one) {
        one = option(ONE + run.run_id, label);
        this.#options.set(run.run_id, one);
        this.#select.append(one);
      } else if (one.textContent !== label) {
        one.textContent = label;
      }
    }
    this.#select.value = chosen === null ? ALL : ONE + chosen;
    this.#suggestions.replaceChildren(...all.filter((run) => run.run_id).map((run) => option(run.run_id, "")));
  }
}

function option(value, label) {
  const made = element("option", "", label);
  made.value = value;
  return made;
}
