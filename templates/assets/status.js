// What the page says about itself in words: the facts in the header, the line under the toolbar, the notices, and
// what a screen reader is told. All of it is drawn from one snapshot, so that no part can contradict another.

import { holdReason } from "./scope.js";
import { clip, count, duration, visible, words } from "./text.js";

const CONNECTION = { connecting: "Connecting", live: "Live", reconnecting: "Reconnecting", ended: "Ended" };
/** Without a connection nobody knows whether a step is held, and a debugger that is gone holds none for long. */
const WITHOUT_STATE = {
  connecting: "Asking the server where the agent stands.",
  live: "Asking the server where the agent stands.",
  reconnecting: "Without a connection this page holds nothing; the agent may go on.",
  ended: "Without a connection this page holds nothing.",
};
const MODE = { paused: "Paused", running: "Running", stepping: "Stepping", detached: "Detached" };

export class Status {
  #agentId;
  #observing;
  #at = (id) => document.getElementById(id);
  #said = new Map();
  #announced = "";
  #timer = 0;
  #heldSince = 0;
  #drawn = null;

  constructor(agentId, observing) {
    this.#agentId = agentId;
    this.#observing = observing;
  }

  /**
   * Draws a snapshot: `{connection, why, state, trace, scope}`. `state` is the last state frame with the time `at`
   * which it came, or null before it; `scope` is `{run, mode, inScope, next}`, with `run` the chosen run's name or "".
   */
  draw({ connection, why, state, trace, scope }) {
    const { position, total } = trace.counters;
    const held = state?.held ?? [];
    this.#put("connection", CONNECTION[connection], connection);
    const mode = scope.mode ?? state?.mode;
    this.#put("mode", state ? (MODE[mode] ?? words(mode)) : "Unknown", state ? mode : "unknown");
    this.#put("held", String(held.length), held.length ? "some" : "none");
    this.#put("position", `${position.toLocaleString("en")} of ${total.toLocaleString("en")}`);
    this.#put("subscribers", state ? subscribers(state) : "–");
    document.title = `${held.length ? `(${held.length} held) ` : ""}${visible(this.#agentId)} · Agent Debugger`;
    document.documentElement.dataset.connection = connection;

    this.#at("disconnected").hidden = connection !== "reconnecting";
    this.#at("disconnected-why").textContent = why;
    this.#at("ended").hidden = connection !== "ended";
    this.#at("ended-why").textContent = sentence(why);
    this.#at("empty").hidden = trace.length > 0 || connection === "ended";
    this.#at("panes").hidden = trace.length === 0;
    this.#at("lost").hidden = trace.dropped === 0 && trace.gaps.length === 0;
    this.#at("lost").textContent = lost(trace);
    this.#hold(connection === "live" || !state ? state : null, trace, connection, scope);
  }

  /** The time that the oldest step has been held moves on without any frame. */
  tick() {
    const since = this.#at("held-for");
    if (since && this.#heldSince) since.textContent = duration(performance.now() - this.#heldSince);
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

  #hold(state, trace, connection, scope) {
    const line = this.#at("now");
    const next = state ? scope.next : undefined;
    const known = next !== undefined && trace.get(next.seq) !== undefined;
    // Drawn again only when it says something else, so that a link in it keeps its focus.
    const lasting = (key, value) => (["at", "held_ms", "breakpoint_revision"].includes(key) ? undefined : value);
    const drawn = JSON.stringify([connection, known, scope, state], lasting);
    if (this.#drawn === drawn) return;
    this.#drawn = drawn;
    line.dataset.mode = next ? "held" : (state?.mode ?? "unknown");
    if (!next) {
      this.#heldSince = 0;
      line.textContent = state ? this.#idle(state, scope) : WITHOUT_STATE[connection];
      return;
    }
    this.#heldSince = state.at - next.held_ms;
    const link = Object.assign(document.createElement("a"), { href: `#e${next.seq}`, id: "held-link" });
    link.dataset.seq = next.seq;
    link.append(`#${next.seq} ${words(next.type)}`);
    if (next.name) link.append(" ", bdi(next.name));
    const time = Object.assign(document.createElement("span"), { id: "held-for" });
    line.replaceChildren("Held at ", known ? link : link.textContent);
    if (next.run_id) line.append(" of run ", bdi(next.run_id));
    line.append(`: ${visible(holdReason(next))} · `, time);
    const more = scope.inScope.length - 1;
    if (more > 0) line.append(` · ${more.toLocaleString("en")} more held`);
    this.tick();
  }

  #idle(state, { run, mode = state.mode }) {
    const elsewhere = run && state.held.length ? ` ${count(state.held.length, "step")} of other runs wait.` : "";
    const whose = run ? `${run}'s` : "The agent's";
    if (mode === "paused") return `Nothing is held. ${whose} next step will be.${elsewhere}`;
    if (mode === "running") return `${run || "The agent"} runs; its steps are recorded and pass.${elsewhere}`;
    if (mode === "stepping") return `Stepping: ${whose} steps pass until the target of the step is reached.${elsewhere}`;
    if (this.#observing) return "No debugger is attached: the agent runs, and this page only watches.";
    return "Detached: the agent's steps are recorded and pass.";
  }

  #put(id, text, state) {
    const element = this.#at(id);
    if (element.textContent !== text) element.textContent = text;
    if (state !== undefined) element.dataset.state = state;
  }
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
  const isolated = document.createElement("bdi");
  isolated.textContent = clip(visible(String(text)), 80);
  return isolated;
}
