// The search in the trace: an event is a hit where all terms of the query match.
//
//   lisbon -draft          contains the first word and not the second
//   "no train" type:error  a phrase, and a field: `type`, `name`, `run`, `model`, `node`, `origin`, `is` (held, decided, warning)
//
// A word is searched in names, in the payload as it came, and in what a decision put in its place. A long trace is
// searched in slices, so that the page answers to keys meanwhile.

import { members } from "../core/json.js";

/** The time that one slice may take. */
const SLICE_MS = 6;
const FIELDS = new Map([
  ["type", (event) => event.type.replaceAll("_", " ")],
  ["name", (event) => event.name],
  ["run", (event) => event.run],
  ["model", (event) => event.model],
  ["node", (event) => event.nodeId ?? ""],
  ["origin", (event) => event.origin],
  ["is", stateOf],
]);

/** A query as a list of `{field, not, pattern}`; an empty one asks for nothing. */
export function parseQuery(text) {
  const terms = [];
  for (const [, not, field, quoted, plain] of text.matchAll(/(-?)(?:(\w+):)?(?:"([^"]*)"?|(\S+))/g)) {
    const known = FIELDS.has(field);
    const asked = quoted ?? plain;
    const wanted = known || !field ? asked : `${field}:${asked}`;
    if (wanted === "" || wanted === "-") continue;
    terms.push({ field: known ? field : "", not: not === "-", pattern: patternOf(known && field === "type" ? wanted.replaceAll("_", " ") : wanted) });
  }
  return terms;
}

/** Whether an event matches all terms. */
export function matches(terms, event) {
  return terms.every(({ field, not, pattern }) => (field ? pattern.test(FIELDS.get(field)(event)) : inText(pattern, event)) !== not);
}

/** The patterns that are searched in text, to highlight what they match. */
export function highlighted(terms) {
  return terms.filter(({ field, not }) => !not && (field === "" || field === "name")).map(({ pattern }) => pattern);
}

/** The words that `is:` looks for. */
function stateOf({ held, decision, warnings }) {
  const state = held ? "held" : decision ? `decided ${decision.outcome} ${decision.action}` : "";
  return warnings.length ? `${state} warning` : state;
}

function inText(pattern, event) {
  if (pattern.test(FIELDS.get("type")(event)) || pattern.test(event.name) || pattern.test(event.run) || pattern.test(event.model)) return true;
  const { decision } = event;
  return inFrame(pattern, event.raw, ["data", "metadata"]) || (decision !== null && inFrame(pattern, decision.raw, ["decision"]));
}

/** Whether one of these members of a frame matches. Most frames do not match anywhere, which is the fastest to find out. */
function inFrame(pattern, raw, keys) {
  if (!pattern.test(raw)) return false;
  const parts = members(raw);
  return keys.some((key) => pattern.test(parts.get(key) ?? ""));
}

/** Matches the text itself, and the ways in which JSON writes it: with escapes, or with every non-ASCII letter escaped. */
function patternOf(text) {
  const inJson = JSON.stringify(text).slice(1, -1);
  const ascii = inJson.replace(/[^\x00-\x7f]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
  const ways = [...new Set([text, inJson, ascii])].map((way) => way.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  return new RegExp(ways.join("|"), "i");
}

export class Search {
  /** Whether part of the trace has not been searched yet. */
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

  get highlighted() {
    return highlighted(this.#terms);
  }

  /** Starts a new search, which sets `hit` of each event. */
  find(text) {
    this.text = text;
    this.#terms = parseQuery(text);
    this.#turn += 1;
    this.#slice(this.#turn, [...this.#events()], 0);
  }

  /** An event was added or has changed. */
  check(event) {
    if (this.active) event.hit = matches(this.#terms, event);
  }

  #slice(turn, events, at) {
    if (turn !== this.#turn) return;
    const end = performance.now() + SLICE_MS;
    // Events that were added meanwhile have been checked then; those that were dropped are skipped.
    for (; at < events.length && performance.now() < end; at += 1) {
      if (!events[at].gone) events[at].hit = this.active && matches(this.#terms, events[at]);
    }
    this.busy = at < events.length;
    this.#changed();
    if (this.busy) setTimeout(() => this.#slice(turn, events, at), 0);
  }
}
