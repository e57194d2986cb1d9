// Requests to the server's HTTP API. A response that is not a success is thrown as an Error.

import { readRefusal, refusalError, UNREACHABLE } from "./refusal.js";
import { authorization } from "./token.js";

/**
 * Calls `debug/<path>` and returns the response's JSON. `body` is an object, or a string of JSON that is sent as it
 * stands: JSON.stringify would not keep the digits of a number that a person typed. Throws an Error fit to be shown,
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
    throw new Error(UNREACHABLE);
  }
  if (!response.ok) throw refusalError(await readRefusal(response));
  return response.json();
}

/** Returns a function that runs `task` at once, and then at most once per `wait` ms, however often it is called. */
export function throttled(task, wait) {
  let running = false;
  let again = false;
  return async function run() {
    again = running;
    if (running) return;
    running = true;
    try {
      await task();
    } finally {
      setTimeout(() => {
        running = false;
        if (again) run();
      }, wait);
    }
  };
}
