// What the page says about itself in words: the facts in the header, the line under the toolbar, the notices, and
// what a screen reader is told. All of it is drawn from one snapshot, so that no part can contradict another.

import { button, element } from "./dom.js";
import { holdTimes, reasonParts } from "./reason.js";
import { clip, clock, count, duration, visible, words } from "./text.js";

const CONNECTION = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", ended: "Ended" };
/** Without a connection nobody knows whether a step is held, and a debugger that is gone holds none for long. */
const WITHOUT_STATE = {
  connecting: "Asking the server where the agent stands.",
  live: "Asking the server where the agent stands.",
  reconnecting: "Without a connection this page holds nothing; the agent may go on.",
  ended: "Without a connection this page holds nothing.",
};
const MODE = { paused: "Paused", running: "Running", stepping: "Stepping", detached: "Detached" };
/** More held steps than these are counted, not listed. */
const LISTED = 50;
/** So long before a hold ends by itself it is said, once. */
const SOON_MS = 30_000;

export class Status {
  #agentId;
  #observing;
  #breakpoint;
  #onTimeout;
  #release;
  #at = (id) => document.getElementById(id);
  #said = new Map();
  #announced = "";
  #timer = 0;
  #drawn = null;
  #listed = null;
  #warned = new Set();
  #lostAt = 0;
  #retryAt = 0;

  /**
   * `breakpoint(id)` goes to a breakpoint, `onTimeout(ids)` says what becomes of a gate's step when its time is up,
   * `release(seq)` lets a held step go on.
   */
  constructor({ agentId, observing, breakpoint, onTimeout, release }) {
    this.#agentId = agentId;
    this.#observing = observing;
    this.#breakpoint = breakpoint;
    this.#onTimeout = onTimeout;
    this.#release = release;
  }

  /** The connection is another one than before: `from` and `to` are its states, `wait` is when it is tried again. */
  connection(from, to, why, wait) {
    if (to === "reconnecting" && from === "live") this.#lostAt = Date.now();
    this.#retryAt = wait === undefined ? 0 : performance.now() + wait;
    if (from === to) return;
    const lost = this.#lostAt && to === "live" ? duration(Date.now() - this.#lostAt) : "";
    if (to === "live") this.#lostAt = 0;
    if (to !== "connecting") this.announce("connection", lost ? `Connected again after ${lost}.` : `Connection: ${to}. ${why}`);
  }

  /**
   * Draws a snapshot: `{connection, why, state, trace, scope}`. `state` is the last state frame with the time `at`
   * which it came, or null before it; `scope` is `{run, mode, finished, stopped, inScope, next, runs}`, with `run` the
   * chosen run's name or "", and `runs` all that the server last told of.
   */
  draw({ connection, why, state, trace, scope }) {
    const { position, total } = trace.counters;
    const held = state?.held ?? [];
    const known = connection === "live" ? state : null;
    this.#put("connection", CONNECTION[connection], connection);
    this.#put("mode", ...mode(known, scope));
    this.#put("held", String(held.length), held.length ? "some" : "none");
    this.#put("position", `${position.toLocaleString("en")} of ${total.toLocaleString("en")}`);
    this.#put("subscribers", state ? subscribers(state) : "–");
    this.#at("subscribers").title = others(state, this.#observing);
    document.title = `${held.length ? `(${held.length} held) ` : ""}${visible(this.#agentId)} · Agent Debugger`;
    document.documentElement.dataset.connection = connection;

    this.#at("disconnected").hidden = connection !== "reconnecting";
    this.#at("disconnected-why").textContent = why;
    this.#at("ended").hidden = connection !== "ended";
    this.#at("ended-why").textContent = sentence(why);
    const loading = !state && (connection === "connecting" || connection === "live");
    this.#at("loading").hidden = !loading || trace.length > 0;
    this.#at("empty").hidden = loading || trace.length > 0 || connection === "ended";
    this.#at("panes").hidden = trace.length === 0;
    this.#at("lost").hidden = trace.dropped === 0 && trace.gaps.length === 0;
    this.#at("lost").textContent = lost(trace);
    this.#hold(connection === "live" || !state ? state : null, connection, scope);
    this.#list(known, scope.inScope);
    this.tick();
  }

