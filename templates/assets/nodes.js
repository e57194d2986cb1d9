// How events belong together: which opens a node and which closes it, what is above it, which prompt came before, and
// what the runs add up to. Numbers only; the events themselves are in the trace.

/** The prompts before one that are looked at for the conversation that it goes on with. */
const EARLIER = 8;
const OPENS = new Set(["prompt", "tool_call"]);

export class Nodes {
  /** Node to `{opens, closes, parent}`, by run. */
  #runs = new Map();
  #bySeq = new Map();

  /** Takes an event frame, before the trace does. */
  add(frame) {
    if (this.#bySeq.has(frame.seq)) return;
    const run = this.#run(String(frame.run_id ?? ""));
    this.#bySeq.set(frame.seq, { run, node: frame.node_id ?? null, parent: frame.parent_id ?? null, opens: OPENS.has(frame.type) });
    if (frame.type === "prompt") run.prompts.push(frame.seq);
    run.events += 1;
    run.first ??= frame.ts;
    run.last = frame.ts ?? run.last;
    if (frame.type === "error") run.errors += 1;
    const node = frame.node_id;
    if (node === undefined || node === null) return;
    if (OPENS.has(frame.type)) run.nodes.set(node, { ...run.nodes.get(node), opens: frame.seq });
    // A log says something about a node, and ends none.
    else if (frame.type !== "log") run.nodes.set(node, { ...run.nodes.get(node), closes: frame.seq });
  }

  /** A hold of the run has ended in an abort, or in something else. */
  ended(run, seq, action) {
    const known = this.#runs.get(run);
    if (known) known.stopped = action === "abort" ? seq : null;
  }

  /** The trace no longer has this event. */
  drop(seq) {
    const event = this.#bySeq.get(seq);
    if (!event) return;
    this.#bySeq.delete(seq);
    const { prompts, nodes, id } = event.run;
    event.run.events -= 1;
    if (event.run.events === 0) this.#runs.delete(id);
    if (prompts[0] === seq) prompts.shift();
    const node = nodes.get(event.node);
    if (node && (node.closes ?? node.opens) === seq) nodes.delete(event.node);
  }

  clear() {
    this.#runs.clear();
    this.#bySeq.clear();
  }

  /** The event that opens or closes the node of this one, which closes or opens it; undefined where there is none. */
  other(seq) {
    const { run, node, opens } = this.#bySeq.get(seq) ?? {};
    const found = run?.nodes.get(node);
    const other = opens ? found?.closes : found?.opens;
    return other === seq ? undefined : other;
  }

  /** The event that opens the node above. */
  above(seq) {
    const { run, parent } = this.#bySeq.get(seq) ?? {};
    return run?.nodes.get(parent)?.opens;
  }

  /** The prompts of the same run before this one, the nearest first. */
  promptsBefore(seq) {
    const prompts = this.#bySeq.get(seq)?.run.prompts ?? [];
    const at = prompts.lastIndexOf(seq);
    return prompts.slice(Math.max(0, at - EARLIER), Math.max(0, at)).reverse();
  }

  /** What this page saw of a run: `first` and `last` in Unix seconds, `errors`, and where it was `stopped`. */
  run(id) {
    return this.#runs.get(id);
  }

  #run(id) {
    let run = this.#runs.get(id);
    if (!run) {
      run = { id, nodes: new Map(), prompts: [], events: 0, first: undefined, last: undefined, errors: 0, stopped: null };
      this.#runs.set(id, run);
    }
    return run;
  }
}
