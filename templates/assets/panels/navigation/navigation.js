// What the page shows: the run, the view, the step, and the two runs that are compared. Addresses, links, keys, back and
// forward all lead through here.

import { Address, readAddress } from "../../core/address.js";

const at = (id) => document.getElementById(id);

export class Navigation {
  #trace;
  #timeline;
  #runs;
  #compare;
  #caughtUp;
  #announce;
  #address;
  /** The step that an address names and that is not here, or not yet; null where there is none. */
  #wanted = null;

  /** `caughtUp()`: whether the stream has caught up; `announce(text)` speaks to screen readers. */
  constructor({ trace, timeline, runs, compare, caughtUp, announce }) {
    this.#trace = trace;
    this.#timeline = timeline;
    this.#runs = runs;
    this.#compare = compare;
    this.#caughtUp = caughtUp;
    this.#announce = announce;
    this.#address = new Address((place) => this.#visit(place));
    for (const button of document.querySelectorAll(".views button")) {
      button.addEventListener("click", () => this.setView(button.dataset.view));
    }
  }

  /** Shows what the address of the page names. */
  start() {
    this.#visit(readAddress());
  }

  /** Writes any of `run`, `view`, `seq` and `compare` to the address. */
  remember(change) {
    this.#address.remember(change);
  }

  /** Selects an event in whichever run it is. The choice of a link `lasts`, even where that event would be followed. */
  go(event, focus, lasts) {
    if (this.#runs.chosen !== null && event.runId !== this.#runs.chosen) this.#runs.choose(null);
    this.#timeline.pick(event, focus, lasts);
  }

  setView(view) {
    this.#compare.hide();
    this.#timeline.setView(view);
    this.remember({ view: this.#timeline.view });
    this.#drawView();
    this.#announce(`Shown as ${this.#timeline.view}.`);
  }

  /** Selects the step that an address names. If it is not here, the page says why, and selects it when it arrives. */
  seek(seq) {
    this.#wanted = null;
    const event = seq === null ? undefined : this.#trace.get(seq);
    const missing = at("missing");
    missing.hidden = seq === null || event !== undefined;
    if (event) this.go(event, false, true);
    else if (seq !== null) this.#wanted = seq;
    if (this.#wanted === null) return;
    // Until the stream has caught up, the step may still arrive.
    if (!this.#caughtUp()) missing.textContent = `Looking for step #${seq}…`;
    else if (seq < (this.#trace.first?.seq ?? 1)) missing.textContent = `Step #${seq} is no longer kept: the trace is bounded, and the oldest steps are dropped first.`;
    else missing.textContent = `There is no step #${seq} yet. It will be selected when it arrives.`;
  }

  /** An event was added or, without a seq, the stream has caught up: the wanted step may be here now. */
  appended(seq = this.#wanted) {
    if (this.#wanted !== null && seq === this.#wanted) this.seek(seq);
  }

  /** An event was selected, by a person or by following, or none is selected any longer. */
  selected(event, following) {
    if (following || event) this.remember({ seq: following ? null : event.seq });
    // The person chose another step than the wanted one.
    if (this.#wanted !== null && event && !following) this.seek(null);
  }

  #visit({ run, view, seq, compare }) {
    if (compare) this.#compare.show(compare.left, compare.right);
    else this.#compare.hide();
    if (run !== this.#runs.chosen) this.#runs.choose(run);
    this.#timeline.setView(view ?? "list");
    this.#drawView();
    if (seq === undefined) return;
    if (seq === null) this.#timeline.follow();
    this.seek(seq);
  }

  #drawView() {
    for (const button of document.querySelectorAll(".views button")) {
      button.setAttribute("aria-pressed", String(button.dataset.view === this.#timeline.view));
    }
  }
}
