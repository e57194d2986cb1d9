// The times by which the rows of a tree and the bars of a waterfall are drawn: the latest time known, and the time since
// which a step of a node or run is held. A hold grows by the page's clock, from the moment in which it was received.

export class Times {
  /** The latest time known, in Unix seconds. */
  now = -Infinity;
  /** Each node and run with a held step in it, and each held step, to the time since which it is held. */
  waiting = new Map();

  clear() {
    this.now = -Infinity;
    this.waiting.clear();
  }

  /** Takes the times of one run, or of all with null, and has the axis cover them. */
  measure(trace, run, axis) {
    this.waiting.clear();
    const { tree } = trace;
    const runs = run === null ? tree.runs : [tree.run(run)].filter(Boolean);
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
