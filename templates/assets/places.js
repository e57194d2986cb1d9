// Where somebody is on the page: the run, the view, the step, and the two runs that are compared. An address, a link, a
// key and the way back and forward all lead through here.

import { Address, readAddress } from "./address.js";

const at = (id) => document.getElementById(id);

export class Places {
  #trace;
  #timeline;
  #runs;
  #compare;
  #known;
  #announce;
  #address;
  /** The step that an address named and that is not there, or not yet; null with none. */
  #wanted = null;

  /** `known()` says whether the stream has caught up, `announce(text)` tells a screen reader. */
  constructor({ trace, timeline, runs, compare, known, announce }) {
    this.#trace = trace;
    this.#timeline = timeline;
    this.#runs = runs;
    this.#compare = compare;
    this.#known = known;
    this.#announce = announce;
    this.#address = new Address((place) => this.#visit(place));
    for (const button of document.querySelectorAll(".views button")) {
      button.addEventListener("click", () => this.setView(button.dataset.view));
    }
  }

  /** Shows what the page's own address asks for. */
  start() {
    this.#visit(readAddress());
  }

  /** Has the address say any of `run`, `view`, `seq` and `compare`. */
  remember(change) {
    this.#address.remember(change);
  }

  /** Selects an event in whichever run it is. A link's choice `lasts`, even of what would be followed. */
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

  /** Selects the step that an address names. Where there is none the page says why, and goes there when it comes. */
  seek(seq) {
    this.#wanted = null;
    const event = seq === null ? undefined : this.#trace.get(seq);
    const missing = at("missing");
    missing.hidden = seq === null || event !== undefined;
    if (event) this.go(event, false, true);
    else if (seq !== null) this.#wanted = seq;
    if (this.#wanted === null) return;
    // Until the stream has caught up nobody knows.
    if (!this.#known()) missing.textContent = `Looking for step #${seq}…`;
    else if (seq < (this.#trace.first?.seq ?? 1)) missing.textContent = `Step #${seq} is not kept any more: the trace is bounded, and the oldest steps go first.`;
    else missing.textContent = `There is no step #${seq} yet. It is shown when it comes.`;
  }

  /** An event has come, or with none the stream has caught up: what was waited for may be there. */
  came(seq = this.#wanted) {
    if (this.#wanted !== null && seq === this.#wanted) this.seek(seq);
  }

  /** An event was selected, by a person or because it is followed, or none any more. */
  selected(event, following) {
    if (following || event) this.remember({ seq: following ? null : event.seq });
    // Somebody chose another step than the one that was waited for.
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
