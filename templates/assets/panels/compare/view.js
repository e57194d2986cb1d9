// Two runs side by side, in the place of the timeline: their figures, their steps in two columns, and the selected pair.
// Equal steps are folded, and only the rows in sight are in the document.

import { call } from "../../core/api.js";
import { count } from "../../core/text.js";
import { nextDifference, shownRows, stretches } from "../../model/comparison.js";
import { runName } from "../../model/runs.js";
import { VirtualList } from "../../ui/virtuallist.js";
import { figures } from "./figures.js";
import { newComparedRow, paintComparedRow, pairDetails } from "./row.js";

/** The rows by which a key moves; PageUp and PageDown move by what is in sight. */
const MOVES = new Map([["ArrowDown", () => 1], ["ArrowUp", () => -1], ["PageDown", (page) => page], ["PageUp", (page) => -page], ["Home", () => -Infinity], ["End", () => Infinity]]);

const at = (id) => document.getElementById(id);

export class CompareView {
  /** `{left, right}`, the runs that are compared, or null. */
  shown = null;
  #get;
  #runs;
  #pick;
  #announce;
  #onChange;
  #rows;
  #list = at("compare-list");
  #all = [];
  #selected = null;
  #focused = null;
  #answer = null;
  #asked = 0;
  #frame = 0;

