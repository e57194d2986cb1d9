// How the pages look and whether all can use them: accessibility in both schemes and on a phone, zoom, the index, tokens.

import assert from "node:assert/strict";
import { attached, browser, claim, server } from "./fixture.mjs";
import { Agent, axeFindings, open, screenshot, shows, startServer, until } from "./harness.mjs";
import { story } from "./story.mjs";

const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 390, height: 844 };

claim("the index lists agents and leads to them", async () => {
  const id = "travel/planner".replace("/", " & ");
  await new Agent(server.url, id).record({ type: "log", data: {} });
  const page = await open(browser, `${server.url}/`);
  const link = page.getByRole("link", { name: id });
  await link.waitFor();
  const other = new Agent(server.url, "a newcomer");
  await other.record({ type: "log", data: {} });
  await page.getByRole("link", { name: "a newcomer" }).waitFor();
  await screenshot(page, "index");
  await link.click();
  await shows(page, "h1", id);
  await shows(page, "#position", "0 of 1");
  assert.deepEqual(page.problems, []);
});

claim("the token leaves the address and comes with every request", async () => {
  const page = await open(browser, `${server.url}/agent/secretive/debug#token=s3cret`);
  await shows(page, "#connection", "Live");
  assert.equal(new URL(page.url()).hash, "");
  const request = page.waitForRequest(/debug\/pause$/);
  await page.keyboard.press("p");
  assert.equal((await request).headers().authorization, "Bearer s3cret");
});

claim("a token can be entered for a server that requires one, and a wrong one is refused", async () => {
  const guarded = await startServer({ flags: ["--token", "a-token-of-a-good-and-sufficient-length"] });
  try {
    const page = await open(browser, `${guarded.url}/agent/guarded/debug`);
    await shows(page, "#connection", "Ended");
    await page.getByLabel("Access token").fill("wrong");
    await page.getByRole("button", { name: "Use token" }).click();
    await page.getByRole("button", { name: "Use token" }).waitFor();
    await shows(page, "#connection", "Ended");
    assert.deepEqual(await axeFindings(page), []);
    await screenshot(page, "ended");
    await page.getByLabel("Access token").fill("a-token-of-a-good-and-sufficient-length");
    await page.getByRole("button", { name: "Use token" }).click();
    await shows(page, "#connection", "Live");
    await shows(page, "#mode", "Paused");
    assert.equal(await page.locator("#token-form").isVisible(), false);
    await page.locator("nav a").click();
    await page.getByRole("link", { name: "guarded" }).waitFor();
  } finally {
    await guarded.stop();
  }
});

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    claim(`axe finds nothing serious: ${colorScheme}, ${device}`, async () => {
      const { agent, page } = await attached(`planner ${colorScheme} ${device}`, { colorScheme, viewport });
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, `empty-${colorScheme}-${device}`);
      const { answer } = await story(agent, page);
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, `held-${colorScheme}-${device}`);
      await page.locator("#clear").click();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, `clear-${colorScheme}-${device}`);
      await page.keyboard.press("Escape");
      await page.locator("#confirm-clear").waitFor({ state: "hidden" });
      const index = await open(browser, `${server.url}/`, { colorScheme, viewport });
      await index.locator("#agents").waitFor();
      assert.deepEqual(await axeFindings(index), []);
      await screenshot(index, `index-${colorScheme}-${device}`);
      await page.keyboard.press("c");
      await answer;
    });
  }
}

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    claim(`axe finds nothing serious in decisions and in the form of a breakpoint: ${colorScheme}, ${device}`, async () => {
      const { agent, page } = await attached(`control ${colorScheme} ${device}`, { colorScheme, viewport });
      const look = async (name) => {
        assert.deepEqual(await axeFindings(page), []);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
        await screenshot(page, `${name}-${colorScheme}-${device}`);
      };
      await page.locator("#breakpoints-button").click();
      await look("breakpoints-none");
      await page.locator("#breakpoints-button").click();
      const gate = { types: ["tool_call"], name: "book_*", unattended: "hold", timeout_ms: 900_000 };
      await agent.post("breakpoints", JSON.stringify(gate));
      await agent.post("breakpoints", '{"types":["prompt","response"],"condition":"run.tokens > 50000","once":true,"enabled":false}');
      await agent.post("breakpoints", '{"types":["tool_result"],"log_message":"{event.name} took {event.duration_ms} ms"}');
      const { answer } = await story(agent, page);
      await until("the line says why", async () => /gate/.test(await page.locator("#now").textContent()));
      await look("gate");
      await page.locator(".verbs").getByRole("button", { name: "Edit" }).click();
      await look("edit");
      await page.locator("#decision-data").fill('{\n  "args": { "from": "MAD", "to": "LIS", }\n}');
      await look("edit-fault");
      await page.locator("#breakpoints-button").click();
      await page.locator("[data-id=b3]").waitFor();
      await look("breakpoints-list");
      await page.getByRole("button", { name: "Break here" }).click();
      await page.locator("#bp-condition").fill("repeats >= 1");
      await page.locator("#bp-test").click();
      await page.locator("#bp-hits button").first().waitFor();
      await look("breakpoints-form");
      await page.locator("[name=gate]").check();
      await page.locator("#bp-run-kind").selectOption("one");
      await page.locator("#bp-run").fill("critic-2");
      await page.locator("#bp-condition").fill("event.data.price > limit");
      await page.locator("#bp-save").click();
      await page.locator("#bp-condition-error:not([hidden])").waitFor();
      await look("breakpoints-error");
      await page.locator("#bp-cancel").click();
      await page.locator("#close-breakpoints").click();
      await page.locator("#run").selectOption("run:critic-2");
      await until("the run's rows are shown", async () => /of/.test(await page.locator("#shown").textContent()));
      await look("run");
      await page.locator("#help-button").click();
      await look("help");
      await page.keyboard.press("Escape");
      const [{ seq }] = (await agent.status()).held;
      await agent.post("release", JSON.stringify({ seq, action: "proceed" }));
      await answer;
    });
  }
}

claim("nothing is out of reach at 200 % zoom", async () => {
  const { agent, page } = await attached(undefined, { viewport: { width: 640, height: 400 } });
  const { answer } = await story(agent, page);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  await page.locator("#details .json").last().scrollIntoViewIfNeeded();
  await screenshot(page, "zoomed");
  await page.locator("#step").click();
  assert.equal((await answer).outcome, "stepped");
});
