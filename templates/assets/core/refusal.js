// What the server says when it refuses a request.

import { visibleLines } from "./text.js";

/** Whether a request that was not answered has been carried out is not known; no text may claim either. */
export const UNREACHABLE = "The server cannot be reached.";

/**
 * A refusal as `{message, reason, status}`. The server answers `{"error": "…", "reason": "…"}`; a proxy in between may
 * answer anything. An error can quote what an agent sent, so that it is made visible like all of that.
 */
export function refusalOf(text, status, statusText) {
  const { error, reason } = parsed(text) ?? {};
  const message = typeof error === "string" && error ? visibleLines(error) : `The server answered ${status} ${statusText}`.trim() + ".";
  return { message, reason: typeof reason === "string" ? reason : "", status };
}

/** The refusal in a response of fetch(). */
export async function readRefusal(response) {
  return refusalOf(await response.text().catch(() => ""), response.status, response.statusText);
}

/** A refusal as an Error, with its `status` and the constant `reason` that programs match on. */
export function refusalError({ message, status, reason }) {
  return Object.assign(new Error(message), { status, reason });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON; the status has to do.
    return null;
  }
}
