// The toolbar: htmx sends what the buttons say, the keyboard presses the buttons, and errors go to the alert region.

import { authorization } from "./session.js";

/** Which key presses which button. The keys of other debuggers work beside the letters. */
const KEYS = { s: "step", F10: "step", c: "continue", F8: "continue", p: "pause" };

/** Wires the document's controls. `alert(message, status)` shows an error, `move(by)` moves the selection. */
export function wireControls({ alert, settled, move }) {
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
    if (key.target.closest?.("input, textarea, select, [contenteditable]")) return;
    const by = { j: 1, k: -1 }[key.key];
    if (by) {
      move(by);
    } else if (key.key === "?") {
      help.showModal();
    } else if (KEYS[key.key]) {
      // A key that is held down repeats. It must not run the agent through steps that nobody looked at.
      if (!key.repeat) document.getElementById(KEYS[key.key]).click();
    } else {
      return;
    }
    key.preventDefault();
  });
}

/** Stop ends the run of the oldest held step whose agent obeys that; else the button says why it cannot. */
export function updateStop(button, held) {
  const stoppable = held.find((hold) => hold.accepts?.includes("abort"));
  button.disabled = !stoppable;
  if (stoppable) {
    button.title = `End the run of the held step #${stoppable.seq}`;
    button.dataset.body = JSON.stringify({ seq: stoppable.seq, action: "abort", reason: "stopped from the page" });
  } else {
    button.title = held.length
      ? "The agent does not accept being stopped: no held step lists “abort” in its “accepts”"
      : "Nothing is held, so there is nothing to stop";
    delete button.dataset.body;
  }
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
