// What every file of claims starts with: one server, one browser, and a page of its own for every claim.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Agent, open, shows, startBrowser, startServer } from "./harness.mjs";

export let server;
export let browser;
let number = 0;

/** A hold that is never released would block a test for ever, so that every claim has a time limit. */
export const claim = (name, body, timeout = 60_000) => test(name, { timeout }, body);

before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await server?.stop();
});
afterEach(async () => {
  const violations = browser.contexts().flatMap((context) => context.pages()).flatMap((page) => page.violations);
  for (const context of browser.contexts()) await context.close();
  assert.deepEqual(violations, [], "no page threw, opened a dialog or tripped its security policy");
});

/** An agent that no other test knows, and its page, attached. */
export async function attached(id = `agent ${(number += 1)}`, options = {}, base = server.url) {
  const agent = new Agent(server.url, id);
  const page = await open(browser, agent.base.replace(server.url, base) + (options.query ?? ""), options);
  await shows(page, "#connection", "Live");
  return { agent, page };
}

/** The rows of events that are in the document: those in sight and some around them. */
export const rows = (page) => page.locator("#timeline .row:not(.root)");
/** How many rows the timeline has, in sight or not, as it tells a screen reader. */
export const size = async (page) => Number((await page.locator("#timeline [aria-setsize]").first().getAttribute("aria-setsize", { timeout: 500 }).catch(() => 0)) ?? 0);
export const rowTexts = (page, part) => page.locator(`#timeline .row ${part}`).allTextContents();
export const whenHeld = (page, count) => shows(page, "#held", String(count));
