// How events belong together: which one opens a node and which closes it, what the parent is, which prompts came
// before, and the totals of each run. It keeps sequence numbers; the events themselves are in the trace.

/** So many earlier prompts are searched for the conversation that a prompt continues. */
const EARLIER = 8;
const OPENS = new Set(["prompt", "tool_call"]);

export class Relations {
  /** Node to `{opens, closes, parent}`, by run. */
  #runs = new Map();
  #bySeq = new Map();

  /** Adds an event frame; to be called before the trace appends it. */
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
    // A log belongs to a node and does not close it.
    else if (frame.type !== "log") run.nodes.set(node, { ...run.nodes.get(node), closes: frame.seq });
  }

  /** A hold of the run has ended with this action. */
  holdEnded(run, seq, action) {
    const known = this.#runs.get(run);
    if (known) known.stopped = action === "abort" ? seq : null;
  }

  /** Removes an event that the trace has dropped. */
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

  /** The event at the other end of the same node: what closes it, or what opened it. Undefined where there is none. */
  counterpart(seq) {
    const { run, node, opens } = this.#bySeq.get(seq) ?? {};
    const ends = run?.nodes.get(node);
    const counterpart = opens ? ends?.closes : ends?.opens;
    return counterpart === seq ? undefined : counterpart;
  }

  /** The event that opens the parent node. */
  parentOf(seq) {
    const { run, parent } = this.#bySeq.get(seq) ?? {};
    return run?.nodes.get(parent)?.opens;
  }

  /** The earlier prompts of the same run, the nearest first. */
  promptsBefore(seq) {
    const prompts = this.#bySeq.get(seq)?.run.prompts ?? [];
    const at = prompts.lastIndexOf(seq);
    return prompts.slice(Math.max(0, at - EARLIER), Math.max(0, at)).reverse();
  }

  /** What this page has of a run: `first` and `last` in Unix seconds, the number of `errors`, and the seq at which it was `stopped`. */
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
