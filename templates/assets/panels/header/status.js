// The state in words: the facts in the header, the line under the toolbar, the notices, and the announcements for screen
// readers. All of it is drawn from one snapshot, so that no part can contradict another.

import { clip, clock, count, duration, visible, words } from "../../core/text.js";
import { button, element } from "../../ui/dom.js";
import { holdTimes, reasonParts } from "../../ui/holdreason.js";

const CONNECTIONS = new Map([["connecting", "Connecting"], ["live", "Live"], ["reconnecting", "Reconnecting"], ["ended", "Ended"]]);
/** The line under the toolbar while the state is unknown. A debugger that loses its connection soon holds nothing. */
const WITHOUT_STATE = new Map([
  ["connecting", "Asking the server for the state of the agent."],
  ["live", "Asking the server for the state of the agent."],
  ["reconnecting", "Without a connection this page holds no steps, and the agent may continue."],
  ["ended", "Without a connection this page holds no steps."],
]);
const MODES = new Map([["paused", "Paused"], ["running", "Running"], ["stepping", "Stepping"], ["detached", "Detached"]]);
/** The number of held steps that are listed; further ones are counted. */
const LISTED = 50;
/** A hold is announced once, this long before it times out. */
const SOON_MS = 30_000;

export class Status {
  #agentId;
  #observing;
  #breakpoint;
  #onTimeout;
  #release;
  #at = (id) => document.getElementById(id);
  #pending = new Map();
  #announced = "";
  #timer = 0;
  #drawn = null;
  #listed = null;
  #warned = new Set();
  #lostAt = 0;
  #retryAt = 0;

  /**
   * `observing()`: whether this page is an observer. `breakpoint(id)` goes to a breakpoint, `onTimeout(ids)` returns what
   * happens to a step at a gate when the hold times out, `release(seq)` lets a held step proceed.
   */
  constructor({ agentId, observing, breakpoint, onTimeout, release }) {
    this.#agentId = agentId;
    this.#observing = observing;
    this.#breakpoint = breakpoint;
    this.#onTimeout = onTimeout;
    this.#release = release;
  }

  /** The connection has changed from one state to another; `wait` is the time until the next attempt, in ms. */
  connection(from, to, why, wait) {
    if (to === "reconnecting" && from === "live") this.#lostAt = Date.now();
    this.#retryAt = wait === undefined ? 0 : performance.now() + wait;
    if (from === to) return;
    const lost = this.#lostAt && to === "live" ? duration(Date.now() - this.#lostAt) : "";
    if (to === "live") this.#lostAt = 0;
    if (to !== "connecting") this.announce("connection", lost ? `Connected again after ${lost}.` : `Connection: ${to}. ${why}`);
  }

  /**
   * Draws a snapshot: `{connection, why, state, trace, scope}`. `state` is the last state frame, or null before the
   * first; `scope` is `{run, mode, finished, stopped, inScope, next, runs}`, with `run` the name of the chosen run or "",
   * and `runs` the runs as the server last listed them.
   */
  draw({ connection, why, state, trace, scope }) {
    const { position, total } = trace.counters;
    const held = state?.held ?? [];
    const known = connection === "live" ? state : null;
    this.#put("connection", CONNECTIONS.get(connection), connection);
    this.#put("mode", ...mode(known, scope));
    this.#put("held", String(held.length), held.length ? "some" : "none");
    this.#put("position", `${position.toLocaleString("en")} of ${total.toLocaleString("en")}`);
    this.#put("subscribers", state ? subscribers(state) : "–");
    this.#at("subscribers").title = others(state, this.#observing());
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

  /** Updates the times that pass without any frame: of holds, and of a lost connection. */
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
   * Announces a text to screen readers. Announcements within a short time are joined, the latest of each kind only, so
   * that a burst is one announcement and no kind displaces another.
   */
  announce(kind, text) {
    this.#pending.set(kind, text);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const all = [...this.#pending.values()].join(" ");
      this.#pending.clear();
      if (all !== this.#announced) this.#at("live").textContent = all;
      this.#announced = all;
    }, 400);
  }

  #hold(state, connection, scope) {
    const line = this.#at("now");
    const next = state ? scope.next : undefined;
    // Drawn only when its text changes, so that a link in it keeps the focus.
    const then = next ? this.#onTimeout(next.breakpoint_ids ?? []) : "";
    const drawn = JSON.stringify([connection, scope, state, then], lasting);
    if (this.#drawn === drawn) return;
    this.#drawn = drawn;
    line.dataset.mode = next ? "held" : (state?.mode ?? "unknown");
    if (!next) {
      line.textContent = state ? this.#idle(state, scope) : WITHOUT_STATE.get(connection);
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
    if (!scope.run && running > 0) line.append(` · ${count(running, "other run")} ${running === 1 ? "is" : "are"} running`);
  }

  /** One held step in words: a link to it, its run, why and how long it is held, and when the hold times out. */
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

  /** All held steps, if there is more than one. */
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
    const elsewhere = run && state.held.length ? ` ${count(state.held.length, "step")} of other runs ${state.held.length === 1 ? "is" : "are"} held.` : "";
    const whose = run ? `${run}'s` : "The agent's";
    const end = stopped ? ` was stopped at #${stopped}` : " has finished";
    if (run && (finished || stopped)) return `${run}${end}.${elsewhere}`;
    const over = !run && runs.length > 0 && runs.every((one) => one.finished);
    const all = over ? `${runs.length === 1 ? "Its only run has" : `All ${runs.length.toLocaleString("en")} runs have`} finished. ` : "";
    if (chosen === "paused") return `${all || "Nothing is held. "}${whose} next step will be held.${elsewhere}`;
    if (chosen === "running") return `${all}${run || "The agent"} is running: its steps are recorded and not held.${elsewhere}`;
    if (chosen === "stepping") return `Stepping: ${whose} steps are not held until the target of the step is reached.${elsewhere}`;
    if (this.#observing()) return `${all}No debugger is attached: the agent runs, and this page only observes.`;
    return `${all}Detached: the steps of the agent are recorded and not held.`;
  }

  #put(id, text, state) {
    const put = this.#at(id);
    if (put.textContent !== text) put.textContent = text;
    if (state !== undefined) put.dataset.state = state;
  }
}

/** Leaves out of a comparison of snapshots what changes from frame to frame without a meaning. */
function lasting(key, value) {
  return ["at", "held_ms", "times_out_in_ms", "breakpoint_revision", "events"].includes(key) ? undefined : value;
}

/**
 * The mode in words, and its kind. The default mode is that of new runs; the present runs have modes of their own, and a
 * run with a held step is not running.
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
  return [MODES.get(now) ?? words(now), now];
}

/** An error of the server, which is lowercase and without a full stop, as a sentence. */
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
  if (debuggers + observers === 0) return "No one else is attached";
  const parts = [debuggers && count(debuggers, "other debugger"), observers && count(observers, "other observer")];
  return `Also attached: ${parts.filter(Boolean).join(", ")}. Any debugger can release a step`;
}

function lost({ dropped, gaps }) {
  const parts = [];
  if (dropped) {
    parts.push(`The oldest ${count(dropped, "event")} ${dropped === 1 ? "is" : "are"} no longer shown: this page keeps the newest 10,000, up to 64 MiB.`);
  }
  const last = gaps.at(-1);
  if (last) {
    const range = last.from === last.to ? `#${last.from}` : `#${last.from} to #${last.to}`;
    parts.push(`The server no longer had ${range} when this page read the trace.`);
  }
  return parts.join(" ");
}

function bdi(text) {
  return element("bdi", "", clip(visible(String(text)), 80));
}
