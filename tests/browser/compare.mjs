// Two runs side by side: what is the same is folded, where they part is shown, and the address says which two.

import assert from "node:assert/strict";
import { attached, browser, claim, server } from "./fixture.mjs";
import { Agent, axeFindings, open, screenshot, until } from "./harness.mjs";
import { ALL, record } from "./runs.mjs";

const says = (page, selector, pattern) => until(`${selector} says ${pattern}`, async () => pattern.test(await page.locator(selector).first().textContent()));
const listed = (page) => page.locator("#compare-list .row");

/** The same run twice, the second of another model, with another answer and without the last two steps. */
async function two(agent) {
  await record(agent, "first");
  await record(agent, "second", (step, i) => {
    if (i > 5) return null;
    if (i === 5) return { ...step, output_tokens: 120, token_count: 540, data: { text: "2.4: uploads are retried." } };
    return i === 4 ? { ...step, model: "large" } : step;
  });
}

async function comparing(id, options = {}) {
  const agent = new Agent(server.url, id);
  await two(agent);
  const page = await open(browser, `${agent.base}?mode=observe&left=first&right=second`, options);
  await listed(page).first().waitFor();
  return { agent, page };
}

claim("two runs are chosen in their panel, and shown in figures and in two columns", async () => {
  const { agent, page } = await attached("chosen", { query: "?mode=observe" });
  await two(agent);
  await page.keyboard.press("r");
  await page.locator("#compare-two").waitFor();
  await page.locator("#compare-one").selectOption("first");
  await page.locator("#compare-other").selectOption("second");
  await page.locator("#compare-two button").click();
  await listed(page).first().waitFor();
  const figures = await page.locator(".figures tr").allTextContents();
  assert.match(figures[1], /^first82201,570.*small$/);
  assert.match(figures[2], /^second62101,600.*large, small$/);
  assert.match(figures[3], /^Difference−2.*\+30.*differ$/);
  assert.deepEqual(await listed(page).evaluateAll((all) => all.map((row) => row.dataset.kind)), ["equal", "changed", "changed", "left", "left"]);
  assert.match(await listed(page).first().textContent(), /4 equal steps/);
  // It begins where they part.
  await says(page, "#compare-details", /prompt changed.*Differences.*model.*− "small"\s*\+ "large"/s);
  assert.equal(await page.locator("#panes").isVisible(), false);
  await until("the address says so", () => /left=first&right=second/.test(page.url()));
  await page.keyboard.press("r");
  await page.keyboard.press("r");
  await page.locator("#compare-title").focus();
  await page.keyboard.press("m");
  await says(page, "#compare-details", /response changed.*− .*dark mode.*\+ .*retried/s);
  await page.keyboard.press("m");
  await says(page, "#compare-details", /publish only in the left run.*second has no such step/s);
  await page.keyboard.press("M");
  await says(page, "#compare-details", /response changed/);
  await page.locator("#compare-first").click();
  await says(page, "#compare-details", /prompt changed/);
  assert.deepEqual(page.problems, []);
});

claim("the list is walked and unfolded by the keyboard, and escape goes back to the timeline", async () => {
  const { page } = await comparing("walked");
  const focused = () => page.evaluate(() => ({ kind: document.activeElement.dataset.kind, level: document.activeElement.ariaLevel, open: document.activeElement.ariaExpanded }));
  await page.locator("#compare-first").click();
  await page.keyboard.press("Home");
  assert.deepEqual(await focused(), { kind: "equal", level: "1", open: "false" });
  await page.keyboard.press("ArrowRight");
  assert.deepEqual(await focused(), { kind: "equal", level: "1", open: "true" });
  assert.equal(await listed(page).count(), 9);
  await page.keyboard.press("ArrowRight");
  assert.deepEqual(await focused(), { kind: "equal", level: "2", open: null });
  await says(page, "#compare-details", /prompt equal.*#1 first.*#9 second/s);
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await listed(page).count(), 5);
  await page.keyboard.press("End");
  assert.deepEqual(await focused(), { kind: "left", level: "1", open: null });
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "compare-details");
  await page.keyboard.press("k");
  assert.deepEqual(await focused(), { kind: "left", level: "1", open: null });
  await page.keyboard.press("Escape");
  await page.locator("#panes").waitFor();
  assert.equal(await page.locator("#compare").isVisible(), false);
});

