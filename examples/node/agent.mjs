// A small agent over gRPC: it finds out who is on call for this project, and can be debugged at every step.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sqlite from "node-sqlite3-wasm";
import { Aborted, Debugger, Refused } from "./debugger.mjs";

const REPOSITORY = new URL("../../", import.meta.url);
const QUESTION = "Who is on call for this project?";
// What this agent obeys before and after a step; the debugger offers nothing else.
const BEFORE = ["edit", "fulfil", "fail", "abort"];
const AFTER = ["edit", "fail", "abort"];

function makeDatabase(path) {
  const database = new sqlite.Database(path);
  database.exec("CREATE TABLE on_call (service TEXT, person TEXT)");
  database.exec("INSERT INTO on_call VALUES ('agent-debugger', 'Ada'), ('billing', 'Grace')");
  return database;
}

// The "model": it decides by rule, from the messages alone, so that every run is the same.
function think({ model, messages }) {
  const { role, tool, content } = messages.at(-1);
  if (role === "user") return { model, call: "read_file", input: { path: "Cargo.toml" } };
  if (content.error !== undefined) return { model, answer: `I could not find out: ${content.error}` };
  if (tool === "read_file") {
    const service = content.text.match(/^name = "(.+)"/m)[1];
    return { model, call: "query_sqlite", input: { sql: `SELECT person FROM on_call WHERE service = '${service}'` } };
  }
  return { model, answer: `${content.rows[0].person} is on call.` };
}

// One step of the agent: report it and obey, do it, report what came of it and obey again.
async function step(debug, [opening, closing], name, input, work) {
  let told = await debug.step(opening, input, { name, model: input.model ?? "", accepts: BEFORE });
  let output;
  try {
    if (told.action === "fail") throw new Error(told.message);
    if (told.action === "edit") {
      input = told.data ?? input;
      if (told.model) input = { ...input, model: told.model };
    }
    output = told.action === "fulfil" ? (told.data ?? {}) : await work(input);
  } catch (error) {
    output = { error: error.message };
  }
  const failed = "error" in output;
  told = await debug.step(failed ? "error" : closing, output, {
    name,
    node_id: told.nodeId,
    accepts: failed ? ["abort"] : AFTER,
    run_end: "answer" in output,
  });
  if (told.action === "fail") return { error: told.message };
  return told.action === "edit" ? (told.data ?? output) : output;
}

async function run(debug, tools) {
  const messages = [{ role: "user", content: QUESTION }];
  for (;;) {
    const reply = await step(debug, ["prompt", "response"], "", { model: "scripted-1", messages }, think);
    if (!reply.call) return { status: "error" in reply ? "failed" : "done", ...reply };
    const { call: tool, input } = reply;
    const content = await step(debug, ["tool_call", "tool_result"], tool, input, tools[tool]);
    messages.push({ role: "tool", tool, content });
  }
}

const debug = new Debugger("node-example");
const folder = await mkdtemp(join(tmpdir(), "agent-"));
const database = makeDatabase(join(folder, "on_call.sqlite"));
const tools = {
  read_file: async ({ path }) => ({ text: await readFile(new URL(path, REPOSITORY), "utf8") }),
  query_sqlite: ({ sql }) => ({ rows: database.all(sql) }),
};
let result;
try {
  result = await run(debug, tools);
} catch (error) {
  if (error instanceof Aborted) result = { status: "aborted", reason: error.message };
  else if (error instanceof Refused) result = { status: "failed", error: error.message };
  else throw error;
} finally {
  database.close();
  await rm(folder, { recursive: true });
}
if (!debug.ended) {
  // The run did not get as far as an answer. Its last event says that it is over; every later step of an aborted
  // run is answered with that abort again, and what is over cannot be stopped.
  await debug.step("log", result, { run_end: true, hold: "HOLD_POLICY_NEVER" }).catch((error) => {
    if (!(error instanceof Aborted || error instanceof Refused)) throw error;
  });
}
debug.close();
console.log(JSON.stringify(result));
