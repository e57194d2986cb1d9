// Fork from here: the request reaches the server, its plan is shown, and the steps of a fork show their origin.

import assert from "node:assert/strict";
import { attached, browser, claim, rows, server, whenHeld } from "./fixture.mjs";
import { axeFindings, open, screenshot, shows, until } from "./harness.mjs";
import { ALL, record, steps, tell } from "./runs.mjs";

const says = (page, selector, pattern) => until(`${selector} says ${pattern}`, async () => pattern.test(await page.locator(selector).first().textContent()));

/** An agent with a recorded run, its page observing, and a step of it selected. */
async function forking(seq, id, options) {
  const { agent, page } = await attached(id, { query: "?mode=observe", ...options });
  await record(agent, "first");
  await page.locator(`#timeline [data-seq="${seq}"]`).click();
  await says(page, "#details .details-title", new RegExp(`#${seq}`));
  return { agent, page };
}

/** What the page sends, and the run that comes of it. */
async function send(page) {
  const request = page.waitForRequest(/debug\/fork$/);
  await page.locator("#fork-send").click();
  await page.locator("#fork-done").waitFor();
  return { body: (await request).postData(), run: await page.locator(".fork-run code").textContent() };
}

claim("a fork asks for what was written, digit for digit, and tells its plan and how to start the agent", async () => {
  const { agent, page } = await forking(3, "release 'notes'");
  await page.locator("#details .details-title").click();
  await page.keyboard.press("f");
  await page.locator("#fork-form").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "fork-edit-data");
  await says(page, "#fork-changed", /As recorded/);
  await page.locator("#fork-edit-data").fill('{"since": 2.30, "big": 12345678901234567890}');
  await says(page, "#fork-changed", /Changed/);
  await page.locator("#fork-model").fill("large");
  await page.locator("#fork-mutating").selectOption("block");
  await page.locator("#fork-more summary").click();
  await page.locator("#fork-divergence").selectOption("fail");
  await page.locator("#fork-ignore").fill("$.sent_at\n\n  $..timestamp ");
  await screenshot(page, "fork-form");
  const { body, run } = await send(page);
  assert.match(body, /"data":\{"since":2\.30,"big":12345678901234567890\}\}$/);
  const { data: _, ...asked } = JSON.parse(body);
  assert.deepEqual(asked, {
    run_id: "first", seq: 3, model: "large", on_divergence: "fail", ignore: ["$.sent_at", "$..timestamp"],
    effects: { pure: "run", read: "run", idempotent: "ask", mutating: "block", unknown: "ask" },
  });
  await says(page, ".fork-summary", /1 served from record, then live: 1 prompt to large, .*1 mutating call will be blocked/);
  await says(page, ".plan", /From the record1 step.*Live1 prompt to large.*1 mutating call will be blocked/);
  const lines = await page.locator(".fork-start pre").allTextContents();
  const quoted = `'release '\\''notes'\\'''`;
  assert.equal(lines[0], `agent-debugger run --url=${server.url} --agent=${quoted} --run=${run} -- COMMAND`);
  assert.equal(lines[1], `AGENT_DEBUGGER_URL=${server.url} AGENT_DEBUGGER_AGENT_ID=${quoted} AGENT_DEBUGGER_RUN_ID=${run} COMMAND`);
  await screenshot(page, "fork-done");
  await page.getByRole("button", { name: "Show this run" }).click();
  assert.equal(await page.locator("#run").inputValue(), `run:${run}`);
  const [first] = steps();
  assert.deepEqual((await tell(agent, run, first)).decision.action, "fulfil");
  await shows(page, "#shown", "1 of 9");
  await says(page, "#details .details-title", /from the record/);
  await page.locator("#details [data-field=source_seq] a").click();
  await says(page, "#details .details-title", /^#1 /);
  assert.deepEqual(page.problems, []);
});

claim("a fork as it was recorded sends no data, and a closing is forked by its output", async () => {
  const { page } = await forking(4);
  await page.getByRole("button", { name: "Fork from here" }).click();
  await says(page, "#fork-what", /answered with this output/);
  assert.match(await page.locator("#fork-data label").textContent(), /^Output/);
  // Only the layout differs.
  await page.locator("#fork-edit-data").fill('{ "changes" : ["retry uploads",\n"dark mode"]}');
  const { body } = await send(page);
  assert.equal("data" in JSON.parse(body), false);
  await page.keyboard.press("Escape");
  await page.locator("#fork").waitFor({ state: "hidden" });
});

claim("what is wrong is said beside the field that it names", async () => {
  const { agent, page } = await forking(3);
  await page.keyboard.press("f");
  await page.locator("#fork-edit-data").fill("[1]");
  await says(page, "#fork-edit-data-error", /the start of an object/);
  assert.equal(await page.locator("#fork-send").isDisabled(), true);
  await page.locator("#fork-reset").click();
  await page.locator("#fork-model").fill("m".repeat(300));
  await page.locator("#fork-send").click();
  await says(page, "#fork-model-error", /model must be at most 200 bytes/);
  assert.equal(await page.evaluate(() => document.activeElement.id), "fork-model");
  await page.locator("#fork-model").fill("");
  await page.locator("#fork-more summary").click();
  await page.locator("#fork-ignore").fill("nope");
  await page.locator("#fork-more summary").click();
  await page.locator("#fork-send").click();
  await says(page, "#fork-ignore-error", /ignore holds "nope"/);
  assert.equal(await page.locator("#fork-ignore").getAttribute("aria-invalid"), "true");
  assert.equal(await page.locator("#fork-ignore").isVisible(), true);
  assert.deepEqual(await axeFindings(page), []);
  await screenshot(page, "fork-refused");
  await page.keyboard.press("Escape");
  // An agent that accepts no edit cannot be forked, which no field of the form is about.
  await agent.record({ type: "prompt", run_id: "deaf", data: {} });
  await page.locator('#timeline [data-seq="9"]').click();
  await page.keyboard.press("f");
  await page.locator("#fork-send").click();
  await says(page, "#fork-error", /event 9 does not accept edit/);
});

