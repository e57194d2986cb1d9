// The steps that the buttons act on: in the chosen run, the selected event if it is held, otherwise the oldest held step.

const STOPPED = "stopped from the page";
const REASONS = new Map([
  ["step", "paused"],
  ["pause", "pause requested"],
  ["effect", "waits for approval of its side effect"],
  ["divergence", "not in the record of the source run"],
]);

/**
 * What each button would send, from the holds of a state frame (the oldest first), the chosen run (null = all) and
 * the seq of the selected event.
 *
 * Only a release opens a gate, so that Step skips it. The oldest step is not named in the request: a second press then
 * means the next step, as in every debugger, and not one that has been released.
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
    /** The step that Step releases; undefined where it can release none. */
    step,
    /** Where the agent is, for a reader who follows it: the step that Step would release, otherwise a gate. */
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

/** Why a step is held, in words: `breakpoint b1, gate (only a release opens it)`. */
export function holdReason(hold) {
  const ids = hold.breakpoint_ids ?? [];
  const reason = REASONS.get(hold.reason) ?? String(hold.reason ?? "").replaceAll("_", " ");
  const parts = [ids.length ? `breakpoint${ids.length > 1 ? "s" : ""} ${ids.join(", ")}` : reason];
  if (hold.gate) parts.push("gate (only a release opens it)");
  return parts.filter(Boolean).join(", ");
}
