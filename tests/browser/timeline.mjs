// The timeline: three views of one trace, what is selected in them and how it is linked to, search, and what becomes of
// all that when a trace is long, or hostile.

import assert from "node:assert/strict";
import { attached, browser, claim, rows, rowTexts, server, size, whenHeld } from "./fixture.mjs";
import { Agent, axeFindings, open, screenshot, shows, startServer, until } from "./harness.mjs";
import { story } from "./story.mjs";

const row = (page, seq) => page.locator(`#timeline [data-seq="${seq}"]`);
const selected = async (page) => (await page.locator("#timeline [aria-selected=true] .seq").allTextContents())[0];
const isSelected = (page, seq) => until(`#${seq} is selected`, async () => (await selected(page)) === String(seq));
const view = (page, name) => page.locator(`.views [data-view=${name}]`).click();
const addressIs = (page, pattern) => until(`the address is ${pattern}, not ${page.url()}`, async () => pattern.test(page.url()));
const inSight = (page, seq) => row(page, seq).evaluate((found) => {
  const [inner, outer] = [found.getBoundingClientRect(), document.getElementById("timeline").getBoundingClientRect()];
  return inner.top >= outer.top - 1 && inner.bottom <= outer.bottom + 1;
});

/** The rows of a tree as a screen reader has them: level, position in the set, expanded or not, and a word. */
const tree = (page) => page.locator("#timeline .row").evaluateAll((all) => all.map((one) => [
  Number(one.ariaLevel), `${one.ariaPosInSet}/${one.ariaSetSize}`, one.ariaExpanded ?? "",
  one.querySelector(".name").textContent || one.querySelector(".type").textContent,
].join(" ")));

/** A tool that is a sub-agent: it prompts, and in that calls two tools, one of which fails. */
async function nestedCalls(agent, run_id = "trip") {
  const report = (body) => agent.record({ run_id, ...body });
  await report({ type: "tool_call", name: "research", node_id: "r", data: { city: "Lisbon" } });
  await report({ type: "prompt", node_id: "p", parent_id: "r", data: { text: "What to see?" } });
  await report({ type: "tool_call", name: "maps", node_id: "m", parent_id: "p", data: {} });
  await report({ type: "tool_result", name: "maps", node_id: "m", data: { found: 3 } });
  await report({ type: "tool_call", name: "guide", node_id: "g", parent_id: "p", data: {} });
  await report({ type: "error", name: "guide", node_id: "g", data: { error: "No such guide" } });
  await report({ type: "response", node_id: "p", data: { text: "The tower" } });
  await report({ type: "tool_result", name: "research", node_id: "r", data: { see: ["the tower"] } });
}

const NESTED_CALLS = [
  "1 1/1 true trip",
  "2 1/2 true research", "3 1/2 true prompt",
  "4 1/4  maps", "4 2/4  maps", "4 3/4  guide", "4 4/4  guide",
  "3 2/2  response", "2 2/2  research",
];

claim("the tree shows runs, nodes and what is inside them, and is gone through as trees are", async () => {
  const { agent, page } = await attached();
  await nestedCalls(agent);
  await page.keyboard.press("1");
  await until("all rows are there", async () => (await tree(page)).length === 9);
  assert.deepEqual(await tree(page), NESTED_CALLS);
  assert.equal(await page.locator("#timeline").getAttribute("role"), "tree");
  await row(page, 1).click();
  const at = () => page.evaluate(() => document.activeElement.dataset.seq ?? document.activeElement.dataset.run);
  await page.keyboard.press("ArrowRight");
  assert.equal(await at(), "2");
  await page.keyboard.press("ArrowLeft");
  assert.deepEqual((await tree(page)).slice(2, 4), ["3 1/2 false prompt", "3 2/2  response"]);
  await page.keyboard.press("ArrowDown");
  assert.equal(await at(), "7");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await at(), "1");
  await page.keyboard.press("ArrowLeft");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await at(), "trip");
  assert.equal(await selected(page), "1", "a run has no details: what is shown stays");
  await page.keyboard.press("ArrowLeft");
  assert.deepEqual(await tree(page), ["1 1/1 false trip"]);
  await page.keyboard.press("*");
  await page.keyboard.press("End");
  assert.equal(await at(), "8");
  // Who goes to a step by another way has it unfolded.
  await row(page, 1).locator(".fold").click();
  await page.keyboard.press("/");
  await page.keyboard.type("such guide");
  await page.keyboard.press("Enter");
  await isSelected(page, 6);
  assert.deepEqual(await tree(page), NESTED_CALLS);
  assert.deepEqual(page.problems, []);
});

