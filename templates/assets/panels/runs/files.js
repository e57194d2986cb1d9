// Runs as files: exported as a download of the browser, or imported, with progress.
//
// A link cannot carry a token, so that a download is fetched first and then handed to the browser. An upload uses
// XMLHttpRequest, since fetch() reports no progress of an upload; the file is read while it is sent.

import { readRefusal, refusalError, refusalOf, UNREACHABLE } from "../../core/refusal.js";
import { authorization } from "../../core/token.js";

/** Fetches a run as a file and hands it to the browser. `onProgress(bytes)` as it comes. Returns its size. */
export async function exportRun(run, mask, onProgress) {
  let response;
  try {
    response = await fetch(`debug/export?run_id=${encodeURIComponent(run)}${mask ? "&mask=true" : ""}`, { headers: authorization(), cache: "no-store" });
  } catch {
    throw new Error(UNREACHABLE);
  }
  if (!response.ok) throw refusalError(await readRefusal(response));
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
    throw new Error("The connection was lost. Nothing was exported.");
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
 * Imports a file as a run, under the id in the file or as `run`. `onProgress(0…1)` while it is sent; `signal` cancels it.
 * Throws an Error with `status` and `reason` where the server refuses it.
 */
export function importRun(file, run, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `debug/import${run === undefined ? "" : `?run_id=${encodeURIComponent(run)}`}`);
    for (const [key, value] of Object.entries(authorization())) request.setRequestHeader(key, value);
    request.setRequestHeader("Content-Type", "application/x-ndjson");
    request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(total ? loaded / total : 0));
    request.addEventListener("load", () => {
      if (request.status === 200) return resolve(JSON.parse(request.responseText));
      return reject(refusalError(refusalOf(request.responseText, request.status, request.statusText)));
    });
    request.addEventListener("error", () => reject(new Error("The connection was lost. Nothing was imported.")));
    request.addEventListener("abort", () => reject(new DOMException("Cancelled. Nothing was imported.", "AbortError")));
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}
