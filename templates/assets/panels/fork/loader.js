// Loads the form of a fork when it is first used: most pages never show it.

import { UNREACHABLE } from "../../core/refusal.js";

export class ForkLoader {
  #options;
  #alert;
  #form = null;

  /** `options` as those of ForkForm, of which `alert(text)` is also called where the form cannot be loaded. */
  constructor(options) {
    this.#options = options;
    this.#alert = options.alert;
  }

  /** Opens the form for a fork from an event. */
  async open(event) {
    (await this.#load())?.open(event);
  }

  /** Opens the form of the fork in which a step diverged again, with one more ignored path. */
  async openIgnoring(event, path) {
    (await this.#load())?.openIgnoring(event, path);
  }

  async #load() {
    try {
      const { ForkForm } = await import("./form.js");
      return (this.#form ??= new ForkForm(this.#options));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      this.#alert(UNREACHABLE);
      return null;
    }
  }
}
