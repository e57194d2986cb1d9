// The hold of a step, or the decision that ended it.

import { members } from "../../core/json.js";
import { clip, duration, visible, visibleLines, words } from "../../core/text.js";
import { copyButton } from "../../ui/clipboard.js";
import { diffView } from "../../ui/diffview.js";
import { element } from "../../ui/dom.js";
import { holdTimes, reasonParts } from "../../ui/holdreason.js";
import { jsonTree } from "../../ui/jsontree.js";
import { longText } from "../../ui/longtext.js";
import { field, string, TEXT } from "../../ui/sections.js";

/** The decision about a step: for an edit the difference, otherwise the data that was sent. */
export function decidedSection(event) {
  const frame = members(event.decision.raw);
  const raw = frame.get("decision") ?? "{}";
  const decision = members(raw);
  const actor = string(frame.get("actor"));
  const section = element("section", "payload decided", "");
  const bar = element("div", "payload-bar", "");
  const title = element("h3", "", `Decision: ${words(event.decision.action)}`);
  const actorLine = element("span", "hint", "");
  if (actor) actorLine.append("by ", element("bdi", "", clip(visible(actor), 100)));
  bar.append(title, actorLine, copyButton(() => raw, "Copy decision"));
  section.append(bar);
  const model = string(decision.get("model"));
  if (model) section.append(element("p", "", `Model: ${clip(visible(model), 200)}`));
  const message = string(decision.get("message")) ?? string(decision.get("reason"));
  if (message) section.append(longText(message, { most: TEXT, show: visibleLines, className: "prose" }));
  const data = decision.get("data");
  if (data === undefined || data === "null") return section;
  const before = event.decision.action === "edit" ? (frame.get("before") ?? members(event.raw).get("data")) : undefined;
  if (before === undefined) section.append(jsonTree(data, { label: "Decision" }));
  else section.append(diffView(before, data, { json: true }));
  return section;
}

/** The field that shows the hold or its outcome; null where the step was not held. */
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
