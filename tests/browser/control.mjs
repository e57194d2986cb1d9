// Stepping and runs: what the buttons and keys act on, and what choosing a run shows.

import assert from "node:assert/strict";
import { attached, claim, rows, rowTexts, size, whenHeld } from "./fixture.mjs";
import { Agent, shows, until } from "./harness.mjs";

/** What a press sends. */
async function sent(page, path, press) {
  const request = page.waitForRequest(new RegExp(`debug/${path}$`));
  await press();
  return (await request).postDataJSON();
}
const key = (page, name) => () => page.keyboard.press(name);
const choose = (page, run) => page.locator("#run").selectOption(run === null ? "all" : `run:${run}`);
const runLabels = (page) => page.locator("#run option").allTextContents();
const hasRun = (page, label) => until(`the runs tell "${label}"`, async () => (await runLabels(page)).includes(label));

claim("the buttons have the names and the keys that people look for", async () => {
  const { page } = await attached();
  for (const name of ["Step", "Step over", "Step out", "Continue", "Pause", "Stop", "Clear"]) {
    assert.equal(await page.getByRole("button", { name, exact: true }).count(), 1, name);
  }
  const keys = { s: ["step", "into"], F11: ["step", "into"], n: ["step", "over"], F10: ["step", "over"], o: ["step", "out"], "Shift+F11": ["step", "out"] };
  for (const [name, [path, granularity]] of Object.entries(keys)) {
    assert.deepEqual(await sent(page, path, key(page, name)), { granularity }, name);
  }
  for (const [name, path] of [["c", "continue"], ["F8", "continue"], ["p", "pause"]]) {
    assert.deepEqual(await sent(page, path, key(page, name)), {}, name);
  }
});

claim("step acts on the selected step where that one is held, else on the oldest", async () => {
  const { agent, page } = await attached();
  const first = agent.trace({ type: "log", name: "first", data: {} });
  await whenHeld(page, 1);
  const second = agent.trace({ type: "log", name: "second", data: {} });
  await whenHeld(page, 2);
  const third = agent.trace({ type: "log", name: "third", data: {} });
  await whenHeld(page, 3);
  await rows(page).nth(1).click();
  assert.match(await page.locator("#step").getAttribute("title"), /#2/);
  await page.keyboard.press("s");
  assert.equal((await second).outcome, "stepped");
  await whenHeld(page, 2);
  await page.keyboard.press("s");
  assert.equal((await first).outcome, "stepped");
  await whenHeld(page, 1);
  await page.keyboard.press("s");
  assert.equal((await third).outcome, "stepped");
});

claim("following leads to the held step, even where others are recorded after it", async () => {
  const { agent, page } = await attached();
  const held = agent.trace({ type: "prompt", data: { text: "waiting" } });
  await whenHeld(page, 1);
  for (let i = 0; i < 3; i += 1) await agent.record({ type: "log", run_id: "beside", data: {} });
  await until("four rows are shown", async () => (await rows(page).count()) === 4);
  assert.equal(await page.locator("[aria-selected=true] .seq").textContent(), "1");
  await page.keyboard.press("s");
  await held;
  await until("the newest is selected", async () => (await page.locator("[aria-selected=true] .seq").textContent()) === "4");
});

claim("a chosen run is all that the timeline shows and all that the buttons act on", async () => {
  const { agent, page } = await attached();
  await agent.record({ type: "log", data: { text: "default" } });
  const a = agent.trace({ type: "log", run_id: "a", data: { text: "of a" } });
  await whenHeld(page, 1);
  const b = agent.trace({ type: "log", run_id: "b", data: { text: "of b" } });
  await hasRun(page, "b · paused · 1 held");
  assert.deepEqual((await runLabels(page)).slice(0, 2), ["All runs", "Default run · paused"]);
  await choose(page, "b");
  await until("one row is shown", async () => (await rowTexts(page, ".snippet")).join() === "of b");
  await shows(page, "#shown", "1 of 3");
  assert.match(await page.locator("#now").textContent(), /Held at #3 log of run b/);
  await agent.record({ type: "log", run_id: "b", data: { text: "more of b" } });
  await agent.record({ type: "log", run_id: "a", data: { text: "more of a" } });
  await until("two rows are shown", async () => (await rowTexts(page, ".snippet")).join() === "of b,more of b");
  assert.deepEqual(await sent(page, "continue", () => page.locator("#continue").click()), { run_id: "b" });
  assert.equal((await b).outcome, "continued");
  await shows(page, "#mode", "Running");
  assert.equal((await agent.trace({ type: "log", run_id: "b", data: {} })).outcome, "not_held");
  assert.match(await page.locator("#now").textContent(), /b is running.*1 step of other runs is held/);
  await page.keyboard.press("p");
  await shows(page, "#mode", "Paused");
  const again = agent.trace({ type: "log", run_id: "b", data: {} });
  await whenHeld(page, 2);
  await page.keyboard.press("s");
  assert.equal((await again).outcome, "stepped");
  await page.reload();
  await until("the run is still chosen", async () => (await rowTexts(page, ".run")).join() === "b,b,b,b");
  await choose(page, null);
  await until("all rows are shown", async () => (await rows(page).count()) === 7);
  await page.locator("#step").click();
  assert.equal((await a).outcome, "stepped");
  assert.deepEqual(page.problems, []);
});

claim("a finished run says so", async () => {
  const { agent, page } = await attached();
  await agent.record({ type: "log", run_id: "short", data: {} });
  await hasRun(page, "short · paused");
  await agent.record({ type: "log", run_id: "short", data: {}, run_end: true });
  await hasRun(page, "short · finished");
});

claim("ten thousand events are filtered by a run by making the rows in sight alone", async () => {
  const { agent, page } = await attached("filtered", { query: "?mode=observe" });
  for (let i = 0; i < 10_000; i += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, j) => agent.record({ type: "log", run_id: j ? "most" : "few", data: {} })));
  }
  await shows(page, "#shown", "10,000");
  await until("all rows are there", async () => (await size(page)) === 10_000);
  await hasRun(page, "few · detached");
  // Not by the clock, which a busy machine would stretch: only rows in sight are made, however many there are.
  await page.evaluate(() => {
    globalThis.made = 0;
    const counts = (records) => records.forEach(({ addedNodes }) => (globalThis.made += addedNodes.length));
    new MutationObserver(counts).observe(document.getElementById("timeline"), { childList: true, subtree: true });
  });
  for (const [run, many] of [["run:few", 200], ["all", 10_000], ["run:most", 9800], ["run:few", 200], ["all", 10_000]]) {
    await page.evaluate(() => (globalThis.made = 0));
    await page.locator("#run").selectOption(run);
    await until(`${many} rows are shown`, async () => (await size(page)) === many);
    const made = await page.evaluate(() => globalThis.made);
    assert.ok(made > 0 && made < 1000, `${run} makes ${made} nodes`);
    assert.ok((await rows(page).count()) < 100, run);
  }
  await agent.record({ type: "log", run_id: "few", data: {} });
  await until("the newest row is there", async () => (await rows(page).last().locator(".seq").textContent()) === "10001");
}, 180_000);
