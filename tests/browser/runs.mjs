// A run with a plan, a tool that reads and one that writes, for the claims about whole runs.

export const ALL = ["edit", "fulfil", "fail", "abort"];

/** What the agent does in every run; `change(step, i)` may say that it does something else. */
export function steps(change = (step) => step) {
  const messages = [{ role: "system", content: "You write release notes." }, { role: "user", content: "Write those of 2.4." }];
  return [
    { type: "prompt", node_id: "plan", model: "small", input_tokens: 300, data: { messages, sent_at: "10:00" } },
    { type: "response", node_id: "plan", model: "small", output_tokens: 40, token_count: 340, data: { text: "I will read the changes first." } },
    { type: "tool_call", name: "read_changes", node_id: "read", effect: "read", data: { since: "2.3" } },
    { type: "tool_result", name: "read_changes", node_id: "read", data: { changes: ["retry uploads", "dark mode"] } },
    { type: "prompt", node_id: "write", model: "small", input_tokens: 420, data: { messages: [...messages, { role: "user", content: "Changes: retry uploads, dark mode." }] } },
    { type: "response", node_id: "write", model: "small", output_tokens: 90, token_count: 510, data: { text: "2.4 retries uploads and has a dark mode." } },
    { type: "tool_call", name: "publish", node_id: "publish", effect: "mutating", data: { version: "2.4", text: "2.4 retries uploads and has a dark mode." } },
    { type: "tool_result", name: "publish", node_id: "publish", data: { ok: true }, run_end: true },
  ].map(change).filter(Boolean);
}

/** Records a run that nothing holds. */
export async function record(agent, run, change) {
  for (const step of steps(change)) await agent.record({ run_id: run, accepts: ALL, ...step });
}

/** Reports a step as the program would that is started for a run, and returns the response. */
export const tell = (agent, run, step, more) => agent.trace({ run_id: run, accepts: ALL, ...step, ...more });
