// The debugger page in a real browser against the real server: the stream, the timeline and the basic controls. Every
// test is a claim about what a person sees and can do.

import assert from "node:assert/strict";
import { attached, browser, claim, rows, rowTexts, server, size, whenHeld } from "./fixture.mjs";
import { Agent, open, screenshot, shows, startProxy, startServer, until } from "./harness.mjs";

claim("attaching pauses the agent, and the page says so", async () => {
  const { agent, page } = await attached();
  await shows(page, "#mode", "Paused");
  await shows(page, "#subscribers", "1 debugger");
  await shows(page, "#position", "0 of 0");
  assert.match(await page.title(), /Agent Debugger/);
  assert.match(await page.locator("#empty").textContent(), /Waiting for the first step of/);
  assert.match(await page.locator("#curl").textContent(), /curl '.*\/agent\/agent%20\d+\/debug\/trace/);
  assert.equal((await agent.status()).mode, "paused");
  assert.deepEqual(page.problems, []);
});

claim("events appear in order, those from before and those that come", async () => {
  const agent = new Agent(server.url, "in order");
  for (let i = 1; i <= 3; i += 1) await agent.record({ type: "log", data: { text: `early ${i}` } });
  const { page } = await attached("in order");
  for (let i = 4; i <= 6; i += 1) await agent.record({ type: "tool_call", name: "search", data: { query: `late ${i}` } });
  await until("six rows are shown", async () => (await rows(page).count()) === 6);
  assert.deepEqual(await rowTexts(page, ".seq"), ["1", "2", "3", "4", "5", "6"]);
  assert.deepEqual((await rowTexts(page, ".snippet"))[0], "early 1");
  assert.deepEqual((await rowTexts(page, ".name:not(:empty)")), ["search", "search", "search"]);
  await shows(page, "#position", "0 of 6");
  assert.equal(await rows(page).last().getAttribute("aria-selected"), "true");
});

claim("a held step is stepped with the keyboard, and the agent is answered so", async () => {
  const { agent, page } = await attached();
  const answer = agent.trace({ type: "prompt", data: { text: "May I?" } });
  await whenHeld(page, 1);
  await shows(page, "#timeline .badge", "held");
  assert.match(await page.locator("#now").textContent(), /Held at #1 prompt/);
  await page.keyboard.press("s");
  assert.equal((await answer).outcome, "stepped");
  await shows(page, "#position", "1 of 1");
  await shows(page, "#timeline .badge", "stepped");
  await whenHeld(page, 0);
  await until("the hold was announced", async () => /held/.test(await page.locator("#live").textContent()));
  assert.deepEqual(page.problems, []);
});

claim("each press of step lets exactly one held step go, the oldest first", async () => {
  const { agent, page } = await attached();
  const first = agent.trace({ type: "tool_call", name: "first", data: {} });
  await whenHeld(page, 1);
  const second = agent.trace({ type: "tool_call", name: "second", data: {} });
  await whenHeld(page, 2);
  await page.keyboard.press("F11");
  assert.equal((await first).outcome, "stepped");
  await whenHeld(page, 1);
  assert.equal((await agent.status()).held[0].name, "second");
  await page.locator("#step").click();
  assert.equal((await second).outcome, "stepped");
});

claim("continue lets everything go, pause holds the next step again", async () => {
  const { agent, page } = await attached();
  const answers = [agent.trace({ type: "log", data: {} }), agent.trace({ type: "log", data: {} })];
  await whenHeld(page, 2);
  await page.keyboard.press("c");
  assert.deepEqual((await Promise.all(answers)).map(({ outcome }) => outcome), ["continued", "continued"]);
  await shows(page, "#mode", "Running");
  assert.equal((await agent.trace({ type: "log", data: {} })).outcome, "not_held");
  await page.keyboard.press("p");
  await shows(page, "#mode", "Paused");
  const held = agent.trace({ type: "log", data: {} });
  await whenHeld(page, 1);
  await page.keyboard.press("F8");
  assert.equal((await held).outcome, "continued");
  await shows(page, "#position", "4 of 4");
});

claim("stop ends the run of a held step whose agent accepts that, and says why it cannot end another", async () => {
  const { agent, page } = await attached();
  assert.match(await page.locator("#stop").getAttribute("title"), /Nothing is held/);
  const deaf = agent.trace({ type: "prompt", data: {} });
  await whenHeld(page, 1);
  assert.equal(await page.locator("#stop").isDisabled(), true);
  assert.match(await page.locator("#stop").getAttribute("title"), /does not accept/);
  await page.keyboard.press("s");
  await deaf;
  const obedient = agent.trace({ type: "prompt", data: {}, accepts: ["abort"] });
  await whenHeld(page, 1);
  await page.locator("#stop:enabled").click();
  const { outcome, decision } = await obedient;
  assert.equal(outcome, "released");
  assert.equal(decision.action, "abort");
  await until("the row says so", async () => (await rowTexts(page, ".badge"))[1] === "abort");
});

claim("clear asks first, drops the trace, sets the counters to zero, and counting continues from there", async () => {
  const { agent, page } = await attached();
  for (let i = 0; i < 3; i += 1) await agent.record({ type: "log", data: {} });
  const held = agent.trace({ type: "prompt", data: {} });
  await whenHeld(page, 1);
  await page.keyboard.press("s");
  await held;
  await shows(page, "#position", "1 of 4");
  await page.locator("#clear").click();
  await page.locator("#confirm-clear [data-close]").first().click();
  assert.equal((await agent.status()).total_events, 4);
  await page.locator("#clear").click();
  await page.locator("#clear-confirmed").click();
  await shows(page, "#position", "0 of 0");
  await until("no row is left", async () => (await rows(page).count()) === 0);
  assert.equal(await page.locator("#empty").isVisible(), true);
  await agent.record({ type: "log", data: {} });
  await shows(page, "#position", "0 of 1");
});

claim("a reload does not let a held agent go", async () => {
  const { agent, page } = await attached();
  let answered = false;
  const answer = agent.trace({ type: "prompt", data: { text: "Still here?" } });
  answer.then(() => (answered = true));
  await whenHeld(page, 1);
  await page.reload();
  await whenHeld(page, 1);
  assert.equal(answered, false);
  await shows(page, "#position", "0 of 1");
  await page.keyboard.press("s");
  assert.equal((await answer).outcome, "stepped");
});

claim("a connection that is cut is resumed without loss and without doubling", async () => {
  const proxy = await startProxy(server.port);
  try {
    const { agent, page } = await attached("cut off", {}, proxy.url);
    for (let i = 0; i < 3; i += 1) await agent.record({ type: "log", data: {} });
    await shows(page, "#position", "0 of 3");
    const held = agent.trace({ type: "prompt", data: {} });
    await whenHeld(page, 1);
    proxy.cut();
    await agent.record({ type: "log", data: {} });
    await until("all five rows are shown", async () => (await rows(page).count()) === 5);
    await shows(page, "#connection", "Live");
    await shows(page, "#position", "0 of 5");
    assert.deepEqual(await rowTexts(page, ".seq"), ["1", "2", "3", "4", "5"]);
    await agent.record({ type: "log", data: {} });
    await shows(page, "#position", "0 of 6");
    await page.keyboard.press("s");
    assert.equal((await held).outcome, "stepped");
  } finally {
    proxy.stop();
  }
});

claim("the counters are right after a reconnect even where the server trimmed what it had sent", async () => {
  const small = await startServer({ flags: ["--max-events-per-agent", "5"] });
  const proxy = await startProxy(small.port);
  try {
    const agent = new Agent(small.url, "trimmed");
    for (let i = 0; i < 5; i += 1) await agent.record({ type: "log", data: {} });
    const page = await open(browser, agent.base.replace(small.url, proxy.url));
    await shows(page, "#position", "0 of 5");
    proxy.cut();
    await Promise.all([1, 2, 3].map(() => agent.record({ type: "log", data: {} })));
    await until("all eight rows are shown", async () => (await rows(page).count()) === 8);
    await shows(page, "#position", "0 of 5");
    await agent.record({ type: "log", data: {} });
    await until("nine rows are shown", async () => (await rows(page).count()) === 9);
    await shows(page, "#position", "0 of 5");
  } finally {
    proxy.stop();
    await small.stop();
  }
});

claim("when the server comes back on its port the page follows, with the counters of the new trace", async () => {
  const first = await startServer();
  let second;
  try {
    const agent = new Agent(first.url, "phoenix");
    for (let i = 0; i < 3; i += 1) await agent.record({ type: "log", data: {} });
    const page = await open(browser, agent.base);
    await shows(page, "#position", "0 of 3");
    await first.stop();
    await shows(page, "#connection", "Reconnecting");
    assert.equal(await page.locator("#disconnected").isVisible(), true);
    await screenshot(page, "disconnected");
    second = await startServer({ port: first.port });
    await shows(page, "#connection", "Live");
    await shows(page, "#position", "0 of 0");
    await agent.record({ type: "log", data: {} });
    await shows(page, "#position", "0 of 1");
    await until("its row is there", async () => (await rowTexts(page, ".seq")).join() === "1");
  } finally {
    await first.stop();
    await second?.stop();
  }
});

claim("what an agent sends stays text, however hostile, and nothing trips the security policy", async () => {
  const id = `<img src=x onerror=alert(1)> \u202Eevil'"`;
  const { agent, page } = await attached(id);
  const markup = "<script>alert(1)</script><img src=x onerror=alert(2)><svg onload=alert(3)>";
  await agent.record({ type: "log", name: markup, run_id: "<b>run</b>", data: { text: markup } });
  await agent.record({ type: "log", name: "\u202Etxt.exe", data: { text: "a\u0000b \u202E reversed \u2066 \u{E0041}", [markup]: markup } });
  await agent.record({ type: "error", data: { text: "x".repeat(1024 * 1024) } });
  await agent.record({ type: "log", data: JSON.parse('{"__proto__":{"text":"own"},"constructor":1}') });
  await until("four rows are shown", async () => (await rows(page).count()) === 4);
  const labels = await rowTexts(page, ".label");
  assert.ok(labels[0].includes(markup));
  assert.ok(labels[1].includes("[U+202E]txt.exe") && labels[1].includes("a␀b") && labels[1].includes("[U+E0041]"));
  assert.ok(labels[2].length <= 210);
  assert.equal(await page.locator("#timeline img, #timeline script, #timeline svg, h1 img").count(), 0);
  await rows(page).nth(1).click();
  const json = await page.locator("#details .json").textContent();
  assert.ok(json.includes("a\\u0000b \\u202e reversed") && json.includes("\\udb40\\udc41"));
  await rows(page).nth(2).click();
  await page.getByText("Show all").last().click();
  await until("all of it is shown", async () => (await page.locator("#details .json").textContent()).length > 1024 * 1024);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
  assert.deepEqual(page.problems, []);
  // The silence above means something only if the policy is in force and its reports arrive here.
  await page.evaluate(() => document.body.setAttribute("style", "color: red"));
  await until("the policy reports", async () => page.problems.some((problem) => problem.includes("style-src")));
  page.violations.length = 0;
});

claim("numbers are shown digit for digit", async () => {
  const { agent, page } = await attached();
  const data = '{"id":12345678901234567890123,"price":1.10,"tiny":1e-400,"list":[9007199254740993,-0.0]}';
  await agent.trace(`{"type":"log","hold":"never","token_count":9007199254740993,"data":${data}}`);
  await until("the details are shown", async () => (await page.locator("#details .json").count()) === 1);
  const shown = (await page.locator("#details .json").textContent()).replace(/\s/g, "");
  assert.equal(shown, data);
  assert.equal(await page.locator("#details [data-field=token_count] dd").textContent(), "9007199254740993");
});

claim("an older event stays selected while new ones arrive, until the newest is followed again", async () => {
  const { agent, page } = await attached();
  for (let i = 1; i <= 50; i += 1) await agent.record({ type: "log", data: { text: `line ${i}` } });
  await until("the newest is selected", async () => (await page.locator("[aria-selected=true] .seq").allTextContents())[0] === "50");
  await page.keyboard.press("k");
  await page.keyboard.press("k");
  await agent.record({ type: "log", data: {} });
  await until("51 rows are shown", async () => (await size(page)) === 51);
  assert.equal(await page.locator("[aria-selected=true] .seq").textContent(), "48");
  assert.match(await page.locator("#details .json").textContent(), /line 48/);
  await page.locator("#follow").click();
  await until("the newest is selected", async () => (await page.locator("[aria-selected=true] .seq").textContent()) === "51");
  await page.locator("[aria-selected=true]").focus();
  await page.keyboard.press("Home");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.seq), "1");
});

