// The position P and the total N as the server counts them.
//
// A position frame is a snapshot: it can count events whose frames have not arrived yet, and at the start it counts the
// whole backlog that follows. Adding one for every event frame would count those twice. Sequence numbers are never
// reused and have no gaps, so that it is enough to know up to which seq the total counts.

export class Counters {
  position = 0;
  total = 0;
  /** The seq of the newest event that `total` counts; null while it is not known. */
  #through = 0;
  /** The seq of the newest event seen. */
  #seen = 0;

  /** A position frame; `first` where it is the first of a connection. */
  snapshot(position, total, first) {
    if (first && this.#seen === 0) this.#through = null;
    else if (this.#through !== null) this.#through += Math.max(0, total - this.total);
    this.position = position;
    this.total = total;
  }

  /** An event frame. */
  event(seq) {
    this.#through ??= this.total > 0 ? seq + this.total - 1 : seq - 1;
    this.#seen = seq;
    if (seq <= this.#through) return;
    this.#through = seq;
    this.total += 1;
  }

  /** The first and last event that the server retains, from its status: a snapshot after a trim leaves that open. */
  retained(first, last) {
    if (first === 0 || this.#through === null) return;
    this.#through = Math.max(this.#through, last);
    this.total = this.#through - first + 1;
  }

  /** The trace was cleared. Sequence numbers continue, so that the next seq is not known until it arrives. */
  clear() {
    this.position = 0;
    this.total = 0;
    this.#seen = 0;
    this.#through = null;
  }

  /** The seq of the newest event at or before the cursor; 0 where there is none. */
  get cursorSeq() {
    if (this.#through === null || this.position === 0) return 0;
    return this.#through - this.total + this.position;
  }
}
