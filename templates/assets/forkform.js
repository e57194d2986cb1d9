// A fork of a run from one of its steps: what is to be different, what becomes of calls that have effects, and, once it
// is made, what will come of it and how to start the agent for it.

import { call } from "./api.js";
import { copyButton } from "./clipboard.js";
import { button, element } from "./dom.js";
import { compact, members } from "./json.js";
import { jsonField } from "./jsonfield.js";
import { laidOut } from "./payload.js";
import { runName } from "./runs.js";
import { clip, count, shellQuoted, visible, words } from "./text.js";

const OPENS = new Set(["prompt", "tool_call"]);
const CLOSES = new Set(["response", "tool_result", "error"]);
const POLICIES = { pure: "run", read: "run", idempotent: "ask", mutating: "ask", unknown: "ask" };
const WILL = { run: "will run", ask: "will ask", block: "will be blocked" };
/** What was asked for so many forks is kept, to fork anew with a little more. */
const KEPT = 50;

const at = (id) => document.getElementById(id);

export class ForkForm {
  #agentId;
  #get;
  #runs;
  #showRun;
  #compare;
  #announce;
  #alert;
  #dialog = at("fork");
  #form = at("fork-form");
  #asked = new Map();
  #event = null;
  #draft = null;
  #json = null;
  #sending = false;

