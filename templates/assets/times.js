// The times that the rows of a tree and the bars of a waterfall are drawn by: the latest that is known, and since when
// something in a node or a run waits. What is held grows with the page's own clock, counted from when it was told.

export class Times {
  /** The latest time known, in Unix seconds. */
  now = -Infinity;
  /** Nodes and runs with a held step in them, and that step itself, to the second since which it waits. */
  waiting = new Map();

  clear() {
    this.now = -Infinity;
    this.waiting.clear();
  }

  /** Takes the times of one run, or of all with null, and has the axis cover them. */
  measure(trace, run, axis) {
    this.waiting.clear();
    const { lineage } = trace;
    const runs = run === null ? lineage.runs : [lineage.run(run)].filter(Boolean);
    const to = runs.reduce((most, one) => Math.max(most, one.to), -Infinity);
    const held = trace.held.filter((event) => run === null || event.runId === run);
    this.now = Math.max(to, ...held.map((event) => event.ts + (event.hold.held_ms + performance.now() - event.holdAt) / 1000));
    for (const event of held) {
      for (let at = event.home, n = 0; at && n < 64; at = at.parent, n += 1) {
        if (!(this.waiting.get(at) < event.ts)) this.waiting.set(at, event.ts);
      }
      this.waiting.set(event, event.ts);
    }
    axis.cover(runs.reduce((least, one) => Math.min(least, one.from), Infinity), this.now);
  }
}
