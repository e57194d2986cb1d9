// What this page knows of the trace: a bounded copy of what the stream has sent.
//
// Both bounds are the server's defaults, so that the page usually keeps what the server keeps. Every event is kept as the
// text that was received; only what a row of the timeline shows is parsed out of it.

import { clip, visible } from "../core/text.js";
import { Counters } from "./counters.js";
import { EventList } from "./eventlist.js";
import { TraceTree } from "./tree.js";

const MAX_EVENTS = 10_000;
const MAX_CHARACTERS = 64 * 1024 * 1024;
/** A row has no room for more. */
const LABEL = 200;
/** A warning quotes what the agent sent. */
const WARNING = 500;
const NONE = new EventList();

export class Trace {
  counters = new Counters();
  tree = new TraceTree();
  /** How many events this page dropped to stay within its bounds. */
  dropped = 0;
  /** Ranges of events that the server could no longer send. */
  gaps = [];
  #events = new EventList();
  #byRun = new Map();
  #bySeq = new Map();
  #characters = 0;
  #held = new Set();
  /** Called with "appended", "changed" or "dropped" and the event, and with "cleared". */
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
  }

  get length() {
    return this.#events.length;
  }

  /** The events of one run, or all of them with null: a list that lives until the next event or drop. */
  of(run) {
    return run === null ? this.#events : (this.#byRun.get(run) ?? NONE);
  }

  get(seq) {
    return this.#bySeq.get(seq);
  }

  /** Adds the event of a frame; `raw` is the text of the frame. */
  append(frame, raw) {
    if (frame.seq <= this.#events.last?.seq) return;
    this.counters.event(frame.seq);
    const event = {
      seq: frame.seq,
      type: String(frame.type),
      name: label(frame.name),
      /** The run's id, as it is, and as it is shown. */
      runId: String(frame.run_id ?? ""),
      run: label(frame.run_id),
      nodeId: typeof frame.node_id === "string" ? frame.node_id : null,
      parentId: typeof frame.parent_id === "string" ? frame.parent_id : null,
      model: label(frame.model),
      origin: label(frame.origin ?? "live"),
      /** Unix seconds, and the duration that the step reported, in milliseconds. */
      ts: frame.ts ?? frame.start_ts,
      start: frame.start_ts ?? null,
      end: frame.end_ts ?? null,
      took: frame.duration_ms ?? frame.latency_ms ?? 0,
      tokens: frame.token_count ?? (frame.input_tokens ?? 0) + (frame.output_tokens ?? 0),
      snippet: snippet(frame.data),
      raw,
      /** "next", "held" or null; and the hold itself, as in the last state frame. */
      held: null,
      hold: null,
      holdAt: 0,
      decision: null,
      /** What the server found wrong with the event as it was sent. */
      warnings: warnings(frame.warnings),
      hit: false,
      gone: false,
    };
    this.#events.push(event);
    if (!this.#byRun.has(event.runId)) this.#byRun.set(event.runId, new EventList());
    this.#byRun.get(event.runId).push(event);
    this.#bySeq.set(event.seq, event);
    this.#characters += raw.length;
    this.tree.append(event);
    this.#onChange("appended", event);
    while (this.length > MAX_EVENTS || (this.#characters > MAX_CHARACTERS && this.length > 1)) this.#drop();
  }

  /** Takes a decision frame: a hold has ended. */
  decide(frame, raw) {
    const event = this.#bySeq.get(frame.seq);
    if (!event) return;
    event.decision = { outcome: String(frame.outcome), action: String(frame.decision?.action ?? "proceed"), raw };
    if (frame.held_ms > 0) this.tree.addHold(event, event.ts, event.ts + frame.held_ms / 1000);
    this.#onChange("changed", event);
  }

  /** Takes the holds of a state frame, and the seq of the one that is next. Returns the seqs that were not held before. */
  hold(holds, next) {
    const now = new Map(holds.map((hold) => [hold.seq, hold]));
    const fresh = [...now.keys()].filter((seq) => !this.#held.has(seq));
    const changed = new Set([...this.#held, ...now.keys()]);
    this.#held = new Set(now.keys());
    for (const seq of changed) {
      const event = this.#bySeq.get(seq);
      if (!event) continue;
      const held = now.has(seq) ? (seq === next ? "next" : "held") : null;
      const hold = now.get(seq) ?? null;
      if (event.hold !== hold) [event.hold, event.holdAt] = [hold, performance.now()];
      if (event.held === held) continue;
      event.held = held;
      this.#onChange("changed", event);
    }
    return fresh;
  }

  /** The events that are held, the oldest first. */
  get held() {
    return [...this.#held].map((seq) => this.#bySeq.get(seq)).filter(Boolean);
  }

  get first() {
    return this.#events.first;
  }

  /** Drops every event, as the server did. The state frame that follows lists the held steps. */
  clear() {
    this.#events = new EventList();
    this.#byRun.clear();
    this.#bySeq.clear();
    this.#characters = 0;
    this.#held.clear();
    this.dropped = 0;
    this.gaps = [];
    this.counters.clear();
    this.tree.clear();
    this.#onChange("cleared");
  }

  #drop() {
    const event = this.#events.shift();
    const run = this.#byRun.get(event.runId);
    run.shift();
    if (run.length === 0) this.#byRun.delete(event.runId);
    this.#bySeq.delete(event.seq);
    this.#characters -= event.raw.length;
    event.raw = "";
    this.tree.drop(event);
    this.dropped += 1;
    this.#onChange("dropped", event);
  }
}

/** A held event that the trace has dropped, as far as its hold describes it. */
export function eventOfHold(hold) {
  const raw = JSON.stringify({ run_id: hold.run_id, name: hold.name });
  const { seq, type, run_id: runId } = hold;
  return { seq, type, name: label(hold.name), runId, raw, held: "held", hold, decision: null, warnings: [], lost: true };
}

/** A name or id of the agent as a row shows it. It can be long, so that it is cut before it is scanned. */
function label(text) {
  return text === null || text === undefined ? "" : clip(visible(clip(String(text), LABEL)), LABEL);
}

/** The warnings of a frame: a list of strings, which another version of the server may not send. */
function warnings(list) {
  return Array.isArray(list) ? list.filter((one) => typeof one === "string").map((one) => clip(visible(one), WARNING)) : [];
}

/** Members that usually say what a step is about, the most informative first. */
const INFORMATIVE = ["text", "content", "message", "error", "prompt", "query", "input", "args", "arguments", "result", "output"];

/** One line about `data`: its most informative member, otherwise its beginning. */
function snippet(data) {
  if (data === null || typeof data !== "object") return "";
  let subject = INFORMATIVE.map((key) => (Object.hasOwn(data, key) ? data[key] : undefined)).find((value) => value != null);
  const messages = Object.hasOwn(data, "messages") ? data.messages : undefined;
  if (subject === undefined && Array.isArray(messages)) subject = messages.at(-1)?.content;
  if (subject === undefined) subject = data;
  const text = typeof subject === "string" ? subject.slice(0, 2 * LABEL) : beginning(subject);
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
