// The timeline: one trace as a tree, a list or a waterfall, one selection in all three. The selection follows where
// the agent stands (the next held step, else the newest event) until the user picks another or scrolls away.
//
//   trace.js ─▶ what there is ─▶ rows of the view (here) ─▶ rows.js (those in sight) ─▶ row.js (one of them)
//
// All changes are collected and reach the document once per animation frame. Where building the rows takes long, they
// are built less often, so that the page always has most of its time for who uses it.

import { Axis } from "./axis.js";
import { foldOf } from "./lineage.js";
import { heldIn, newRow, paintRow } from "./row.js";
import { Rows } from "./rows.js";
import { barOf } from "./spans.js";
import { Times } from "./times.js";
import { wireTimeline } from "./timelinekeys.js";

export const VIEWS = ["tree", "list", "waterfall"];
/** How often bars that grow are drawn while something is held. */
const GROW_MS = 250;

export class Timeline {
  selected = null;
  view = "list";
  #list;
  #pane;
  #trace;
  #search;
  #told;
  #onSelect;
  #onFollow;
  #onRows;
  #rows;
  #axis;
  #run = null;
  #onlyHits = false;
  #next = null;
  #picked = false;
  #stayed = false;
  #scrolledAway = false;
  #focused = null;
  #cursor = null;
  #times = new Times();
  #frame = 0;
  #dirty = true;
  #anew = true;
  #trimmed = false;
  #notBefore = 0;
  #touchedUntil = 0;
  #how = null;

  /**
   * `onSelect(event or null, following)`; `onFollow(following)`; `onRows()` when other rows are shown; `told(run)` is
   * what the server says of a run.
   */
  constructor({ list, scale, trace, search, told, onSelect, onFollow, onRows }) {
    this.#list = list;
    this.#pane = scale.parentElement;
    this.#trace = trace;
    this.#search = search;
    this.#told = told;
    this.#onSelect = onSelect;
    this.#onFollow = onFollow;
    this.#onRows = onRows;
    this.#rows = new Rows({ list, make: newRow, paint: (row, item) => paintRow(row, item, this.#how) });
    this.#axis = new Axis({ scale, list, changed: () => this.#restyle() });
    wireTimeline(list, this);
    this.#watchScroll();
    new ResizeObserver(() => {
      this.#rows.measure();
      this.#schedule();
    }).observe(list);
    setInterval(() => this.#isTree && this.#trace.held.length > 0 && !document.hidden && this.#restyle(), GROW_MS);
    this.setView(this.view);
  }

  get following() {
    return !this.#picked && !this.#stayed && !this.#scrolledAway;
  }

  /** How many events of the chosen run there are; of all with none chosen. */
  get length() {
    return this.#events.length;
  }

  get axis() {
    return this.#axis;
  }

  /** The events of the chosen run, or all. */
  get #events() {
    return this.#trace.of(this.#run);
  }

