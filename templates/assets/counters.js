// The position P and the total N as the server counts them.
//
// A position frame is a snapshot: it may count events that are still on their way to us, and at the start it counts
// the whole backlog that follows. Adding one for every event frame would count those twice. Sequence numbers are
// never used twice and have no holes, so it is enough to know up to which seq the total counts.

export class Counters {
  position = 0;
  total = 0;
  /** The seq of the newest event that `total` counts; null while it is not known. */
  #through = 0;
  /** The seq of the newest event seen. */
  #seen = 0;

  /** A position frame. `first` says that it opens a connection. */
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

  /** Which events the server retains, from a status: what a snapshot and a trim together leave open. */
  retained(first, last) {
    if (first === 0 || this.#through === null) return;
    this.#through = Math.max(this.#through, last);
    this.total = this.#through - first + 1;
  }

  /** The trace was dropped. Numbers go on, so that the next seq has to be waited for. */
  clear() {
    this.position = 0;
    this.total = 0;
    this.#seen = 0;
    this.#through = null;
  }

  /** The seq of the newest event at or before the cursor; 0 with none. */
  get cursorSeq() {
    if (this.#through === null || this.position === 0) return 0;
    return this.#through - this.total + this.position;
  }
}
