// Breakpoints: written, tried on the record, hit, switched off, deleted; and gates, which only a release opens.

import assert from "node:assert/strict";
import { attached, browser, claim, rows, rowTexts, server, whenHeld } from "./fixture.mjs";
import { Agent, open, shows, until } from "./harness.mjs";

const list = (page) => page.locator("#breakpoint-list .breakpoint");
const save = (page) => page.locator("#bp-save").click();
const listed = (page, count) => until(`${count} breakpoints are listed`, async () => (await list(page).count()) === count);
const runsFreely = (page) => shows(page, "#mode", "Running");

/** The panel with its form open. */
async function writing(page) {
  await page.keyboard.press("b");
  await page.locator("#new-breakpoint").click();
}

claim("a breakpoint written by hand stops the running agent, and the page says which", async () => {
  const { agent, page } = await attached();
  await page.keyboard.press("c");
  await runsFreely(page);
  await writing(page);
  await page.getByRole("checkbox", { name: "tool call", exact: true }).check();
  await page.locator("#bp-name").fill("book_*");
  await page.locator("#bp-condition").fill("event.data.args.price > 200");
  await save(page);
  await listed(page, 1);
  await shows(page, "#breakpoint-count", "1");
  assert.match(await list(page).textContent(), /b1 tool call book_\*.*event\.data\.args\.price > 200.*no hits/s);
  const [made] = await agent.breakpoints();
  assert.deepEqual([made.types, made.name, made.run_id, made.unattended, made.enabled], [["tool_call"], "book_*", null, "skip", true]);
  for (const [name, price] of [["book_hotel", 100], ["search", 300]]) {
    assert.equal((await agent.trace({ type: "tool_call", name, data: { args: { price } } })).outcome, "not_held");
  }
  const held = agent.trace({ type: "tool_call", name: "book_flight", data: { args: { price: 240 } } });
  await whenHeld(page, 1);
  await until("the line says why", async () => /^Held at #3 tool call book_flight: breakpoint b1 · /.test(await page.locator("#now").textContent()));
  await until("the hit is counted", async () => /1 hit/.test(await list(page).textContent()));
  await until("it was announced", async () => /Step 3, tool call book_flight, is held: breakpoint b1/.test(await page.locator("#live").textContent()));
  await page.locator("#continue").click();
  assert.equal((await held).outcome, "continued");
  assert.deepEqual(page.problems, []);
});

claim("a breakpoint is switched off and on, changed and deleted by keyboard", async () => {
  const { agent, page } = await attached();
  await agent.post("breakpoints", '{"types":["log"],"run_id":"r","unattended":"hold","timeout_ms":90000,"on_timeout":"proceed"}');
  await agent.post("breakpoints", '{"types":["prompt"],"once":true,"all_stop":true,"hit_condition":"hits > 1"}');
  await listed(page, 2);
  await page.keyboard.press("b");
  await page.keyboard.press("Space");
  await until("it is off", async () => (await agent.breakpoints())[0].enabled === false);
  await page.keyboard.press("Space");
  await until("it is on", async () => (await agent.breakpoints())[0].enabled);
  const texts = await list(page).allTextContents();
  assert.match(texts[0], /b1 log, r.*gate, proceeds after 1 min 30 s/s);
  assert.match(texts[1], /b2 prompt.*when hits > 1 · once · pauses all runs/s);
  await page.getByRole("button", { name: "Edit b1" }).focus();
  await page.keyboard.press("Enter");
  assert.equal(await page.locator("#bp-run").inputValue(), "r");
  assert.equal(await page.locator("#bp-timeout").inputValue(), "90");
  await page.locator("#bp-run-kind").selectOption("any");
  await page.locator("[name=gate]").uncheck();
  await page.locator("#bp-log").fill("saw {event.name}");
  await page.keyboard.press("Enter");
  await until("it is changed", async () => (await agent.breakpoints())[0].log_message === "saw {event.name}");
  const [changed] = await agent.breakpoints();
  assert.deepEqual([changed.run_id, changed.timeout_ms, changed.unattended, changed.types], [null, null, "skip", ["log"]]);
  await page.getByRole("button", { name: "Delete b1" }).click();
  await listed(page, 1);
  assert.equal(await page.evaluate(() => document.activeElement.closest("[data-id]").dataset.id), "b2");
  await page.keyboard.press("b");
  assert.equal(await page.locator("#breakpoints").isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), "breakpoints-button");
  assert.deepEqual(page.problems, []);
});