  /**
   * `get(seq)` returns an event of the trace, `runs` is the model of the runs, `pick(seq)` selects a step in the timeline,
   * `onChange({left, right} or null)` is called when other runs are compared, or none; `announce(text)`.
   */
  constructor({ get, runs, pick, announce, onChange }) {
    this.#get = get;
    this.#runs = runs;
    this.#pick = pick;
    this.#announce = announce;
    this.#onChange = onChange;
    this.#rows = new VirtualList({
      list: this.#list,
      make: newComparedRow,
      paint: (row, item) => paintComparedRow(row, item, { get, selected: this.#selected, focused: this.#focusable }),
    });
    this.#list.addEventListener("scroll", () => this.#schedule(), { passive: true });
    this.#list.addEventListener("click", (click) => {
      const item = click.target.closest(".row")?.item;
      if (!item) return;
      if (item.pairs) this.#fold(item);
      else this.#select(item, true);
    });
    this.#list.addEventListener("keydown", (key) => this.#onKey(key));
    new ResizeObserver(() => {
      this.#rows.measure();
      this.#schedule();
    }).observe(this.#list);
    at("compare-close").addEventListener("click", () => this.hide());
    at("compare-swap").addEventListener("click", () => this.show(this.shown.right, this.shown.left));
    at("compare-again").addEventListener("click", () => this.#ask());
    at("compare-first").addEventListener("click", () => this.#toFirst());
    at("compare-next").addEventListener("click", () => this.moveDifferences(1));
    at("compare-previous").addEventListener("click", () => this.moveDifferences(-1));
  }

  /** Compares two runs. */
  show(left, right) {
    const same = this.shown && this.shown.left === left && this.shown.right === right;
    this.shown = { left, right };
    at("stage").dataset.comparing = "";
    at("compare").hidden = false;
    if (!same) this.#onChange(this.shown);
    at("compare-title").focus({ preventScroll: true });
    return this.#ask();
  }

  /** Goes back to the timeline. */
  hide() {
    if (!this.shown) return;
    this.shown = null;
    this.#asked += 1;
    this.#take(null);
    delete at("stage").dataset.comparing;
    at("compare").hidden = true;
    this.#onChange(null);
  }

  /** Goes to the next difference, or with -1 to the previous one. */
  moveDifferences(by) {
    const { items } = this.#rows;
    const from = this.#rows.has(this.#selected) ? this.#selected.index : by > 0 ? -1 : items.length;
    this.#goTo(nextDifference(items, from, by));
  }

  /** Moves the focus by a number of rows. */
  moveRows(by) {
    const { items } = this.#rows;
    if (!items.length) return;
    const from = this.#focusable?.index ?? 0;
    this.#focus(items[Math.min(Math.max(from + by, 0), items.length - 1)]);
  }

  /** The trace has changed: an event of a row may have been added or dropped. */
  traceChanged() {
    if (!this.shown) return;
    this.#rows.restyle();
    this.#schedule();
    this.#stale();
  }

  async #ask() {
    const turn = (this.#asked += 1);
    const { left, right } = this.shown;
    at("compare-state").textContent = "Comparing…";
    at("compare-body").ariaBusy = "true";
    try {
      const answer = await call("GET", `compare?left=${encodeURIComponent(left)}&right=${encodeURIComponent(right)}`);
      if (turn !== this.#asked) return;
      this.#take(answer);
      const n = answer.changed + answer.only_left + answer.only_right;
      this.#announce(n ? `${count(n, "difference")}, ${count(answer.equal, "equal step")}.` : "The runs are equal.");
    } catch (error) {
      if (turn !== this.#asked) return;
      this.#take(null);
      at("compare-state").textContent = "";
      at("compare-error").textContent = error.message.replace(/^./u, (first) => first.toUpperCase());
    } finally {
      if (turn === this.#asked) at("compare-body").ariaBusy = "false";
    }
  }

  #take(answer) {
    this.#answer = answer;
    at("compare-error").textContent = "";
    this.#selected = null;
    this.#focused = null;
    this.#all = answer ? stretches(answer.rows) : [];
    const names = this.#names;
    for (const id of ["compare-left", "compare-right"]) at(id).textContent = names[id.slice(8)];
    at("compare-figures").replaceChildren(...(answer ? [figures(answer, names)] : []));
    at("compare-panes").hidden = !answer;
    this.#build(true);
    this.#detail(null);
    const differs = answer ? answer.first_divergence !== null : false;
    for (const id of ["compare-first", "compare-next", "compare-previous"]) at(id).disabled = !differs;
    if (!answer) return;
    at("compare-state").textContent = "";
    at("compare-omitted").hidden = !answer.fields_omitted;
    this.#stale();
    // The first difference is what the person looks for.
    if (differs) this.#goTo(this.#first(), false);
  }

  get #names() {
    const name = (id) => (id === undefined ? "" : runName(id));
    return { left: name(this.shown?.left), right: name(this.shown?.right) };
  }

  /** Says when a run has new steps since it was compared. The comparison stays as it is until it is repeated. */
  #stale() {
    const more = (side) => {
      const events = this.#answer && this.#runs.get(this.shown[side])?.events;
      return events > this.#answer?.[side].events;
    };
    const stale = ["left", "right"].some(more);
    at("compare-again").classList.toggle("stale", stale);
    const text = stale ? "A run has new steps" : "";
    if (this.#answer && at("compare-state").textContent !== text) at("compare-state").textContent = text;
  }

  #first() {
    const stretch = this.#all[this.#answer?.first_divergence ?? -1];
    return stretch && (stretch.folds ? stretch : stretch.pairs[0]);
  }

  #toFirst() {
    this.#goTo(this.#first());
  }

  /** Goes to a difference, and opens it where it is folded. */
  #goTo(item, focus = true) {
    if (!item) return;
    if (item.pairs) {
      if (!item.open) this.#fold(item, true);
      this.#select(item.pairs[0], focus);
    } else {
      this.#select(item, focus);
    }
  }

  #build(reset) {
    this.#rows.show(shownRows(this.#all), { reset });
    this.#render();
  }

  #fold(stretch, open = !stretch.open) {
    stretch.open = open;
    const inside = this.#list.contains(document.activeElement);
    if (!open && this.#focused?.stretch === stretch) this.#focused = stretch;
    this.#build(false);
    if (inside) this.#focus(stretch);
  }

  #select(pair, focus) {
    this.#selected = pair;
    this.#detail(pair);
    if (focus) {
      this.#focus(pair);
    } else {
      this.#focused = pair;
      this.#rows.reveal(pair);
      this.#rows.restyle();
      this.#render();
    }
  }

  #focus(item) {
    this.#focused = item;
    if (!item.pairs && item !== this.#selected) {
      this.#selected = item;
      this.#detail(item);
    }
    this.#rows.restyle();
    this.#rows.reveal(item);
    this.#render();
    this.#rows.element(item)?.focus({ preventScroll: true });
  }

  #detail(pair) {
    const panel = at("compare-details");
    panel.hidden = !pair;
    panel.scrollTop = 0;
    panel.replaceChildren(...(pair ? pairDetails(pair, this.#get, this.#names, (seq) => this.#pick(seq)) : []));
  }

  get #focusable() {
    if (this.#rows.has(this.#focused)) return this.#focused;
    return this.#rows.has(this.#selected) ? this.#selected : (this.#rows.items[0] ?? null);
  }

  #onKey(key) {
    const item = key.target.closest?.(".row")?.item;
    if (!item || key.ctrlKey || key.metaKey || key.altKey) return;
    const { items } = this.#rows;
    const by = MOVES.get(key.key)?.(this.#rows.page);
    if (by) {
      this.#focus(items[Math.min(Math.max(item.index + by, 0), items.length - 1)]);
    } else if (key.key === "ArrowRight" && item.pairs) {
      if (item.open) this.#focus(item.pairs[0]);
      else this.#fold(item, true);
    } else if (key.key === "ArrowLeft" && item.pairs?.length && item.open) {
      this.#fold(item, false);
    } else if (key.key === "ArrowLeft" && item.level > 1) {
      this.#focus(item.stretch);
    } else if (key.key === "Enter" || key.key === " ") {
      if (item.pairs) this.#fold(item);
      else at("compare-details").focus();
    } else if (key.key === "Escape") {
      this.hide();
    } else {
      return;
    }
    key.preventDefault();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#render();
    });
  }

  #render() {
    this.#rows.render(this.#focusable);
  }
}