  /**
   * `get(seq)` is an event of the trace and `runs` knows the runs; `showRun(id)` and `compare(left, right)` go there;
   * `announce(text)`, `alert(text)`.
   */
  constructor({ agentId, get, runs, showRun, compare, announce, alert }) {
    this.#agentId = agentId;
    this.#get = get;
    this.#runs = runs;
    this.#showRun = showRun;
    this.#compare = compare;
    this.#announce = announce;
    this.#alert = alert;
    // To let go outside of a field in which the pointer went down is no wish to close.
    let outside = false;
    this.#dialog.addEventListener("pointerdown", ({ target }) => (outside = target === this.#dialog));
    this.#dialog.addEventListener("click", ({ target }) => {
      if ((outside && target === this.#dialog) || target.closest("[data-close]")) this.#dialog.close();
    });
    this.#form.addEventListener("input", () => this.#update());
    this.#form.addEventListener("keydown", (key) => {
      if (key.key !== "Enter" || !(key.ctrlKey || key.metaKey)) return;
      key.preventDefault();
      if (!at("fork-send").disabled) this.#form.requestSubmit();
    });
    this.#form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.#send();
    });
  }

  /** Opens the form for a fork from an event. `asked` is what to begin with, as `#read` gives it. */
  open(event, asked = {}) {
    if (!event || event.gone) return;
    const parts = members(event.raw);
    const data = parts.get("data") ?? "{}";
    this.#event = event;
    this.#draft = { data: asked.data ?? laidOut(data), was: laidOut(data), raw: data };
    at("fork-done").hidden = true;
    this.#form.hidden = false;
    const title = at("fork-title");
    title.replaceChildren("Fork from ", element("span", "seq", `#${event.seq}`), ` ${words(event.type)} `);
    if (event.name) title.append(element("bdi", "", clip(event.name, 80)));
    at("fork-what").textContent = whatHappens(event);
    this.#editor(event);
    const model = event.type === "prompt" ? event.model : "";
    at("fork-model").placeholder = model ? `as recorded: ${model}` : "as the agent says";
    at("fork-model").value = asked.model ?? "";
    for (const [effect, policy] of Object.entries(POLICIES)) at(`fork-${effect}`).value = asked.effects?.[effect] ?? policy;
    at("fork-divergence").value = asked.on_divergence ?? "hold";
    at("fork-ignore").value = (asked.ignore ?? []).join("\n");
    at("fork-more").open = Boolean(asked.ignore?.length || asked.on_divergence || asked.effects);
    this.#say({});
    this.#update();
    this.#dialog.showModal();
    this.#dialog.firstElementChild.scrollTop = 0;
    (this.#form.querySelector("textarea") ?? at("fork-model")).focus();
  }

  /** Opens it for the source of a diverging step's run, with what that fork asked for, and one more path left out. */
  ignoring(event, path) {
    const source = this.#runs.get(event.runId)?.forked_from;
    const point = source?.seq ? this.#get(source.seq) : undefined;
    if (!point) return this.#alert("The step that this run was forked at is not kept any more, so that it cannot be forked anew from here.");
    const asked = this.#asked.get(event.runId) ?? {};
    return this.open(point, { ...asked, ignore: [...new Set([...(asked.ignore ?? []), path])] });
  }

  #editor(event) {
    const slot = at("fork-data");
    slot.replaceChildren();
    this.#json = null;
    if (!OPENS.has(event.type) && !CLOSES.has(event.type)) return;
    const label = OPENS.has(event.type) ? "Input" : "Output";
    this.#json = jsonField(slot, this.#draft, "data", label, () => this.#update(), "fork-edit");
    const reset = button("Reset", "plain", () => this.#json.put(this.#draft.was));
    reset.id = "fork-reset";
    this.#json.bar.append(reset);
    const refused = Object.assign(element("p", "field-error", ""), { id: "fork-data-error" });
    refused.setAttribute("role", "alert");
    slot.append(refused, Object.assign(element("p", "hint", ""), { id: "fork-changed" }));
  }

  /** Whether the data is what was recorded, however it is laid out. */
  get #unchanged() {
    const { data, was, raw } = this.#draft;
    return !this.#json || data === was || compact(data) === compact(raw);
  }

  #update() {
    const bad = Boolean(this.#json?.bad());
    at("fork-send").disabled = bad || this.#sending;
    if (!this.#json) return;
    at("fork-reset").disabled = this.#draft.data === this.#draft.was;
    at("fork-changed").textContent = bad ? "" : this.#unchanged ? "As it was recorded." : "Changed.";
  }

  /** What the form asks for. */
  #read() {
    const effects = Object.fromEntries(Object.keys(POLICIES).map((effect) => [effect, at(`fork-${effect}`).value]));
    const ignore = at("fork-ignore").value.split("\n").map((path) => path.trim()).filter(Boolean);
    return { model: at("fork-model").value.trim(), effects, on_divergence: at("fork-divergence").value, ignore };
  }

  async #send() {
    if (this.#sending || (this.#json && !this.#json.check())) return;
    const event = this.#event;
    const asked = this.#read();
    // The data goes as it was typed, digit for digit.
    const rest = JSON.stringify({ run_id: event.runId, seq: event.seq, ...asked, model: asked.model || undefined });
    const body = this.#unchanged ? rest : `${rest.slice(0, -1)},"data":${compact(this.#draft.data)}}`;
    if (!this.#unchanged) asked.data = this.#draft.data;
    this.#sending = true;
    this.#update();
    this.#say({});
    try {
      const made = await call("POST", "fork", body);
      this.#asked.set(made.run_id, asked);
      if (this.#asked.size > KEPT) this.#asked.delete(this.#asked.keys().next().value);
      this.#runs.forked({ run_id: made.run_id, forked_from: { run_id: event.runId, seq: event.seq } });
      this.#done(event, made);
    } catch (error) {
      this.#say(error);
    } finally {
      this.#sending = false;
      this.#update();
    }
  }

  /** Says what was refused, beside the field that it names. */
  #say({ message = "" }) {
    const places = { model: "fork-model", on_divergence: "fork-divergence", ignore: "fork-ignore", effects: "fork-effects", data: "fork-edit-data" };
    const said = /^(model|on_divergence|ignore|effects|data)\b/.exec(message)?.[1];
    const named = said && at(places[said]) ? said : undefined;
    for (const [name, id] of Object.entries(places)) {
      if (!at(id)) continue;
      at(name === "data" ? "fork-data-error" : `${id}-error`).textContent = name === named ? message : "";
      if (name === named) at(id).setAttribute("aria-invalid", "true");
      else at(id).removeAttribute("aria-invalid");
    }
    at("fork-error").textContent = named ? "" : message;
    if (!named) return;
    if (at("fork-more").contains(at(places[named]))) at("fork-more").open = true;
    (named === "effects" ? at("fork-pure") : at(places[named])).focus();
  }

  #done(event, { run_id: id, plan }) {
    this.#form.hidden = true;
    const done = at("fork-done");
    const name = element("p", "fork-run", "");
    name.append("New run ", element("code", "", visible(id)), copyButton(() => id, "Copy"));
    const parts = [element("p", "fork-summary", `${sentence(plan.summary)}`), planTable(plan)];
    if (plan.truncated) parts.push(element("p", "notice warning", "The beginning of the source is not kept any more: what the agent opened there will not be found in the record."));
    const lines = startLines(this.#agentId, id);
    const start = element("div", "fork-start", "");
    start.append(element("h3", "", "Start the agent for it"), element("p", "hint", "It traces as always; the steps up to the fork are answered from the record."));
    for (const [says, text] of lines) {
      const sample = element("div", "sample", "");
      // What is copied is exact; what is read must not be reordered by what hides in an id.
      sample.append(element("pre", "", visible(text)), copyButton(() => text, "Copy"));
      start.append(element("p", "hint", says), sample);
    }
    const bar = element("div", "form-bar", "");
    const leave = (go) => () => {
      this.#dialog.close();
      go();
    };
    const show = button("Show this run", "", leave(() => this.#showRun(id)));
    bar.append(
      show,
      button("Compare with the source", "quiet", leave(() => this.#compare(event.runId, id))),
      button("Close", "quiet", leave(() => {})),
    );
    done.replaceChildren(name, ...parts, start, bar);
    done.hidden = false;
    at("fork-title").replaceChildren("Forked from ", element("span", "seq", `#${event.seq}`), ` of ${runName(event.runId)}`);
    this.#dialog.firstElementChild.scrollTop = 0;
    show.focus();
    this.#announce(`Forked: run ${visible(id)}. ${sentence(plan.summary)}`);
  }
}

/** What a fork from this kind of step does. */
function whatHappens({ type, seq }) {
  const before = `A new run of the agent. What it did before #${seq} is answered from the record, so that nothing of it happens again`;
  if (OPENS.has(type)) return `${before}; #${seq} then runs with this input, and all that follows is live.`;
  if (CLOSES.has(type)) return `${before}; #${seq} is answered with this output, and all that follows is live.`;
  return `${before}; all that follows is live.`;
}

function sentence(text) {
  return `${String(text).replace(/[.!?]$/u, "")}.`.replace(/^./u, (first) => first.toUpperCase());
}

/** The plan in figures: what comes from the record, and what runs. */
function planTable({ from_record: recorded, entered, live_prompts: prompts, live_calls: calls, model }) {
  const list = element("dl", "plan", "");
  const row = (label, text, kind) => {
    const pair = element("div", "", "");
    pair.dataset.kind = kind;
    pair.append(element("dt", "", label), element("dd", "", text));
    list.append(pair);
  };
  row("From the record", count(recorded, "step"), "record");
  if (entered) row("Entered again", count(entered, "step"), "record");
  row("Live", count(prompts, "prompt") + (model ? ` to ${clip(visible(model), 80)}` : ""), "live");
  for (const { effect, policy, count: n } of Array.isArray(calls) ? calls : []) {
    const what = effect === "unknown" ? "call of unknown effect" : `${effect} call`;
    row("Live", `${n.toLocaleString("en")} ${n === 1 ? what : what.replace("call", "calls")} ${WILL[policy] ?? words(policy)}`, policy);
  }
  return list;
}

/** How an agent is started for a run, each way with what it is. No token is in it: it would stay in a shell's history. */
function startLines(agentId, run) {
  const environment = [["URL", location.origin], ["AGENT_ID", agentId], ["RUN_ID", run]];
  const set = environment.map(([key, value]) => `AGENT_DEBUGGER_${key}=${shellQuoted(value)}`).join(" ");
  return [
    ["With the debugger's own program:", `agent-debugger run --url=${shellQuoted(location.origin)} --agent=${shellQuoted(agentId)} --run=${shellQuoted(run)} -- COMMAND`],
    ["Or by its environment:", `${set} COMMAND`],
  ];
}
