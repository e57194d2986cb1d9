// The trace as a tree: runs are its roots, in them nodes by `node_id` and `parent_id`, in these their events.
//
//   run ─┬─ tool_call research          a node's first opening event stands for the node
//        │   ├─ prompt ▸                 what happened inside: nodes below it, and its logs
//        │   └─ response
//        └─ tool_result research        what closes a node stands beside what opened it, as a brace does
//
// Nothing is guessed: where a parent is not known (not yet, or no longer), its children are shown one level up, and ids
// that would make a cycle are ignored. Nothing here recurses, so that a tree may be as deep as an agent makes it.

/** Dropped events stay in the lists, and are skipped, until this many have been dropped. */
const SWEEP_AFTER = 1024;
/** A hold counts for this many nodes above its own at most. */
const MAX_ANCESTORS = 64;

export class TraceTree {
  #runs = new Map();
  #nodes = new Map();
  #all = [];
  #gone = 0;
  #walk = 0;

  /** Adds the next event, and sets its `node` (its own, where it has one) and its `home` (the node or run that holds it). */
  append(event) {
    const run = this.#run(event);
    const parent = event.parentId !== null && event.parentId !== event.nodeId ? this.#nodeAt(run, event.parentId, run) : null;
    event.node = event.nodeId === null ? null : this.#nodeOf(event, run, parent);
    event.home = event.node ?? parent ?? run;
    if (event.node && opens(event) && !event.node.head) event.node.head = event;
    else if (event.node && (opens(event) || closes(event))) event.node.tail.push(event);
    else event.home.items.push(event);
    run.count += 1;
    run.tokens += event.tokens;
    const [from, to] = extentOf(event);
    run.from = Math.min(run.from, from);
    run.to = Math.max(run.to, to);
    for (let node = event.node ?? parent; node && node !== run && node.to < to; node = node.parent) node.to = to;
  }

  /** Removes an event. */
  drop(event) {
    event.gone = true;
    if (event.node?.head === event) event.node.head = null;
    const run = this.#runs.get(event.runId);
    run.count -= 1;
    run.tokens -= event.tokens;
    this.#gone += 1;
    if (this.#gone >= SWEEP_AFTER) this.#sweep();
  }

  /** A hold has ended: from `from` to `to` the event's node, and those above it, did no work. */
  addHold(event, from, to) {
    const stretch = [from, to];
    let reached = 0;
    for (let at = event.home; at && reached < MAX_ANCESTORS; at = at.parent) {
      at.holds.push(stretch);
      at.to = Math.max(at.to, to);
      reached += 1;
    }
    this.#runs.get(event.runId)?.holds.push(...(reached === MAX_ANCESTORS ? [stretch] : []));
  }

  clear() {
    this.#runs.clear();
    this.#nodes.clear();
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
    const start = event.node && (event.node.head === event || event.node.tail.includes(event)) ? event.node.parent : event.home;
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
      // The lists that are still to be walked, the next one last, each with the index of its next item.
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

  /** The node of an event. Where an id opens again, a new node begins. */
  #nodeOf(event, run, parent) {
    const key = keyOf(event.runId, event.nodeId);
    const known = this.#nodes.get(key);
    if (!known) return this.#nodeAt(run, event.nodeId, parent ?? run);
    if (!opens(event) || (!known.head && known.tail.length === 0)) {
      if (parent && known.parent === run && !known.head && !isAbove(known, parent)) this.#move(known, parent);
      return known;
    }
    if (known.head && !known.tail.some(closes)) return known;
    return this.#newNode(key, run, parent ?? known.parent);
  }

  #nodeAt(run, id, parent) {
    const key = keyOf(run.runId, id);
    return this.#nodes.get(key) ?? this.#newNode(key, run, parent);
  }

  #newNode(key, run, parent) {
    const node = { key, run, parent, head: null, items: [], tail: [], holds: [], folded: false, gone: false, to: -Infinity, kept: 0 };
    this.#nodes.set(key, node);
    this.#all.push(node);
    parent.items.push(node);
    return node;
  }

  #move(node, parent) {
    node.parent.items.splice(node.parent.items.indexOf(node), 1);
    node.parent = parent;
    parent.items.push(node);
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

  /** Removes dropped events from the lists. A node is mostly younger than the nodes above it, so that the youngest go first. */
  #sweep() {
    this.#gone = 0;
    const there = (item) => !item.gone;
    for (let i = this.#all.length - 1; i >= 0; i -= 1) {
      const node = this.#all[i];
      node.items = node.items.filter(there);
      node.tail = node.tail.filter(there);
      node.gone = !node.head && node.items.length === 0 && node.tail.length === 0;
      if (node.gone && this.#nodes.get(node.key) === node) this.#nodes.delete(node.key);
    }
    this.#all = this.#all.filter(there);
    for (const [id, run] of this.#runs) {
      run.items = run.items.filter(there);
      if (run.count === 0) this.#runs.delete(id);
      else this.#remeasure(run);
    }
  }

  /** The bar of a run covers the events that are still here. */
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

/** The node that a row folds: its own, where there is something inside it; a run folds itself. Otherwise null. */
export function foldOf(item) {
  if (item.items) return item;
  const { node } = item;
  return node?.head === item && node.items.some((inside) => !inside.gone) ? node : null;
}

/** When an event began and ended, in Unix seconds: as it reported, otherwise when it was recorded. */
export function extentOf(event) {
  const to = Math.max(event.end ?? event.ts, event.ts);
  const from = Math.min(event.start ?? event.ts, event.ts);
  const reported = event.took > 0 && closes(event) && !event.node?.head ? (event.end ?? event.ts) - event.took / 1000 : from;
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

function isAbove(node, item) {
  for (let at = item; at; at = at.parent) if (at === node) return true;
  return false;
}
