// The form of one breakpoint. An error of the server is shown at the field that it names.

import { call } from "../../core/api.js";
import { count } from "../../core/text.js";
import { button } from "../../ui/dom.js";

/** The number of events found by a test that are offered: the newest ones. */
const OFFERED = 40;
/** The server's errors begin with the name of a field. A longer name comes before a shorter one that it begins with. */
const FIELDS = new Map([
  ["hit_condition", "bp-hit"],
  ["condition", "bp-condition"],
  ["log_message", "bp-log"],
  ["on_timeout", "bp-timeout"],
  ["timeout_ms", "bp-timeout"],
  ["timeout", "bp-timeout"],
  ["run_id", "bp-run"],
  ["name", "bp-name"],
]);

const at = (id) => document.getElementById(id);

export class BreakpointForm {
  #form = at("breakpoint-form");
  #id = null;
  #busy = false;
  #pick;
  #saved;
  #closed;

  /** `saved(breakpoint, isNew)`, `closed()`, and `pick(seq)`, which selects an event and returns whether it is there. */
  constructor({ pick, saved, closed }) {
    this.#pick = pick;
    this.#saved = saved;
    this.#closed = closed;
    const form = this.#form;
    form.addEventListener("submit", (submit) => {
      submit.preventDefault();
      this.#save();
    });
    form.addEventListener("keydown", (key) => {
      if (key.key === "Escape") this.#close();
      else if (key.key === "Enter" && (key.ctrlKey || key.metaKey)) form.requestSubmit();
      else return;
      key.preventDefault();
    });
    form.addEventListener("input", () => {
      this.#showResult("");
      this.#arrange();
    });
    at("bp-test").addEventListener("click", () => this.#test());
    at("bp-cancel").addEventListener("click", () => this.#close());
  }

  /** Opens the form with a breakpoint; one without an id is new. */
  open(breakpoint) {
    this.#id = breakpoint.id ?? null;
    this.#fill(breakpoint);
    at("form-title").textContent = this.#id ? `Edit ${this.#id}` : "New breakpoint";
    at("bp-save").textContent = this.#id ? "Save" : "Add";
    this.#form.hidden = false;
    this.#blame("");
    this.#showResult("");
    this.#form.scrollIntoView({ block: "nearest" });
    if (breakpoint.name) at("bp-condition").focus();
    else this.focus();
  }

  get isOpen() {
    return !this.#form.hidden;
  }

  focus() {
    this.#form.elements.types[0].focus();
  }

  /** Its breakpoint was deleted: saving the form creates a new one. */
  forget(id) {
    if (this.#id !== id) return;
    this.#id = null;
    at("form-title").textContent = "New breakpoint";
    at("bp-save").textContent = "Add";
  }

  #close() {
    this.#form.hidden = true;
    this.#closed();
  }

  #fill(breakpoint) {
    const { elements } = this.#form;
    for (const box of elements.types) box.checked = breakpoint.types?.includes(box.value) ?? false;
    elements.name.value = breakpoint.name ?? "";
    const run = breakpoint.run_id ?? null;
    elements.run_kind.value = run === null ? "any" : run === "" ? "default" : "one";
    elements.run_id.value = run ?? "";
    for (const key of ["condition", "hit_condition", "log_message"]) elements[key].value = breakpoint[key] ?? "";
    elements.once.checked = breakpoint.once ?? false;
    elements.all_stop.checked = breakpoint.all_stop ?? false;
    elements.gate.checked = breakpoint.unattended === "hold";
    elements.timeout.value = breakpoint.timeout_ms == null ? "" : breakpoint.timeout_ms / 1000;
    elements.on_timeout.value = breakpoint.on_timeout ?? "fail";
    this.#arrange();
  }

  /** Shows only the fields that apply with the values of the others. */
  #arrange() {
    const { elements } = this.#form;
    elements.run_id.hidden = elements.run_kind.value !== "one";
    at("bp-gate").hidden = !elements.gate.checked;
  }

  #read() {
    const { elements } = this.#form;
    const gate = elements.gate.checked;
    const timeout = gate && elements.timeout.value !== "" ? Math.round(Number(elements.timeout.value) * 1000) : null;
    return {
      types: [...elements.types].filter((box) => box.checked).map((box) => box.value),
      name: elements.name.value,
      run_id: { any: null, default: "", one: elements.run_id.value }[elements.run_kind.value],
      condition: elements.condition.value.trim(),
      hit_condition: elements.hit_condition.value.trim(),
      log_message: elements.log_message.value,
      once: elements.once.checked,
      all_stop: elements.all_stop.checked,
      unattended: gate ? "hold" : "skip",
      timeout_ms: timeout,
      on_timeout: gate ? elements.on_timeout.value : "fail",
    };
  }

  async #save() {
    const id = this.#id;
    const [method, path] = id ? ["PATCH", `breakpoints/${encodeURIComponent(id)}`] : ["POST", "breakpoints"];
    const saved = await this.#send(method, path);
    if (!saved) return;
    this.#form.hidden = true;
    this.#saved(saved, !id);
  }

  async #test() {
    const tested = await this.#send("POST", "breakpoints/test");
    if (!tested) return;
    const { matched, examined, seqs } = tested;
    const events = `${matched.toLocaleString("en")} of ${count(examined, "recorded event")}`;
    const offered = seqs.slice(-OFFERED);
    const which = offered.length < matched ? ` The newest ${offered.length}:` : "";
    this.#showResult(`Would have hit ${events}.${which}`, offered);
  }

  async #send(method, path) {
    if (this.#busy) return null;
    const breakpoint = this.#read();
    if (this.#form.elements.run_kind.value === "one" && !breakpoint.run_id) {
      this.#blame("run_id is missing: enter the id of a run");
      return null;
    }
    this.#busy = true;
    this.#blame("");
    try {
      return await call(method, path, breakpoint);
    } catch (error) {
      this.#blame(error.message);
      return null;
    } finally {
      this.#busy = false;
    }
  }

  #showResult(text, seqs = []) {
    at("bp-tested").textContent = text;
    at("bp-hits").replaceChildren(...seqs.map((seq) => button(`#${seq}`, "plain", () => {
      if (!this.#pick(seq)) at("bp-tested").textContent = `This page no longer has #${seq}.`;
    })));
  }

  /** Shows an error at the field with which it begins, otherwise below the form. */
  #blame(message) {
    const named = [...FIELDS.keys()].find((name) => message.startsWith(name));
    const blamed = named ? FIELDS.get(named) : null;
    // Beside the field its name is not repeated.
    const words = named ? message.slice(named.length).replace(/^[:\s]+/, "").replace(/^./u, (c) => c.toUpperCase()) : "";
    for (const id of new Set(FIELDS.values())) {
      const wrong = id === blamed;
      at(`${id}-error`).textContent = wrong ? words : "";
      at(`${id}-error`).hidden = !wrong;
      if (wrong) at(id).setAttribute("aria-invalid", "true");
      else at(id).removeAttribute("aria-invalid");
    }
    at("bp-error").textContent = blamed ? "" : message;
    if (blamed) at(blamed).focus();
  }
}
