// Loads the comparison when it is first used: most pages never show one.

import { UNREACHABLE } from "../../core/refusal.js";

export class CompareLoader {
  #options;
  #alert;
  #view = null;
  #loading = null;

  /** `options` as those of CompareView; `alert(text)` where it cannot be loaded. */
  constructor({ alert, ...options }) {
    this.#options = options;
    this.#alert = alert;
  }

  /** `{left, right}`, the runs that are compared, or null. */
  get shown() {
    return this.#loading ?? this.#view?.shown ?? null;
  }

  /** Compares two runs. */
  async show(left, right) {
    const loading = { left, right };
    this.#loading = loading;
    try {
      const { CompareView } = await import("./view.js");
      // The person went elsewhere meanwhile.
      if (this.#loading !== loading) return;
      this.#view ??= new CompareView(this.#options);
      this.#loading = null;
      this.#view.show(left, right);
    } catch (error) {
      if (this.#loading === loading) this.#loading = null;
      if (!(error instanceof TypeError)) throw error;
      this.#alert(UNREACHABLE);
    }
  }

  /** Goes back to the timeline. */
  hide() {
    this.#loading = null;
    this.#view?.hide();
  }

  /** Goes to the next difference, or with -1 to the previous one. */
  moveDifferences(by) {
    this.#view?.moveDifferences(by);
  }

  /** Moves the selection by a number of rows. */
  moveRows(by) {
    this.#view?.moveRows(by);
  }

  /** The trace has changed. */
  traceChanged() {
    this.#view?.traceChanged();
  }
}
