// Whether the selection follows the agent. It does until the person picks an event, writes about one, or scrolls away.

export class Following {
  #picked = false;
  #writing = false;
  #scrolledAway = false;
  #onChange;

  /** `onChange(following)`. */
  constructor(onChange) {
    this.#onChange = onChange;
  }

  get active() {
    return !this.#picked && !this.#writing && !this.#scrolledAway;
  }

  /** Follows again. */
  start() {
    [this.#picked, this.#writing, this.#scrolledAway] = [false, false, false];
    this.#onChange(true);
  }

  /** The person chose an event; `stay` where it is not the one that would be followed. */
  pick(stay) {
    [this.#picked, this.#writing, this.#scrolledAway] = [stay, false, false];
  }

  /** Calls `onChange` with the present state. */
  notify() {
    this.#onChange(this.active);
  }

  /** The person writes about the selected event. */
  write() {
    if (!this.active) return;
    this.#writing = true;
    this.#onChange(false);
  }

  get writing() {
    return this.#writing;
  }

  /** The person scrolled, `away` from the event that is followed or back to it. */
  scroll(away) {
    if (this.#picked || away === this.#scrolledAway) return;
    this.#scrolledAway = away;
    this.#onChange(this.active);
  }
}
