// The wire format of server-sent events, parsed as it comes in.
//
// Only new text is ever searched, and a line that spans many chunks is joined once, so that a line of several
// megabytes costs what its length costs.

export class SseParser {
  #onFrame;
  #parts = [];
  #afterCarriageReturn = false;
  #data = [];
  #event = "";
  #id = null;

  /** `onFrame({event, data, id})`: event is "" where unnamed, id null where the frame carried none. */
  constructor(onFrame) {
    this.#onFrame = onFrame;
  }

  feed(chunk) {
    let start = 0;
    if (this.#afterCarriageReturn && chunk.startsWith("\n")) start = 1;
    this.#afterCarriageReturn = chunk ? chunk.endsWith("\r") : this.#afterCarriageReturn;
    const end = /\r\n|\n|\r/g;
    end.lastIndex = start;
    for (let match; (match = end.exec(chunk)); start = end.lastIndex) {
      this.#parts.push(chunk.slice(start, match.index));
      const line = this.#parts.length === 1 ? this.#parts[0] : this.#parts.join("");
      this.#parts = [];
      this.#line(line);
    }
    if (start < chunk.length) this.#parts.push(chunk.slice(start));
  }

  #line(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const from = line[colon + 1] === " " ? colon + 2 : colon + 1;
    const value = colon < 0 ? "" : line.slice(from);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#event = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return undefined;
  }

  #dispatch() {
    const frame = { event: this.#event, data: this.#data.join("\n"), id: this.#id };
    const empty = this.#data.length === 0;
    this.#data = [];
    this.#event = "";
    this.#id = null;
    if (!empty) this.#onFrame(frame);
  }
}