claim("what is wrong with a breakpoint is said at its field", async () => {
  const { agent, page } = await attached();
  await writing(page);
  const cases = [
    ["#bp-condition", "repeats >= ", /Does not compile at line 1 column 1\d/],
    ["#bp-condition", "foo > 1", /There is no variable `foo`, at line 1 column 1/],
    ["#bp-hit", "hits +", /Does not compile/],
    ["#bp-log", "half a {brace", /`{` without its `}`/],
    ["#bp-name", "a[b", /no glob/],
  ];
  for (const [field, text, error] of cases) {
    await page.locator(field).fill(text);
    await save(page);
    await until(`${field} says so`, async () => error.test(await page.locator(`${field}-error`).textContent()));
    assert.equal(await page.locator(field).getAttribute("aria-invalid"), "true");
    assert.equal(await page.evaluate(() => `#${document.activeElement.id}`), field);
    await page.locator(field).fill("");
  }
  await page.locator("#bp-run-kind").selectOption("one");
  await save(page);
  await shows(page, "#bp-run-error", "Is missing: enter the id of a run");
  assert.deepEqual(await agent.breakpoints(), []);
  await page.locator("#bp-run").fill("a run to come");
  await save(page);
  await listed(page, 1);
  assert.equal((await agent.breakpoints())[0].run_id, "a run to come");
});

claim("a breakpoint is tried on the record, and the events that it would have hit can be selected", async () => {
  const { agent, page } = await attached();
  for (const a of [1, 1, 2, 2, 2]) await agent.record({ type: "tool_call", name: "search", data: { a } });
  await agent.record({ type: "log", run_id: "other", data: {} });
  await until("all rows are shown", async () => (await rows(page).count()) === 6);
  await writing(page);
  await page.locator("#bp-condition").fill("repeats >= 2");
  await page.locator("#bp-test").click();
  await shows(page, "#bp-tested", "Would have hit 3 of 6 recorded events.");
  assert.deepEqual(await page.locator("#bp-hits button").allTextContents(), ["#2", "#4", "#5"]);
  await page.locator("#run").selectOption({ label: "other · paused" });
  await until("one row is shown", async () => (await rows(page).count()) === 1);
  await page.locator("#bp-hits button").nth(1).click();
  await until("#4 is selected", async () => (await rowTexts(page, ".seq")).length === 6);
  assert.equal(await page.locator("[aria-selected=true] .seq").textContent(), "4");
  await page.locator("#bp-condition").fill("repeats >= 3");
  assert.equal(await page.locator("#bp-tested").textContent(), "");
  assert.deepEqual(await agent.breakpoints(), []);
});

claim("break here takes the type and the very name of the selected event", async () => {
  const { agent, page } = await attached();
  await agent.record({ type: "tool_result", name: "weird*[name]?", data: {} });
  await until("it is shown", async () => (await rows(page).count()) === 1);
  await page.getByRole("button", { name: "Break here" }).click();
  assert.equal(await page.locator("#bp-name").inputValue(), "weird[*][[]name][?]");
  await save(page);
  await listed(page, 1);
  await page.locator("#continue").click();
  await runsFreely(page);
  assert.equal((await agent.trace({ type: "tool_result", name: "weirdly [name]!", data: {} })).outcome, "not_held");
  const held = agent.trace({ type: "tool_result", name: "weird*[name]?", data: {} });
  await whenHeld(page, 1);
  await page.locator("#step").click();
  await held;
});