claim("a fork made elsewhere is in the panel of runs at once, and is announced", async () => {
  const { agent, page } = await forking(1);
  await page.keyboard.press("r");
  const mode = await page.locator("#mode").textContent();
  // The server has not said yet what the new run does: that says nothing of what the agent does.
  await page.route("**/debug/status", () => {});
  const { run_id: run } = await agent.post("fork", '{"run_id":"first","seq":7}');
  const row = page.locator("#run-list li", { hasText: run });
  await row.waitFor();
  await until("it says where it is from", async () => /not started.*forked from first at #7/.test(await row.textContent()));
  await says(page, "#live", new RegExp(`first was forked as run ${run}\\. 3 served from record`));
  assert.equal(await page.locator("#mode").textContent(), mode);
  // The page is answered again.
  await page.unroute("**/debug/status");
  assert.equal(await page.locator("#alerts").textContent(), "");
  await row.getByRole("button", { name: `More actions for ${run}` }).click();
  await row.getByRole("button", { name: `Compare with source: ${run}` }).click();
  await says(page, "#compare-title", new RegExp(`Compare first with ${run}`));
});

claim("a step that the record does not have is held, says what differs, and its path can be left out of a new fork", async () => {
  const { agent, page } = await forking(5);
  await page.keyboard.press("f");
  await page.locator("#fork-model").fill("large");
  const { run } = await send(page);
  await page.keyboard.press("Escape");
  const [first] = steps();
  const held = tell(agent, run, { ...first, data: { ...first.data, sent_at: "11:30" } });
  await whenHeld(page, 1);
  await says(page, "#now", /not in the record of the source run/);
  await page.locator("#held-link").click();
  await says(page, "#details .divergence", /Not in the record, nearest step #1.*\$\.sent_at.*− "10:00"\s*\+ "11:30"/s);
  assert.deepEqual(await axeFindings(page), []);
  await screenshot(page, "divergence");
  await page.getByRole("button", { name: "Ignore this path" }).click();
  await says(page, "#fork-title", /Fork from #5/);
  assert.deepEqual([await page.locator("#fork-ignore").inputValue(), await page.locator("#fork-model").inputValue()], ["$.sent_at", "large"]);
  const again = await send(page);
  assert.deepEqual(JSON.parse(again.body).ignore, ["$.sent_at"]);
  await page.keyboard.press("Escape");
  assert.equal((await tell(agent, again.run, { ...first, data: { ...first.data, sent_at: "11:31" } })).decision.action, "fulfil");
  await agent.post("release", JSON.stringify({ seq: 9, action: "fail", message: "no" }));
  await held;
});

claim("a call with an effect is held in a fork, and the header says why", async () => {
  const { agent, page } = await forking(5);
  const { run_id: run } = await agent.post("fork", '{"seq":5}');
  for (const step of steps().slice(0, 6)) await tell(agent, run, step);
  const held = tell(agent, run, steps()[6]);
  await whenHeld(page, 1);
  await says(page, "#now", /publish of run .*waits for approval of its side effect/);
  await page.locator("#held-link").click();
  await page.locator(".decision").waitFor();
  await page.keyboard.press("y");
  assert.equal((await held).decision.action, "proceed");
});

claim("hostile names stay text in the form, in the plan and in the commands", async () => {
  const markup = `<img src=x onerror=alert(1)>'\u202e$(id)`;
  const { agent, page } = await attached(markup, { query: "?mode=observe" });
  await agent.record({ type: "prompt", name: markup, run_id: markup, model: markup, accepts: ALL, data: { [markup]: markup } });
  await rows(page).first().click();
  await page.keyboard.press("f");
  await page.locator("#fork-model").fill(markup);
  await screenshot(page, "fork-hostile");
  const { run } = await send(page);
  assert.match(await page.locator("#fork-done").textContent(), /1 prompt to <img src=x/);
  const [, line] = await page.locator(".fork-start pre").allTextContents();
  assert.ok(line.includes(`AGENT_DEBUGGER_AGENT_ID='<img src=x onerror=alert(1)>'\\''[U+202E]$(id)' AGENT_DEBUGGER_RUN_ID=${run} COMMAND`), line);
  assert.equal(await page.locator("#fork img").count(), 0);
});

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desktop", { width: 1280, height: 800 }], ["phone", { width: 390, height: 844 }]]) {
    claim(`axe finds nothing serious in the form and the plan of a fork: ${colorScheme}, ${device}`, async () => {
      const { page } = await forking(3, `forked ${colorScheme} ${device}`, { colorScheme, viewport });
      await page.keyboard.press("f");
      await page.locator("#fork-form").waitFor();
      assert.deepEqual(await axeFindings(page), []);
      await screenshot(page, `fork-form-${colorScheme}-${device}`);
      await send(page);
      assert.deepEqual(await axeFindings(page), []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      await screenshot(page, `fork-done-${colorScheme}-${device}`);
    });
  }
}
