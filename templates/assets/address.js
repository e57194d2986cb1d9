// The page's address as what is looked at: `?run=…&view=…#seq=…`. A link to a step shows that step; back and forward
// go through what was looked at. `?left=…&right=…` compares two runs.
//
// What a person does in quick succession is one step back. A browser also refuses to write its history too often.

const TOGETHER_MS = 250;

/** What an address asks for: `seq` is null where it names no step, undefined where its fragment is another's. */
export function readAddress(url = new URL(location)) {
  const [, digits] = /^#seq=(\d{1,15})$/.exec(url.hash) ?? [];
  const seq = digits ? Number(digits) : url.hash === "" ? null : undefined;
  const [left, right] = ["left", "right"].map((side) => url.searchParams.get(side));
  const compare = left === null || right === null ? null : { left, right };
  return { run: url.searchParams.get("run"), view: url.searchParams.get("view"), seq, compare };
}

/** The agent that a page of this path is about. */
export function agentIdOf(path) {
  const [, encoded = ""] = /^\/agent\/([^/]*)\/debug$/.exec(path) ?? [];
  try {
    return decodeURIComponent(encoded);
  } catch {
    // Not UTF-8. The server has refused such an id already, or will refuse the stream, with its own words.
    return encoded;
  }
}

export class Address {
  #timer = 0;
  #next = {};

  /** `onMove({run, view, seq, compare})` when somebody went back or forward, or wrote another fragment. */
  constructor(onMove) {
    addEventListener("popstate", () => {
      clearTimeout(this.#timer);
      this.#next = {};
      onMove(readAddress());
    });
    addEventListener("pagehide", () => this.#write());
  }

  /** Remembers any of `run` (null: all), `view`, `seq` (null: what the agent does) and `compare` (null: no runs), soon. */
  remember(change) {
    Object.assign(this.#next, change);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#write(), TOGETHER_MS);
  }

  /** The address that shows a step of an agent's page as it is looked at now. */
  static of(seq) {
    const url = new URL(location);
    url.hash = `seq=${seq}`;
    return url.href;
  }

  #write() {
    clearTimeout(this.#timer);
    const { run, view, seq, compare } = this.#next;
    this.#next = {};
    const url = new URL(location);
    const put = (key, value) => (value === null ? url.searchParams.delete(key) : url.searchParams.set(key, value));
    if (run !== undefined) put("run", run);
    if (view !== undefined) put("view", view);
    for (const side of compare === undefined ? [] : ["left", "right"]) put(side, compare && compare[side]);
    if (seq !== undefined) url.hash = seq === null ? "" : `seq=${seq}`;
    if (url.href !== location.href) history.pushState(null, "", url);
  }
}
