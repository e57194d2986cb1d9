// Why a step is not in the record of its fork: the nearest recorded step, and how it differs.

import { clip, visible } from "../../core/text.js";
import { fieldDiff } from "../../ui/diffview.js";
import { button, element } from "../../ui/dom.js";
import { goTo } from "../../ui/sections.js";

/**
 * The section about it; null where a step does not diverge. `get(seq)` returns an event of the trace, `ignore(path)`
 * prepares another fork in which that path of `data` is not compared.
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
  if (near) title.append(", nearest step ", goTo(near));
  section.append(bar, element("p", "", clip(visible(String(reason)), 500)));
  for (const { path, left, right } of Array.isArray(fields) ? fields : []) {
    const head = element("div", "field-bar", "");
    head.append(element("code", "", clip(visible(String(path)), 200)));
    // Only paths of data can be excluded from the comparison.
    if (String(path).startsWith("$")) {
      const leave = button("Ignore this path", "plain", () => ignore(String(path)));
      leave.title = "Fork again, without this path when steps are compared with the record";
      head.append(leave);
    }
    section.append(head, fieldDiff(left, right));
  }
  return section;
}