claim("keys do nothing while a dialog is open, and the help says what they do", async () => {
  const { agent, page } = await attached();
  const held = agent.trace({ type: "log", data: {} });
  await whenHeld(page, 1);
  await page.keyboard.press("?");
  assert.equal(await page.locator("#help").isVisible(), true);
  await page.keyboard.press("s");
  await screenshot(page, "help");
  await page.keyboard.press("Escape");
  await page.locator("#help").waitFor({ state: "hidden" });
  assert.equal((await agent.status()).held.length, 1);
  await page.keyboard.press("s");
  assert.equal((await held).outcome, "stepped");
});

claim("an observer holds nothing, says so, and can become a debugger", async () => {
  const { agent, page } = await attached(undefined, { query: "?mode=observe" });
  assert.equal(await page.locator("#observing").isVisible(), true);
  await shows(page, "#mode", "Detached");
  assert.equal((await agent.trace({ type: "log", data: {} })).outcome, "not_held");
  await page.locator("#debug-agent").click();
  await shows(page, "#mode", "Paused");
});

claim("an error of the server is shown in its own words", async () => {
  const { agent, page } = await attached();
  const held = agent.trace({ type: "prompt", data: {}, accepts: ["abort"] });
  await whenHeld(page, 1);
  // The button is left with a step that is gone, as if another subscriber had been faster.
  await page.evaluate(() => (document.getElementById("stop").dataset.body = '{"seq":99,"action":"abort"}'));
  await page.locator("#stop").click();
  await until("the alert is there", async () => /99|held/.test(await page.locator("#alerts").textContent()));
  await page.keyboard.press("s");
  assert.equal((await held).outcome, "stepped");
  await until("the alert is gone", async () => (await page.locator("#alerts").textContent()) === "");
});

