// The decision about a held step: proceed, edit it, fulfil it in place of the model or tool, fail it, or abort the run.
//
// What the person types is kept in a draft per step, outside of the document: neither a frame nor another selection loses
// any of it. A draft goes over the wire as it was typed, digit for digit.

import { call } from "../../core/api.js";
import { compact, members } from "../../core/json.js";
import { visibleLines, words } from "../../core/text.js";
import { copyButton } from "../../ui/clipboard.js";
import { button, element } from "../../ui/dom.js";
import { jsonField } from "../../ui/jsonfield.js";
import { laidOut } from "../../ui/sections.js";

/** The decisions that are possible for each type of step. `proceed` always is. */
const OPENING_DECISIONS = ["edit", "fulfil", "fail", "abort"];
const CLOSING_DECISIONS = ["edit", "fail", "abort"];
const DECISIONS = new Map([
  ["prompt", OPENING_DECISIONS],
  ["tool_call", OPENING_DECISIONS],
  ["response", CLOSING_DECISIONS],
  ["tool_result", CLOSING_DECISIONS],
]);
const OTHER_DECISIONS = ["abort"];
/** Each decision with its label and its key. */
const VERBS = new Map([
  ["edit", { label: "Edit", key: "e" }],
  ["fulfil", { label: "Fulfil", key: "a" }],
  ["fail", { label: "Fail", key: "x" }],
  ["abort", { label: "Abort", key: null }],
]);
/** What has happened to a step, for each decision. */
const OUTCOMES = new Map([
  ["proceed", "released"],
  ["edit", "released with your edit"],
  ["fulfil", "fulfilled"],
  ["fail", "failed"],
  ["abort", "aborted"],
]);
const RESULT_TEMPLATES = new Map([["prompt", '{\n  "text": ""\n}'], ["tool_call", '{\n  "result": ""\n}']]);
/** The number of drafts that are kept; the oldest is dropped first. */
const MOST_DRAFTS = 50;

export class Decisions {
  #drafts = new Map();
  #onTouch;
  #onDone;

  /** `onTouch()` when the person begins to write, `onDone(text)` when a step was released from here. */
  constructor({ onTouch, onDone }) {
    this.#onTouch = onTouch;
    this.#onDone = onDone;
  }

