// Asks the server for what no button can say by itself. An answer that is not the wanted one throws its words.

import { authorization } from "./session.js";
import { refusal } from "./stream.js";

/**
 * Calls `debug/<path>` and returns the answer. `body` is an object, or a string of JSON that is sent as it stands:
 * JSON.stringify would not keep the digits of a number that somebody typed. Throws an Error fit to be shown,
 * with `status` and `reason` where the server refused.
 */
export async function call(method, path, body) {
  const options = { method, headers: { ...authorization() }, cache: "no-store" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = typeof body === "string" ? body : JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(`debug/${path}`, options);
  } catch {
    throw new Error("The server cannot be reached; nothing was sent.");
  }
  if (!response.ok) throw await refused(response);
  return response.json();
}

/** What a refusal says as an Error: its words, its `status`, and the constant `reason` that programs match on. */
export async function refused(response) {
  const copy = response.clone();
  const error = new Error(await refusal(response));
  const { reason } = await copy.json().catch(() => ({}));
  return Object.assign(error, { status: response.status, reason: reason ?? "" });
}

/** Runs `ask` at once, and again after `wait` ms at the earliest, however often it is called meanwhile. */
export function paced(ask, wait) {
  let running = false;
  let again = false;
  return async function run() {
    again = running;
    if (running) return;
    running = true;
    try {
      await ask();
    } finally {
      setTimeout(() => {
        running = false;
        if (again) run();
      }, wait);
    }
  };
}
