// The runs of the agent, in a select that is as short as the choice is: all of them, or one.
//
// The stream tells events, not runs, so that the server is asked: when the state changed, and when an event names a
// run that was not seen before or ends one.

import { call, paced } from "./api.js";
import { element } from "./dom.js";
import { clip, visible, words } from "./text.js";

const EVERY_MS = 300;
/** A run's id is free text; a value of the select must not be mistaken for another. */
const ALL = "all";
const ONE = "run:";

export class Runs {
  /** The chosen run's id, or null for all. */
  chosen = null;
  #select;
  #known = new Map();
  #options = new Map();
  #onList;
  #ask;

  /** `onChoose(run or null)` when a person chose; `onList()` when what is known of the runs has changed. */
  constructor({ select, known, onChoose, onList }) {
    this.#select = select;
    this.#onList = onList;
    this.#ask = paced(async () => {
      if (document.hidden) return;
      const askedAt = performance.now();
      const runs = await call("GET", "status").then((status) => status.runs, () => null);
      // Without a connection the page says so already; what was known stays.
      if (!runs) return;
      this.askedAt = askedAt;
      this.#take(runs, known);
    }, EVERY_MS);
    const asked = new URLSearchParams(location.search).get("run");
    select.replaceChildren(option(ALL, "All runs"));
    if (asked !== null) {
      this.chosen = asked;
      this.#draw();
    }
    select.addEventListener("change", () => {
      this.chosen = select.value === ALL ? null : select.value.slice(ONE.length);
      this.#draw();
      onChoose(this.chosen);
    });
    document.addEventListener("visibilitychange", () => this.refresh());
  }

  /** Asks the server again, soon. */
  refresh() {
    this.#ask();
  }

  /** Told of every event frame: only a run that is new, or that ends, is worth asking. */
  seen(frame) {
    const run = this.#known.get(frame.run_id ?? "");
    if (!run || (frame.run_end && !run.finished)) this.refresh();
  }

  /** Told of a fork: it is there before its first step, and before the server is asked again. */
  forked({ run_id: id, forked_from: source }) {
    if (!this.#known.has(id)) {
      // Without a mode: what it does is the server's to say.
      this.#known.set(id, { run_id: id, finished: false, events: 0, held: 0, forked_from: source });
      this.#draw();
      this.#onList();
    }
    this.refresh();
  }

  /** What the server last said of a run. */
  get(id) {
    return this.#known.get(id);
  }

  /** All that the server last told of, the oldest first. */
  get all() {
    return [...this.#known.values()];
  }

  /** When the server was last asked, as performance.now() tells time: what came later is not in what it said. */
  askedAt = 0;

  get ids() {
    return [...this.#known.keys()];
  }

  /** Chooses a run, or all with null, as if a person had. */
  choose(run) {
    if (run === this.chosen) return;
    this.chosen = run;
    this.#draw();
    this.#select.dispatchEvent(new Event("change"));
  }

  #take(runs, known) {
    this.#known = new Map(runs.map((run) => [run.run_id, run]));
    this.#draw();
    known.replaceChildren(...this.ids.filter(Boolean).map((id) => option(id, "")));
    this.#onList();
  }

  /** Options change in place, so that an open list does not jump. */
  #draw() {
    const wanted = [...this.#known.values()];
    if (this.chosen !== null && !this.#known.has(this.chosen)) wanted.push({ run_id: this.chosen });
    const ids = new Set(wanted.map((run) => run.run_id));
    for (const [id, old] of this.#options) {
      if (ids.has(id)) continue;
      old.remove();
      this.#options.delete(id);
    }
    for (const run of wanted) {
      const label = describe(run);
      let one = this.#options.get(run.run_id);
      if (!one) {
        one = option(ONE + run.run_id, label);
        this.#options.set(run.run_id, one);
        this.#select.append(one);
      } else if (one.textContent !== label) {
        one.textContent = label;
      }
    }
    this.#select.value = this.chosen === null ? ALL : ONE + this.chosen;
  }
}

/** A run's id as people say it. */
export function runName(id) {
  return id === "" ? "Default run" : clip(visible(id), 40);
}

function describe(run) {
  const { run_id: id, mode, finished, held } = run;
  const parts = [runName(id)];
  if (mode === undefined || (run.forked_from && run.events === 0)) parts.push("no events yet");
  else if (finished && !held) parts.push("finished");
  else parts.push(words(mode));
  if (held) parts.push(`${held} held`);
  return parts.join(" · ");
}

function option(value, label) {
  const made = element("option", "", label);
  made.value = value;
  return made;
}
