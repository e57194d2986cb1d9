// The toolbar: htmx sends the body that each button carries, keys press the buttons, errors go to the alert region.

import { refusalOf, UNREACHABLE } from "../../core/refusal.js";
import { authorization } from "../../core/token.js";

/** The button that each key presses: letters, and the function keys of other debuggers. */
const BUTTONS = new Map([
  ["s", "step"],
  ["n", "step-over"],
  ["o", "step-out"],
  ["c", "continue"],
  ["p", "pause"],
  ["F11", "step"],
  ["F10", "step-over"],
  ["Shift+F11", "step-out"],
  ["F8", "continue"],
  ["X", "stop"],
  ["C", "clear"],
]);
/** The keys that move the selection, by so many rows. */
const MOVES = new Map([["j", 1], ["k", -1]]);
/** Keys that may repeat while they are held down: they only change the selection. */
const REPEATED = new Set([...MOVES.keys(), "m", "M"]);
const FUNCTION_KEY = /^F\d+$/;
/** Fields that keep every key for themselves: a function key would step while a draft is written. A select keeps only letters. */
const TEXT_FIELDS = "textarea, input:not([type=checkbox]), [contenteditable]";

/**
 * Wires the toolbar and the keyboard. `alert(message)` shows an error, `onSuccess()` is called after a request that
 * succeeded, `move(by)` moves the selection, and `keys` maps each other key to what it does.
 */
export function wireToolbar({ alert, onSuccess, move, keys }) {
  wireRequests(alert, onSuccess);
  wireDialogs();
  wireKeys(move, keys);
}

/** htmx would send a form and insert the response into the page: here it sends JSON, and the response is only read. */
function wireRequests(alert, onSuccess) {
  // The body is that of the moment in which the request is sent: one that waited in the queue is about what is held then.
  document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
    Object.assign(ctx.request.headers, authorization(), { Accept: "application/json", "Content-Type": "application/json" });
    ctx.request.body = ctx.sourceElement.dataset.body ?? "{}";
  });
  document.addEventListener("htmx:after:request", (event) => {
    // Nothing of a response is ever parsed as markup.
    event.preventDefault();
    const { text, response } = event.detail.ctx;
    if (response.raw.ok) onSuccess();
    else alert(refusalOf(text, response.status, response.raw.statusText).message);
  });
  document.addEventListener("htmx:error", () => alert(UNREACHABLE));
}

function wireDialogs() {
  const help = document.getElementById("help");
  const confirmClear = document.getElementById("confirm-clear");
  document.getElementById("help-button").addEventListener("click", () => help.showModal());
  document.getElementById("clear").addEventListener("click", () => confirmClear.showModal());
  for (const dialog of [help, confirmClear]) {
    dialog.addEventListener("click", (click) => {
      if (click.target === dialog || click.target.closest("[data-close]")) dialog.close();
    });
  }
}

function wireKeys(move, keys) {
  document.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey || key.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    const isFunction = FUNCTION_KEY.test(key.key);
    if (key.target.closest?.(isFunction ? TEXT_FIELDS : `select, ${TEXT_FIELDS}`)) return;
    const pressed = isFunction && key.shiftKey ? `Shift+${key.key}` : key.key;
    const action = actionOf(pressed, move, keys);
    if (!action) return;
    // A key that is held down repeats. It must not step an agent through steps that the person has not seen.
    if (!key.repeat || REPEATED.has(pressed)) action();
    key.preventDefault();
  });
}

/** What a key does; undefined where it does nothing here. */
function actionOf(key, move, keys) {
  if (MOVES.has(key)) return () => move(MOVES.get(key));
  if (key === "?") return () => document.getElementById("help").showModal();
  if (keys.has(key)) return keys.get(key);
  const button = BUTTONS.get(key);
  return button && (() => document.getElementById(button).click());
}

/** Sets what each button would send now, and its title. `run` is the name of the chosen run, "" for all. */
export function updateToolbar({ inScope, step, stop, bodies }, run) {
  const at = (id) => document.getElementById(id);
  for (const [id, body] of Object.entries(bodies)) {
    if (body) at(id).dataset.body = JSON.stringify(body);
    else delete at(id).dataset.body;
  }
  const ofRun = run && ` of ${run}`;
  const gate = inScope.length > 0 && !step ? "The held step is at a gate, which only a release opens" : "";
  const title = (action, idle) => (step ? `Release #${step.seq} and ${action}` : gate || idle);
  at("step").title = title(`stop at the next step${ofRun || " of its run"}`, `Nothing is held${ofRun}: hold the next step`);
  at("step-over").title = title("stop at the end of its node", `Nothing is held${ofRun} to step over`);
  at("step-out").title = title("stop at the end of its parent node", `Nothing is held${ofRun} to step out of`);
  at("continue").title = `Release all held steps${ofRun} that are not at a gate, and run until a breakpoint, a pause or a step`;
  at("pause").title = run ? `Hold the next step of ${run}` : "Hold the next step of the agent";
  at("stop").disabled = !stop;
  if (stop) at("stop").title = `End the run of the held step #${stop.seq}`;
  else if (inScope.length) at("stop").title = "The agent does not accept “abort”: no held step has it in its “accepts”";
  else at("stop").title = `Nothing is held${ofRun}, so there is nothing to stop`;
}
