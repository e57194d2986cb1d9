// The header, the list of held steps, the runs and the keys: what they say is true, and everything can be reached.

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { attached, browser, claim, rows, server, whenHeld } from "./fixture.mjs";
import { Agent, axeFindings, open, screenshot, shows, startProxy, startServer, until } from "./harness.mjs";

const ALL = ["edit", "fulfil", "fail", "abort"];
const says = (page, selector, pattern) => until(`${selector} says ${pattern}`, async () => pattern.test(await page.locator(selector).textContent()));
const gate = (agent, more) => agent.post("breakpoints", JSON.stringify({ types: ["tool_call"], unattended: "hold", ...more }));

claim("while a breakpoint holds one run the header says so, and how many others are running", async () => {
  const { agent, page } = await attached();
  await agent.post("breakpoints", '{"types":["tool_call"]}');
  await page.keyboard.press("c");
  await shows(page, "#mode", "Running");
  await agent.record({ type: "log", run_id: "free", data: {} });
  const first = agent.trace({ type: "tool_call", name: "pay", run_id: "stopped", data: {} });
  await shows(page, "#mode", "Held");
  await says(page, "#now", /Held at #2 tool call pay of run stopped: breakpoint b1 · .* · 1 other run is running$/);
  await page.keyboard.press("y");
  await first;
  // That leaves its run paused, and the other as it was.
  await shows(page, "#mode", "1 of 2 runs paused");
  const second = agent.trace({ type: "log", run_id: "stopped", data: {} });
  await shows(page, "#mode", "Held");
  await page.keyboard.press("c");
  await second;
  await shows(page, "#mode", "Running");
  assert.deepEqual(page.problems, []);
});

claim("a single run that is paused is not shown as running", async () => {
  const { agent, page } = await attached();
  await agent.post("breakpoints", '{"types":["prompt"]}');
  await page.keyboard.press("c");
  await shows(page, "#mode", "Running");
  const held = agent.trace({ type: "prompt", data: {} });
  await shows(page, "#mode", "Held");
  await page.keyboard.press("s");
  await held;
  await whenHeld(page, 0);
  await shows(page, "#mode", "Paused");
  await says(page, "#now", /next step will be held/);
});

claim("a gate shows when its hold times out, and what happens to the step then", async () => {
  const { agent, page } = await attached();
  await gate(agent, { name: "pay", timeout_ms: 600_000 });
  await gate(agent, { name: "read", timeout_ms: 25_000, on_timeout: "proceed" });
  await page.keyboard.press("c");
  await shows(page, "#mode", "Running");
  const pay = agent.trace({ type: "tool_call", name: "pay", accepts: ALL, data: {} });
  await says(page, "#now", /fails in 9 min 5\d s/);
  const left = () => page.locator("#now .held-left").textContent();
  const before = await left();
  await until("the time goes on", async () => (await left()) !== before);
  const read = agent.trace({ type: "tool_call", name: "read", data: {} });
  await whenHeld(page, 2);
  await page.locator("#held-more").click();
  await says(page, "#holds li:nth-child(2)", /#2 tool call read: breakpoint b2, gate.* · proceeds in 2\d s/);
  await says(page, "#live", /Step 2 proceeds in 2\d s/);
  const calling = agent.trace({ type: "prompt", hold: "never", data: {} });
  await calling;
  await page.locator("#holds li:nth-child(2) a").click();
  await says(page, "#details [data-field=hold]", /gate.* · proceeds in 2\d s/);
  await page.locator("#holds li:nth-child(2)").getByRole("button", { name: "Proceed with step 2" }).click();
  assert.equal((await read).outcome, "released");
  await whenHeld(page, 1);
  assert.equal(await page.locator("#holds").isVisible(), false);
  await page.locator("#follow").click();
  await page.locator(".decision").waitFor();
  await page.keyboard.press("y");
  await pay;
});

claim("all held steps are listed, with a way to each and to what holds it", async () => {
  const { agent, page } = await attached();
  await agent.post("breakpoints", '{"types":["tool_call"],"name":"b*"}');
  const answers = [];
  for (const [i, run] of ["", "two", "three"].entries()) {
    answers.push(agent.trace({ type: "tool_call", name: `b${i}`, run_id: run, data: {} }));
    await whenHeld(page, i + 1);
  }
  await says(page, "#now", /2 more held/);
  await page.locator("#held-more").focus();
  await page.keyboard.press("Enter");
  await until("the list is open", async () => (await page.locator("#held-more").getAttribute("aria-expanded")) === "true");
  assert.deepEqual(await page.locator("#holds .what > a").allTextContents(), ["#1 tool call b0", "#2 tool call b1", "#3 tool call b2"]);
  assert.deepEqual(await axeFindings(page), []);
  await screenshot(page, "holds");
  await page.locator("#holds li:nth-child(3) a").click();
  assert.equal(await page.locator("#timeline [aria-selected=true]").getAttribute("data-seq"), "3");
  await page.locator("#holds li:nth-child(2)").getByRole("button", { name: "Breakpoint b1" }).click();
  assert.equal(await page.evaluate(() => document.activeElement.closest("[data-id]").dataset.id), "b1");
  await page.locator("#close-breakpoints").click();
  await page.locator("#now").getByRole("button", { name: "Breakpoint b1" }).click();
  await page.locator("#breakpoints").waitFor();
  await page.locator("#details").getByRole("button", { name: "Breakpoint b1" }).click();
  await page.locator("#close-breakpoints").focus();
  await page.keyboard.press("c");
  for (const answer of answers) assert.equal((await answer).outcome, "continued");
});

claim("a held step that the trace had to make room for stays readable, and can be decided", async () => {
  const small = await startServer({ flags: ["--max-events-per-agent", "3"] });
  try {
    const agent = new Agent(small.url, "trimmed");
    await gate(agent, {});
    const held = agent.trace({ type: "tool_call", name: "pay", accepts: ALL, data: { eur: 1 } });
    await until("it is held", async () => (await agent.status()).held.length === 1);
    for (let i = 0; i < 5; i += 1) await agent.record({ type: "log", data: {} });
    const page = await open(browser, agent.base);
    await until("the held row and the newest three are shown", async () => (await rows(page).count()) === 4);
    await says(page, "#now", /^Held at #1 tool call pay/);
    await page.keyboard.press("h");
    await says(page, "#details", /#1[\s\S]*eur/);
    assert.deepEqual(await axeFindings(page), []);
    await screenshot(page, "trimmed");
    await page.keyboard.press("a");
    await page.locator("#decision-result").fill('{"paid":true}');
    await page.keyboard.press("Control+Enter");
    assert.deepEqual((await held).decision, { action: "fulfil", data: { paid: true } });
    await until("there is nothing to decide", async () => (await page.locator(".decision").count()) === 0);
  } finally {
    await small.stop();
  }
});

claim("every verb has its key, and the help names it", async () => {
  const { agent, page } = await attached();
  const step = async (key, fill) => {
    const answer = agent.trace({ type: "tool_call", accepts: ALL, data: { a: 1 } });
    await whenHeld(page, 1);
    await page.locator(".decision").waitFor();
    await page.keyboard.press(key);
    if (fill) {
      await page.locator(fill[0]).fill(fill[1]);
      await page.keyboard.press("Control+Enter");
    }
    const { decision } = await answer;
    await whenHeld(page, 0);
    return decision.action;
  };
  assert.equal(await step("y"), "proceed");
  assert.equal(await step("e", ["#decision-data", '{"a":2}']), "edit");
  assert.equal(await step("a", ["#decision-result", '{"b":2}']), "fulfil");
  assert.equal(await step("x", ["#decision-message", "no"]), "fail");
  assert.equal(await step("X"), "abort");
  await page.keyboard.press("d");
  assert.equal(await page.evaluate(() => document.activeElement.id), "details");
  await page.keyboard.press("r");
  assert.equal(await page.locator("#runs-panel").isVisible(), true);
  await page.keyboard.press("b");
  assert.deepEqual([await page.locator("#runs-panel").isVisible(), await page.locator("#breakpoints").isVisible()], [false, true]);
  await page.keyboard.press("b");
  await page.keyboard.press("?");
  const help = await page.locator("#help kbd").allTextContents();
  for (const key of ["s", "n", "o", "c", "p", "X", "C", "y", "e", "a", "x", "j", "k", "h", "d", "f", "b", "r", "?"]) assert.ok(help.includes(key), key);
  await page.keyboard.press("Escape");
  await page.locator("#help").waitFor({ state: "hidden" });
  await page.keyboard.press("C");
  await page.locator("#confirm-clear").waitFor();
  await page.locator("#clear-confirmed").click();
  await shows(page, "#position", "0 of 0");
  assert.deepEqual(page.problems, []);
});

claim("the panel of runs shows the state of each run, and acts on one run only", async () => {
  const { agent, page } = await attached();
  await agent.record({ type: "log", run_id: "short", data: {} });
  await agent.record({ type: "error", run_id: "short", data: {}, run_end: true });
  const held = agent.trace({ type: "prompt", run_id: "long", accepts: ["abort"], data: {} });
  await whenHeld(page, 1);
  await page.keyboard.press("r");
  const row = (name) => page.locator("#run-list li", { hasText: name });
  await until("the runs are listed", async () => (await row("long").count()) === 1 && /1 held/.test(await row("long").textContent()));
  assert.match(await row("short").textContent(), /finished.*2 events · 1 error/);
  assert.deepEqual(await row("short").getByRole("button").allTextContents(), ["short", "⋯"]);
  await row("long").locator(".run-name").click();
  assert.equal(await page.locator("#run").inputValue(), "run:long");
  assert.equal(await row("long").locator(".run-name").getAttribute("aria-pressed"), "true");
  assert.deepEqual(await axeFindings(page), []);
  await screenshot(page, "runs");
  await row("long").getByRole("button", { name: "Continue long" }).click();
  assert.equal((await held).outcome, "continued");
  await until("it runs", async () => /running/.test(await row("long").textContent()));
  await row("long").getByRole("button", { name: "Pause long" }).click();
  await until("it is paused", async () => /paused/.test(await row("long").textContent()));
  const again = agent.trace({ type: "prompt", run_id: "long", accepts: ["abort"], data: {} });
  await whenHeld(page, 1);
  await page.locator("#stop:enabled").click();
  await again;
  await until("it was stopped", async () => /stopped/.test(await row("long").textContent()));
  await shows(page, "#mode", "Stopped");
  await says(page, "#now", /^long was stopped at #4/);
  await page.locator("#run").selectOption("run:short");
  await shows(page, "#mode", "Finished");
  await page.keyboard.press("r");
  await page.locator("#all-runs").click();
  assert.equal(await page.locator("#run").inputValue(), "all");
  await page.keyboard.press("r");
  assert.equal(await page.locator("#runs-panel").isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), "runs-button");
});

claim("a fork's step that its record does not have says why, and a forked or imported run where it comes from", async () => {
  const page = await open(browser, `${server.url}/agent/forked/debug?mode=observe`);
  const markup = "<b>x</b>\u202e";
  const event = { type: "prompt", seq: 2, run_id: "f", data: {}, origin: "live", divergence: { reason: markup, nearest_seq: 1, fields: [{ path: "$.q", left: '"a"', right: '"b"' }, { path: markup, left: null, right: "1" }] } };
  const first = { type: "prompt", seq: 1, run_id: "f", data: {}, origin: "recorded", source_seq: 1 };
  const hold = { seq: 2, run_id: "f", type: "prompt", name: null, held_ms: 5, reason: "divergence", accepts: [], breakpoint_ids: [], gate: true, times_out_in_ms: null };
  const state = { mode: "detached", held: [hold], debuggers: 0, observers: 1, breakpoint_revision: 1 };
  const frames = [["", "", { type: "position", pos: 0, total: 2 }], ["", "id: e.1\n", first], ["", "id: e.2\n", event], ["event: state\n", "", state]];
  const body = frames.map(([name, id, data]) => `${name}${id}data: ${JSON.stringify(data)}\n\n`).join("");
  await page.route(/debug\/events/, (route) => route.fulfill({ contentType: "text/event-stream", body }));
  const run = { run_id: "f", mode: "detached", finished: false, events: 2, held: 1, forked_from: { run_id: "source", seq: 7, ordinal: 3 }, imported: true, masked: true };
  await page.route(/debug\/status/, (route) => route.fulfill({ json: { runs: [run] } }));
  await page.reload();
  await says(page, "#details .divergence", /Not in the record, nearest step #1<b>x<\/b>\[U\+202E\]\$\.qIgnore this path− "a"\n\+ "b"\n<b>x<\/b>\[U\+202E\]\+ 1/);
  await says(page, "#details [data-field=hold]", /not in the record of the source run, gate/);
  await page.keyboard.press("r");
  await until("the run says so", async () => /imported, masked · forked from source at #7/.test(await page.locator("#run-list").textContent()));
});

claim("a lost connection shows since when and when the next attempt is, and its return is announced", async () => {
  const first = await startServer();
  let second;
  try {
    const agent = new Agent(first.url, "lost");
    const page = await open(browser, agent.base);
    await shows(page, "#mode", "Paused");
    await first.stop();
    await says(page, "#disconnected", /Since \d\d:\d\d:\d\d, for \d.*Trying again (in \d s|now)\./);
    await shows(page, "#mode", "Unknown");
    assert.deepEqual(await axeFindings(page), []);
    await screenshot(page, "lost");
    second = await startServer({ port: first.port });
    await shows(page, "#connection", "Live");
    await says(page, "#live", /Connected again after \d/);
    await shows(page, "#mode", "Paused");
    assert.equal(await page.locator("#disconnected").isVisible(), false);
  } finally {
    await first.stop();
    await second?.stop();
  }
});

claim("a draft survives a connection that is cut", async () => {
  const proxy = await startProxy(server.port);
  try {
    const { agent, page } = await attached("cut while writing", {}, proxy.url);
    const held = agent.trace({ type: "prompt", accepts: ALL, data: { text: "hi" } });
    await whenHeld(page, 1);
    await page.keyboard.press("e");
    await page.locator("#decision-data").fill('{"text": "hello"}');
    proxy.cut();
    await says(page, "#live", /Connected again|Connection: reconnecting/);
    await shows(page, "#connection", "Live");
    assert.equal(await page.evaluate(() => document.activeElement.id), "decision-data");
    await page.getByRole("button", { name: "Format" }).click();
    assert.equal(await page.locator("#decision-data").inputValue(), '{\n  "text": "hello"\n}');
    await page.locator("#decision-data").press("Control+Enter");
    assert.deepEqual((await held).decision, { action: "edit", data: { text: "hello" } });
  } finally {
    proxy.stop();
  }
});

claim("until the trace is known the page shows that it loads, and not that there are no events", async () => {
  const { page } = await attached("slow");
  assert.equal(await page.locator("#empty").isVisible(), true);
  await page.route(/debug\/events/, () => {});
  await page.reload();
  await says(page, "#loading", /Loading the trace/);
  assert.deepEqual([await page.locator("#loading").isVisible(), await page.locator("#empty").isVisible()], [true, false]);
  await shows(page, "#mode", "Unknown");
  assert.deepEqual(await axeFindings(page), []);
});

claim("all that the page loads is less than 150 kB, compressed", async () => {
  const { page } = await attached();
  const loaded = await page.evaluate(() => {
    const files = performance.getEntriesByType("resource").map(({ name }) => name).filter((name) => /\.(js|css)$/.test(name));
    return Promise.all([location.href, ...files].map(async (url) => (await fetch(url, { cache: "reload" })).text()));
  });
  const sizes = loaded.map((text) => gzipSync(text, { level: 6 }).length);
  const sum = sizes.reduce((a, b) => a + b, 0);
  assert.ok(sizes.length > 20 && sum < 150_000, `${sizes.length} files of ${sum} bytes`);
});

claim("the other subscribers are shown", async () => {
  const { agent, page } = await attached("in company");
  assert.equal(await page.locator("#subscribers").getAttribute("title"), "No one else is attached");
  const other = await open(browser, `${agent.base}?mode=observe`);
  await shows(page, "#subscribers", "1 debugger, 1 observer");
  assert.match(await page.locator("#subscribers").getAttribute("title"), /Also attached: 1 other observer/);
  assert.match(await other.locator("#subscribers").getAttribute("title"), /Also attached: 1 other debugger/);
});

claim("passing time alone announces nothing to screen readers", async () => {
  const { agent, page } = await attached();
  const held = agent.trace({ type: "prompt", data: {} });
  await says(page, "#live", /Step 1, prompt/);
  await page.evaluate(() => {
    globalThis.told = 0;
    for (const live of document.querySelectorAll("[aria-live], [role=status], [role=alert]")) {
      new MutationObserver(() => (globalThis.told += 1)).observe(live, { childList: true, characterData: true, subtree: true });
    }
  });
  const since = page.locator("#now .held-for");
  for (let i = 0; i < 3; i += 1) {
    const before = await since.textContent();
    await until("a second goes by", async () => (await since.textContent()) !== before);
  }
  assert.equal(await page.evaluate(() => globalThis.told), 0);
  await page.keyboard.press("s");
  await held;
});