claim("a gate holds with any subscriber, and only a release opens it", async () => {
  const { agent, page } = await attached();
  await writing(page);
  await page.getByRole("checkbox", { name: "tool call", exact: true }).check();
  await page.locator("[name=gate]").check();
  await save(page);
  await listed(page, 1);
  await page.locator("#continue").click();
  await runsFreely(page);
  const gated = agent.trace({ type: "tool_call", name: "pay", data: {}, accepts: ["fail"] });
  await until("the line says so", async () =>
    /Held at #1 tool call pay: breakpoint b1, gate \(only a release opens it\)/.test(await page.locator("#now").textContent()));
  const beside = agent.trace({ type: "prompt", run_id: "r", data: {} });
  assert.equal((await beside).outcome, "not_held");
  await page.locator("#continue").click();
  await page.locator("#step").click();
  assert.match(await page.locator("#step").getAttribute("title"), /gate/);
  await shows(page, "#mode", "Paused");
  assert.equal((await agent.status()).held.length, 1);
  await rows(page).first().click();
  await page.locator(".verbs").getByRole("button", { name: "Proceed" }).click();
  assert.deepEqual((await gated).decision, { action: "proceed" });
});

claim("an observer opens a gate of an agent without a debugger", async () => {
  const agent = new Agent(server.url, "unattended");
  await agent.post("breakpoints", '{"types":["tool_call"],"unattended":"hold"}');
  const gated = agent.trace({ type: "tool_call", name: "pay", data: {}, accepts: ["fulfil"] });
  const page = await open(browser, `${agent.base}?mode=observe`);
  await whenHeld(page, 1);
  await page.locator(".verbs").getByRole("button", { name: "Fulfil" }).click();
  await page.locator("#decision-result").fill('{"paid": 1.50}');
  await page.keyboard.press("Control+Enter");
  assert.deepEqual((await gated).decision, { action: "fulfil", data: { paid: 1.5 } });
});

claim("breakpoints made elsewhere appear, and a form half written stays as it is", async () => {
  const { agent, page } = await attached();
  await writing(page);
  await page.locator("#bp-condition").fill("run.tokens > 10");
  await agent.post("breakpoints", '{"types":["error"],"log_message":"{event.name} failed"}');
  await listed(page, 1);
  assert.equal(await page.locator("#bp-condition").inputValue(), "run.tokens > 10");
  const recorded = agent.trace({ type: "error", name: "search", hold: "never", data: {} });
  await recorded;
  await until("the log line is shown", async () => (await rowTexts(page, ".type")).join() === "error,log");
  assert.match((await rowTexts(page, ".label"))[1], /search failed/);
});

claim("hostile names of runs, breakpoints and steps stay text", async () => {
  const { agent, page } = await attached();
  const markup = "<img src=x onerror=alert(1)> \u202Etxt";
  await agent.post("breakpoints", JSON.stringify({ name: markup, run_id: markup, log_message: markup, condition: `"${markup}" != ""` }));
  await listed(page, 1);
  const held = agent.trace({ type: "prompt", name: markup, run_id: markup, model: markup, data: { [markup]: markup }, accepts: ["edit"] });
  await whenHeld(page, 1);
  await page.keyboard.press("b");
  await until("the run is listed", async () => (await page.locator("#run option").count()) === 2);
  await page.locator("#run").selectOption({ index: 1 });
  await page.locator(".verbs").getByRole("button", { name: "Edit" }).click();
  const editor = await page.locator("#decision-data").inputValue();
  assert.ok(editor.includes("\\u202e") && !editor.includes("\u202e"));
  assert.match(await page.locator("#now").textContent(), /\[U\+202E\]/);
  for (const part of ["#breakpoint-list", "#run", "#step", "#now", "#live"]) {
    const seen = await page.locator(part).evaluate((element) => element.textContent + element.title);
    assert.ok(!seen.includes("\u202e"), part);
  }
  assert.equal(await page.locator("img").count(), 0);
  await page.locator("#step").click();
  await held;
  assert.deepEqual(page.problems, []);
});
