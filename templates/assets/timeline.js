// The timeline: a listbox with one row for each event of all runs or of one, and a selection that follows where the
// agent stands (the next held step, else the newest event) until the user picks another or scrolls away.
//
// All changes are collected and reach the document once per animation frame, at most BATCH rows at a time. Nothing
// here walks over all rows, so that a long trace costs no more per event than a short one. Rows are kept in chunks,
// and a chunk out of sight is neither laid out nor painted (`content-visibility` in app.css); the browser looks at
// every such element in every frame, so that it has to be a hundred chunks and not ten thousand rows.

import { element } from "./dom.js";
import { clock, moment, words } from "./text.js";

const BATCH = 400;
const CHUNK = 100;
/** The height of a row in app.css. */
const ROW_REM = 2;

export class Timeline {
  selected = null;
  #list;
  #trace;
  #onSelect;
  #onFollow;
  #waiting = [];
  #stale = new Set();
  #resized = new Set();
  #frame = 0;
  #run = null;
  #next = null;
  #picked = false;
  #stayed = false;
  #scrolledAway = false;
  #cursor = null;
  #cursorSeq = 0;

  /** `onSelect(event or null, following)`; `onFollow(following)`. */
  constructor({ list, trace, onSelect, onFollow }) {
    this.#list = list;
    this.#trace = trace;
    this.#onSelect = onSelect;
    this.#onFollow = onFollow;
    list.addEventListener("click", (click) => {
      const row = click.target.closest("[role=option]");
      if (row) this.pick(trace.get(Number(row.dataset.seq)), true);
    });
    list.addEventListener("keydown", (key) => this.#onKey(key));
    // Only a person's own scrolling counts; ours, and the browser's when rows go, do not.
    for (const type of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      list.addEventListener(type, () => this.#watchScroll(), { passive: true });
    }
  }

  get following() {
    return !this.#picked && !this.#stayed && !this.#scrolledAway;
  }

  /** How many events of the chosen run there are; of all with none chosen. */
  get length() {
    return this.#view.length;
  }

  /** Shows the events of one run only, or of all with null. The selection stays, where it is among them. */
  show(run) {
    for (const event of this.#view) event.row = null;
    this.#run = run;
    this.#waiting = [...this.#view];
    this.#resized.clear();
    this.#stale.clear();
    this.#cursor = null;
    this.#list.replaceChildren();
    if (this.selected && !this.#shows(this.selected)) {
      this.#select(null);
      this.follow();
    }
    this.#schedule();
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
    if (!this.#shows(event)) return;
    this.#waiting.push(event);
    this.#schedule();
  }

  changed(event) {
    this.#stale.add(event);
    this.#schedule();
  }

  dropped(event) {
    const chunk = event.row?.parentElement;
    event.row?.remove();
    if (chunk && !chunk.hasChildNodes()) chunk.remove();
    else if (chunk) this.#resized.add(chunk);
    event.row = null;
    event.gone = true;
    this.#stale.delete(event);
    if (this.#next === event) this.#next = null;
    // A hidden tab has no animation frames. What waits for one must not keep what the trace has let go.
    if (this.#waiting.length > 2 * this.#trace.length + BATCH) {
      this.#waiting = this.#waiting.filter((waiting) => !waiting.gone);
    }
    if (this.selected === event) this.follow();
  }

  cleared() {
    this.#waiting = [];
    this.#stale.clear();
    this.#resized.clear();
    this.#cursor = null;
    this.#next = null;
    this.#cursorSeq = 0;
    this.#list.replaceChildren();
    this.#select(null);
    this.follow();
  }

  /** Goes back to where the agent stands and stays with it. */
  follow() {
    this.#picked = false;
    this.#stayed = false;
    this.#scrolledAway = false;
    this.#onFollow(true);
    this.#schedule();
  }

  /** Selects an event because the user asked for it. Choosing the one that would be followed means to follow. */
  pick(event, focus) {
    if (!event || !this.#shows(event)) return;
    this.#picked = event !== this.#target;
    this.#stayed = false;
    this.#scrolledAway = false;
    this.#flush(Infinity);
    this.#select(event);
    event.row?.scrollIntoView({ block: "nearest" });
    if (focus) event.row?.focus({ preventScroll: true });
    this.#onFollow(this.following);
  }

  /** Moves the selection by so many rows. */
  move(by, focus) {
    const from = this.selected?.seq ?? this.#view.last?.seq;
    if (from !== undefined) this.pick(this.#view.near(from, by), focus);
  }

  /** Marks the newest event at or before the debugger's cursor. */
  markCursor(seq) {
    this.#cursorSeq = seq;
    const row = this.#trace.get(seq)?.row ?? null;
    if (row === this.#cursor) return;
    this.#cursor?.classList.remove("cursor");
    row?.classList.add("cursor");
    this.#cursor = row;
  }

  get #view() {
    return this.#trace.of(this.#run);
  }

  get #target() {
    return this.#next ?? this.#view.last;
  }

  #shows(event) {
    return this.#run === null || event.runId === this.#run;
  }

  #onKey(key) {
    if (key.ctrlKey || key.metaKey || key.altKey) return;
    const page = Math.max(1, Math.floor(this.#list.clientHeight / (this.selected?.row?.offsetHeight || 32)) - 1);
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, End: Infinity, Home: -Infinity }[key.key];
    if (by === undefined) return;
    key.preventDefault();
    this.move(by, true);
  }

  #watchScroll() {
    requestAnimationFrame(() => {
      const away = this.#next ? !inSight(this.#next.row, this.#list) : bottom(this.#list) > 48;
      if (this.#picked || away === this.#scrolledAway) return;
      this.#scrolledAway = away;
      this.#onFollow(this.following);
      if (!away) this.#schedule();
    });
  }

  #schedule() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#flush(BATCH);
      if (this.#waiting.length) this.#schedule();
    });
  }

  #flush(most) {
    if (this.#waiting.length) {
      const batch = this.#waiting.slice(0, most);
      this.#waiting = this.#waiting.slice(batch.length);
      for (const event of batch) {
        if (event.gone) continue;
        event.row = newRow(event);
        this.#append(event.row);
        if (event !== this.selected) continue;
        mark(event, true);
        if (!this.following || event === this.#next) event.row.scrollIntoView({ block: "nearest" });
      }
    }
    for (const chunk of this.#resized) {
      chunk.style.containIntrinsicBlockSize = `${chunk.childElementCount * ROW_REM}rem`;
    }
    this.#resized.clear();
    for (const event of this.#stale) if (event.row) paint(event);
    this.#stale.clear();
    // The row it belongs to may only just have come.
    this.markCursor(this.#cursorSeq);
    const target = this.#target;
    if (!this.following || !target) return;
    const moved = this.#waiting.length === 0 && this.#select(target);
    if (!this.#next) this.#list.scrollTop = this.#list.scrollHeight;
    else if (moved) target.row.scrollIntoView({ block: "nearest" });
  }

  #append(row) {
    let chunk = this.#list.lastElementChild;
    if (!chunk || chunk.childElementCount >= CHUNK) {
      chunk = element("div", "chunk", "");
      chunk.setAttribute("role", "presentation");
      this.#list.append(chunk);
    }
    chunk.append(row);
    this.#resized.add(chunk);
  }

  #select(event) {
    if (this.selected === event) return false;
    const focused = this.selected?.row?.matches(":focus");
    mark(this.selected, false);
    mark(event, true);
    this.selected = event;
    if (focused) event?.row?.focus({ preventScroll: true });
    this.#onSelect(event, this.following);
    return true;
  }
}

function bottom(list) {
  return list.scrollHeight - list.scrollTop - list.clientHeight;
}

function inSight(row, list) {
  const [inner, outer] = [row?.getBoundingClientRect(), list.getBoundingClientRect()];
  return inner !== undefined && inner.bottom > outer.top && inner.top < outer.bottom;
}

function mark(event, selected) {
  if (!event?.row) return;
  event.row.setAttribute("aria-selected", String(selected));
  event.row.tabIndex = selected ? 0 : -1;
}

function newRow(event) {
  const row = document.createElement("div");
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", "false");
  row.tabIndex = -1;
  row.dataset.seq = event.seq;
  row.dataset.type = event.type;
  row.className = "row";
  const label = element("span", "label", "");
  if (event.name) label.append(element("bdi", "name", event.name), " ");
  label.append(element("bdi", "snippet", event.snippet));
  row.append(element("span", "seq", String(event.seq)), element("span", "type", words(event.type)), label);
  if (event.run) row.append(element("bdi", "run", event.run));
  const time = element("time", "time", event.ts === undefined ? "" : clock(event.ts));
  time.dateTime = event.ts === undefined ? "" : moment(event.ts);
  row.append(element("span", "badge", ""), time);
  event.row = row;
  paint(event);
  return row;
}

/** The part of a row that changes: whether it is held, and what became of it. */
function paint(event) {
  const badge = event.row.querySelector(".badge");
  const { outcome, action } = event.decision ?? {};
  const decided = action && action !== "proceed" ? action : outcome;
  const state = event.held ? "held" : decided ? "decided" : "";
  event.row.classList.toggle("held", Boolean(event.held));
  event.row.classList.toggle("next", event.held === "next");
  badge.textContent = event.held ? "held" : decided ? words(decided) : "";
  badge.dataset.state = state;
}