claim("the address says which runs are compared: it can be shared, and back and forward go through it", async () => {
  const { page } = await comparing("shared");
  await says(page, "#compare-title", /Compare first with second/);
  await page.locator("#compare-swap").click();
  await until("the address says so", () => /left=second&right=first/.test(page.url()));
  await says(page, "#compare-title", /Compare second with first/);
  await page.locator("#compare-close").click();
  await until("the address says so", () => !page.url().includes("left="));
  await page.goBack();
  await says(page, "#compare-title", /Compare second with first/);
  await page.goBack();
  await says(page, "#compare-title", /Compare first with second/);
  await listed(page).nth(1).click();
  await page.locator("#compare-details").getByRole("button", { name: "Show step 13 in the timeline" }).click();
  await says(page, "#details .details-title", /^#13 /);
  assert.equal(await page.locator("#compare").isVisible(), false);
  assert.deepEqual(page.problems, []);
});

claim("a run with new steps is marked as such, and is compared again on demand", async () => {
  const { agent, page } = await comparing("goes on");
  await agent.record({ type: "log", run_id: "second", data: {} });
  await says(page, "#compare-state", /A run has new steps/);
  assert.equal(await listed(page).count(), 5);
  await page.locator("#compare-again").click();
  await until("the new step is there", async () => (await listed(page).count()) === 6);
  await says(page, "#compare-state", /^$/);
});

claim("the default run is a run, a run that is not there is said to be none, and the same runs are the same", async () => {
  const agent = new Agent(server.url, "edges");
  await record(agent, "");
  await record(agent, "twin");
  const page = await open(browser, `${agent.base}?mode=observe&left=&right=twin`);
  await says(page, "#compare-title", /Compare Default run with twin/);
  await says(page, ".figures-scroll .hint", /^8 equal steps$/);
  assert.deepEqual([await listed(page).count(), await page.locator("#compare-first").isDisabled()], [1, true]);
  await page.goto(`${agent.base}?mode=observe&left=twin&right=nobody`);
  await says(page, "#compare-error", /There is no run "nobody"/);
  assert.equal(await page.locator("#compare-panes").isVisible(), false);
});

claim("hostile names and values stay text", async () => {
  const agent = new Agent(server.url, "hostile runs");
  const markup = "<img src=x onerror=alert(1)>\u202e";
  for (const [run, value] of [[`${markup}a..b`, "<b>1</b>"], ["b", "<i>2</i>"]]) {
    await agent.record({ type: "prompt", name: markup, model: markup, run_id: run, accepts: ALL, data: { [markup]: value } });
  }
  const page = await open(browser, `${agent.base}?mode=observe&left=${encodeURIComponent(`${markup}a..b`)}&right=b`);
  await says(page, "#compare-details", /<img src=x onerror=alert\(1\)>\[U\+202E\].*<b>1<\/b>.*<i>2<\/i>/s);
  assert.equal(await page.locator("#compare :is(img, b, i)").count(), 0);
  assert.deepEqual(page.problems, []);
});

claim("two runs of thousands of steps cost no more than what is seen of them", async () => {
  const agent = new Agent(server.url, "long runs");
  for (const run of ["left", "right"]) {
    for (let i = 0; i < 1500; i += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, j) => agent.record({ type: "log", name: `${run} ${i + j}`, run_id: run, data: { i: i + j } })));
    }
  }
  const page = await open(browser, `${agent.base}?mode=observe&left=left&right=right`);
  await until("all are aligned", async () => Number(await listed(page).last().getAttribute("aria-posinset").catch(() => 0)) > 0);
  const nodes = () => page.locator("#compare-list *").count();
  assert.ok((await listed(page).count()) < 80 && (await nodes()) < 1500, `${await nodes()} nodes`);
  await listed(page).last().focus();
  await page.keyboard.press("End");
  assert.ok((await listed(page).count()) < 80 && (await nodes()) < 1500, `${await nodes()} nodes`);
}, 180_000);

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desktop", { width: 1280, height: 800 }], ["phone", { width: 390, height: 844 }]]) {
    claim(`axe finds nothing serious in a comparison: ${colorScheme}, ${device}`, async () => {
      const { page } = await comparing(`compared ${colorScheme} ${device}`, { colorScheme, viewport });
      await listed(page).first().click();
      await page.locator("#compare-first").click();
      assert.deepEqual(await axeFindings(page), []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      await screenshot(page, `compare-${colorScheme}-${device}`);
    });
  }
}
