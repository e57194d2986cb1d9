// The runs of the agent as the server last listed them, and the one that is chosen.
//
// The stream carries events, not runs, so that the server is asked for them: when the state has changed, and when an
// event names a run that is not known yet, or ends one.

import { call, throttled } from "../core/api.js";
import { clip, visible, words } from "../core/text.js";

const EVERY_MS = 300;

export class Runs {
  /** The id of the chosen run, or null for all. */
  chosen;
  #known = new Map();
  #onChoose;
  #onList;
  #ask;

  /** `onChoose(id or null)` when another run is chosen; `onList()` when the runs have changed; `paused()`: no requests now. */
  constructor({ chosen, paused, onChoose, onList }) {
    this.chosen = chosen;
    this.#onChoose = onChoose;
    this.#onList = onList;
    this.#ask = throttled(async () => {
      if (paused()) return;
      const runs = await call("GET", "status").then((status) => status.runs, () => null);
      // Without a connection the page says so already; the runs stay as they were.
      if (!runs) return;
      this.#known = new Map(runs.map((run) => [run.run_id, run]));
      this.#onList();
    }, EVERY_MS);
  }

  /** Asks the server again, soon. */
  refresh() {
    this.#ask();
  }

  /** Takes an event frame: only a run that is new, or that ends, is worth a request. */
  observe(frame) {
    const run = this.#known.get(frame.run_id ?? "");
    if (!run || (frame.run_end && !run.finished)) this.refresh();
  }

  /** Adds a fork, before its first step and before the server is asked again. */
  addFork({ run_id: id, forked_from: source }) {
    if (!this.#known.has(id)) {
      // Without a mode, which only the server knows.
      this.#known.set(id, { run_id: id, finished: false, events: 0, held: 0, forked_from: source });
      this.#onList();
    }
    this.refresh();
  }

  /** A run as the server last described it. */
  get(id) {
    return this.#known.get(id);
  }

  /** All runs, the oldest first. */
  get all() {
    return [...this.#known.values()];
  }

  /** Chooses a run, or all with null. */
  choose(run) {
    if (run === this.chosen) return;
    this.chosen = run;
    this.#onChoose(run);
  }
}

/** The name of a run, for people. */
export function runName(id) {
  return id === "" ? "Default run" : clip(visible(id), 40);
}

/** A run in a line: its name, what it does, and how many of its steps are held. */
export function describeRun({ run_id: id, mode, finished, held, forked_from: source, events }) {
  const parts = [runName(id)];
  if (mode === undefined || (source && events === 0)) parts.push("no events yet");
  else if (finished && !held) parts.push("finished");
  else parts.push(words(mode));
  if (held) parts.push(`${held} held`);
  return parts.join(" · ");
}