  /** Draws the decision panel of an event into `slot`. A panel that is there already for that event stays as it is. */
  draw(slot, event) {
    if (slot.dataset.shows === shows(event)) return;
    const focused = slot.contains(document.activeElement);
    slot.dataset.shows = shows(event);
    const draft = this.#drafts.get(event.seq);
    if (event.hold) slot.replaceChildren(this.#panel(slot, event));
    else if (draft && !draft.sending && unsent(draft)) slot.replaceChildren(this.#leftOver(slot, event, unsent(draft)));
    else slot.replaceChildren();
    // The focus stays in the panel instead of moving to the top of the page.
    if (focused) slot.closest("[tabindex]")?.focus({ preventScroll: true });
  }

  forget() {
    this.#drafts.clear();
  }

  /** Presses the button of a decision, if it is enabled. */
  press(panel, action) {
    panel.querySelector(`.verbs [data-verb="${action}"]:enabled`)?.click();
  }

  #draft(event) {
    let draft = this.#drafts.get(event.seq);
    if (!draft) {
      const parts = members(event.raw);
      const model = parts.get("model") ?? "null";
      draft = {
        open: null,
        data: laidOut(parts.get("data") ?? "{}"),
        raw: parts.get("data") ?? "{}",
        model: model === "null" ? "" : JSON.parse(model),
        result: RESULT_TEMPLATES.get(event.type) ?? "{}",
        message: "",
        reason: "",
      };
      draft.was = { data: draft.data, model: draft.model, result: draft.result };
      this.#drafts.set(event.seq, draft);
      if (this.#drafts.size > MOST_DRAFTS) this.#drafts.delete(this.#drafts.keys().next().value);
    }
    return draft;
  }

  #panel(slot, event) {
    const draft = this.#draft(event);
    const panel = element("section", "decision", "");
    panel.setAttribute("aria-labelledby", "decision-title");
    const title = element("h3", "", "Decide");
    title.id = "decision-title";
    const bar = element("div", "verbs", "");
    const place = element("div", "", "");
    const failure = element("p", "field-error", "");
    failure.setAttribute("role", "alert");
    const send = (action, parts) => this.#send({ slot, event, draft, action, parts, panel, failure });
    const proceed = button("Proceed", "quiet", () => send("proceed", ""));
    proceed.dataset.verb = "proceed";
    proceed.setAttribute("aria-keyshortcuts", "y");
    bar.append(title, proceed);
    const impossible = new Map();
    const verbs = [...VERBS].map(([action, { label, key }]) => {
      const verb = button(label, `quiet${action === "abort" ? " danger" : ""}`, () => toggle(action));
      verb.setAttribute("aria-controls", "decision-form");
      verb.dataset.verb = action;
      if (key) verb.setAttribute("aria-keyshortcuts", key);
      const why = whyNot(event, action);
      if (why) {
        verb.disabled = true;
        impossible.set(why, [...(impossible.get(why) ?? []), label]);
      }
      bar.append(verb);
      return [action, verb];
    });
    place.id = "decision-form";
    const open = (action) => {
      draft.open = action;
      for (const [name, verb] of verbs) verb.setAttribute("aria-expanded", String(name === action));
      failure.textContent = "";
      place.replaceChildren(...(action ? [this.#form(event, action, draft, send)] : []));
    };
    const toggle = (action) => {
      open(draft.open === action ? null : action);
      if (draft.open) this.#onTouch();
      place.querySelector("textarea, input")?.focus();
    };
    place.addEventListener("input", () => this.#onTouch());
    place.addEventListener("keydown", (key) => {
      if (key.key !== "Escape" || !draft.open) return;
      key.preventDefault();
      const verb = verbs.find(([name]) => name === draft.open)[1];
      open(null);
      verb.focus();
    });
    panel.append(bar);
    const hints = [...impossible].map(([why, names]) => `${names.join(", ")}: ${why}.`);
    if (hints.length) panel.append(element("p", "hint", hints.join(" ")));
    panel.append(place, failure);
    open(draft.open && !whyNot(event, draft.open) ? draft.open : null);
    return panel;
  }

  #form(event, action, draft, send) {
    const form = element("form", "form", "");
    form.noValidate = true;
    const submit = element("button", action === "abort" ? "danger" : "", `Send ${action}`);
    submit.type = "submit";
    let check = () => "";
    if (action === "edit") check = editFields(form, event, draft, submit);
    else if (action === "fulfil") check = fulfilFields(form, draft, submit);
    else if (action === "fail") field(form, draft, "message", "Message", "The agent receives this instead of a result.");
    else field(form, draft, "reason", "Reason", "Ends the run: its later steps are aborted too, until Continue or Pause.");
    const bar = element("div", "form-bar", "");
    bar.append(submit, element("span", "hint", "Ctrl + Enter sends. Esc closes the form and keeps the draft."));
    form.append(bar);
    form.addEventListener("keydown", (key) => {
      if (key.key !== "Enter" || !(key.ctrlKey || key.metaKey)) return;
      key.preventDefault();
      if (!submit.disabled) form.requestSubmit();
    });
    form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      const parts = check();
      if (parts === null) return;
      if (action === "fail") send("fail", `,"message":${JSON.stringify(draft.message)}`);
      else if (action === "abort") send("abort", `,"reason":${JSON.stringify(draft.reason)}`);
      else send(action, parts);
    });
    return form;
  }

  /** `parts` is the rest of the body as JSON text, so that what was typed is not parsed and written again. */
  async #send({ slot, event, draft, action, parts, panel, failure }) {
    if (draft.sending) return;
    draft.sending = true;
    panel.ariaBusy = "true";
    failure.textContent = "";
    try {
      await call("POST", "release", `{"seq":${event.seq},"action":"${action}"${parts}}`);
      this.#drafts.delete(event.seq);
      this.#onDone(`Step ${event.seq} was ${OUTCOMES.get(action)}.`);
    } catch (error) {
      failure.textContent = error.message;
      draft.sending = false;
      panel.ariaBusy = "false";
      // The frame with the other decision can arrive before this response.
      if (event.hold) return;
      delete slot.dataset.shows;
      this.draw(slot, event);
    }
  }

  /** The step was released before the draft was sent. The draft is shown until it is discarded. */
  #leftOver(slot, event, text) {
    const section = element("section", "decision", "");
    const bar = element("div", "verbs", "");
    const discard = button("Discard", "plain", () => {
      this.#drafts.delete(event.seq);
      slot.replaceChildren();
    });
    bar.append(element("h3", "", "Not sent"), copyButton(() => text, "Copy draft"), discard);
    const pre = element("pre", "", visibleLines(text));
    section.append(bar, element("p", "hint", "This step was released before your draft was sent."), pre);
    return section;
  }
}