claim("parents that arrive late, are missing or form a cycle still leave every event shown once", async () => {
  const { agent, page } = await attached(undefined, { query: "?view=tree" });
  await agent.record({ type: "log", node_id: "child", parent_id: "late", data: { text: "before its parent" } });
  await agent.record({ type: "prompt", node_id: "late", parent_id: "a", data: {} });
  await agent.record({ type: "prompt", node_id: "a", parent_id: "late", data: {} });
  await agent.record({ type: "tool_call", name: "own", node_id: "own", parent_id: "own", data: {} });
  await agent.record({ type: "log", parent_id: "nobody", data: { text: "an orphan" } });
  await agent.record({ type: "response", node_id: "closed", data: { text: "nothing opened it" } });
  for (let i = 0; i < 40; i += 1) await agent.record({ type: "prompt", node_id: `d${i}`, parent_id: i ? `d${i - 1}` : undefined, data: {} });
  await shows(page, "#shown", "46");
  await until("the deepest is selected", async () => (await selected(page)) === "46");
  assert.match(await row(page, 46).locator(".type").getAttribute("data-deep"), /40 deep/);
  const seen = new Set();
  await row(page, 46).click();
  for (let i = 0; i < 50; i += 1) {
    seen.add(await selected(page));
    await page.keyboard.press("ArrowUp");
  }
  assert.equal(seen.size, 46);
  assert.deepEqual(page.problems, []);
});