  /** Time moves on without any frame: that of holds, and that of a connection which is gone. */
  tick() {
    const now = performance.now();
    for (const since of document.querySelectorAll("[data-since]")) since.textContent = duration(now - Number(since.dataset.since));
    for (const left of document.querySelectorAll("[data-ends]")) {
      const ms = Number(left.dataset.ends) - now;
      left.textContent = ms > 0 ? `${left.dataset.then} in ${duration(ms)}` : `${left.dataset.then} now`;
      left.classList.toggle("soon", ms < SOON_MS);
      const { seq } = left.dataset;
      if (ms >= SOON_MS || this.#warned.has(seq)) continue;
      if (this.#warned.size > 1000) this.#warned.clear();
      this.#warned.add(seq);
      this.announce("left", `Step ${seq} ${left.dataset.then} in ${duration(Math.max(ms, 0))}.`);
    }
    const gone = this.#at("disconnected-since");
    if (!this.#lostAt) {
      gone.textContent = "";
      return;
    }
    const wait = this.#retryAt - now;
    const next = wait > 500 ? ` Trying again in ${Math.ceil(wait / 1000)} s.` : " Trying again now.";
    gone.textContent = ` Since ${clock(this.#lostAt / 1000).slice(0, 8)}, for ${duration(Date.now() - this.#lostAt)}.${next}`;
  }

  /**
   * Says something to screen readers, once, and of each kind the latest only: a burst must not become a chatter, nor
   * a small thing take the word from a great one.
   */
  announce(kind, text) {
    this.#said.set(kind, text);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const all = [...this.#said.values()].join(" ");
      this.#said.clear();
      if (all !== this.#announced) this.#at("live").textContent = all;
      this.#announced = all;
    }, 400);
  }

  #hold(state, connection, scope) {
    const line = this.#at("now");
    const next = state ? scope.next : undefined;
    // Drawn again only when it says something else, so that a link in it keeps its focus.
    const then = next ? this.#onTimeout(next.breakpoint_ids ?? []) : "";
    const drawn = JSON.stringify([connection, scope, state, then], lasting);
    if (this.#drawn === drawn) return;
    this.#drawn = drawn;
    line.dataset.mode = next ? "held" : (state?.mode ?? "unknown");
    if (!next) {
      line.textContent = state ? this.#idle(state, scope) : WITHOUT_STATE[connection];
      return;
    }
    line.replaceChildren("Held at ", ...this.#held(next, then, "held-link"));
    const more = scope.inScope.length - 1;
    if (more > 0) {
      const all = button(`${more.toLocaleString("en")} more held`, "plain link", () => {
        this.#at("holds").hidden = !this.#at("holds").hidden;
        all.setAttribute("aria-expanded", String(!this.#at("holds").hidden));
      });
      all.id = "held-more";
      all.setAttribute("aria-controls", "holds");
      all.setAttribute("aria-expanded", String(!this.#at("holds").hidden));
      line.append(" · ", all);
    }
    const running = scope.runs.filter((run) => run.mode === "running" && !run.finished && !run.held).length;
    if (!scope.run && running > 0) line.append(` · ${count(running, "other run")} ${running === 1 ? "goes" : "go"} on`);
  }

  /** One held step in words: a link to it, its run, why, for how long, and when it ends by itself. */
  #held(hold, then, id) {
    const link = element("a", "", `#${hold.seq} ${words(hold.type)}`);
    link.href = `#seq=${hold.seq}`;
    if (id) link.id = id;
    link.dataset.go = hold.seq;
    if (hold.name) link.append(" ", bdi(hold.name));
    const parts = [link];
    if (hold.run_id) parts.push(" of run ", bdi(hold.run_id));
    parts.push(": ", ...reasonParts(hold, this.#breakpoint), ...holdTimes(hold, then));
    return parts;
  }

  /** Every held step, where there is more than one. */
  #list(state, held) {
    const list = this.#at("holds");
    if (!state || held.length < 2) {
      list.hidden = true;
      this.#listed = null;
      return;
    }
    const then = held.map((hold) => this.#onTimeout(hold.breakpoint_ids ?? []));
    const listed = JSON.stringify([held, then], lasting);
    if (this.#listed === listed) return;
    this.#listed = listed;
    const focused = list.contains(document.activeElement) ? document.activeElement.closest("li")?.dataset.seq : undefined;
    const rows = held.slice(0, LISTED).map((hold, at) => {
      const row = element("li", "", "");
      row.dataset.seq = hold.seq;
      const what = element("span", "what", "");
      what.append(...this.#held(hold, then[at]));
      const go = button("Proceed", "plain", () => this.#release(hold.seq));
      go.setAttribute("aria-label", `Proceed with step ${hold.seq}`);
      row.append(what, go);
      return row;
    });
    if (held.length > LISTED) rows.push(element("li", "hint", `and ${count(held.length - LISTED, "more")}`));
    list.replaceChildren(...rows);
    if (focused) (rows.find((row) => row.dataset.seq === focused) ?? rows[0]).querySelector("button")?.focus();
  }

  #idle(state, { run, finished, stopped, runs, mode: chosen = state.mode }) {
    const elsewhere = run && state.held.length ? ` ${count(state.held.length, "step")} of other runs wait.` : "";
    const whose = run ? `${run}'s` : "The agent's";
    const ends = stopped ? ` was stopped at #${stopped}` : " has finished";
    if (run && (finished || stopped)) return `${run}${ends}.${elsewhere}`;
    const over = !run && runs.length > 0 && runs.every((one) => one.finished);
    const all = over ? `${runs.length === 1 ? "Its only run has" : `All ${runs.length.toLocaleString("en")} runs have`} finished. ` : "";
    if (chosen === "paused") return `${all || "Nothing is held. "}${whose} next step will be${over ? " held" : ""}.${elsewhere}`;
    if (chosen === "running") return `${all}${run || "The agent"} runs; its steps are recorded and pass.${elsewhere}`;
    if (chosen === "stepping") return `Stepping: ${whose} steps pass until the target of the step is reached.${elsewhere}`;
    if (this.#observing) return `${all}No debugger is attached: the agent runs, and this page only watches.`;
    return `${all}Detached: the agent's steps are recorded and pass.`;
  }

  #put(id, text, state) {
    const put = this.#at(id);
    if (put.textContent !== text) put.textContent = text;
    if (state !== undefined) put.dataset.state = state;
  }
}

/** What a comparison of snapshots leaves out: it changes from frame to frame, and nothing has happened. */
function lasting(key, value) {
  return ["at", "held_ms", "times_out_in_ms", "breakpoint_revision", "events"].includes(key) ? undefined : value;
}

/**
 * What the agent does, in a word and its kind. The default mode is that of runs to come; what the runs that there are
 * do is told by them, and whatever is held is not running.
 */
function mode(state, { mode: chosen, finished, stopped, inScope, run, runs }) {
  if (!state) return ["Unknown", "unknown"];
  const live = runs.filter((one) => !one.finished && one.mode);
  const same = live.length > 0 && live.every((one) => one.mode === live[0].mode);
  const now = chosen ?? (same ? live[0].mode : state.mode);
  if (inScope.length) return now === "paused" ? ["Paused", "paused"] : ["Held", "held"];
  if (run && stopped) return ["Stopped", "stopped"];
  if (run && finished) return ["Finished", "finished"];
  const paused = live.filter((one) => one.mode === "paused").length;
  if (!run && !same && paused > 0) return [`${paused} of ${live.length} runs paused`, "paused"];
  return [MODE[now] ?? words(now), now];
}

/** The server's words begin small and end without a full stop, as errors do in logs. */
function sentence(text) {
  return text.replace(/^./u, (first) => first.toUpperCase()).replace(/[^.!?]$/u, "$&.");
}

function subscribers({ debuggers, observers }) {
  const parts = [count(debuggers, "debugger")];
  if (observers) parts.push(count(observers, "observer"));
  return parts.join(", ");
}

function others(state, observing) {
  if (!state) return "";
  const debuggers = Math.max(0, state.debuggers - (observing ? 0 : 1));
  const observers = Math.max(0, state.observers - (observing ? 1 : 0));
  if (debuggers + observers === 0) return "Nobody but this page is attached";
  const parts = [debuggers && count(debuggers, "other debugger"), observers && count(observers, "other observer")];
  return `Beside this page: ${parts.filter(Boolean).join(", ")}. Any debugger can let a step go`;
}

function lost({ dropped, gaps }) {
  const parts = [];
  if (dropped) {
    const gone = count(dropped, "event");
    parts.push(`No longer shown: the oldest ${gone}. This page keeps the newest 10,000, or 64 MiB.`);
  }
  const last = gaps.at(-1);
  if (last) {
    const range = last.from === last.to ? `#${last.from}` : `#${last.from} to #${last.to}`;
    parts.push(`The server no longer had ${range} when this page came to read them.`);
  }
  return parts.join(" ");
}

function bdi(text) {
  return element("bdi", "", clip(visible(String(text)), 80));
}
