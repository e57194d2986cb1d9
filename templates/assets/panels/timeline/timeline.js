// The timeline: one trace as a tree, a list or a waterfall, with one selection in all three. The selection follows the
// agent (the next held step, otherwise the newest event) until the person picks another event or scrolls away.
//
//   model/trace.js ─▶ the rows of the view (here) ─▶ ui/virtuallist.js (those in sight) ─▶ row.js (one of them)
//
// Changes are collected and reach the document once per animation frame. Where building the rows takes long, they are
// built less often, so that the page keeps most of its time for input.

import { barOf } from "../../model/bars.js";
import { foldOf } from "../../model/tree.js";
import { VirtualList } from "../../ui/virtuallist.js";
import { Axis } from "./axis.js";
import { Following } from "./following.js";
import { wireTimeline } from "./keys.js";
import { heldIn, newRow, paintRow } from "./row.js";
import { watchScrolling } from "./scrolling.js";
import { Times } from "./times.js";

const VIEWS = ["tree", "list", "waterfall"];
/** How often the growing bars are drawn while a step is held. */
const GROW_MS = 250;

export class Timeline {
  selected = null;
  view = "list";
  #list;
  #pane;
  #trace;
  #search;
  #runInfo;
  #onSelect;
  #onRows;
  #rows;
  #axis;
  #run = null;
  #onlyHits = false;
  #next = null;
  #following;
  #focused = null;
  #cursor = null;
  #times = new Times();
  #frame = 0;
  #dirty = true;
  #reset = true;
  #trimmed = false;
  #notBefore = 0;
  #how = null;

  /**
   * `onSelect(event or null, following)`, `onFollow(following)`, `onRows()` when other rows are shown; `runInfo(id)` is
   * a run as the server describes it.
   */
  constructor({ list, scale, trace, search, runInfo, onSelect, onFollow, onRows }) {
    this.#list = list;
    this.#pane = scale.parentElement;
    this.#trace = trace;
    this.#search = search;
    this.#runInfo = runInfo;
    this.#onSelect = onSelect;
    this.#following = new Following(onFollow);
    this.#onRows = onRows;
    this.#rows = new VirtualList({ list, make: newRow, paint: (row, item) => paintRow(row, item, this.#how) });
    this.#axis = new Axis({ scale, list, changed: () => this.#restyle() });
    wireTimeline(list, this);
    watchScrolling(list, (byPerson) => this.#onScroll(byPerson));
    new ResizeObserver(() => {
      this.#rows.measure();
      this.#schedule();
    }).observe(list);
    setInterval(() => this.#isTree && this.#trace.held.length > 0 && !document.hidden && this.#restyle(), GROW_MS);
    this.setView(this.view);
  }

  get following() {
    return this.#following.active;
  }

  /** The number of events of the chosen run, or of all runs. */
  get length() {
    return this.#events.length;
  }

  get axis() {
    return this.#axis;
  }

  /** The events of the chosen run, or of all runs. */
  get #events() {
    return this.#trace.of(this.#run);
  }

  /** Whether rows have levels. */
  get #isTree() {
    return this.view !== "list";
  }

  /** Changes the view. The selection stays, and stays in sight. */
  setView(view) {
    this.view = VIEWS.includes(view) ? view : "list";
    this.#list.dataset.view = this.view;
    this.#list.setAttribute("role", this.#isTree ? "tree" : "listbox");
    this.#pane.dataset.view = this.view;
    this.#focused = null;
    this.#rebuild(true);
    if (!this.following) this.#flushNow(() => this.#rows.reveal(this.#rowOf(this.selected)));
  }

  /** Shows the events of one run, or of all runs with null. The selection stays where it is among them. */
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

