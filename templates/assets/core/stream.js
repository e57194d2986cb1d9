// Reads server-sent events with fetch(), because EventSource cannot send an Authorization header.
//
// The connection is in one of four states. `onState` is called with each, and with a sentence that says why:
//
//   connecting ──▶ live ──▶ reconnecting ──▶ live …
//        └───────────┴─────────────┴────▶ ended      (the server refused; another attempt would be refused too)

import { readRefusal, UNREACHABLE } from "./refusal.js";
import { SseParser } from "./sse.js";

/** The waits before each attempt to connect again; the last one repeats. */
const RETRY_MS = [300, 1000, 2000, 4000, 8000];
/** The server sends something every 15 s. A silence of this length means that the connection is dead. */
const SILENCE_MS = 45_000;
/** Refusals that only a person can resolve. 429 and 5xx are temporary. */
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
  #lastReadAt = 0;

  /**
   * `url()` and `headers()` are called before every attempt. `onFrame({event, data, id})` receives each frame,
   * `onState(state, detail, status, wait)` each change of the connection, `wait` being the ms until the next attempt.
   */
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
      const response = await fetch(this.#url(), { headers, cache: "no-store", signal: abort.signal });
      if (!response.ok) {
        why = (await readRefusal(response)).message;
        if (FATAL.has(response.status)) {
          if (this.#abort !== abort) return;
          this.#abort = null;
          this.#attempt = 0;
          this.#onState("ended", why, response.status);
          return;
        }
      } else if (!(response.headers.get("Content-Type") ?? "").startsWith("text/event-stream")) {
        why = "The response is not an event stream.";
      } else {
        why = await this.#read(response.body, abort);
      }
    } catch (error) {
      if (error instanceof TypeError) why = UNREACHABLE;
      else if (error.name !== "AbortError") throw error;
    }
    // connectNow() may have started another attempt in the meantime, which replaces this one.
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
    this.#lastReadAt = performance.now();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || abort !== this.#abort) return why;
      this.#lastReadAt = performance.now();
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
    if (this.#attempt !== -1 || performance.now() - this.#lastReadAt < SILENCE_MS) return;
    this.#abort?.abort();
  }
}