claim("no response is parsed as markup, and none of its headers leads the page elsewhere", async () => {
  const { page } = await attached("answers");
  const markup = "<img src=x onerror=alert(1)><div hx-swap-oob=true id=now>gone</div>\u202e";
  const before = page.url();
  for (const status of [409, 200]) {
    await page.route(/debug\/step$/, (route) => route.fulfill({
      status,
      contentType: "text/html",
      headers: { "HX-Redirect": "/", "HX-Refresh": "true", "HX-Retarget": "#details", "HX-Reswap": "innerHTML" },
      body: status === 409 ? JSON.stringify({ error: markup }) : markup,
    }));
    const answered = page.waitForResponse(/debug\/step$/);
    await page.locator("#step").click();
    await (await answered).finished();
    if (status === 409) await until("the error is text", async () => (await page.locator("#alerts span").allTextContents()).join() === markup.replace("\u202e", "[U+202E]"));
    else await until("the alert is gone", async () => (await page.locator("#alerts").textContent()) === "");
    assert.equal(await page.locator("img, [hx-swap-oob]").count(), 0);
    await page.unroute(/debug\/step$/);
  }
  assert.equal(page.url(), before);
  assert.deepEqual(page.problems.filter((one) => !/409/.test(one)), []);
});

claim("ten thousand events stay within bounds, and the page still answers quickly", async () => {
  const agent = new Agent(server.url, "many");
  for (let i = 0; i < 10_050; i += 50) {
    await Promise.all(Array.from({ length: 50 }, () => agent.record({ type: "log", data: { text: "one of many" } })));
  }
  const { page } = await attached("many");
  await shows(page, "#shown", "10,000");
  await until("the last row is there", async () => (await rows(page).last().locator(".seq").textContent()) === "10050");
  await agent.record({ type: "log", data: {} });
  await until("the newest row is there", async () => (await rows(page).last().locator(".seq").textContent()) === "10051");
  assert.equal(await size(page), 10_000);
  assert.ok((await rows(page).count()) < 100, "only rows in sight are in the document");
  await shows(page, "#position", "0 of 10,000");
  const ms = await page.evaluate(async () => {
    const start = performance.now();
    for (let i = 0; i < 20; i += 1) {
      document.dispatchEvent(new KeyboardEvent("keydown", { key: "k", bubbles: true }));
      await new Promise(requestAnimationFrame);
    }
    return (performance.now() - start) / 20;
  });
  assert.ok(ms < 100, `a key takes ${ms} ms`);
});
