// Long text: the browser lays out only what is in sight, and more than a screenful is shown on demand.

import { button, element } from "./dom.js";

/** The size of the blocks, of which the browser lays out those in sight. */
const BLOCK = 16_000;

/**
 * A text as an element: its first `most` characters, and all of it on demand. `show` makes hidden characters visible; it
 * receives the text in one piece.
 */
export function longText(text, { most, show, className }) {
  const render = (limit) => blocks(show(text.slice(0, limit)), className);
  if (text.length <= most) return render(most);
  const whole = element("div", "", "");
  const more = element("p", "more", `The first ${most.toLocaleString("en")} of ${text.length.toLocaleString("en")} characters. `);
  more.append(button("Show all", "plain", () => {
    whole.replaceChildren(render(Infinity));
    whole.firstChild.focus();
  }));
  whole.append(render(most), more);
  return whole;
}

/** A `pre` with the text in blocks. */
export function blocks(text, className) {
  const made = new Blocks(className);
  made.add(text, "");
  return made.finish();
}

/** Collects text into a `pre` in blocks, as text nodes and, for coloured pieces, spans. */
export class Blocks {
  #pre = element("pre", "", "");
  #block = null;
  #plain = "";
  #size = 0;

  constructor(className) {
    this.#pre.className = className;
    // No stop for the Tab key: lines wrap, and the panel around it is what scrolls.
    this.#pre.tabIndex = -1;
    this.#pre.dir = className.includes("json") ? "ltr" : "auto";
  }

  add(text, kind) {
    for (let at = 0; at < text.length; ) {
      const end = cut(text, at);
      let piece = text.slice(at, end);
      at = end;
      if (this.#size >= BLOCK) {
        this.#close();
        // Each block begins on a line of its own, so that a line break at its start would be doubled.
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

/** Where the block that begins at `at` ends: after a line break if there is one, never inside a character. */
function cut(text, at) {
  if (text.length - at <= BLOCK) return text.length;
  const line = text.lastIndexOf("\n", at + BLOCK - 1);
  if (line > at) return line + 1;
  const last = text.charCodeAt(at + BLOCK - 1);
  return last >= 0xd800 && last < 0xdc00 ? at + BLOCK - 1 : at + BLOCK;
}
