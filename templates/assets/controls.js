// The toolbar: htmx sends what the buttons say, the keyboard presses the buttons, and errors go to the alert region.

import { authorization } from "./session.js";

/** Which key presses which button. The keys of other debuggers work beside the letters. */
const KEYS = {
  s: "step",
  n: "step-over",
  o: "step-out",
  c: "continue",
  p: "pause",
  F11: "step",
  F10: "step-over",
  "Shift+F11": "step-out",
  F8: "continue",
  X: "stop",
  C: "clear",
};
/** Keys that may be held down, as nothing but the selection comes of them. */
const REPEATED = new Set(["m", "M"]);
const FUNCTION_KEY = /^F\d+$/;
/** Where no key is for the page: a function key would step over a draft. In a select only letters are not. */
const TEXT = "textarea, input:not([type=checkbox]), [contenteditable]";

/**
 * Wires the document's controls. `alert(message, status)` shows an error, `move(by)` moves the selection, and `keys`
 * has what each other key does.
 */
export function wireControls({ alert, settled, move, keys }) {
  // The server takes JSON, and htmx alone would send a form. A button's body is in its data-body, where it has one.
  htmx.defineExtension("json-body", {
    encodeParameters: (_request, _parameters, element) => element.dataset.body ?? "{}",
  });
  document.addEventListener("htmx:configRequest", (event) => {
    Object.assign(event.detail.headers, authorization(), { "Content-Type": "application/json" });
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) settled();
  });
  document.addEventListener("htmx:responseError", ({ detail: { xhr } }) => alert(errorText(xhr), xhr.status));
  for (const name of ["htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, () => alert("The server cannot be reached; nothing was sent.", 0));
  }

  const help = document.getElementById("help");
  const confirmClear = document.getElementById("confirm-clear");
  document.getElementById("help-button").addEventListener("click", () => help.showModal());
  document.getElementById("clear").addEventListener("click", () => confirmClear.showModal());
  for (const dialog of [help, confirmClear]) {
    dialog.addEventListener("click", (click) => {
      if (click.target === dialog || click.target.closest("[data-close]")) dialog.close();
    });
  }

  document.addEventListener("keydown", (key) => {
    if (key.ctrlKey || key.metaKey || key.altKey || key.defaultPrevented) return;
    if (document.querySelector("dialog[open]")) return;
    const isFunction = FUNCTION_KEY.test(key.key);
    if (key.target.closest?.(isFunction ? TEXT : `select, ${TEXT}`)) return;
    const pressed = isFunction && key.shiftKey ? `Shift+${key.key}` : key.key;
    const by = { j: 1, k: -1 }[pressed];
    if (by) {
      move(by);
    } else if (pressed === "?") {
      help.showModal();
    } else if (Object.hasOwn(keys, pressed)) {
      if (!key.repeat || REPEATED.has(pressed)) keys[pressed]();
    } else if (KEYS[pressed]) {
      // A key that is held down repeats. It must not run the agent through steps that nobody looked at.
      if (!key.repeat) document.getElementById(KEYS[pressed]).click();
    } else {
      return;
    }
    key.preventDefault();
  });
}

/** What each button would do now: what it sends, and in words. `run` is the chosen run's name, "" for all. */
export function updateToolbar({ inScope, step, stop, bodies }, run) {
  const at = (id) => document.getElementById(id);
  for (const [id, body] of Object.entries(bodies)) {
    if (body) at(id).dataset.body = JSON.stringify(body);
    else delete at(id).dataset.body;
  }
  const whose = run && ` of ${run}`;
  const it = step && `#${step.seq}`;
  const gate = inScope.length > 0 && !step ? "What is held is a gate, which only a release opens" : "";
  at("step").title = it ? `Let ${it} go, up to the next step${whose || " of its run"}` : gate || `Nothing is held${whose}; hold its next step`;
  at("step-over").title = it ? `Let ${it} go, up to the end of its node` : gate || `Nothing is held${whose} to step over`;
  at("step-out").title = it ? `Let ${it} go, up to the end of the node above it` : gate || `Nothing is held${whose} to step out of`;
  at("continue").title = `Let everything${whose} go until a breakpoint, a pause or a step`;
  at("pause").title = run ? `Hold the next step of ${run}` : "Hold the agent at its next step";
  at("stop").disabled = !stop;
  if (stop) at("stop").title = `End the run of the held step #${stop.seq}`;
  else if (inScope.length) at("stop").title = "The agent does not accept being stopped: no held step lists “abort” in its “accepts”";
  else at("stop").title = `Nothing${whose} is held, so there is nothing to stop`;
}

function errorText(request) {
  try {
    const { error } = JSON.parse(request.responseText);
    if (typeof error === "string" && error) return error;
  } catch {
    // Not JSON; the status has to do.
  }
  return `The server answered ${request.status} ${request.statusText}`.trim() + ".";
}
