// What somebody looks for in the trace: words that all have to be there, some of them in one field.
//
//   lisbon -draft          both words of text, the second one not
//   "no train" type:error  a phrase; `type`, `name`, `run`, `model`, `node`, `origin` and `is` (held, decided)
//
// Text is looked for in names, in the payload as it came, and in what a decision put in its place. A long trace is
// gone through in slices, so that a key is never waited for. No DOM here.

import { members } from "./json.js";

/** What a slice may take. */
const SLICE_MS = 6;
const FIELDS = {
  type: (event) => event.type.replaceAll("_", " "),
  name: (event) => event.name,
  run: (event) => event.run,
  model: (event) => event.model,
  node: (event) => event.nodeId ?? "",
  origin: (event) => event.origin,
  is: (event) => (event.held ? "held" : event.decision ? `decided ${event.decision.outcome} ${event.decision.action}` : ""),
};

/** A query as a list of `{field, not, pattern}`; an empty one asks for nothing. */
export function parseQuery(text) {
  const terms = [];
  for (const [, not, field, quoted, plain] of text.matchAll(/(-?)(?:(\w+):)?(?:"([^"]*)"?|(\S+))/g)) {
    const known = Object.hasOwn(FIELDS, field ?? "");
    const asked = quoted ?? plain;
    const wanted = known || !field ? asked : `${field}:${asked}`;
    if (wanted === "" || wanted === "-") continue;
    terms.push({ field: known ? field : "", not: not === "-", pattern: patternOf(known && field === "type" ? wanted.replaceAll("_", " ") : wanted) });
  }
  return terms;
}

/** Whether an event is what the query asks for. */
export function matches(terms, event) {
  return terms.every(({ field, not, pattern }) => (field ? pattern.test(FIELDS[field](event)) : inText(pattern, event)) !== not);
}

/** The words that are looked for in text, for marking them. */
export function needles(terms) {
  return terms.filter(({ field, not }) => !not && (field === "" || field === "name")).map(({ pattern }) => pattern);
}

function inText(pattern, event) {
  if (pattern.test(FIELDS.type(event)) || pattern.test(event.name) || pattern.test(event.run) || pattern.test(event.model)) return true;
  const { decision } = event;
  return inFrame(pattern, event.raw, ["data", "metadata"]) || (decision !== null && inFrame(pattern, decision.raw, ["decision"]));
}

/** In these members of a frame. Most frames do not have it anywhere, which is told fastest. */
function inFrame(pattern, raw, keys) {
  if (!pattern.test(raw)) return false;
  const parts = members(raw);
  return keys.some((key) => pattern.test(parts.get(key) ?? ""));
}

/** The text itself, or as JSON writes it: with escapes, or with every letter beyond ASCII as one. */
function patternOf(text) {
  const inJson = JSON.stringify(text).slice(1, -1);
  const ascii = inJson.replace(/[^\x00-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const ways = [...new Set([text, inJson, ascii])].map((way) => way.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  return new RegExp(ways.join("|"), "i");
}

export class Search {
  /** Whether not all of the trace has been gone through yet. */
  busy = false;
  text = "";
  #terms = [];
  #events;
  #changed;
  #turn = 0;

  /** `events()` gives all events; `changed()` when marks have changed. */
  constructor({ events, changed }) {
    this.#events = events;
    this.#changed = changed;
  }

  get active() {
    return this.#terms.length > 0;
  }

  get needles() {
    return needles(this.#terms);
  }

  /** Looks for something else: each event's `hit` says whether it is one. */
  find(text) {
    this.text = text;
    this.#terms = parseQuery(text);
    this.#turn += 1;
    this.#slice(this.#turn, [...this.#events()], 0);
  }

  /** An event came, or what is known of it has changed. */
  look(event) {
    if (this.active) event.hit = matches(this.#terms, event);
  }

  #slice(turn, events, at) {
    if (turn !== this.#turn) return;
    const end = performance.now() + SLICE_MS;
    // What came meanwhile was looked at when it came; what went is passed over.
    for (; at < events.length && performance.now() < end; at += 1) {
      if (!events[at].gone) events[at].hit = this.active && matches(this.#terms, events[at]);
    }
    this.busy = at < events.length;
    this.#changed();
    if (this.busy) setTimeout(() => this.#slice(turn, events, at), 0);
  }
}
