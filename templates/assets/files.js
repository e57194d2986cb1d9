// Runs as files: one is written to where the browser puts downloads, or read, with how far that is.
//
// A download that needs a token cannot be a link, which carries none: the file is fetched and then given to the
// browser. An upload goes through XMLHttpRequest, which alone tells how far it is; the file is read as it is sent.

import { refused } from "./api.js";
import { authorization } from "./session.js";

/** Fetches a run as a file and hands it to the browser. `onProgress(bytes)` as it comes. Returns its size. */
export async function exportRun(run, mask, onProgress) {
  let response;
  try {
    response = await fetch(`debug/export?run_id=${encodeURIComponent(run)}${mask ? "&mask=true" : ""}`, { headers: authorization(), cache: "no-store" });
  } catch {
    throw new Error("The server cannot be reached; nothing was exported.");
  }
  if (!response.ok) throw await refused(response);
  const pieces = [];
  let size = 0;
  try {
    for (const reader = response.body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      size += value.length;
      onProgress(size);
    }
  } catch {
    throw new Error("The connection was lost; nothing was exported.");
  }
  const [, name = "run.jsonl"] = /filename="([^"]+)"/.exec(response.headers.get("Content-Disposition") ?? "") ?? [];
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(pieces, { type: "application/x-ndjson" }));
  link.download = mask ? name.replace(/\.jsonl$/, "-masked.jsonl") : name;
  link.click();
  // The browser reads it after this.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return size;
}

/**
 * Sends a file to be a run: the one that it names, or `run`. `onProgress(0…1)` as it goes; `signal` ends it. Throws an
 * Error with `status` and `reason` where it is refused.
 */
export function importRun(file, run, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `debug/import${run === undefined ? "" : `?run_id=${encodeURIComponent(run)}`}`);
    for (const [key, value] of Object.entries(authorization())) request.setRequestHeader(key, value);
    request.setRequestHeader("Content-Type", "application/x-ndjson");
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      const answer = parsed(request.responseText);
      if (request.status === 200 && answer) return resolve(answer);
      const message = answer?.error || `The server answered ${request.status} ${request.statusText}`.trim();
      return reject(Object.assign(new Error(message), { status: request.status, reason: answer?.reason ?? "" }));
    });
    request.addEventListener("error", () => reject(new Error("The connection was lost; nothing was imported.")));
    request.addEventListener("abort", () => reject(new DOMException("Cancelled; nothing was imported.", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
