// The pieces that the details are made of: a labelled value, a link to a step, a section of JSON or of prose.

import { copyButton } from "./clipboard.js";
import { element } from "./dom.js";
import { layOut, members } from "./json.js";
import { jsonTree } from "./jsontree.js";
import { Blocks, longText } from "./longtext.js";
import { visibleJson, visibleLines, words } from "./text.js";

/** Of a text so much is shown at first, and of the raw event so much. */
export const TEXT = 20_000;
const RAW = 200_000;
/** Up to this size raw JSON is coloured; beyond it the many elements would cost more than they tell. */
const COLOURED = 64_000;
/** Members of data that are prose more often than not, shown once more with their line breaks. */
const PROSE = ["text", "content", "message", "prompt", "input", "output", "completion", "answer", "response", "result", "query", "error"];

/** A link to an event; who follows it is taken there in the timeline. */
export function goTo(event) {
  const link = element("a", "", `#${event.seq}`);
  link.href = `#seq=${event.seq}`;
  link.dataset.go = event.seq;
  link.title = `${words(event.type)} ${event.name}`.trim();
  return link;
}

/** A labelled value of the list of fields. */
export function field(key, label, text, title) {
  const pair = element("div", "", "");
  pair.dataset.field = key;
  const value = element("dd", "", "");
  value.append(element("bdi", "", text));
  if (title) value.title = title;
  pair.append(element("dt", "", label), value);
  return pair;
}

/** The members of data that are texts of some length, with their line breaks. */
export function prose(data) {
  if (!data.startsWith("{")) return [];
  const parts = members(data);
  for (const key of PROSE) {
    const raw = parts.get(key);
    // A short line reads as well in the JSON below.
    if (!raw?.startsWith('"') || (raw.length <= 80 && !raw.includes("\\n"))) continue;
    const text = JSON.parse(raw);
    const made = section("Text", text);
    made.append(longText(text, { most: TEXT, show: visibleLines, className: "prose" }));
    return [made];
  }
  return [];
}

/** The metadata of an event, where it has any. */
export function metadata(parts) {
  const raw = parts.get("metadata");
  return raw && raw !== "null" ? jsonSection("Metadata", raw, true) : null;
}

/** A section with a tree of JSON. */
export function jsonSection(title, raw, open) {
  const made = section(title, raw);
  made.append(jsonTree(raw, { label: title, open }));
  return made;
}

function section(title, copy) {
  const whole = element("section", "payload", "");
  const bar = element("div", "payload-bar", "");
  bar.append(element("h3", "", title), copyButton(() => copy, `Copy ${title.toLowerCase()}`));
  whole.append(bar);
  return whole;
}

/** The event as it came over the wire, for who wants to see exactly that. */
export function rawEvent(event) {
  const whole = element("details", "raw", "");
  whole.append(element("summary", "", "Raw event"));
  whole.addEventListener("toggle", () => {
    if (!whole.open || whole.children.length > 1) return;
    const made = section("Event", event.raw);
    if (event.raw.length > COLOURED) {
      made.append(longText(event.raw, { most: RAW, show: laidOut, className: "raw-json" }));
    } else {
      const blocks = new Blocks("raw-json json");
      layOut(event.raw, (kind, piece) => blocks.add(kind === "" ? piece : visibleJson(piece), kind));
      made.append(blocks.finish());
    }
    whole.append(made);
  });
  return whole;
}

/** JSON on lines of its own, with what hides in it as escapes. */
export function laidOut(raw) {
  let text = "";
  layOut(raw, (kind, piece) => (text += kind === "" ? piece : visibleJson(piece)));
  return text;
}

/** The text that a piece of JSON is, where it is one. */
export function string(raw) {
  return raw?.startsWith('"') ? JSON.parse(raw) : undefined;
}
