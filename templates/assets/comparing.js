// The way to a comparison. What shows it is loaded when somebody first compares: most never do on the page they opened.

export class Comparing {
  #options;
  #alert;
  #view = null;
  #coming = null;

  /** `options` as those of CompareView; `alert(text)` where it cannot be loaded. */
  constructor({ alert, ...options }) {
    this.#options = options;
    this.#alert = alert;
  }

  /** `{left, right}`, the runs that are compared, or null. */
  get shown() {
    return this.#coming ?? this.#view?.shown ?? null;
  }

  /** Compares two runs. */
  async show(left, right) {
    const coming = { left, right };
    this.#coming = coming;
    try {
      const { CompareView } = await import("./compareview.js");
      // Somebody went elsewhere meanwhile.
      if (this.#coming !== coming) return;
      this.#view ??= new CompareView(this.#options);
      this.#coming = null;
      this.#view.show(left, right);
    } catch (error) {
      if (this.#coming === coming) this.#coming = null;
      if (!(error instanceof TypeError)) throw error;
      this.#alert("The server cannot be reached; nothing was compared.");
    }
  }

  /** Goes back to the timeline. */
  hide() {
    this.#coming = null;
    this.#view?.hide();
  }

  /** To the next difference, or the one before with -1. */
  move(by) {
    this.#view?.move(by);
  }

  /** Moves by so many rows. */
  step(by) {
    this.#view?.step(by);
  }

  /** The trace has changed. */
  changed() {
    this.#view?.changed();
  }
}
