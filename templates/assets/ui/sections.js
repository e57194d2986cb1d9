// The parts of which details are made: a labelled value, a link to a step, a section of JSON or text.

import { layOut, members } from "../core/json.js";
import { visibleJson, visibleLines, words } from "../core/text.js";
import { copyButton } from "./clipboard.js";
import { element } from "./dom.js";
import { jsonTree } from "./jsontree.js";
import { Blocks, longText } from "./longtext.js";

/** How much of a text, and of the raw event, is shown at first. */
export const TEXT = 20_000;
const RAW = 200_000;
/** Raw JSON up to this size is coloured; beyond it the elements would cost too much. */
const COLOURED = 64_000;
/** Members of data that are mostly text for people: they are also shown with their line breaks. */
const PROSE = ["text", "content", "message", "prompt", "input", "output", "completion", "answer", "response", "result", "query", "error"];

/** A link that selects an event in the timeline. */
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

/** The first member of data that is a longer text, with its line breaks. */
export function prose(data) {
  if (!data.startsWith("{")) return [];
  const parts = members(data);
  for (const key of PROSE) {
    const raw = parts.get(key);
    // A short line is as readable in the JSON below.
    if (!raw?.startsWith('"') || (raw.length <= 80 && !raw.includes("\\n"))) continue;
    const text = JSON.parse(raw);
    const made = section("Text", text);
    made.append(longText(text, { most: TEXT, show: visibleLines, className: "prose" }));
    return [made];
  }
  return [];
}

/** The metadata of an event; null where it has none. */
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

/** The event exactly as it was received. */
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

/** Formatted JSON, its hidden characters as escapes. */
export function laidOut(raw) {
  let text = "";
  layOut(raw, (kind, piece) => (text += kind === "" ? piece : visibleJson(piece)));
  return text;
}

/** The text of a JSON string; undefined for any other JSON. */
export function string(raw) {
  return raw?.startsWith('"') ? JSON.parse(raw) : undefined;
}
