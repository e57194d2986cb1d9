// Why a step is held, with links to the breakpoints that hold it.

import { visible } from "../core/text.js";
import { holdReason } from "../model/targets.js";
import { button, element } from "./dom.js";

/** The words of `holdReason`, each breakpoint in them as a button that goes to it. */
export function reasonParts(hold, breakpoint) {
  const ids = new Set(hold.breakpoint_ids ?? []);
  return visible(holdReason(hold)).split(/\b(b\d+)\b/).map((part) => {
    if (!ids.has(part)) return part;
    const link = button(part, "plain link", () => breakpoint(part));
    link.dataset.breakpoint = part;
    link.setAttribute("aria-label", `Breakpoint ${part}`);
    return link;
  });
}

/**
 * For how long a step has been held, and when the hold times out, if it does. `hold.at` is when the hold was received;
 * `then` says what happens to the step. Status keeps the times of all these elements up to date.
 */
export function holdTimes(hold, then) {
  const since = element("span", "held-for", "");
  since.dataset.since = hold.at - hold.held_ms;
  if (typeof hold.times_out_in_ms !== "number") return [" · ", since];
  const left = element("span", "held-left", "");
  left.dataset.ends = hold.at + hold.times_out_in_ms;
  left.dataset.then = then || "times out";
  left.dataset.seq = hold.seq;
  return [" · ", since, " · ", left];
}
