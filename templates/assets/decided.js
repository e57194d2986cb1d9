// What became of a step that was held: the hold itself, or the decision that ended it.

import { copyButton } from "./clipboard.js";
import { diffView } from "./diffview.js";
import { element } from "./dom.js";
import { members } from "./json.js";
import { jsonTree } from "./jsontree.js";
import { longText } from "./longtext.js";
import { field, string, TEXT } from "./payload.js";
import { holdTimes, reasonParts } from "./reason.js";
import { clip, duration, visible, visibleLines, words } from "./text.js";

/** What was decided about a step: for an edit the way from the one to the other, else what was sent. */
export function decidedSection(event) {
  const frame = members(event.decision.raw);
  const raw = frame.get("decision") ?? "{}";
  const decision = members(raw);
  const actor = string(frame.get("actor"));
  const section = element("section", "payload decided", "");
  const bar = element("div", "payload-bar", "");
  const title = element("h3", "", `Decision: ${words(event.decision.action)}`);
  const who = element("span", "hint", "");
  if (actor) who.append("by ", element("bdi", "", clip(visible(actor), 100)));
  bar.append(title, who, copyButton(() => raw, "Copy decision"));
  section.append(bar);
  const model = string(decision.get("model"));
  if (model) section.append(element("p", "", `Model: ${clip(visible(model), 200)}`));
  const said = string(decision.get("message")) ?? string(decision.get("reason"));
  if (said) section.append(longText(said, { most: TEXT, show: visibleLines, className: "prose" }));
  const data = decision.get("data");
  if (data === undefined || data === "null") return section;
  const before = event.decision.action === "edit" ? (frame.get("before") ?? members(event.raw).get("data")) : undefined;
  if (before === undefined) section.append(jsonTree(data, { label: "Decision" }));
  else section.append(diffView(before, data, { json: true }));
  return section;
}

/** The line of the fields that tells of the hold, or of its end; null where there was none. */
export function holdLine(event, { breakpoint, onTimeout }) {
  if (event.held) {
    const made = field("hold", "Held", "yes: ");
    const times = holdTimes(event.hold, onTimeout(event.hold.breakpoint_ids ?? []));
    made.lastChild.firstChild.append(...reasonParts(event.hold, breakpoint), ...times);
    return made;
  }
  if (!event.decision) return null;
  const frame = members(event.decision.raw);
  const actor = string(frame.get("actor"));
  const held = duration(Number(frame.get("held_ms")));
  const text = [words(event.decision.outcome), event.decision.action, held && `held for ${held}`, actor && `by ${actor}`];
  return field("hold", "Outcome", clip(visible(text.filter(Boolean).join(" · ")), 300));
}
