// The trace as a tree: runs are its roots, in them nodes by `node_id` and `parent_id`, in these their events.
//
//   run ─┬─ tool_call research          a node's first opening event stands for the node
//        │   ├─ prompt ▸                 what happened inside: nodes below it, and its logs
//        │   └─ response
//        └─ tool_result research        what closes a node stands beside what opened it, as a brace does
//
// Nothing is guessed: a parent that is not known (not yet, or not any more) leaves its children one level up, and ids
// that would make a circle are left out. Nothing here recurses, so that lineage may be as deep as an agent likes, and
// nothing here knows the DOM.

/** What is trimmed stays in the lists until so many events have gone, and is passed over until then. */
const SWEEP_AFTER = 1024;
/** A hold is told to so many nodes above its own at most. */
const MAX_TOLD = 64;

export class Lineage {
  #runs = new Map();
  #spans = new Map();
  #all = [];
  #gone = 0;
  #walk = 0;

  /** Takes the next event. It then knows its `span` (the node, where it has one) and its `home` (what it lies in). */
  append(event) {
    const run = this.#run(event);
    const parent = event.parentId !== null && event.parentId !== event.nodeId ? this.#span(run, event.parentId, run) : null;
    event.span = event.nodeId === null ? null : this.#nodeOf(event, run, parent);
    event.home = event.span ?? parent ?? run;
    if (event.span && opens(event) && !event.span.head) event.span.head = event;
    else if (event.span && (opens(event) || closes(event))) event.span.tail.push(event);
    else event.home.items.push(event);
    run.count += 1;
    run.tokens += event.tokens;
    const [from, to] = extentOf(event);
    run.from = Math.min(run.from, from);
    run.to = Math.max(run.to, to);
    for (let span = event.span ?? parent; span && span !== run && span.to < to; span = span.parent) span.to = to;
  }

  /** An event is gone. */
  drop(event) {
    event.gone = true;
    if (event.span?.head === event) event.span.head = null;
    const run = this.#runs.get(event.runId);
    run.count -= 1;
    run.tokens -= event.tokens;
    this.#gone += 1;
    if (this.#gone >= SWEEP_AFTER) this.#sweep();
  }

  /** A hold ended: `[from, to]` is time in which its node, and those above it, did not work. */
  held(event, from, to) {
    const stretch = [from, to];
    let told = 0;
    for (let at = event.home; at && told < MAX_TOLD; at = at.parent) {
      at.holds.push(stretch);
      at.to = Math.max(at.to, to);
      told += 1;
    }
    this.#runs.get(event.runId)?.holds.push(...(told === MAX_TOLD ? [stretch] : []));
  }

  clear() {
    this.#runs.clear();
    this.#spans.clear();
    this.#all = [];
    this.#gone = 0;
  }

  /** The runs that have events, in the order in which they began. */
  get runs() {
    return [...this.#runs.values()].filter((run) => run.count > 0);
  }

  run(id) {
    return this.#runs.get(id);
  }

  /** Unfolds everything above an event. Returns whether anything was folded. */
  reveal(event) {
    let changed = false;
    const start = event.span && (event.span.head === event || event.span.tail.includes(event)) ? event.span.parent : event.home;
    for (let at = start; at; at = at.parent) {
      changed ||= at.folded;
      at.folded = false;
    }
    return changed;
  }

  /**
   * The rows from top to bottom: runs, and events of all runs or, without their root, of one. Each then knows its
   * `level` and `place` (from 1) and its `group`, whose `size` counts its siblings. `merged` leaves out what closes a
   * node, for rows that stand for whole nodes; `hits` leaves out all but events with `hit` and what is above them.
   */
  rows({ run = null, merged = false, hits = false } = {}) {
    this.#walk += 1;
    if (hits) this.#markHits(run);
    const rows = [];
    const roots = { size: 0 };
    const put = (item, level, group) => {
      group.size += 1;
      item.level = level;
      item.group = group;
      item.place = group.size;
      rows.push(item);
    };
    for (const root of this.#runs.values()) {
      if (root.count === 0 || (run !== null && root.runId !== run) || (hits && root.kept !== this.#walk)) continue;
      let group = roots;
      if (run === null) {
        put(root, 1, roots);
        if (root.folded) continue;
        group = root.inside = { size: 0 };
      }
      // What is still to be told, the next last: lists of events and nodes, and how far each was told.
      const open = [{ list: root.items, at: 0, level: run === null ? 2 : 1, group }];
      while (open.length) {
        const here = open.at(-1);
        if (here.at === here.list.length) {
          open.pop();
          continue;
        }
        const item = here.list[here.at];
        here.at += 1;
        if (item.gone) continue;
        if (!item.tail) {
          if (!hits || item.hit) put(item, here.level, here.group);
          continue;
        }
        if (hits && item.kept !== this.#walk) continue;
        const { head } = item;
        if (head) put(head, here.level, here.group);
        const tail = merged ? (head ? [] : item.tail.slice(0, 1)) : item.tail;
        if (tail.length) open.push({ list: tail, at: 0, level: here.level, group: here.group });
        if (head && item.folded) continue;
        const inside = head ? { size: 0 } : here.group;
        open.push({ list: item.items, at: 0, level: head ? here.level + 1 : here.level, group: inside });
      }
    }
    return rows;
  }

  #run(event) {
    let run = this.#runs.get(event.runId);
    if (!run) {
      run = { runId: event.runId, name: event.run, items: [], holds: [], folded: false, parent: null, count: 0, tokens: 0, from: Infinity, to: -Infinity, kept: 0, inside: null };
      this.#runs.set(event.runId, run);
    }
    return run;
  }

  /** The node of an event. An id that opens once more is a node once more. */
  #nodeOf(event, run, parent) {
    const key = keyOf(event.runId, event.nodeId);
    const known = this.#spans.get(key);
    if (!known) return this.#span(run, event.nodeId, parent ?? run);
    if (!opens(event) || (!known.head && known.tail.length === 0)) {
      if (parent && known.parent === run && !known.head && !isAbove(known, parent)) this.#move(known, parent);
      return known;
    }
    if (known.head && !known.tail.some(closes)) return known;
    return this.#newSpan(key, run, parent ?? known.parent);
  }

  #span(run, id, parent) {
    const key = keyOf(run.runId, id);
    return this.#spans.get(key) ?? this.#newSpan(key, run, parent);
  }

  #newSpan(key, run, parent) {
    const span = { key, run, parent, head: null, items: [], tail: [], holds: [], folded: false, gone: false, to: -Infinity, kept: 0 };
    this.#spans.set(key, span);
    this.#all.push(span);
    parent.items.push(span);
    return span;
  }

  #move(span, parent) {
    span.parent.items.splice(span.parent.items.indexOf(span), 1);
    span.parent = parent;
    parent.items.push(span);
  }

