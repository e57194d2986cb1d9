// Events in the order of their seqs: appended at the end, dropped at the front, found by binary search.

export class EventList {
  #events = [];
  #head = 0;

  get length() {
    return this.#events.length - this.#head;
  }

  get last() {
    return this.length ? this.#events.at(-1) : undefined;
  }

  get first() {
    return this.length ? this.#events[this.#head] : undefined;
  }

  /** A copy as an array. */
  slice() {
    return this.#events.slice(this.#head);
  }

  push(event) {
    this.#events.push(event);
  }

  shift() {
    const event = this.#events[this.#head];
    this.#events[this.#head] = undefined;
    this.#head += 1;
    // Compacting now and then keeps the cost of a drop constant on average.
    if (this.#head > 64 && this.#head > this.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
    return event;
  }

  /** The event `by` places after (or before) the one numbered `seq`, or the last (or first) one. */
  near(seq, by) {
    if (!this.length) return undefined;
    const index = Math.min(Math.max(this.#indexOf(seq) + by, this.#head), this.#events.length - 1);
    return this.#events[index];
  }

  *[Symbol.iterator]() {
    for (let i = this.#head; i < this.#events.length; i += 1) yield this.#events[i];
  }

  /** The index of the last event at or before `seq`; of the first event where there is none. */
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