  /** Whether rows have levels. */
  get #isTree() {
    return this.view !== "list";
  }

  /** Shows the trace in another way. The selection stays, and stays in sight. */
  setView(view) {
    this.view = VIEWS.includes(view) ? view : "list";
    this.#list.dataset.view = this.view;
    this.#list.setAttribute("role", this.#isTree ? "tree" : "listbox");
    this.#pane.dataset.view = this.view;
    this.#focused = null;
    this.#rebuild(true);
    if (!this.following) this.#flushNow(() => this.#rows.reveal(this.#rowOf(this.selected)));
  }

  /** Shows the events of one run only, or of all with null. The selection stays, where it is among them. */
  show(run) {
    this.#run = run;
    this.#axis.fit();
    this.#rebuild(true);
    if (this.selected && !this.#shows(this.selected)) {
      this.#select(null);
      this.follow();
    } else if (!this.following) {
      this.#flushNow(() => this.#rows.reveal(this.#rowOf(this.selected)));
    }
  }

  /** Leaves out, or shows again, what the search did not find. */
  setOnlyHits(only) {
    if (this.#onlyHits === only) return;
    this.#onlyHits = only;
    this.#rebuild(false);
    if (!this.following) this.#flushNow(() => this.#rows.reveal(this.#rowOf(this.selected)));
  }

  /** The search has found something else. */
  searched() {
    if (this.#onlyHits) this.#rebuild(false);
    this.#restyle();
  }

  /** Where the agent stands: the held step that is next, or null. */
  aim(event) {
    this.#next = event && this.#shows(event) ? event : null;
    this.#schedule();
  }

  /** Stays with the selected event while somebody writes about it, and `resume`s to what was followed before. */
  stay() {
    if (!this.following) return;
    this.#stayed = true;
    this.#onFollow(false);
  }

  resume() {
    if (this.#stayed) this.follow();
  }

  appended(event) {
    this.#search.look(event);
    if (this.#shows(event)) this.#rebuild(false);
  }

  changed(event) {
    this.#search.look(event);
    this.#rows.stale(event);
    // Other rows tell of it, too: its node's, and those of folded nodes and runs above.
    if (this.#isTree) this.#rows.restyle();
    this.#schedule();
  }

  dropped(event) {
    if (this.#next === event) this.#next = null;
    this.#trimmed = true;
    this.#rebuild(false);
  }

  cleared() {
    this.#next = null;
    this.#cursor = null;
    this.#focused = null;
    this.#times.clear();
    this.#rebuild(true);
    this.#select(null);
    this.follow();
  }

  /** Goes back to where the agent stands and stays with it. */
  follow() {
    this.#picked = false;
    this.#stayed = false;
    this.#scrolledAway = false;
    this.#focused = null;
    this.#onFollow(true);
    this.#schedule();
  }

  /**
   * Selects an event because the user asked for it. Choosing the one that would be followed means to follow, but for
   * what `lasts`, as a link to it does.
   */
  pick(event, focus, lasts = false) {
    if (!event || event.gone || !this.#shows(event)) return;
    this.#picked = lasts || event !== this.#target;
    this.#stayed = false;
    this.#scrolledAway = false;
    this.#focused = null;
    if (this.#isTree && this.#trace.lineage.reveal(event)) this.#rebuild(false);
    this.#select(event);
    this.#flushNow(() => {
      this.#rows.reveal(this.#rowOf(event));
      if (focus) this.#rows.element(this.#focusable)?.focus({ preventScroll: true });
    });
    this.#onFollow(this.following);
  }

  /** Moves the selection by so many rows. */
  move(by, focus) {
    if (this.#dirty) this.#flushNow();
    const { items } = this.#rows;
    if (items.length === 0) return;
    const from = this.#focusable;
    let to = Math.min(Math.max((this.#rows.has(from) ? from.index : items.length - 1) + by, 0), items.length - 1);
    // Without the focus only events are gone to: a run has nothing to show.
    while (!focus && items[to]?.items) to += by < 0 && to > 0 ? -1 : 1;
    this.goTo(items[to], focus);
  }

  /** Gives the focus to the selected row. */
  focus() {
    const row = this.#rows.element(this.#focusable);
    (row ?? this.#list).focus({ preventScroll: true });
  }

  /** Marks the newest event at or before the debugger's cursor. */
  markCursor(seq) {
    if (this.#cursor === seq) return;
    for (const event of [this.#trace.get(this.#cursor), this.#trace.get(seq)]) if (event) this.#rows.stale(event);
    this.#cursor = seq;
    this.#schedule();
  }

  /** What is known of the runs has changed. */
  restyle() {
    if (this.#isTree) this.#restyle();
  }

  /** Shows the time of the selected node, or run, over the whole width. */
  zoomToSelected() {
    const bar = this.#barOfCurrent();
    if (bar) this.#axis.frame(bar.from, bar.to);
  }

  /** Looks closer, or from further away, at the selected node where it is in sight, else at the middle. */
  zoom(factor) {
    const bar = this.#barOfCurrent();
    const place = bar ? (this.#axis.at(bar.from) + this.#axis.at(bar.to)) / 2 : 0.5;
    this.#axis.zoom(factor, place >= 0 && place <= 1 ? place : 0.5);
  }

  #barOfCurrent() {
    const item = this.#focusable;
    return item ? barOf(item, this.#times.now, this.#times.waiting) : null;
  }

  /** Folds or unfolds what is inside of a row: `true` folds, `false` unfolds, absent does the other. */
  fold(item, folded) {
    const fold = this.#isTree && item ? foldOf(item) : null;
    if (!fold || fold.folded === (folded ?? !fold.folded)) return false;
    fold.folded = folded ?? !fold.folded;
    this.#rebuild(false);
    this.#flushNow();
    return true;
  }

  /** Folds or unfolds a row and all beside it. */
  foldAll(item, folded) {
    for (const other of this.#rows.items.filter(({ group }) => group === item.group)) {
      const fold = foldOf(other);
      if (fold) fold.folded = folded;
    }
    this.#rebuild(false);
    this.#flushNow();
  }

  /** The row that keys act on. */
  get current() {
    return this.#focusable;
  }

  /** Rows in sight at once. */
  get page() {
    return this.#rows.page;
  }

  /** The row before or after another for which `fits` holds. */
  near(item, by, fits = () => true) {
    const { items } = this.#rows;
    for (let i = item.index + by; i >= 0 && i < items.length; i += by) if (fits(items[i])) return items[i];
    return null;
  }

  /** Goes to a row: an event is selected, a run only gets the focus. */
  goTo(item, focus) {
    if (!item) return;
    if (!item.items) {
      // Who chooses a node's row where a later step of it is held wants to see that one.
      this.pick(this.view === "waterfall" ? heldIn(item) : item, focus);
      return;
    }
    if (this.following) this.stay();
    this.#focused = item;
    this.#rows.restyle();
    this.#flushNow(() => this.#rows.reveal(item));
    if (focus) this.#rows.element(item)?.focus({ preventScroll: true });
  }

  /** Calls back with each row in the document and what it shows. */
  *rendered() {
    yield* this.#rows.rendered();
  }

  get #target() {
    return this.#next ?? this.#events.last;
  }

  /** The row that the Tab key leads to. */
  get #focusable() {
    if (this.#rows.has(this.#focused)) return this.#focused;
    return this.#rowOf(this.selected) ?? this.#rows.items[0] ?? null;
  }

  /** The row in which an event is seen: its own, its node's, or that of what is folded over it. */
  #rowOf(event) {
    if (!event) return null;
    if (this.#rows.has(event)) return event;
    for (let at = event.span ?? event.home; at; at = at.parent) {
      const row = at.runId === undefined ? (at.head ?? at.tail[0]) : at;
      if (this.#rows.has(row)) return row;
    }
    return null;
  }

  #shows(event) {
    return this.#run === null || event.runId === this.#run;
  }

  #rebuild(anew) {
    this.#dirty = true;
    this.#anew ||= anew;
    this.#schedule();
  }

  #restyle() {
    this.#rows.restyle();
    this.#schedule();
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#flush();
    });
  }

  #flushNow(then) {
    this.#notBefore = 0;
    this.#flush();
    then?.();
    // What was scrolled to is not in the document yet.
    if (then) this.#render();
  }

  #render() {
    this.#how = this.#howToPaint();
    this.#rows.render(this.#focusable);
    if (this.#search.active) this.#onRows();
  }

  #flush() {
    const start = performance.now();
    const focus = this.#list.contains(document.activeElement);
    const rebuilt = this.#dirty && (this.#anew || start >= this.#notBefore);
    if (rebuilt) this.#build();
    else if (this.#dirty) this.#schedule();
    const target = this.#target;
    if (this.following && target && !this.#dirty) {
      const moved = this.#select(target);
      const row = this.#rowOf(target);
      if (!this.#next && row && row.index >= this.#rows.items.length - 2) this.#rows.toEnd();
      else if (moved || rebuilt) this.#rows.reveal(row);
    }
    if (this.#isTree) this.#times.measure(this.#trace, this.#run, this.#axis);
    if (this.view === "waterfall") this.#axis.draw();
    this.#render();
    // A row that had the focus and is gone must not take it along out of the timeline.
    if (focus && !this.#list.contains(document.activeElement)) this.#rows.element(this.#focusable)?.focus({ preventScroll: true });
    if (rebuilt) this.#notBefore = performance.now() + 6 * Math.max(0, performance.now() - start - 1);
  }

  #build() {
    const only = this.#onlyHits && this.#search.active;
    let items;
    if (this.#isTree) items = this.#trace.lineage.rows({ run: this.#run, merged: this.view === "waterfall", hits: only });
    else items = only ? this.#events.slice().filter(({ hit }) => hit) : this.#events.slice();
    this.#rows.show(items, { anew: this.#anew, trimmed: this.#trimmed });
    this.#trimmed = false;
    this.#list.toggleAttribute("data-runs", this.#run === null && this.#trace.lineage.runs.length > 1);
    this.#dirty = false;
    this.#anew = false;
  }

  /** Only a person's own scrolling counts; ours, and the browser's when rows go, do not. */
  #watchScroll() {
    const touched = (ms) => {
      this.#touchedUntil = performance.now() + ms;
    };
    this.#list.addEventListener("wheel", () => touched(500), { passive: true });
    this.#list.addEventListener("touchmove", () => touched(1500), { passive: true });
    this.#list.addEventListener("pointerdown", () => touched(Infinity), { passive: true });
    for (const type of ["pointerup", "pointercancel"]) addEventListener(type, () => touched(300), { passive: true });
    this.#list.addEventListener("keydown", () => touched(300), { passive: true });
    this.#list.addEventListener("scroll", () => {
      this.#schedule();
      if (performance.now() > this.#touchedUntil) return;
      this.#rows.busy();
      const tail = this.#next ?? (this.#isTree ? this.#target : null);
      const away = tail ? !this.#rows.inSight(this.#rowOf(tail)) : this.#rows.below > 48;
      if (this.#picked || away === this.#scrolledAway) return;
      this.#scrolledAway = away;
      this.#onFollow(this.following);
    }, { passive: true });
  }

  #select(event) {
    if (this.selected === event) return false;
    const row = this.#rows.element(this.#rowOf(this.selected));
    const focused = row !== undefined && row === document.activeElement;
    this.selected = event;
    this.#rows.restyle();
    if (focused) {
      this.#render();
      this.#rows.element(this.#focusable)?.focus({ preventScroll: true });
    }
    this.#onSelect(event, this.following);
    return true;
  }

  #howToPaint() {
    const selected = this.#rowOf(this.selected);
    return {
      view: this.view,
      tree: this.#isTree,
      merged: this.view === "waterfall",
      size: this.#rows.items.length,
      isSelected: (item) => item === selected,
      focused: this.#focusable,
      searching: this.#search.active,
      onlyHits: this.#onlyHits,
      axis: this.#axis,
      now: this.#times.now,
      waiting: this.#times.waiting,
      cursor: this.#cursor,
      told: this.#told,
    };
  }
}
