// The line below the timeline: the number of events, their duration and tokens, and whether the runs are finished.

import { count, duration } from "../../core/text.js";
import { joined } from "../../model/bars.js";

const at = (id) => document.getElementById(id);

/** Draws it for one run, or for all with null. `shown` is the number of events in the timeline. */
export function drawSummary({ trace, run, shown, runs, connection }) {
  const all = trace.length.toLocaleString("en");
  put("shown", run === null ? all : `${shown.toLocaleString("en")} of ${all}`);
  put("shown-noun", trace.length === 1 ? "event" : "events");
  const counted = run === null ? trace.tree.runs : [trace.tree.run(run)].filter(Boolean);
  const parts = [];
  if (run === null && counted.length > 1) parts.push(count(counted.length, "run"));
  const took = counted.reduce((most, { to }) => Math.max(most, to), -Infinity) - counted.reduce((least, { from }) => Math.min(least, from), Infinity);
  if (took > 0) parts.push(duration(took * 1000));
  const held = joined(counted.flatMap(({ holds }) => holds)).reduce((sum, [from, to]) => sum + to - from, 0);
  if (held >= 0.001) parts.push(`${duration(held * 1000)} held`);
  const tokens = counted.reduce((sum, one) => sum + one.tokens, 0);
  if (tokens > 0) parts.push(count(tokens, "token"));
  put("totals", parts.join(" · "));
  const over = counted.length > 0 && counted.every(({ runId }) => runs.get(runId)?.finished);
  const text = connection === "reconnecting" || connection === "ended" ? "not connected" : over ? "finished" : "";
  put("run-state", text);
  at("run-state").dataset.state = text;
  at("nothing-yet").hidden = shown > 0;
}

function put(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}
