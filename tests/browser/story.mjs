// A short run of an agent that looks like life, for the claims about how the page looks.

import { shows, until } from "./harness.mjs";

/** A run with a bit of everything, which ends in a held tool call. Resolves when the page shows it. */
export async function story(agent, page) {
  await agent.record({ type: "log", data: { message: "Run started", attempt: 1 } });
  await agent.record({
    type: "prompt",
    model: "gpt-5-mini",
    data: { messages: [{ role: "user", content: "Plan a weekend in Lisbon for two, by train if possible." }] },
    input_tokens: 412,
  });
  await agent.record({
    type: "response",
    model: "gpt-5-mini",
    data: { text: "I will look for trains first.", finish_reason: "tool_calls" },
    duration_ms: 1840,
    input_tokens: 412,
    output_tokens: 58,
    token_count: 470,
  });
  const args = { from: "Madrid", to: "Lisboa", date: "2026-05-01" };
  await agent.record({ type: "tool_call", name: "search_trains", data: { args }, effect: "read" });
  await agent.record({ type: "tool_result", name: "search_trains", data: { result: [], took_ms: 312 }, duration_ms: 312 });
  await agent.record({ type: "error", name: "search_trains", data: { error: "No direct connection found", code: 404 } });
  await agent.record({ type: "log", run_id: "critic-2", data: { text: "A second run starts beside the first" } });
  const stepped = agent.trace({ type: "prompt", model: "gpt-5-mini", data: { text: "No direct trains. Try flights?" } });
  await shows(page, "#held", "1");
  await agent.post("step");
  await stepped;
  await shows(page, "#held", "0");
  const held = agent.trace({
    type: "tool_call",
    name: "book_flight",
    run_id: "critic-2",
    data: {
      args: { from: "MAD", to: "LIS", passengers: 2, max_price: 240, flexible: true },
      reason: "The cheapest connection in the morning",
    },
    metadata: { attempt: 1, budget: null },
    effect: "mutating",
    accepts: ["edit", "abort"],
  });
  await shows(page, "#held", "1");
  await until("the held step is shown", async () => /book_flight/.test(await page.locator("#details").textContent()));
  // In an object, because an async function would wait for a promise that it returns.
  return { answer: held };
}
