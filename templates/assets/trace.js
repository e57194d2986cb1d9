// What this page knows of the trace: a bounded copy of what the stream has sent, without any DOM.
//
// Both bounds are the server's own defaults, so that the page usually keeps what the server keeps. Of every event the
// text that came is kept, and only what a row of the timeline shows is parsed out of it.

import { Counters } from "./counters.js";
import { clip, visible } from "./text.js";

const MAX_EVENTS = 10_000;
const MAX_CHARACTERS = 64 * 1024 * 1024;
/** Longer labels are of no use in a row. */
const LABEL = 200;

export class Trace {
  counters = new Counters();
  /** How many events this page dropped to stay within its bounds. */
  dropped = 0;
  /** Ranges of events that the server says we missed. */
  gaps = [];
  #events = [];
  #head = 0;
  #bySeq = new Map();
  #characters = 0;
  #held = new Set();
  /** Told `appended`, `changed` and `dropped` with an event, and `cleared`. */
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
  }

  get length() {
    return this.#events.length - this.#head;
  }

  get first() {
    return this.#events[this.#head];
  }

  get last() {
    return this.length ? this.#events.at(-1) : undefined;
  }

  get(seq) {
    return this.#bySeq.get(seq);
  }

  /** The event `by` places after (or before) the one numbered `seq`, as far as there is one. */
  near(seq, by) {
    if (!this.length) return undefined;
    const index = Math.min(Math.max(this.#indexOf(seq) + by, this.#head), this.#events.length - 1);
    return this.#events[index];
  }

  /** Takes an event frame and the text it was parsed from. */
  append(frame, raw) {
    if (this.last && frame.seq <= this.last.seq) return;
    this.counters.event(frame.seq);
    const event = {
      seq: frame.seq,
      type: String(frame.type),
      name: clip(visible(String(frame.name ?? "")), LABEL),
      run: clip(visible(String(frame.run_id ?? "")), LABEL),
      ts: frame.ts ?? frame.start_ts,
      snippet: snippet(frame.data),
      raw,
      held: null,
      decision: null,
      row: null,
    };
    this.#events.push(event);
    this.#bySeq.set(event.seq, event);
    this.#characters += raw.length;
    this.#onChange("appended", event);
    while (this.length > MAX_EVENTS || (this.#characters > MAX_CHARACTERS && this.length > 1)) this.#drop();
  }

  /** Takes a decision frame: a hold ended. */
  decide(frame, raw) {
    const event = this.#bySeq.get(frame.seq);
    if (!event) return;
    event.decision = { outcome: String(frame.outcome), action: String(frame.decision?.action ?? "proceed"), raw };
    this.#onChange("changed", event);
  }

  /** Takes the holds of a state frame. Returns the events' seqs that were not held before. */
  hold(holds) {
    const now = new Map(holds.map((hold) => [hold.seq, hold]));
    const fresh = [...now.keys()].filter((seq) => !this.#held.has(seq));
    const changed = new Set([...this.#held, ...now.keys()]);
    this.#held = new Set(now.keys());
    const oldest = holds[0]?.seq;
    for (const seq of changed) {
      const event = this.#bySeq.get(seq);
      if (!event) continue;
      const held = now.has(seq) ? (seq === oldest ? "next" : "held") : null;
      if (event.held === held) continue;
      event.held = held;
      this.#onChange("changed", event);
    }
    return fresh;
  }

  /** Forgets every event, as the server did. What is held is told by the state frame that follows. */
  clear() {
    this.#events = [];
    this.#head = 0;
    this.#bySeq.clear();
    this.#characters = 0;
    this.#held.clear();
    this.dropped = 0;
    this.gaps = [];
    this.counters.clear();
    this.#onChange("cleared");
  }

  *[Symbol.iterator]() {
    for (let i = this.#head; i < this.#events.length; i += 1) yield this.#events[i];
  }

  #drop() {
    const event = this.#events[this.#head];
    this.#events[this.#head] = undefined;
    this.#head += 1;
    // Moving the rest down now and then keeps dropping constant on average.
    if (this.#head > MAX_EVENTS) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
    this.#bySeq.delete(event.seq);
    this.#characters -= event.raw.length;
    event.raw = "";
    this.dropped += 1;
    this.#onChange("dropped", event);
  }

  /** Binary search: the last event at or before `seq`. */
  #indexOf(seq) {
    let low = this.#head;
    let high = this.#events.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#events[middle].seq <= seq) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}

/** Members that usually say in words what a step is about, the most telling first. */
const TELLING = ["text", "content", "message", "error", "prompt", "query", "input", "args", "arguments", "result", "output"];

/** One line about `data`: its most telling member, or else its beginning. */
function snippet(data) {
  if (data === null || typeof data !== "object") return "";
  let telling = TELLING.map((key) => (Object.hasOwn(data, key) ? data[key] : undefined)).find((value) => value != null);
  const messages = Object.hasOwn(data, "messages") ? data.messages : undefined;
  if (telling === undefined && Array.isArray(messages)) telling = messages.at(-1)?.content;
  if (telling === undefined) telling = data;
  const text = typeof telling === "string" ? telling.slice(0, 2 * LABEL) : beginning(telling);
  return text === "{}" ? "" : clip(visible(text.replace(/\s+/g, " ").trim()), LABEL);
}

/** The beginning of a value as JSON, without writing all of a large one. */
function beginning(value) {
  if (value === null || typeof value !== "object") return String(value);
  const open = Array.isArray(value) ? "[" : "{";
  let text = open;
  for (const key of Object.keys(value)) {
    const member = value[key];
    if (text !== open) text += ", ";
    if (open === "{") text += `${key.slice(0, LABEL)}: `;
    if (typeof member === "string") text += JSON.stringify(member.slice(0, LABEL));
    else if (member !== null && typeof member === "object") text += Array.isArray(member) ? "[…]" : "{…}";
    else text += String(member);
    if (text.length > LABEL) return text;
  }
  return text + (open === "[" ? "]" : "}");
}