claim("three views have one selection, each is one key away, and the address has both", async () => {
  const { agent, page } = await attached();
  await nestedCalls(agent);
  await isSelected(page, 8);
  await row(page, 6).click();
  await page.keyboard.press("3");
  await until("its node is selected", async () => (await row(page, 5).getAttribute("aria-selected")) === "true");
  assert.equal(await page.locator("#details h2 .seq").textContent(), "#6");
  await page.keyboard.press("1");
  await isSelected(page, 6);
  await addressIs(page, /\?view=tree#seq=6$/);
  await page.keyboard.press("2");
  await addressIs(page, /\?view=list#seq=6$/);
  await page.goBack();
  await until("the tree is back", async () => (await page.locator("#timeline").getAttribute("role")) === "tree");
  await row(page, 2).click();
  await addressIs(page, /#seq=2$/);
  await row(page, 4).click();
  await addressIs(page, /#seq=4$/);
  await page.goBack();
  await isSelected(page, 2);
  await page.goForward();
  await isSelected(page, 4);
  assert.match(await page.locator("#details h2").textContent(), /#4 tool result maps/);
});

claim("a link to a step shows that step, in its run and view, and says where there is none", async () => {
  const small = await startServer({ flags: ["--max-events-per-agent", "50"] });
  try {
    const agent = new Agent(small.url, "linked");
    for (let i = 0; i < 60; i += 1) await agent.record({ type: "log", run_id: i % 2 ? "odd" : "even", data: { text: `line ${i + 1}` } });
    const page = await open(browser, `${agent.base}?run=odd&view=tree#seq=14`);
    await isSelected(page, 14);
    assert.equal(await inSight(page, 14), true);
    await shows(page, "#shown", "25 of 50");
    await agent.record({ type: "log", run_id: "odd", data: {} });
    await shows(page, "#shown", "26 of 51");
    assert.equal(await selected(page), "14", "a link is not the end: it does not follow");
    // Of another run: the choice of the run gives way.
    await page.evaluate(() => (location.hash = "#seq=15"));
    await isSelected(page, 15);
    await shows(page, "#shown", "51");
    await page.goBack();
    await isSelected(page, 14);
    const late = await open(browser, `${agent.base}?mode=observe#seq=3`);
    await until("it says so", async () => /#3 is no longer kept/.test(await late.locator("#missing").textContent()));
    await screenshot(late, "timeline-missing");
    await late.goto("about:blank");
    await late.goto(`${agent.base}?mode=observe#seq=63`);
    await until("it says so", async () => /no step #63 yet/.test(await late.locator("#missing").textContent()));
    await agent.record({ type: "log", data: {} });
    await agent.record({ type: "log", data: { text: "at last" } });
    await isSelected(late, 63);
    assert.equal(await late.locator("#missing").isVisible(), false);
    await late.locator("#follow").click();
    await addressIs(late, /observe$/);
  } finally {
    await small.stop();
  }
});

claim("the waterfall tells held time from work, and is looked at more closely by keys and pointer", async () => {
  const { agent, page } = await attached(undefined, { query: "?view=waterfall" });
  await agent.record({ type: "log", start_ts: Date.now() / 1000 - 2, data: { text: "begin" } });
  const held = agent.trace({ type: "tool_call", name: "slow", node_id: "s", data: {} });
  await whenHeld(page, 1);
  await until("time goes by", async () => Number((await agent.status()).held[0].held_ms) > 300);
  assert.match(await row(page, 2).getAttribute("class"), /held/);
  assert.equal(await row(page, 2).locator(".wait").count(), 1);
  await agent.post("step");
  const { held_ms } = await held;
  await agent.record({ type: "tool_result", name: "slow", node_id: "s", data: {} });
  const pieces = () => row(page, 2).locator(".track > span").evaluateAll((all) => all.map((one) => [one.className, one.getBoundingClientRect().width]));
  await until("it is closed", async () => (await pieces()).map(([kind]) => kind).join() === "work,wait");
  const [[, whole], [, wait]] = await pieces();
  assert.ok(wait > whole / 3 && wait <= whole + 1, `${wait} of ${whole} px`);
  assert.match(await row(page, 2).locator(".track").getAttribute("title"), new RegExp(`held ${Math.round(held_ms)} ms`));
  assert.match(await row(page, 2).locator(".took").textContent(), /ms$/);
  assert.ok((await page.locator(".tick").count()) > 1);

  const width = async () => (await pieces())[0][1];
  await row(page, 2).click();
  await page.keyboard.press("z");
  await until("it is closer", async () => (await width()) > 1.5 * whole);
  await page.keyboard.press("0");
  await until("all is back", async () => Math.abs((await width()) - whole) < 2);
  await page.keyboard.press("+");
  await until("it is closer", async () => (await width()) > 1.2 * whole);
  await page.locator("#zoom-fit").click();
  await until("all is back", async () => Math.abs((await width()) - whole) < 2);
  const ruler = await page.locator(".ruler").boundingBox();
  await page.mouse.move(ruler.x + ruler.width * 0.7, ruler.y + 8);
  await page.mouse.down();
  await page.mouse.move(ruler.x + ruler.width * 0.99, ruler.y + 8, { steps: 4 });
  await page.mouse.up();
  await until("the part dragged over is all that is seen", async () => (await width()) > 2 * whole);
  await page.locator(".ruler").dblclick();
  await until("all is back", async () => Math.abs((await width()) - whole) < 2);
  await page.mouse.move(ruler.x + ruler.width * 0.9, ruler.y + 60);
  await page.keyboard.down("Control");
  // A busy browser drops a wheel event now and then, so that the event is repeated until it has an effect.
  await until("it is closer", async () => {
    await page.mouse.wheel(0, -200);
    return (await width()) > 1.5 * whole;
  });
  await page.keyboard.up("Control");
  assert.deepEqual(page.problems, []);
});

claim("search counts its hits, goes through them, leaves out the rest and gives everything back", async () => {
  const { agent, page } = await attached();
  await agent.record({ type: "prompt", model: "gpt-5-mini", data: { text: "A trip to Lisboa" } });
  await agent.record({ type: "log", name: "lisboa-weather", data: {} });
  // As many languages write what is not ASCII.
  await agent.trace('{"type":"log","hold":"never","data":{"deep":[{"in":"Caf\\u00e9 \\"Brasileira\\""}]}}');
  await agent.record({ type: "error", name: "search", data: { error: "No train", lisboa: true } });
  for (let i = 0; i < 120; i += 1) await agent.record({ type: "log", data: { text: "nothing of the kind" } });
  const find = async (text, found) => {
    await page.locator("#find").fill(text);
    await shows(page, "#find-count", found);
  };
  await page.keyboard.press("/");
  await page.keyboard.type("LISBOA");
  await shows(page, "#find-count", "3");
  await page.keyboard.press("Enter");
  await isSelected(page, 1);
  await shows(page, "#find-count", "1 of 3");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Enter");
  await isSelected(page, 4);
  await page.keyboard.press("Shift+Enter");
  await isSelected(page, 2);
  assert.equal(await page.evaluate(() => document.activeElement.id), "find", "the box keeps the focus");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("m");
  await isSelected(page, 4);
  await page.keyboard.press("Shift+M");
  await isSelected(page, 2);
  await page.keyboard.press("F3");
  await isSelected(page, 4);
  await page.locator("#find-only").click();
  await until("only hits are left", async () => (await rowTexts(page, ".seq")).join() === "1,2,4");
  await agent.record({ type: "log", data: { text: "lisboa, once more" } });
  await until("a new hit joins them", async () => (await rowTexts(page, ".seq")).join() === "1,2,4,125");
  await find("type:error", "1 of 1");
  await find('"no train" -type:log', "1 of 1");
  await find("model:gpt", "1");
  await find("café \"brasileira\"", "1");
  await find('Café "B', "1");
  await find("node_id", "No hits");
  assert.match(await page.locator("#nothing-found").textContent(), /No event matches “node_id”/);
  await screenshot(page, "timeline-nothing-found");
  await page.locator("#find").press("Escape");
  await until("all is back", async () => (await size(page)) === 125);
  await shows(page, "#find-count", "");
  assert.equal(await selected(page), "4");
  assert.deepEqual(page.problems, []);
});

claim("what is read stays where it is, while steps come at the end and go at the beginning", async () => {
  const agent = new Agent(server.url, "read in peace");
  const pour = async (many) => {
    for (let i = 0; i < many; i += 50) await Promise.all(Array.from({ length: Math.min(50, many) }, () => agent.record({ type: "log", data: { text: "one of many" } })));
  };
  await pour(10_000);
  const { page } = await attached("read in peace", { query: "?mode=observe" });
  await shows(page, "#shown", "10,000");
  for (const [name, seq, key] of [["list", 5000, "2"], ["tree", 5200, "1"], ["waterfall", 5400, "3"]]) {
    await page.keyboard.press(key);
    await page.evaluate((to) => (location.hash = `#seq=${to}`), seq);
    await isSelected(page, seq);
    const top = () => row(page, seq).evaluate((found) => found.getBoundingClientRect().top);
    const before = await top();
    const last = (await agent.status()).last_seq;
    await pour(200);
    await until("they have come", async () => Number((await page.locator("#position").textContent()).split(" ").at(-1).replace(",", "")) === 10_000
      && (await page.evaluate(() => document.getElementById("lost").textContent)).includes(`oldest ${(last - 9800).toLocaleString("en")} events`));
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assert.ok(Math.abs((await top()) - before) <= 1, `${name}: it moved by ${(await top()) - before} px`);
  }
  // At the very beginning there is nothing above that could give way.
  await page.keyboard.press("2");
  await row(page, 5400).focus();
  await page.keyboard.press("Home");
  const oldest = Number(await selected(page));
  const below = row(page, oldest + 12);
  const before = (await below.boundingBox()).y;
  await pour(10);
  await until("the oldest is gone", async () => (await row(page, oldest).count()) === 0);
  assert.ok(Math.abs((await below.boundingBox()).y - before) <= 1);
  assert.match(await page.locator("#details h2").textContent(), new RegExp(`#${oldest}`), "its details are still read");
  await page.locator("#follow").click();
  await until("the newest is in sight", async () => Number(await selected(page)) === (await agent.status()).last_seq);
  assert.deepEqual(page.problems, []);
}, 150_000);

claim("only rows in sight are in the document, and a focused one never gets lost", async () => {
  const { agent, page } = await attached();
  for (let i = 0; i < 400; i += 40) await Promise.all(Array.from({ length: 40 }, () => agent.record({ type: "log", data: {} })));
  await shows(page, "#shown", "400");
  for (const key of ["2", "1", "3"]) {
    await page.keyboard.press(key);
    await until("all are counted", async () => (await page.locator("#timeline .row").last().getAttribute("aria-setsize")) === "400");
    assert.ok((await page.locator("#timeline .row").count()) < 100);
  }
  await page.keyboard.press("2");
  await page.locator("[aria-selected=true]").focus();
  await page.keyboard.press("Home");
  assert.equal(await row(page, 1).getAttribute("aria-posinset"), "1");
  await page.locator("#timeline").hover();
  await page.mouse.wheel(0, 6000);
  await until("it is far away", async () => (await rows(page).count()) > 0 && (await row(page, 250).count()) === 1);
  assert.equal(await page.evaluate(() => document.activeElement.dataset.seq), "1");
  await page.keyboard.press("ArrowDown");
  assert.equal(await page.evaluate(() => document.activeElement.dataset.seq), "2");
  assert.equal(await inSight(page, 2), true);
  await page.keyboard.press("PageDown");
  const far = Number(await selected(page));
  assert.ok(far > 12 && far < 60, `a page is ${far - 2} rows`);
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "details");
});

claim("ids, names and lines that are hostile are inert, readable and in their place, in all views", async () => {
  const { agent, page } = await attached(`<b>\u202E"'`);
  const markup = "<img src=x onerror=alert(1)>";
  await agent.record({ type: "tool_call", name: markup, run_id: `${markup}\u202E`.replaceAll("/", ""), node_id: `"><script>`, data: { text: markup } });
  await agent.record({ type: "tool_call", name: "\u202E\u2066gpj.exe\u0000", run_id: "__proto__", node_id: "__proto__", parent_id: "constructor", data: {} })
    .then(({ code }) => code === 200 || agent.record({ type: "tool_call", name: "\u202E\u2066gpj.exe", run_id: "__proto__", node_id: "__proto__", parent_id: "constructor", data: {} }));
  await agent.record({ type: "log", run_id: "__proto__", data: { text: "y".repeat(1024 * 1024) } });
  await agent.record({ type: "log", data: { text: "a\u0000b\u202Ec\u{1D173}\n".repeat(1000) } });
  await agent.record({ type: "log", data: JSON.parse(`${'{"a":'.repeat(60)}1${"}".repeat(60)}`) });
  await shows(page, "#shown", "5");
  const refused = await agent.record({ type: "log", name: "n".repeat(1024 * 1024), data: {} });
  assert.equal(refused.code, 400);
  for (const name of ["list", "tree", "waterfall"]) {
    await view(page, name);
    await until("all are there", async () => (await rows(page).count()) === 5);
    const names = await rowTexts(page, ".name");
    assert.ok(names.includes(markup) && names.some((text) => text.startsWith("[U+202E][U+2066]gpj.exe")), names.join());
    assert.equal(await page.locator("#timeline :is(img, script, svg, b)").count(), 0);
    for (const one of await rows(page).all()) assert.ok((await one.textContent()).length < 600);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    await page.locator("#find").fill("<img");
    await until("it is found", async () => /^\d/.test(await page.locator("#find-count").textContent()));
    await page.locator("#find").fill("");
  }
  assert.deepEqual(page.problems, []);
});

claim("the timeline says when a run is finished, when it has no events yet, and when the page is not connected", async () => {
  const short = await startServer();
  try {
    const agent = new Agent(short.url, "states");
    const page = await open(browser, `${agent.base}?mode=observe&run=later`);
    await page.locator("#empty").waitFor();
    await agent.record({ type: "log", run_id: "short", data: {}, token_count: 12 });
    await page.locator("#nothing-yet").waitFor();
    await screenshot(page, "timeline-nothing-yet");
    await page.locator("#run").selectOption("all");
    await agent.record({ type: "log", run_id: "short", data: {}, run_end: true });
    await shows(page, "#run-state", "finished");
    await shows(page, "#shown", "2");
    assert.match(await page.locator("#totals").textContent(), /12 tokens/);
    await short.stop();
    await shows(page, "#run-state", "not connected");
    assert.equal(await rows(page).count(), 2, "what is known stays");
  } finally {
    await short.stop();
  }
});

for (const [device, viewport] of [["desktop", { width: 1280, height: 800 }], ["phone", { width: 390, height: 844 }], ["200 % zoom", { width: 640, height: 400 }]]) {
  claim(`axe finds nothing serious in any view, in both schemes: ${device}`, async () => {
    const { agent, page } = await attached(`views ${device}`, { viewport, reducedMotion: "reduce" });
    await nestedCalls(agent);
    const { answer } = await story(agent, page);
    for (const name of ["tree", "waterfall", "list"]) {
      await view(page, name);
      for (const colorScheme of ["light", "dark"]) {
        await page.emulateMedia({ colorScheme });
        await page.locator("#find").fill(colorScheme === "dark" ? "lisbo" : "");
        await until("the search is over", async () => /^\d|^$/.test(await page.locator("#find-count").textContent()));
        assert.deepEqual(await axeFindings(page), []);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
        await page.locator(".timeline-bar").scrollIntoViewIfNeeded();
        await screenshot(page, `timeline-${name}-${colorScheme}-${device.replace(" % ", "-")}`);
      }
    }
    await agent.post("continue");
    await answer;
    assert.deepEqual(page.problems, []);
  });
}
