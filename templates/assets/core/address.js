// What the page shows, in its address: `?run=…&view=…#seq=…`, and `?left=…&right=…` for two runs that are compared. A link
// to a step shows that step; back and forward return to what was shown.
//
// Changes in quick succession are one entry of the history: a browser refuses to write its history too often.

const TOGETHER_MS = 250;

/** What an address asks for. `seq` is null where it names no step, and undefined where its fragment means something else. */
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
    // Not UTF-8. The server refuses such an id, and says why.
    return encoded;
  }
}

export class Address {
  #timer = 0;
  #next = {};

  /** `onMove({run, view, seq, compare})` when the person went back or forward, or entered another fragment. */
  constructor(onMove) {
    addEventListener("popstate", () => {
      clearTimeout(this.#timer);
      this.#next = {};
      onMove(readAddress());
    });
    addEventListener("pagehide", () => this.#write());
  }

  /** Writes any of `run` (null: all), `view`, `seq` (null: follow the agent) and `compare` (null: no runs) to the address, soon. */
  remember(change) {
    Object.assign(this.#next, change);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#write(), TOGETHER_MS);
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
    if (url.href !== location.href) history.pushState(history.state, "", url);
  }
}
