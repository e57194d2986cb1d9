// Reads server-sent events with fetch(), because EventSource cannot send an Authorization header.
//
// The connection is in one of four states, told to `onState` with a sentence for people:
//
//   connecting ──▶ live ──▶ reconnecting ──▶ live …
//        └───────────┴─────────────┴────▶ ended      (the server refused; trying again by itself would not help)

import { SseParser } from "./sse.js";

/** The waits before each attempt to connect again; the last one repeats. */
const RETRY_MS = [300, 1000, 2000, 4000, 8000];
/** The server is never silent for longer than 15 s, so that a longer silence is a dead connection. */
const SILENCE_MS = 45_000;
/** A refusal that only a person can mend. 429 and 5xx pass by themselves. */
const FATAL = new Set([400, 401, 403, 404, 405, 406, 415]);

export class EventStream {
  #url;
  #headers;
  #onFrame;
  #onState;
  #lastEventId = "";
  #attempt = 0;
  #timer = 0;
  #abort = null;
  #heardAt = 0;

  /** `headers` is called before every attempt; `onFrame({event, data, id})`; `onState(state, detail, status, wait)`: `wait` ms until it is tried again. */
  constructor({ url, headers, onFrame, onState }) {
    this.#url = url;
    this.#headers = headers;
    this.#onFrame = onFrame;
    this.#onState = onState;
    addEventListener("online", () => this.#timer && this.connectNow());
    setInterval(() => this.#checkSilence(), 5000);
  }

  /** Connects, or connects again, without waiting. */
  connectNow() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#abort?.abort();
    this.#run(new AbortController());
  }

  async #run(abort) {
    this.#abort = abort;
    if (this.#attempt === 0) this.#onState("connecting", "");
    let why = "The connection was lost.";
    try {
      const headers = { Accept: "text/event-stream", ...this.#headers() };
      if (this.#lastEventId) headers["Last-Event-ID"] = this.#lastEventId;
      const response = await fetch(this.#url, { headers, cache: "no-store", signal: abort.signal });
      if (!response.ok) {
        why = await refusal(response);
        if (FATAL.has(response.status)) {
          if (this.#abort !== abort) return;
          this.#abort = null;
          this.#attempt = 0;
          this.#onState("ended", why, response.status);
          return;
        }
      } else if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
        why = "The answer was not an event stream.";
      } else {
        why = await this.#read(response.body, abort);
      }
    } catch (error) {
      if (error instanceof TypeError) why = "The server cannot be reached.";
      else if (error.name !== "AbortError") throw error;
    }
    // connectNow() may have started another attempt meanwhile; this one is then history.
    if (this.#abort === abort) this.#retry(why);
  }

  async #read(body, abort) {
    let why = "The server ended the stream.";
    const parser = new SseParser((frame) => {
      if (abort !== this.#abort) return;
      if (frame.id !== null) this.#lastEventId = frame.id;
      if (frame.event === "bye") why = "The server is shutting down.";
      if (this.#attempt !== -1) {
        this.#attempt = -1;
        this.#onState("live", "");
      }
      this.#onFrame(frame);
    });
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    this.#heardAt = performance.now();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || abort !== this.#abort) return why;
      this.#heardAt = performance.now();
      parser.feed(value);
    }
  }

  #retry(why) {
    this.#abort = null;
    this.#attempt = Math.max(this.#attempt, 0);
    const wait = RETRY_MS[Math.min(this.#attempt, RETRY_MS.length - 1)];
    this.#attempt += 1;
    this.#onState("reconnecting", why, undefined, wait);
    this.#timer = setTimeout(() => this.connectNow(), wait);
  }

  #checkSilence() {
    if (this.#attempt !== -1 || performance.now() - this.#heardAt < SILENCE_MS) return;
    this.#abort?.abort();
  }
}

/** What a refusal says: our servers answer `{"error": "…"}`, something in between may answer anything. */
export async function refusal(response) {
  try {
    const { error } = JSON.parse(await response.text());
    if (typeof error === "string" && error) return error;
  } catch {
    // Not JSON; the status has to do.
  }
  return `The server answered ${response.status} ${response.statusText}`.trim() + ".";
}
