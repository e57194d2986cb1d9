// The frames of the stream, in order, into the trace and the state of the agent.
//
// A trace of another epoch is another trace, with or without a `clear` before it. After a reconnect the position frame
// counts events that this page has missed: where they do not add up, the server is asked what it retains.

import { call } from "../core/api.js";

const EVENTS = new Set(["prompt", "response", "tool_call", "tool_result", "error", "log"]);

export class Feed {
  /** The last state frame, each hold in it with the time `at` which it was received; null before the first. */
  state = null;
  #trace;
  #relations;
  #on;
  #epoch = null;
  /** Whether the next position frame is the first of its connection. */
  #opening = true;
  /** After a reconnect, the total of its position frame until the stream has caught up; otherwise null. */
  #resumedTotal = null;

  /**
   * `on` has a function per kind of change: `event(frame)`, `state()`, `fork(frame)`, `cleared({byServer})`,
   * `recounted()`, and `damaged()` for a frame that cannot be read.
   */
  constructor({ trace, relations, on }) {
    this.#trace = trace;
    this.#relations = relations;
    this.#on = on;
  }

  /** The connection is gone. */
  disconnected() {
    this.#opening = true;
  }

  /** The hold of an event, as in the last state frame. */
  holdOf(seq) {
    return this.state?.held.find((hold) => hold.seq === seq);
  }

  /** Takes one frame. Frames of a kind that this page does not know are ignored. */
  receive({ event: name, data: raw, id }) {
    let frame;
    try {
      frame = JSON.parse(raw);
    } catch {
      this.#on.damaged();
      return;
    }
    const epoch = id?.slice(0, id.lastIndexOf("."));
    if (epoch && this.#epoch && epoch !== this.#epoch && frame.type !== "clear") this.#clear({ byServer: false });
    this.#epoch = epoch || this.#epoch;
    if (name === "state") this.#takeState(frame);
    else if (name === "decision") this.#takeDecision(frame, raw);
    else if (name === "forked") this.#on.fork(frame);
    else if (name === "gap") this.#trace.gaps = [frame];
    else if (name !== "") return;
    else if (frame.type === "position") this.#takePosition(frame);
    else if (frame.type === "clear") this.#clear({ byServer: true });
    else if (EVENTS.has(frame.type)) this.#takeEvent(frame, raw);
  }

  #takeEvent(frame, raw) {
    this.#relations.add(frame);
    this.#trace.append(frame, raw);
    this.#on.event(frame);
  }

  #takeDecision(frame, raw) {
    this.#trace.decide(frame, raw);
    this.#relations.holdEnded(String(frame.run_id ?? ""), frame.seq, frame.decision?.action);
  }

  #takePosition({ pos, total }) {
    if (this.#opening) this.#resumedTotal = this.#trace.length > 0 ? total : null;
    this.#trace.counters.snapshot(pos, total, this.#opening);
    this.#opening = false;
  }

  /** The state frame of a connection comes once the stream has caught up. */
  #takeState(frame) {
    if (this.#resumedTotal !== null && this.#resumedTotal !== this.#trace.counters.total) this.#recount();
    this.#resumedTotal = null;
    const at = performance.now();
    const held = Array.isArray(frame.held) ? frame.held.map((hold) => ({ ...hold, at })) : [];
    this.state = { ...frame, held };
    this.#on.state();
  }

  /** Drops the trace. Where the epoch has changed, the position frame of this connection already belongs to the new one. */
  #clear({ byServer }) {
    const { position, total } = this.#trace.counters;
    this.#trace.clear();
    if (!byServer) this.#trace.counters.snapshot(position, total, true);
    this.#on.cleared({ byServer });
  }

  async #recount() {
    const retained = await call("GET", "status").catch(() => null);
    // Without a connection: the next one starts with a position of its own.
    if (!retained) return;
    if (retained.epoch === this.#epoch) this.#trace.counters.retained(retained.first_seq, retained.last_seq);
    this.#on.recounted();
  }
}
