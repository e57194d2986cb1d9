// The breakpoints of the agent: the list, and the form of one.
//
// The list is the server's: it is read again whenever a state frame has another revision, and after every change made
// here. Rows change in place, so that the focus survives a hit.

import { call, throttled } from "../../core/api.js";
import { clip, count, duration, visible, words } from "../../core/text.js";
import { runName } from "../../model/runs.js";
import { button, element } from "../../ui/dom.js";
import { BreakpointForm } from "./form.js";

/** Every hit is a new revision; the list is read at most this often. */
const EVERY_MS = 250;

const at = (id) => document.getElementById(id);

export class Breakpoints {
  #known = new Map();
  #rows = new Map();
  #revision = -1;
  #ask;
  #alert;
  #announce;
  #form;
  #onOpen;
  #onList;

  /**
   * `pick(seq)` selects an event and returns whether it is there, `alert(text)` shows an error, `announce(text)` speaks to
   * screen readers; `onOpen()` when the panel opens, `onList()` when the list has changed.
   */
  constructor({ alert, announce, pick, onOpen, onList }) {
    this.#alert = alert;
    this.#onOpen = onOpen;
    this.#onList = onList;
    this.#announce = announce;
    this.#ask = throttled(() => this.#load(), EVERY_MS);
    this.#form = new BreakpointForm({
      pick,
      saved: (breakpoint, isNew) => {
        announce(`Breakpoint ${breakpoint.id} was ${isNew ? "added" : "changed"}.`);
        this.#known.set(breakpoint.id, breakpoint);
        this.#draw();
        this.#row(breakpoint.id)?.querySelector("input").focus();
        this.#ask();
      },
      closed: () => at("new-breakpoint").focus(),
    });
    at("breakpoints-button").addEventListener("click", () => this.toggle());
    at("close-breakpoints").addEventListener("click", () => this.#close());
    at("new-breakpoint").addEventListener("click", () => this.#form.open({}));
  }

  /** The revision in a state frame: with another one, the list is out of date. */
  takeRevision(number) {
    if (number === undefined || number === this.#revision) return;
    this.#revision = number;
    this.#ask();
  }

  forgetRevision() {
    this.#revision = -1;
  }

  /** Opens the panel and moves the focus there; from inside, closes it and moves the focus back. */
  toggle() {
    const panel = at("breakpoints");
    if (!panel.hidden && panel.contains(document.activeElement)) return this.#close();
    // The button in the toolbar closes the panel, too.
    if (!panel.hidden && document.activeElement === at("breakpoints-button")) return this.#close();
    this.#open();
    if (this.#form.isOpen) return this.#form.focus();
    return (panel.querySelector("#breakpoint-list input") ?? at("new-breakpoint")).focus();
  }

  /** Opens the panel at one breakpoint. */
  reveal(id) {
    this.#open();
    const row = this.#row(id);
    if (row && !this.#form.isOpen) row.querySelector("input").focus();
    else at("new-breakpoint").focus();
    if (!row) this.#announce(`Breakpoint ${id} no longer exists.`);
  }

  /** What happens to a step at one of these gates when the hold times out: "fails", "proceeds", or "" for no gate. */
  onTimeout(ids) {
    const gates = ids.map((id) => this.#known.get(id)).filter((known) => known?.unattended === "hold");
    if (gates.length === 0) return "";
    return gates.every((gate) => gate.on_timeout === "proceed") ? "proceeds" : "fails";
  }

  /** Closes the panel in favour of another one. */
  hide() {
    at("breakpoints").hidden = true;
    at("breakpoints-button").ariaExpanded = "false";
  }

  /** Opens the form of a new breakpoint with some fields filled in. */
  compose(prefill) {
    this.#open();
    this.#form.open(prefill);
  }

  #open() {
    this.#onOpen();
    at("breakpoints").hidden = false;
    at("breakpoints-button").ariaExpanded = "true";
  }

  #close() {
    this.hide();
    at("breakpoints-button").focus();
  }

  async #load() {
    const answer = await call("GET", "breakpoints").catch(() => null);
    // Without a connection the page says so already; the list stays as it was.
    if (!answer) return;
    for (const { id, problem } of answer.breakpoints) {
      if (problem && problem !== this.#known.get(id)?.problem) this.#announce(`Breakpoint ${id}: ${visible(problem)}`);
    }
    this.#known = new Map(answer.breakpoints.map((breakpoint) => [breakpoint.id, breakpoint]));
    this.#draw();
  }

  #row(id) {
    return this.#rows.get(id);
  }

  #draw() {
    this.#onList();
    at("no-breakpoints").hidden = this.#known.size > 0;
    at("breakpoint-count").hidden = this.#known.size === 0;
    at("breakpoint-count").textContent = this.#known.size;
    for (const [id, row] of this.#rows) {
      if (this.#known.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const breakpoint of this.#known.values()) {
      let row = this.#rows.get(breakpoint.id);
      if (!row) {
        row = this.#newRow(breakpoint.id);
        this.#rows.set(breakpoint.id, row);
        at("breakpoint-list").append(row);
      }
      fill(row, breakpoint);
    }
  }

  #newRow(id) {
    const row = element("li", "breakpoint", "");
    row.dataset.id = id;
    const toggle = element("input", "", "");
    toggle.type = "checkbox";
    toggle.setAttribute("role", "switch");
    toggle.addEventListener("change", () => this.#change(id, toggle));
    const label = element("label", "", "");
    label.append(toggle, element("span", "seq", id), " ", element("bdi", "what", ""));
    const edit = button("Edit", "plain", () => this.#form.open(this.#known.get(id)));
    edit.setAttribute("aria-label", `Edit ${id}`);
    const remove = button("Delete", "plain", () => this.#remove(id, row));
    remove.setAttribute("aria-label", `Delete ${id}`);
    const foot = element("div", "breakpoint-foot", "");
    foot.append(element("span", "hits", ""), edit, remove);
    row.append(label, element("code", "condition", ""), element("p", "hint", ""), element("p", "problem field-error", ""), foot);
    return row;
  }

  async #change(id, toggle) {
    const enabled = toggle.checked;
    try {
      this.#known.set(id, await call("PATCH", `breakpoints/${encodeURIComponent(id)}`, { enabled }));
      this.#announce(`Breakpoint ${id} is ${enabled ? "on" : "off"}.`);
    } catch (error) {
      this.#alert(error.message);
    }
    this.#draw();
    this.#ask();
  }

  async #remove(id, row) {
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    try {
      await call("DELETE", `breakpoints/${encodeURIComponent(id)}`);
    } catch (error) {
      this.#alert(error.message);
      return this.#ask();
    }
    this.#known.delete(id);
    this.#form.forget(id);
    this.#draw();
    this.#announce(`Breakpoint ${id} was deleted.`);
    return (neighbour?.querySelector("input") ?? at("new-breakpoint")).focus();
  }
}

function fill(row, breakpoint) {
  const put = (selector, text) => {
    const part = row.querySelector(selector);
    if (part.textContent !== text) part.textContent = text;
    part.hidden = text === "";
  };
  row.querySelector("input").checked = breakpoint.enabled !== false;
  row.classList.toggle("off", breakpoint.enabled === false);
  put(".what", what(breakpoint));
  put(".condition", clip(visible(breakpoint.condition || ""), 500));
  put(".hint", flags(breakpoint).join(" · "));
  put(".problem", clip(visible(breakpoint.problem || ""), 500));
  put(".hits", breakpoint.hits ? count(breakpoint.hits, "hit") : "no hits");
}

/** The events that it matches: `tool call book_*, run critic-2`. */
function what({ types, name, run_id: run }) {
  const kinds = types?.length ? types.map(words).join(", ") : "any event";
  return [name ? `${kinds} ${clip(visible(name), 80)}` : kinds, run == null ? "" : runName(run)].filter(Boolean).join(", ");
}

function flags(breakpoint) {
  const parts = [];
  if (breakpoint.hit_condition) parts.push(`when ${clip(visible(breakpoint.hit_condition), 200)}`);
  if (breakpoint.log_message) parts.push(`logs “${clip(visible(breakpoint.log_message), 200)}”`);
  if (breakpoint.once) parts.push("once");
  if (breakpoint.all_stop) parts.push("pauses all runs");
  if (breakpoint.unattended === "hold") parts.push(gate(breakpoint));
  return parts;
}

function gate({ timeout_ms: ms, on_timeout: then }) {
  return ms == null ? "gate" : `gate, ${then === "proceed" ? "proceeds" : "fails"} after ${duration(ms)}`;
}
