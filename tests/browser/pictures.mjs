// Takes the pictures of README.md and docs/guides: a real run in the real page, in both colour schemes.
//
//   cargo build && node tests/browser/pictures.mjs
//
// Pictures are not compared by a test: what they show depends on the fonts of the machine. Take them again when the
// page has changed, and look at them.

import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { Agent, open, shows, startBrowser, startServer, until } from "./harness.mjs";

const IMAGES = fileURLToPath(new URL("../../docs/images/", import.meta.url));
const MODEL = "gpt-5-mini";
const ACCEPTS = ["edit", "fulfil", "fail", "abort"];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** An agent that reviews a pull request. Each step is held and stepped; the last, which posts, is held still. */
async function review(agent, page) {
  const text = "Review pull request 482: retry uploads.";
  const comment = {
    pull_request: 482,
    verdict: "request_changes",
    comments: [{ file: "src/upload.rs", line: 96, text: "The delay doubles without a bound: cap it." }],
  };
  const steps = [
    [{ type: "prompt", model: MODEL, input_tokens: 318, data: { messages: [{ role: "user", content: text }] } }, 60],
    [{ type: "response", model: MODEL, input_tokens: 318, output_tokens: 41, duration_ms: 1240, data: { text: "I will read the change first." } }, 1240],
    [{ type: "tool_call", name: "read_diff", effect: "read", data: { pull_request: 482 } }, 40],
    [{ type: "tool_result", name: "read_diff", duration_ms: 212, data: { text: "src/upload.rs: +38 −9" } }, 212],
    [{ type: "tool_call", name: "run_tests", effect: "idempotent", data: { package: "upload" } }, 50],
    [{ type: "tool_result", name: "run_tests", duration_ms: 1630, data: { text: "41 passed, 0 failed" } }, 1630],
    [{ type: "prompt", model: MODEL, input_tokens: 1904, data: { text: "Tests pass. What do you think of it?" } }, 70],
    [{ type: "response", model: MODEL, input_tokens: 1904, output_tokens: 187, duration_ms: 1460, data: { text: "The delay grows without a bound." } }, 1460],
  ];
  for (const [step, took] of steps) {
    await pause(took);
    const answer = agent.trace({ accepts: ACCEPTS, ...step });
    await shows(page, "#held", "1");
    await pause(150);
    await agent.post("step");
    await answer;
    await shows(page, "#held", "0");
  }
  const held = agent.trace({ type: "tool_call", name: "post_review", effect: "mutating", accepts: ACCEPTS, data: comment });
  await shows(page, "#held", "1");
  await until("the held step is shown", async () => /post_review/.test(await page.locator("#details").textContent()));
  // Long enough for the page to say so in whole seconds.
  await pause(3_200);
  // In an object, because an async function would wait for a promise that it returns.
  return { answer: held };
}

/** The breakpoints, a gate that has stopped a payment, and the editor in which its input is changed. */
async function gate(agent, page) {
  const make = (breakpoint) => agent.post("breakpoints", JSON.stringify(breakpoint));
  await make({ types: ["tool_call"], condition: 'event.effect == "mutating"', unattended: "hold", timeout_ms: 600_000 });
  await make({ types: ["tool_call"], condition: "repeats >= 3" });
  await make({ types: ["response"], log_message: "{event.output_tokens} tokens, {run.tokens} in all" });
  await page.keyboard.press("c");
  await shows(page, "#mode", "Running");
  const steps = [
    { type: "prompt", model: MODEL, data: { text: "Book a room in Lisbon for two nights." } },
    { type: "response", model: MODEL, input_tokens: 412, output_tokens: 38, duration_ms: 940, data: { text: "I will look for rooms." } },
    { type: "tool_call", name: "find_rooms", effect: "read", data: { city: "Lisbon", nights: 2 } },
    { type: "tool_result", name: "find_rooms", duration_ms: 388, data: { rooms: [{ hotel: "Tejo", eur: 240 }] } },
  ];
  for (const step of steps) {
    await agent.trace({ accepts: ACCEPTS, ...step });
    await pause(step.duration_ms ?? 60);
  }
  const data = { hotel: "Tejo", nights: 2, eur: 240 };
  const held = agent.trace({ type: "tool_call", name: "book_room", effect: "mutating", accepts: ACCEPTS, data });
  await shows(page, "#held", "1");
  await page.locator(".verbs").getByRole("button", { name: "Edit", exact: true }).click();
  const editor = page.locator("#decision-data");
  await editor.fill((await editor.inputValue()).replace('"nights": 2', '"nights": 3').replace("240", "360"));
  // Not by its key: the editor has the focus.
  await page.locator("#breakpoints-button").click();
  await page.locator("[data-id=b3]").waitFor();
  await until("the hits are counted", async () => /1 hit/.test(await page.locator("[data-id=b3]").textContent()));
  await pause(3_200);
  return { answer: held };
}