  #markHits(run) {
    for (const root of this.#runs.values()) {
      if (run !== null && root.runId !== run) continue;
      const lists = [root.items];
      while (lists.length) {
        for (const item of lists.pop()) {
          if (item.tail) lists.push(item.items, item.tail, item.head ? [item.head] : []);
          if (item.tail || item.gone || !item.hit) continue;
          for (let at = item.home; at && at.kept !== this.#walk; at = at.parent) at.kept = this.#walk;
        }
      }
    }
  }

  /** Lets go what is trimmed. Nodes are mostly younger than those above them, so that the youngest go first. */
  #sweep() {
    this.#gone = 0;
    const there = (item) => !item.gone;
    for (let i = this.#all.length - 1; i >= 0; i -= 1) {
      const span = this.#all[i];
      span.items = span.items.filter(there);
      span.tail = span.tail.filter(there);
      span.gone = !span.head && span.items.length === 0 && span.tail.length === 0;
      if (span.gone && this.#spans.get(span.key) === span) this.#spans.delete(span.key);
    }
    this.#all = this.#all.filter(there);
    for (const [id, run] of this.#runs) {
      run.items = run.items.filter(there);
      if (run.count === 0) this.#runs.delete(id);
      else this.#remeasure(run);
    }
  }

  /** What a run's bar covers is what is retained of it. */
  #remeasure(run) {
    run.from = Infinity;
    const lists = [run.items];
    while (lists.length) {
      for (const item of lists.pop()) {
        if (item.tail) lists.push(item.items, item.tail, item.head ? [item.head] : []);
        else run.from = Math.min(run.from, extentOf(item)[0]);
      }
    }
    run.holds = run.holds.filter(([, to]) => to >= run.from);
  }
}

/** The node that a row folds: its own, where something happened inside it; a run folds itself. Else null. */
export function foldOf(item) {
  if (item.items) return item;
  const { span } = item;
  return span?.head === item && span.items.some((inside) => !inside.gone) ? span : null;
}

/** When an event began and ended, in seconds: what it reported itself, else when it was recorded. */
export function extentOf(event) {
  const to = Math.max(event.end ?? event.ts, event.ts);
  const from = Math.min(event.start ?? event.ts, event.ts);
  const reported = event.took > 0 && closes(event) && !event.span?.head ? (event.end ?? event.ts) - event.took / 1000 : from;
  return [Math.min(from, reported), event.end === null ? event.ts : Math.max(event.end, from)].map((t) => (Number.isFinite(t) ? t : to));
}

export function opens({ type }) {
  return type === "prompt" || type === "tool_call";
}

export function closes({ type }) {
  return type === "response" || type === "tool_result" || type === "error";
}

function keyOf(run, id) {
  return `${run.length}:${run}${id}`;
}

function isAbove(span, item) {
  for (let at = item; at; at = at.parent) if (at === span) return true;
  return false;
}
