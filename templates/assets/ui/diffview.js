// The difference of two texts, line by line, with a few equal lines around each change.

import { difference } from "../core/diff.js";
import { clip, count, visibleLines } from "../core/text.js";
import { button, element } from "./dom.js";
import { laidOut } from "./sections.js";

/** The number of equal lines that are shown around a change. */
const AROUND = 3;
/** A longer line is cut to LINE characters, with AHEAD equal characters around the difference. */
const LINE = 2_000;
const AHEAD = 200;
/** Further lines are not compared. */
const LINES = 5_000;

/** A diff of two texts; with `json` they are formatted first. */
export function diffView(before, after, { json = false } = {}) {
  const lines = (text) => (json ? laidOut(text) : visibleLines(text)).split("\n", LINES);
  const [old, now] = [lines(before), lines(after)];
  const view = element("pre", "diff", "");
  view.dir = json ? "ltr" : "auto";
  view.tabIndex = -1;
  const changes = difference(old, now);
  if (changes.every(({ kind }) => kind === "same")) {
    const cut = old.length === LINES || now.length === LINES;
    return element("p", "hint", cut ? `No difference in the first ${LINES.toLocaleString("en")} lines.` : "No difference.");
  }
  const pairs = paired(changes);
  const near = new Uint8Array(changes.length);
  changes.forEach(({ kind }, at) => {
    if (kind !== "same") near.fill(1, Math.max(0, at - AROUND), at + AROUND + 1);
  });
  const shown = (at) => {
    const { kind, before, after } = changes[at];
    const text = kind === "gone" ? old[before] : now[after];
    const other = changes[pairs.get(at)];
    return line(kind, text, other && (kind === "gone" ? now[other.after] : old[other.before]));
  };
  for (let at = 0; at < changes.length; ) {
    if (near[at]) {
      view.append(shown(at));
      at += 1;
      continue;
    }
    const from = at;
    while (at < changes.length && !near[at]) at += 1;
    const skipped = Array.from({ length: at - from }, (_, i) => from + i);
    const fold = button(`${count(skipped.length, "unchanged line")}`, "plain fold", () => fold.replaceWith(...skipped.map(shown)));
    view.append(fold);
  }
  return view;
}

/** A field that differs, as the server reports it: JSON that can be cut off, and "" or null where it is missing. */
export function fieldDiff(left, right) {
  if (left && right) return diffView(left, right);
  const view = element("pre", "diff", "");
  view.tabIndex = -1;
  view.append(line(left ? "gone" : "new", visibleLines(left || right || "")));
  return view;
}

/** Pairs each removed line with the one that replaced it, where as many lines were added as were removed. */
function paired(changes) {
  const pairs = new Map();
  for (let at = 0; at < changes.length; ) {
    if (changes[at].kind !== "gone") {
      at += 1;
      continue;
    }
    const from = at;
    while (changes[at]?.kind === "gone") at += 1;
    const size = at - from;
    while (changes[at]?.kind === "new") at += 1;
    if (at - from !== 2 * size) continue;
    for (let i = 0; i < size; i += 1) pairs.set(from + i, from + size + i).set(from + size + i, from + i);
  }
  return pairs;
}

/** A line. In one that replaced `other`, or was replaced by it, the difference is marked. */
function line(kind, text, other) {
  if (kind === "same") return element("span", "", `  ${clip(text, LINE)}\n`);
  const made = element(kind === "gone" ? "del" : "ins", "", kind === "gone" ? "− " : "+ ");
  let [start, end] = [0, text.length];
  if (other !== undefined) {
    const most = Math.min(text.length, other.length);
    while (start < most && text[start] === other[start]) start += 1;
    let common = 0;
    while (common < most - start && text[text.length - 1 - common] === other[other.length - 1 - common]) common += 1;
    end = text.length - common;
    // Never inside a character.
    if (/[\ud800-\udbff]/.test(text[start - 1] ?? "")) start -= 1;
    if (/[\udc00-\udfff]/.test(text[end] ?? "")) end += 1;
  }
  const marked = other !== undefined && end > start && (start > 0 || end < text.length);
  const from = text.length > LINE ? Math.max(0, start - AHEAD) : 0;
  if (from > 0) made.append("…");
  if (marked) made.append(text.slice(from, start), element("strong", "", clip(text.slice(start, end), LINE)), clip(text.slice(end), AHEAD));
  else made.append(clip(text.slice(from), LINE));
  made.append("\n");
  return made;
}
