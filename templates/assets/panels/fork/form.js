// A fork of a run from one of its steps: the changes, the policy for calls with side effects and, once the fork is made,
// its plan and the commands that start the agent for it.

import { call } from "../../core/api.js";
import { compact, members } from "../../core/json.js";
import { clip, count, shellQuoted, visible, words } from "../../core/text.js";
import { runName } from "../../model/runs.js";
import { copyButton } from "../../ui/clipboard.js";
import { button, element } from "../../ui/dom.js";
import { jsonField } from "../../ui/jsonfield.js";
import { laidOut } from "../../ui/sections.js";

const OPENS = new Set(["prompt", "tool_call"]);
const CLOSES = new Set(["response", "tool_result", "error"]);
/** The default policy for each effect of a tool call. */
const POLICIES = new Map([["pure", "run"], ["read", "run"], ["idempotent", "ask"], ["mutating", "ask"], ["unknown", "ask"]]);
const POLICY_WORDS = new Map([["run", "will run"], ["ask", "will ask"], ["block", "will be blocked"]]);
/** The fields that an error can begin with, to their elements. */
const FIELDS = new Map([["model", "fork-model"], ["on_divergence", "fork-divergence"], ["ignore", "fork-ignore"], ["effects", "fork-effects"], ["data", "fork-edit-data"]]);
/** The number of forks whose request is kept, to fork again with one more ignored path. */
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
   * `get(seq)` returns an event of the trace, `showRun(id)` and `compare(left, right)` go there, `announce(text)` speaks to
   * screen readers, `alert(text)` shows an error.
   */
  constructor({ agentId, get, runs, showRun, compare, announce, alert }) {
    this.#agentId = agentId;
    this.#get = get;
    this.#runs = runs;
    this.#showRun = showRun;
    this.#compare = compare;
    this.#announce = announce;
    this.#alert = alert;
    // A press that began inside, such as the selection of text, does not close the dialog.
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

  /** Opens the form for a fork from an event. `asked` has the values to begin with, as `#read` returns them. */
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
    at("fork-model").placeholder = model ? `as recorded: ${model}` : "as the agent requests";
    at("fork-model").value = asked.model ?? "";
    for (const [effect, policy] of POLICIES) at(`fork-${effect}`).value = asked.effects?.[effect] ?? policy;
    at("fork-divergence").value = asked.on_divergence ?? "hold";
    at("fork-ignore").value = (asked.ignore ?? []).join("\n");
    at("fork-more").open = Boolean(asked.ignore?.length || asked.on_divergence || asked.effects);
    this.#showError({});
    this.#update();
    this.#dialog.showModal();
    this.#dialog.firstElementChild.scrollTop = 0;
    (this.#form.querySelector("textarea") ?? at("fork-model")).focus();
  }

  /** Opens the form of the fork in which a step diverged again, with one more ignored path. */
  openIgnoring(event, path) {
    const source = this.#runs.get(event.runId)?.forked_from;
    const point = source?.seq ? this.#get(source.seq) : undefined;
    if (!point) return this.#alert("The step at which this run was forked is no longer kept, so it cannot be forked again from here.");
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

  /** Whether the data is as recorded, whatever its format. */
  get #unchanged() {
    const { data, was, raw } = this.#draft;
    return !this.#json || data === was || compact(data) === compact(raw);
  }

  #update() {
    const bad = Boolean(this.#json?.invalid());
    at("fork-send").disabled = bad || this.#sending;
    if (!this.#json) return;
    at("fork-reset").disabled = this.#draft.data === this.#draft.was;
    at("fork-changed").textContent = bad ? "" : this.#unchanged ? "As recorded." : "Changed.";
  }

  /** The values of the form. */
  #read() {
    const effects = Object.fromEntries([...POLICIES.keys()].map((effect) => [effect, at(`fork-${effect}`).value]));
    const ignore = at("fork-ignore").value.split("\n").map((path) => path.trim()).filter(Boolean);
    return { model: at("fork-model").value.trim(), effects, on_divergence: at("fork-divergence").value, ignore };
  }

  async #send() {
    if (this.#sending || (this.#json && !this.#json.check())) return;
    const event = this.#event;
    const asked = this.#read();
    // The data is sent as it was typed, digit for digit.
    const rest = JSON.stringify({ run_id: event.runId, seq: event.seq, ...asked, model: asked.model || undefined });
    const body = this.#unchanged ? rest : `${rest.slice(0, -1)},"data":${compact(this.#draft.data)}}`;
    if (!this.#unchanged) asked.data = this.#draft.data;
    this.#sending = true;
    this.#update();
    this.#showError({});
    try {
      const made = await call("POST", "fork", body);
      this.#asked.set(made.run_id, asked);
      if (this.#asked.size > KEPT) this.#asked.delete(this.#asked.keys().next().value);
      this.#runs.addFork({ run_id: made.run_id, forked_from: { run_id: event.runId, seq: event.seq } });
      this.#done(event, made);
    } catch (error) {
      this.#showError(error);
    } finally {
      this.#sending = false;
      this.#update();
    }
  }

  /** Shows an error at the field with which it begins, otherwise below the form. */
  #showError({ message = "" }) {
    const name = /^[a-z_]+\b/.exec(message)?.[0];
    const named = at(FIELDS.get(name)) ? name : undefined;
    for (const [field, id] of FIELDS) {
      if (!at(id)) continue;
      at(field === "data" ? "fork-data-error" : `${id}-error`).textContent = field === named ? message : "";
      if (field === named) at(id).setAttribute("aria-invalid", "true");
      else at(id).removeAttribute("aria-invalid");
    }
    at("fork-error").textContent = named ? "" : message;
    if (!named) return;
    if (at("fork-more").contains(at(FIELDS.get(named)))) at("fork-more").open = true;
    (named === "effects" ? at("fork-pure") : at(FIELDS.get(named))).focus();
  }

  #done(event, { run_id: id, plan }) {
    this.#form.hidden = true;
    const done = at("fork-done");
    const name = element("p", "fork-run", "");
    name.append("New run ", element("code", "", visible(id)), copyButton(() => id, "Copy"));
    const parts = [element("p", "fork-summary", sentence(plan.summary)), planTable(plan)];
    if (plan.truncated) parts.push(element("p", "notice warning", "The beginning of the source is no longer kept: steps that the agent opened there will not be found in the record."));
    const lines = startLines(this.#agentId, id);
    const start = element("div", "fork-start", "");
    start.append(element("h3", "", "Start the agent for it"), element("p", "hint", "It reports its steps as usual. The steps before the fork are answered from the record."));
    for (const [label, text] of lines) {
      const sample = element("div", "sample", "");
      // The copy is exact; in the text, hidden characters of an id are visible.
      sample.append(element("pre", "", visible(text)), copyButton(() => text, "Copy"));
      start.append(element("p", "hint", label), sample);
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

/** What a fork from this event does. */
function whatHappens({ type, seq }) {
  const before = `Creates a new run of the agent. The steps before #${seq} are answered from the record and are not executed again`;
  if (OPENS.has(type)) return `${before}. #${seq} then runs with this input, and everything after it is live.`;
  if (CLOSES.has(type)) return `${before}. #${seq} is answered with this output, and everything after it is live.`;
  return `${before}. Everything after them is live.`;
}

function sentence(text) {
  return `${visible(String(text)).replace(/[.!?]$/u, "")}.`.replace(/^./u, (first) => first.toUpperCase());
}

/** The plan in figures: the steps from the record, and the live ones. */
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
    row("Live", `${n.toLocaleString("en")} ${n === 1 ? what : what.replace("call", "calls")} ${POLICY_WORDS.get(policy) ?? words(policy)}`, policy);
  }
  return list;
}

/** The commands that start an agent for a run. They contain no token, which would stay in the history of the shell. */
function startLines(agentId, run) {
  const environment = [["URL", location.origin], ["AGENT_ID", agentId], ["RUN_ID", run]];
  const set = environment.map(([key, value]) => `AGENT_DEBUGGER_${key}=${shellQuoted(value)}`).join(" ");
  return [
    ["With agent-debugger:", `agent-debugger run --url=${shellQuoted(location.origin)} --agent=${shellQuoted(agentId)} --run=${shellQuoted(run)} -- COMMAND`],
    ["Or with environment variables:", `${set} COMMAND`],
  ];
}
