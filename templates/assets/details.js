// The details of one event: its fields, and its data and metadata as the text that came.

import { copyButton } from "./clipboard.js";
import { button, element } from "./dom.js";
import { layOut, members } from "./json.js";
import { holdReason } from "./scope.js";
import { clip, duration, moment, visible, visibleJson, visibleLines, words } from "./text.js";

/** More than this is shown on demand only. */
const SHOWN = 200_000;
/** Up to this size JSON is coloured; beyond it the many elements would cost more than they tell. */
const COLOURED = 64_000;
/** Long text is put into the page in blocks of about this size, so that only those in sight are laid out. */
const BLOCK = 16_000;

/** The fields worth a line of their own, in the order in which they are read. `null` values are left out. */
const FIELDS = [
  ["run_id", "Run"],
  ["node_id", "Node"],
  ["parent_id", "Parent"],
  ["model", "Model"],
  ["input_tokens", "Input tokens"],
  ["output_tokens", "Output tokens"],
  ["token_count", "Tokens"],
  ["duration_ms", "Duration", (raw) => duration(Number(raw))],
  ["latency_ms", "Latency", (raw) => duration(Number(raw))],
  ["ts", "Recorded", (raw) => moment(Number(raw))],
  ["start_ts", "Started", (raw) => moment(Number(raw))],
  ["end_ts", "Ended", (raw) => moment(Number(raw))],
  ["effect", "Effect"],
  ["match_key", "Match key"],
  ["replay_checkpoint", "Replay checkpoint"],
  ["checkpoint_id", "Checkpoint"],
  ["run_end", "Ends the run"],
];
/** Members of data that are prose more often than not, shown once more with their line breaks. */
const PROSE = ["text", "content", "message", "prompt", "error"];

/**
 * Fills `panel` with an event; with `null` it says that nothing is selected. `decide(slot, event)` fills in what can be
 * decided about it, `breakHere(event)` is what the button beside its name does.
 */
export function showDetails(panel, event, { decide, breakHere }) {
  panel.dataset.seq = event?.seq ?? "";
  if (!event) {
    panel.replaceChildren(element("p", "hint", "Select an event to see what it carries."));
    return;
  }
  const parts = members(event.raw);
  const heading = element("h2", "details-title", "");
  heading.append(element("span", "seq", `#${event.seq}`), " ", element("span", "type", words(event.type)));
  heading.dataset.type = event.type;
  if (event.name) heading.append(" ", element("bdi", "name", event.name));
  const head = element("div", "details-head", "");
  head.append(heading, button("Break here", "plain", () => breakHere(event)));
  const slot = element("div", "decision-slot", "");
  decide(slot, event);
  const content = [head, fieldList(event, parts), slot];
  const data = parts.get("data");
  const prose = data?.startsWith("{") ? proseOf(data) : null;
  if (prose) content.push(textSection("Text", prose, visibleLines, prose));
  content.push(jsonSection("Data", data ?? "{}"));
  const metadata = parts.get("metadata");
  if (metadata && metadata !== "null") content.push(jsonSection("Metadata", metadata));
  if (event.decision && event.decision.action !== "proceed") {
    const decision = members(event.decision.raw).get("decision");
    if (decision) content.push(jsonSection("Decision", decision));
  }
  panel.replaceChildren(...content);
  panel.scrollTop = 0;
}

/** Only the line about the hold and what can be decided; the rest of an event never changes. */
export function refreshHold(panel, event, decide) {
  if (panel.dataset.seq !== String(event.seq)) return;
  const list = panel.querySelector("dl.fields");
  decide(panel.querySelector(".decision-slot"), event);
  list.querySelector("[data-field=hold]")?.remove();
  const line = holdLine(event);
  if (line) list.prepend(line);
}

function fieldList(event, parts) {
  const list = element("dl", "fields", "");
  const hold = holdLine(event);
  if (hold) list.append(hold);
  for (const [key, label, format] of FIELDS) {
    const raw = parts.get(key);
    if (raw === undefined || raw === "null" || raw === '""') continue;
    // A step that reports no start began when it was recorded; saying that twice tells nothing.
    if (key === "start_ts" && raw === parts.get("ts")) continue;
    const plain = raw.startsWith('"') ? visible(JSON.parse(raw)) : raw;
    list.append(field(key, label, (format && format(raw)) || clip(plain, 500), format ? raw : ""));
  }
  return list;
}

