// What the buttons act on: the run that was chosen, and in it the selected event where that one is held, else the
// oldest held. Nothing here knows the DOM.

const STOPPED = "stopped from the page";
const REASONS = {
  step: "paused",
  pause: "pause asked for",
  effect: "asked about before it has an effect",
  divergence: "not in the record that its run was forked from",
};

/**
 * What each button would send, from the holds of a state frame (the oldest first), the chosen run (null = all) and
 * the seq of the selected event.
 *
 * A gate is opened by a release alone, so that Step passes it over. The oldest step is not named in the request: a
 * second press then means the next one, as with every debugger, and not one that is gone.
 */
export function targets(held, run, selected) {
  const scope = run === null ? {} : { run_id: run };
  const inScope = held.filter((hold) => run === null || hold.run_id === run);
  const steppable = inScope.filter((hold) => !hold.gate);
  const selectedHold = inScope.find((hold) => hold.seq === selected);
  const step = selectedHold && !selectedHold.gate ? selectedHold : steppable[0];
  const stoppable = inScope.filter((hold) => hold.accepts?.includes("abort"));
  const stop = stoppable.find((hold) => hold.seq === selected) ?? stoppable[0];
  const named = step && step !== steppable[0] ? { ...scope, seq: step.seq } : scope;
  return {
    inScope,
    /** What Step lets go; undefined with nothing held that it may let go. */
    step,
    /** Where the agent stands, for somebody who follows: what Step would let go, else a gate. */
    next: steppable[0] ?? inScope[0],
    stop,
    bodies: {
      step: { granularity: "into", ...named },
      "step-over": { granularity: "over", ...named },
      "step-out": { granularity: "out", ...named },
      continue: scope,
      pause: scope,
      stop: stop ? { seq: stop.seq, action: "abort", reason: STOPPED } : null,
    },
  };
}

/** Why a step is held, as a list of words: `breakpoint b1, gate (only a release opens it)`. */
export function holdReason(hold) {
  const ids = hold.breakpoint_ids ?? [];
  const said = REASONS[hold.reason] ?? String(hold.reason ?? "").replaceAll("_", " ");
  const parts = [ids.length ? `breakpoint${ids.length > 1 ? "s" : ""} ${ids.join(", ")}` : said];
  if (hold.gate) parts.push("gate (only a release opens it)");
  return parts.filter(Boolean).join(", ");
}
