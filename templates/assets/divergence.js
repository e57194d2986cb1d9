// Why a fork's record does not have a step: the nearest that it has, and what differs from it.

import { fieldDiff } from "./diffview.js";
import { button, element } from "./dom.js";
import { goTo } from "./payload.js";
import { clip, visible } from "./text.js";

/**
 * The section about it, or null where a step diverges from nothing. `get(seq)` is an event of the trace; `ignore(path)`
 * begins a fork in which that path of `data` does not count.
 */
export function divergenceSection(parts, get, ignore) {
  const raw = parts.get("divergence");
  if (!raw?.startsWith("{")) return null;
  const { reason, nearest_seq: nearest, fields } = JSON.parse(raw);
  const section = element("section", "payload divergence", "");
  const bar = element("div", "payload-bar", "");
  const title = element("h3", "", "Not in the record");
  bar.append(title);
  const near = get(nearest);
  if (near) title.append(", nearest ", goTo(near));
  section.append(bar, element("p", "", clip(visible(String(reason)), 500)));
  for (const { path, left, right } of Array.isArray(fields) ? fields : []) {
    const head = element("div", "field-bar", "");
    head.append(element("code", "", clip(visible(String(path)), 200)));
    // Only what is in data can be left out of what is compared.
    if (String(path).startsWith("$")) {
      const leave = button("Ignore this path", "plain", () => ignore(String(path)));
      leave.title = "Fork anew, with this path left out when steps are compared with the record";
      head.append(leave);
    }
    section.append(head, fieldDiff(left, right));
  }
  return section;
}
