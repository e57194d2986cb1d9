// Why a step is held, with the way to what holds it.

import { button } from "./dom.js";
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
