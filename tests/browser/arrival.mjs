// Arriving from another site: the page observes until the person asks to debug. A link or a script elsewhere pauses no agent.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { browser, claim, server, whenHeld } from "./fixture.mjs";
import { Agent, axeFindings, open, screenshot, shows, until } from "./harness.mjs";

/** Has the server's page say that it was opened by another site, as for a navigation with `Sec-Fetch-Site: cross-site`. */
const fromElsewhere = (page) => page.route(/\/debug(\?|#|$)/, async (route) => {
  if (route.request().resourceType() !== "document") return route.fallback();
  const response = await route.fetch();
  const body = (await response.text()).replace("<html ", '<html data-arrival="cross-site" ');
  return route.fulfill({ response, body });
});
const debuggers = async (agent) => (await agent.status()).debuggers;
const observers = async (agent) => (await agent.status()).observers;

async function arriving(id, query = "") {
  const agent = new Agent(server.url, id);
  const page = await open(browser, "about:blank");
  await fromElsewhere(page);
  await page.goto(agent.base + query);
  await shows(page, "#connection", "Live");
  return { agent, page };
}

claim("a page that another site opened observes, and one click makes it a debugger that stays one", async () => {
  const { agent, page } = await arriving("visited", "?run=trip&view=tree#seq=1");
  assert.deepEqual([await debuggers(agent), await observers(agent)], [0, 1]);
  assert.equal((await agent.trace({ type: "prompt", run_id: "trip", data: {} })).outcome, "not_held");
  await shows(page, "#mode", "Detached");
  await until("it says why", async () => /Observing\. This page was opened from another site/.test(await page.locator("#observing").textContent()));
  assert.deepEqual(await axeFindings(page), []);
  await screenshot(page, "arrival");
  await page.getByRole("button", { name: "Debug this agent" }).click();
  await until("it is a debugger", async () => (await debuggers(agent)) === 1 && (await observers(agent)) === 0);
  assert.equal(await page.locator("#observing").isVisible(), false);
  const held = agent.trace({ type: "prompt", run_id: "trip", data: {} });
  await whenHeld(page, 1);
  assert.match(page.url(), /\?run=trip&view=tree#seq=\d$/, "what was looked at stays");
  // A reload must not let the agent go, though the server says once more where the page was opened from.
  await page.reload();
  await whenHeld(page, 1);
  assert.equal(await debuggers(agent), 1);
  await page.keyboard.press("s");
  assert.equal((await held).outcome, "stepped");
  assert.deepEqual(page.problems, []);
});

claim("the decision to debug is about this visit: another visit from another site observes again", async () => {
  const { agent, page } = await arriving("visited twice");
  await page.locator("#debug-agent").click();
  await until("it is a debugger", async () => (await debuggers(agent)) === 1);
  await page.goto("about:blank");
  await page.goto(agent.base);
  await shows(page, "#connection", "Live");
  assert.equal(await page.locator("#observing").isVisible(), true);
  await until("it observes", async () => (await observers(agent)) === 1);
});

claim("an address that asks to observe does so no longer once the person debugs", async () => {
  const agent = new Agent(server.url, "changed mind");
  const page = await open(browser, `${agent.base}?mode=observe&view=list`);
  await shows(page, "#connection", "Live");
  await page.locator("#debug-agent").focus();
  await page.keyboard.press("Enter");
  await until("it is a debugger", async () => (await debuggers(agent)) === 1);
  assert.equal(page.url(), `${agent.base}?view=list`);
  assert.equal(await page.evaluate(() => document.activeElement.id), "step");
  await page.reload();
  await until("it still is", async () => (await debuggers(agent)) === 1 && (await observers(agent)) === 0);
});

claim("typing the address, and a link of this site, debug", async () => {
  const agent = new Agent(server.url, "at home");
  await agent.record({ type: "log", data: {} });
  const page = await open(browser, agent.base);
  await until("it is a debugger", async () => (await debuggers(agent)) === 1);
  await page.goto(server.url);
  await page.getByRole("link", { name: "at home" }).click();
  await shows(page, "#connection", "Live");
  assert.equal(await page.locator("#observing").isVisible(), false);
  await until("it is a debugger", async () => (await debuggers(agent)) === 1);
});

claim("a referrer of another site is enough, for a browser that does not say where a navigation comes from", async () => {
  const agent = new Agent(server.url, "referred");
  const elsewhere = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/html").end(`<a referrerpolicy="unsafe-url" href="${agent.base}">look</a>`);
  });
  await new Promise((resolve) => elsewhere.listen(0, "127.0.0.1", resolve));
  try {
    const page = await open(browser, `http://127.0.0.1:${elsewhere.address().port}/`);
    await page.getByRole("link").click();
    await shows(page, "#connection", "Live");
    assert.equal(await page.locator("#observing").isVisible(), true);
    assert.deepEqual([await debuggers(agent), await observers(agent)], [0, 1]);
  } finally {
    elsewhere.close();
    elsewhere.closeAllConnections();
  }
});