function shows(event) {
  return `${event.seq} ${event.hold ? "held" : "not held"}`;
}

/** Why a decision is not possible here; "" where it is. */
function whyNot(event, action) {
  const possible = DECISIONS.get(event.type) ?? OTHER_DECISIONS;
  if (!possible.includes(action)) return `not possible for ${/^[aeiou]/.test(event.type) ? "an" : "a"} ${words(event.type)}`;
  if (!event.hold.accepts?.includes(action)) return "not in the “accepts” of this step";
  return "";
}

/** The text of a draft that was not sent; "" where the person changed nothing. */
function unsent(draft) {
  if (draft.data !== draft.was.data) return draft.data;
  if (draft.result !== draft.was.result) return draft.result;
  return draft.message || draft.reason || (draft.model === draft.was.model ? "" : draft.model);
}

/** Data, and for a prompt the model. Returns the check that gives the body's parts, or null. */
function editFields(form, event, draft, submit) {
  const opening = event.type === "prompt" || event.type === "tool_call";
  const json = jsonField(form, draft, "data", opening ? "Input" : "Output", update);
  const reset = button("Reset", "plain", () => json.put(draft.was.data));
  json.bar.append(reset);
  if (event.type === "prompt") field(form, draft, "model", "Model", "Send the prompt to this model instead.", () => update());
  const state = element("p", "hint", "");
  form.append(state);
  const unchanged = () => draft.data === draft.was.data || compact(draft.data) === compact(draft.raw);
  function update() {
    const nothing = unchanged() && (draft.model === draft.was.model || draft.model === "");
    submit.disabled = nothing || json.invalid();
    state.textContent = nothing ? "No changes yet." : "";
    reset.disabled = draft.data === draft.was.data;
  }
  update();
  return () => {
    if (!json.check()) return null;
    const model = draft.model !== draft.was.model && draft.model ? `,"model":${JSON.stringify(draft.model)}` : "";
    return (unchanged() ? "" : `,"data":${compact(draft.data)}`) + model;
  };
}

function fulfilFields(form, draft, submit) {
  const json = jsonField(form, draft, "result", "Result", () => (submit.disabled = json.invalid()));
  return () => (json.check() ? `,"data":${compact(draft.result)}` : null);
}

function field(form, draft, key, label, hint, onChange = () => {}) {
  const id = `decision-${key}`;
  const caption = element("label", "", label);
  caption.htmlFor = id;
  const input = element("input", "", "");
  input.id = id;
  input.autocomplete = "off";
  input.value = draft[key];
  input.setAttribute("aria-describedby", `${id}-hint`);
  const described = element("p", "hint", hint);
  described.id = `${id}-hint`;
  input.addEventListener("input", () => {
    draft[key] = input.value;
    onChange();
  });
  form.append(caption, input, described);
}