/** What a writer of release notes does; `other` asks another model and gets another answer. */
function notes(other) {
  const messages = [{ role: "system", content: "You write release notes." }, { role: "user", content: "Write those of 2.4." }];
  const model = other ? "gpt-5" : MODEL;
  const text = other ? "2.4 retries failed uploads, at most five times, and has a dark mode." : "2.4 is full of great improvements!";
  return [
    { type: "prompt", node_id: "plan", model: MODEL, input_tokens: 312, data: { messages } },
    { type: "response", node_id: "plan", model: MODEL, input_tokens: 312, output_tokens: 44, duration_ms: 640, data: { text: "I will read what has changed since 2.3." } },
    { type: "tool_call", name: "list_changes", node_id: "list", effect: "read", data: { since: "2.3" } },
    { type: "tool_result", name: "list_changes", node_id: "list", duration_ms: 180, data: { changes: [482, 496, 501] } },
    { type: "tool_call", name: "read_change", node_id: "read", effect: "read", data: { pull_request: 482 } },
    { type: "tool_result", name: "read_change", node_id: "read", duration_ms: 150, data: { title: "Retry uploads, at most five times" } },
    { type: "prompt", node_id: "write", model, input_tokens: 1480, data: { messages: [...messages, { role: "user", content: "Changes: retry uploads at most five times; dark mode." }] } },
    { type: "response", node_id: "write", model, input_tokens: 1480, output_tokens: other ? 61 : 38, duration_ms: other ? 1320 : 700, data: { text } },
    { type: "tool_call", name: "publish", node_id: "publish", effect: "mutating", data: { version: "2.4", text } },
  ];
}

/** A recorded run that ended with an unwanted result, forked at the prompt that wrote it, and both side by side. */
async function forkAndCompare(agent) {
  for (const step of notes(false)) {
    await pause(step.duration_ms ?? 30);
    await agent.record({ run_id: "release-2.4", accepts: ACCEPTS, ...step });
  }
  await agent.record({ run_id: "release-2.4", type: "tool_result", name: "publish", node_id: "publish", data: { ok: true }, run_end: true });
  const page = await open(browser, agent.base, { viewport: { width: 1240, height: 640 } });
  await shows(page, "#connection", "Live");
  await page.keyboard.press("c");
  await shows(page, "#mode", "Running");
  await page.locator('#timeline [data-seq="7"]').click();
  await page.keyboard.press("f");
  await page.locator("#fork-model").fill("gpt-5");
  await page.locator("#fork-send").click();
  await page.locator("#fork-done").waitFor();
  await take(page, "fork");
  const run = await page.locator(".fork-run code").textContent();
  await page.keyboard.press("Escape");
  const steps = notes(true);
  for (const step of steps.slice(0, -1)) {
    // What the record answers takes no time.
    if (step.node_id === "write") await pause(step.duration_ms ?? 30);
    await agent.trace({ run_id: run, accepts: ACCEPTS, ...step, ...(step.type === "prompt" && { model: MODEL }) });
  }
  const held = agent.trace({ run_id: run, accepts: ACCEPTS, ...steps.at(-1) });
  await shows(page, "#held", "1");
  await page.keyboard.press("r");
  await page.locator("#compare-two button").click();
  await page.locator("#compare-details .pair").waitFor();
  await page.keyboard.press("m");
  await until("the answers are shown", async () => /response/.test(await page.locator("#compare-details .details-title").textContent()));
  await pause(3_200);
  await take(page, "compare");
  const [{ seq }] = (await agent.status()).held;
  await agent.post("release", JSON.stringify({ seq, action: "fail", message: "not yet" }));
  await held;
}

/** One picture in each colour scheme. */
async function take(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    // Colours change over a moment, and the picture is of what comes after it.
    await page.screenshot({ path: `${IMAGES}${name}-${colorScheme}.png`, animations: "disabled" });
  }
  if (page.problems.length) throw new Error(page.problems.join("\n"));
}

const server = await startServer();
const browser = await startBrowser();
try {
  await mkdir(IMAGES, { recursive: true });
  const reviewer = new Agent(server.url, "code-reviewer");
  const held = await open(browser, reviewer.base, { viewport: { width: 1240, height: 480 } });
  await shows(held, "#connection", "Live");
  const reviewing = await review(reviewer, held);
  await take(held, "held");
  await reviewer.post("continue");
  await reviewing.answer;

  const booker = new Agent(server.url, "room-booker");
  const control = await open(browser, booker.base, { viewport: { width: 1240, height: 640 } });
  await shows(control, "#connection", "Live");
  const booking = await gate(booker, control);
  await take(control, "control");
  const [{ seq }] = (await booker.status()).held;
  await booker.post("release", JSON.stringify({ seq, action: "proceed" }));
  await booking.answer;

  await forkAndCompare(new Agent(server.url, "release-notes"));
} finally {
  await browser.close();
  await server.stop();
}
