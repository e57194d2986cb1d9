// Two texts as one, line by line: what is gone, what is new, and a few lines around them.

import { difference } from "./diff.js";
import { button, element } from "./dom.js";
import { layOut } from "./json.js";
import { clip, count, visibleJson, visibleLines } from "./text.js";

/** Lines around a change that are shown as well. */
const AROUND = 3;
const LINE = 2_000;
/** More lines than this are not compared: that would not be read either. */
const LINES = 20_000;

/** A diff of two texts; with `json` they are values that are laid out first. */
export function diffView(before, after, { json = false } = {}) {
  const lines = (text) => (json ? laidOut(text) : visibleLines(text)).split("\n", LINES);
  const [old, now] = [lines(before), lines(after)];
  const view = element("pre", "diff", "");
  view.dir = json ? "ltr" : "auto";
  view.tabIndex = -1;
  const changes = difference(old, now);
  if (changes.every(({ kind }) => kind === "same")) return element("p", "hint", "Nothing in it differs.");
  const near = new Uint8Array(changes.length);
  changes.forEach(({ kind }, at) => {
    if (kind !== "same") near.fill(1, Math.max(0, at - AROUND), at + AROUND + 1);
  });
  for (let at = 0; at < changes.length; ) {
    if (near[at]) {
      view.append(line(changes[at], old, now));
      at += 1;
      continue;
    }
    const from = at;
    while (at < changes.length && !near[at]) at += 1;
    const skipped = changes.slice(from, at);
    const fold = button(`${count(skipped.length, "line")} as before`, "plain fold", () => {
      fold.replaceWith(...skipped.map((change) => line(change, old, now)));
    });
    view.append(fold);
  }
  return view;
}

function line({ kind, before, after }, old, now) {
  const text = clip(kind === "gone" ? old[before] : now[after], LINE);
  if (kind === "same") return element("span", "", `  ${text}\n`);
  return element(kind === "gone" ? "del" : "ins", "", `${kind === "gone" ? "−" : "+"} ${text}\n`);
}

function laidOut(raw) {
  let text = "";
  layOut(raw, (kind, piece) => (text += kind === "" ? piece : visibleJson(piece)));
  return text;
}
