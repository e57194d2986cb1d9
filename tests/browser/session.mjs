// A debugging session from beginning to end, driven through the page alone, against an agent that obeys every decision:
// stop at a tool, look, edit its input, step over the sub-agent that it calls, answer the next tool by hand, stop at
// the third identical call, end the run. The record must tell exactly that.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { attached, claim, rowTexts, whenHeld } from "./fixture.mjs";
import { shows, until } from "./harness.mjs";

const ACCEPTS = ["edit", "fulfil", "fail", "abort"];

/** An agent that plans, delegates to a sub-agent, books, and then asks for the same thing again and again. */
async function plan(agent) {
  const said = [];
  const step = async (body) => {
    const { decision } = await agent.trace({ run_id: "trip", accepts: ACCEPTS, ...body });
    said.push(`${body.name ?? body.type}: ${decision.action}`);
    if (decision.action === "abort") throw new Error(decision.reason);
    return decision;
  };
  /** Calls a tool as the debugger wants it: with other input, or not at all. */
  const tool = async (name, data, run, parent) => {
    const node = `${name}-${said.length}`;
    const at = { node_id: node, parent_id: parent, name };
    const decision = await step({ type: "tool_call", ...at, data });
    if (decision.action === "fulfil") return decision.data;
    const result = await run(decision.action === "edit" ? decision.data : data, node);
    const closing = await step({ type: "tool_result", ...at, data: result });
    return closing.action === "edit" ? closing.data : result;
  };
  const results = {};
  try {
    await step({ type: "prompt", data: { text: "Plan a trip to Lisbon" } });
    results.research = await tool("research", { city: "Lisbon", days: 2 }, async (input, node) => {
      await step({ type: "prompt", node_id: "sub", parent_id: node, data: { text: `What to see in ${input.city}?` } });
      await tool("search", { q: input.city }, async () => ({ hits: 3 }), "sub");
      await step({ type: "response", node_id: "sub", parent_id: node, data: { text: "The tower" } });
      return { for: input, see: ["the tower"] };
    });
    results.booking = await tool("book", { hotel: "Tejo" }, async () => {
      throw new Error("this tool must not run");
    });
    for (;;) await tool("poll", { id: 7 }, async () => ({ ready: false }));
  } catch (error) {
    results.ended = error.message;
  }
  return { said, results };
}

claim("a session by hand, from the first stop to the end of the run", async () => {
  const { agent, page } = await attached("traveller");
  const stands = (text) => until(`the page stands at ${text}`, async () =>
    (await page.locator("#now").textContent()).startsWith(`Held at ${text}`));
  const verb = (name) => page.locator(".verbs").getByRole("button", { name, exact: true });
  const breakAt = async (fields) => {
    await page.locator("#breakpoints-button").click();
    await page.locator("#new-breakpoint").click();
    await page.getByRole("checkbox", { name: "tool call", exact: true }).check();
    for (const [field, text] of Object.entries(fields)) await page.locator(field).fill(text);
    await page.locator("#bp-save").click();
    await page.locator("#breakpoint-form").waitFor({ state: "hidden" });
    await page.locator("#close-breakpoints").click();
  };

  // Stop at a tool: everything before it passes.
  await breakAt({ "#bp-name": "research" });
  await page.keyboard.press("c");
  await shows(page, "#mode", "Running");
  const running = plan(agent);
  await stands("#2 tool call research of run trip: breakpoint b1");

  // Look, and edit its input.
  await until("its input is shown", async () => /"city": "Lisbon"/.test(await page.locator("#details .json").first().textContent()));
  // A release lets the run go on as it was; to go on by steps, it is paused first.
  await verb("Edit").click();
  await page.locator("#decision-data").fill('{"city": "Lisbon", "days": 9007199254740993}');
  await page.locator("#pause").click();
  await shows(page, "#mode", "Paused");
  await page.locator("[type=submit]", { hasText: "Send edit" }).click();

  // Into the sub-agent, and over all that it does.
  await stands("#3 prompt of run trip: pause requested");
  await page.keyboard.press("n");
  await stands("#6 response of run trip: paused");
  assert.deepEqual((await rowTexts(page, ".badge")).slice(2), ["stepped", "", "", "held"]);

  // Out of it, to the tool's own result, and on to the next tool, which is answered by hand.
  await page.keyboard.press("o");
  await stands("#7 tool result research of run trip: paused");
  await page.keyboard.press("s");
  await stands("#8 tool call book of run trip: paused");
  await verb("Fulfil").click();
  await page.locator("#decision-result").fill('{"booked": true, "number": 12345678901234567890}');
  await page.keyboard.press("Control+Enter");

  // The third identical call.
  await stands("#9 tool call poll of run trip: paused");
  await breakAt({ "#bp-condition": "repeats >= 3" });
  await page.locator("#continue").click();
  await stands("#13 tool call poll of run trip: breakpoint b2");
  await verb("Abort").click();
  await page.locator("#decision-reason").fill("it polls for ever");
  await page.keyboard.press("Enter");
  await whenHeld(page, 0);

  const { said, results } = await running;
  assert.equal(results.ended, "it polls for ever");
  assert.equal(results.booking.booked, true);
  assert.equal(results.research.for.city, "Lisbon");
  assert.deepEqual(said, [
    "prompt: proceed", "research: edit", "prompt: proceed", "search: proceed", "search: proceed", "response: proceed",
    "research: proceed", "book: fulfil", "poll: proceed", "poll: proceed", "poll: proceed", "poll: proceed", "poll: abort",
  ]);

  const events = await agent.recorded();
  const record = events.map(({ seq, type, name, decision }) =>
    [seq, type, name, decision ? `${decision.outcome} ${decision.decision.action}` : null]);
  // The same record that the session leaves over gRPC, over HTTP and in the terminal.
  assert.deepEqual(record, JSON.parse(await readFile(new URL("../fixtures/session.json", import.meta.url))));
  assert.deepEqual((await agent.breakpoints()).map(({ id, hits }) => [id, hits]), [["b1", 1], ["b2", 1]]);
  const text = await (await fetch(`${agent.base}/trace?run_id=trip`)).text();
  assert.ok(text.includes('"days":9007199254740993') && text.includes('"number":12345678901234567890'), "no digit is lost");
  assert.deepEqual(page.problems, []);
});