  /** Shows only the hits of the search, or all events. */
  setOnlyHits(only) {
    if (this.#onlyHits === only) return;
    this.#onlyHits = only;
    this.#rebuild(false);
    if (!this.following) this.#flushNow(() => this.#rows.reveal(this.#rowOf(this.selected)));
  }

  /** The hits of the search have changed. */
  searched() {
    if (this.#onlyHits) this.#rebuild(false);
    this.#restyle();
  }

  /** The held step that is next, or null. */
  aim(event) {
    this.#next = event && this.#shows(event) ? event : null;
    this.#schedule();
  }

  /** Keeps the selected event while the person writes about it, until `resume()`. */
  stay() {
    this.#following.write();
  }

  resume() {
    if (this.#following.writing) this.follow();
  }

  appended(event) {
    this.#search.check(event);
    if (this.#shows(event)) this.#rebuild(false);
  }

  changed(event) {
    this.#search.check(event);
    this.#rows.stale(event);
    // Other rows depend on it: that of its node, and those of the folded nodes and runs above.
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

  /** Selects the next held step or the newest event, and follows the agent from there. */
  follow() {
    this.#focused = null;
    this.#following.start();
    this.#schedule();
  }

  /**
   * Selects an event that the person chose. Choosing the one that would be followed means to follow, unless the choice
   * `lasts`, as that of a link does.
   */
  pick(event, focus, lasts = false) {
    if (!event || event.gone || !this.#shows(event)) return;
    this.#following.pick(lasts || event !== this.#target);
    this.#focused = null;
    if (this.#isTree && this.#trace.tree.reveal(event)) this.#rebuild(false);
    this.#select(event);
    this.#flushNow(() => {
      this.#rows.reveal(this.#rowOf(event));
      if (focus) this.#rows.element(this.#focusable)?.focus({ preventScroll: true });
    });
    this.#following.notify();
  }

  /** Moves the selection by so many rows. */
  move(by, focus) {
    if (this.#dirty) this.#flushNow();
    const { items } = this.#rows;
    if (items.length === 0) return;
    const from = this.#focusable;
    let to = Math.min(Math.max((this.#rows.has(from) ? from.index : items.length - 1) + by, 0), items.length - 1);
    // Without the focus only events are selected: a run has no details.
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

  /** The list of runs has changed. */
  runsChanged() {
    if (this.#isTree) this.#restyle();
  }

  /** Zooms to the time of the selected node or run. */
  zoomToSelected() {
    const bar = this.#barOfCurrent();
    if (bar) this.#axis.frame(bar.from, bar.to);
  }

  /** Zooms in, or out with a factor below 1, around the selected node if it is in sight, otherwise around the middle. */
  zoom(factor) {
    this.#axis.zoomAround(this.#barOfCurrent(), factor);
  }

  #barOfCurrent() {
    const item = this.#focusable;
    return item ? barOf(item, this.#times.now, this.#times.waiting) : null;
  }

  /** Folds a row with `true`, unfolds it with `false`, and toggles it otherwise. Returns whether that changed anything. */
  fold(item, folded) {
    const fold = this.#isTree && item ? foldOf(item) : null;
    if (!fold || fold.folded === (folded ?? !fold.folded)) return false;
    fold.folded = folded ?? !fold.folded;
    this.#rebuild(false);
    this.#flushNow();
    return true;
  }

  /** Folds or unfolds a row and all its siblings. */
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

  /** Goes to a row: an event is selected, a run only receives the focus. */
  goTo(item, focus) {
    if (!item) return;
    if (!item.items) {
      // In the waterfall a row stands for its whole node: where a later step of it is held, that step is meant.
      this.pick(this.view === "waterfall" ? heldIn(item) : item, focus);
      return;
    }
    this.stay();
    this.#focused = item;
    this.#rows.restyle();
    this.#flushNow(() => this.#rows.reveal(item));
    if (focus) this.#rows.element(item)?.focus({ preventScroll: true });
  }

  /** Each item that is in the document, with its row. */
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

  /** The row that shows an event: its own, that of its node, or that of the folded node or run above. */
  #rowOf(event) {
    if (!event) return null;
    if (this.#rows.has(event)) return event;
    for (let at = event.node ?? event.home; at; at = at.parent) {
      const row = at.runId === undefined ? (at.head ?? at.tail[0]) : at;
      if (this.#rows.has(row)) return row;
    }
    return null;
  }

  #shows(event) {
    return this.#run === null || event.runId === this.#run;
  }

  #rebuild(reset) {
    this.#dirty = true;
    this.#reset ||= reset;
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
    // The rows that were scrolled to are not in the document yet.
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
    const rebuilt = this.#dirty && (this.#reset || start >= this.#notBefore);
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
    // Where the row with the focus was removed, the focus stays in the timeline.
    if (focus && !this.#list.contains(document.activeElement)) this.#rows.element(this.#focusable)?.focus({ preventScroll: true });
    if (rebuilt) this.#notBefore = performance.now() + 6 * Math.max(0, performance.now() - start - 1);
  }

  #build() {
    const only = this.#onlyHits && this.#search.active;
    let items;
    if (this.#isTree) items = this.#trace.tree.rows({ run: this.#run, merged: this.view === "waterfall", hits: only });
    else items = only ? this.#events.slice().filter(({ hit }) => hit) : this.#events.slice();
    this.#rows.show(items, { reset: this.#reset, trimmed: this.#trimmed });
    this.#trimmed = false;
    this.#list.toggleAttribute("data-runs", this.#run === null && this.#trace.tree.runs.length > 1);
    this.#dirty = false;
    this.#reset = false;
  }

  #onScroll(byPerson) {
    this.#schedule();
    if (!byPerson) return;
    this.#rows.scrolled();
    const tail = this.#next ?? (this.#isTree ? this.#target : null);
    this.#following.scroll(tail ? !this.#rows.inSight(this.#rowOf(tail)) : this.#rows.below > 48);
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
      runInfo: this.#runInfo,
    };
  }
}