function holdLine(event) {
  if (event.held) {
    return field("hold", "Held", `yes: ${visible(holdReason(event.hold))}`);
  }
  if (!event.decision) return null;
  const frame = members(event.decision.raw);
  const actor = frame.has("actor") && frame.get("actor") !== "null" ? JSON.parse(frame.get("actor")) : "";
  const held = duration(Number(frame.get("held_ms")));
  const text = [words(event.decision.outcome), event.decision.action, held && `held for ${held}`, actor && `by ${actor}`];
  return field("hold", "Outcome", clip(visible(text.filter(Boolean).join(" · ")), 300));
}

function field(key, label, text, title) {
  const pair = element("div", "", "");
  pair.dataset.field = key;
  const value = element("dd", "", "");
  value.append(element("bdi", "", text));
  if (title) value.title = title;
  pair.append(element("dt", "", label), value);
  return pair;
}

function proseOf(data) {
  const parts = members(data);
  for (const key of PROSE) {
    const raw = parts.get(key);
    // A short line reads as well in the JSON below.
    if (raw?.startsWith('"') && (raw.length > 80 || raw.includes("\\n"))) return JSON.parse(raw);
  }
  return null;
}

function jsonSection(title, raw) {
  return section(title, raw, raw.length, (limit) => {
    const part = raw.slice(0, limit);
    const blocks = new Blocks("json");
    const coloured = part.length <= COLOURED;
    layOut(part, (kind, piece) => {
      blocks.add(kind === "" ? piece : visibleJson(piece), coloured && kind !== "" ? kind : "");
    });
    return blocks.finish();
  });
}

function textSection(title, text, show, copy) {
  return section(title, copy, text.length, (limit) => {
    const blocks = new Blocks("prose");
    blocks.add(show(text.slice(0, limit)), "");
    return blocks.finish();
  });
}

function section(title, copy, size, render) {
  const whole = element("section", "payload", "");
  const bar = element("div", "payload-bar", "");
  bar.append(element("h3", "", title), copyButton(() => copy, `Copy ${title.toLowerCase()}`));
  whole.append(bar, render(SHOWN));
  if (size > SHOWN) {
    const more = element("p", "more", `The first ${SHOWN.toLocaleString("en")} of ${size.toLocaleString("en")} characters. `);
    const all = button("Show all", "plain", () => {
      whole.replaceChildren(bar, render(Infinity));
      whole.querySelector("pre").focus();
    });
    more.append(all);
    whole.append(more);
  }
  return whole;
}

/** Collects text into a `pre` in blocks, as text nodes and, for coloured pieces, spans. */
class Blocks {
  #pre = element("pre", "", "");
  #block = null;
  #plain = "";
  #size = 0;

  constructor(className) {
    this.#pre.className = className;
    // Not a stop for the Tab key: lines wrap, and what scrolls is the panel, which is one.
    this.#pre.tabIndex = -1;
    this.#pre.dir = className === "json" ? "ltr" : "auto";
  }

  add(text, kind) {
    for (let at = 0; at < text.length; ) {
      const end = cut(text, at);
      let piece = text.slice(at, end);
      at = end;
      if (this.#size >= BLOCK) {
        this.#close();
        // Blocks follow one another as lines do, so that a new one is a line break already.
        if (piece.startsWith("\n")) piece = piece.slice(1);
      }
      this.#size += piece.length;
      if (kind === "") {
        this.#plain += piece;
        continue;
      }
      this.#flush();
      this.#block.append(element("span", kind, piece));
    }
  }

  finish() {
    this.#close();
    return this.#pre;
  }

  #flush() {
    this.#block ??= element("span", "block", "");
    if (this.#plain) this.#block.append(this.#plain);
    this.#plain = "";
  }

  #close() {
    this.#flush();
    this.#pre.append(this.#block);
    this.#block = null;
    this.#size = 0;
  }
}

/** Where a block's worth of text from `at` ends: behind a line break where there is one, never inside a character. */
function cut(text, at) {
  if (text.length - at <= BLOCK) return text.length;
  const line = text.lastIndexOf("\n", at + BLOCK - 1);
  if (line > at) return line + 1;
  const last = text.charCodeAt(at + BLOCK - 1);
  return last >= 0xd800 && last < 0xdc00 ? at + BLOCK - 1 : at + BLOCK;
}
