// Why a step is held, with the way to what holds it.

import { button, element } from "./dom.js";
import { holdReason } from "./scope.js";
import { visible } from "./text.js";

/** The words of `holdReason`, with each breakpoint a link to itself. */
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
 * For how long a step has been held, and when that ends by itself, where it does. `hold.at` is when the page was told;
 * `then` says what becomes of it. Whoever shows these has them brought up to date with all others, as Status does.
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
