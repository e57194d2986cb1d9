// The details of an event: its data as messages, as JSON and as it was received, and the events that belong to it.

import assert from "node:assert/strict";
import { attached, browser, claim, rows, server, whenHeld } from "./fixture.mjs";
import { Agent, axeFindings, open, screenshot, shows, until } from "./harness.mjs";

const ALL = ["edit", "fulfil", "fail", "abort"];
const ARGS = '{"q":"train","limit":12345678901234567890}';
const row = (page, seq) => page.locator(`#timeline [data-seq="${seq}"]`);
const tree = (page) => page.locator("#details .carried .tree").last();
const lines = (page) => tree(page).locator("[role=treeitem]");
const says = (page, selector, pattern) => until(`${selector} says ${pattern}`, async () =>
  pattern.test((await page.locator(selector).allTextContents()).join(" ")));

/** Selects an event, whatever the page follows. */
async function select(page, seq) {
  await row(page, seq).click();
  await until(`#${seq} is shown`, async () => (await page.locator("#details").getAttribute("data-seq")) === String(seq));
}

/** What each message of some data says: `role: part, part`. */
const read = (page, data, opening) => page.evaluate(async ([text, asked]) => {
  const { conversation, readMessage } = await import("/assets/model/conversation.js");
  const part = (one) => {
    if (one.kind === "call") return `${one.name}(${one.raw ?? one.text})`;
    if (one.kind === "result") return `${one.error ? "failed " : ""}[${one.parts.map(part)}]`;
    return one.kind === "text" ? one.text : `<${one.kind}>${one.text ?? one.raw}`;
  };
  const found = conversation(text, asked);
  return found && found.messages.map(readMessage).map(({ role, parts }) => `${role}: ${parts.map(part).join(", ")}`);
}, [data, opening]);

claim("the conversations of the common model APIs and frameworks are recognised", async () => {
  const { page } = await attached();
  const quoted = JSON.stringify(ARGS);
  const asked = [
    [`{"messages":[{"role":"system","content":"Be short"},{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"x"}}]},` +
      `{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"find","arguments":${quoted}}}]},` +
      `{"role":"tool","tool_call_id":"c1","content":"{\\"n\\":1.50}"}]}`,
      ["system: Be short", 'user: hi, <json>{"type":"image_url","image_url":{"url":"x"}}', `assistant: find(${ARGS})`, 'tool: [<json>{"n":1.50}]']],
    [`{"system":[{"type":"text","text":"Be short"}],"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"thinking","thinking":"hm"},` +
      `{"type":"tool_use","id":"t1","name":"find","input":${ARGS}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,"content":[{"type":"text","text":"no"}]}]}]}`,
      ["system: Be short", "user: hi", `assistant: <thinking>hm, find(${ARGS})`, "user: failed [no]"]],
    [`{"request":{"systemInstruction":{"parts":[{"text":"Be short"}]},"contents":[{"role":"user","parts":[{"text":"hi"}]},{"role":"model","parts":[{"functionCall":{"name":"find","args":${ARGS}}}]},` +
      `{"role":"user","parts":[{"functionResponse":{"name":"find","response":{"n":1}}}]}]}}`,
      ["system: Be short", "user: hi", `assistant: find(${ARGS})`, 'user: [<json>{"n":1}]']],
    [`{"instructions":"Be short","input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]},{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},` +
      `{"type":"function_call","call_id":"c1","name":"find","arguments":${quoted}},{"type":"function_call_output","call_id":"c1","output":"done"}]}`,
      ["system: Be short", "user: hi", "assistant: <thinking>hm", `assistant: find(${ARGS})`, "tool: [done]"]],
    [`{"messages":[[{"lc":1,"type":"constructor","id":["langchain","schema","messages","HumanMessage"],"kwargs":{"content":"hi"}},` +
      `{"type":"ai","data":{"content":"","tool_calls":[{"name":"find","args":${ARGS},"id":"c1"}]}},{"type":"tool","content":"done","tool_call_id":"c1"}]]}`,
      ["user: hi", `assistant: find(${ARGS})`, "tool: [done]"]],
    ['{"messages":[["system","Be short"],["human","hi"]]}', ["system: Be short", "user: hi"]],
    ['{"system":"Be short","prompt":"hi"}', ["system: Be short", "user: hi"]],
    ['{"text":"hi"}', null],
    ['{"messages":7}', null],
    ['{"messages":[1,2]}', null],
  ];
  const answered = [
    [`{"choices":[{"message":{"role":"assistant","content":"yes","reasoning_content":"hm"},"finish_reason":"stop"}]}`, ["assistant: <thinking>hm, yes"]],
    [`{"response":{"role":"assistant","content":[{"type":"text","text":"yes"},{"type":"tool_use","id":"t1","name":"find","input":${ARGS}}]}}`, [`assistant: yes, find(${ARGS})`]],
    [`{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":"yes"}]}}]}`, ["assistant: <thinking>hm, yes"]],
    [`{"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"yes"}]},{"type":"function_call","call_id":"c","name":"find","arguments":"{half"}]}`,
      ["assistant: yes", "assistant: find({half)"]],
    [`{"generations":[[{"text":"yes","message":{"type":"ai","content":"yes"}}]]}`, ["assistant: yes"]],
    [`{"output":{"message":{"role":"assistant","content":[{"text":"yes"},{"toolUse":{"toolUseId":"t","name":"find","input":${ARGS}}}]}}}`, [`assistant: yes, find(${ARGS})`]],
    [`{"model":"m","message":{"role":"assistant","content":"yes"},"done":true}`, ["assistant: yes"]],
    ['{"text":"yes"}', null],
  ];
  for (const [cases, opening] of [[asked, true], [answered, false]]) {
    for (const [data, expected] of cases) assert.deepEqual(await read(page, data, opening), expected, data);
  }
});

claim("a conversation is shown as messages, and the next one shows what is new and what has changed", async () => {
  const { agent, page } = await attached();
  const system = { role: "system", content: "Be short.\nNever above 300 EUR." };
  const user = { role: "user", content: "Plan a trip" };
  const call = { role: "assistant", content: null, tool_calls: [{ id: "c1", type: "function", function: { name: "search", arguments: '{"q":"Lisbon"}' } }] };
  await agent.record({ type: "prompt", data: { messages: [system, user] } });
  await agent.record({ type: "prompt", run_id: "other", data: { messages: [system, { role: "user", content: "Something else" }] } });
  await agent.record({ type: "prompt", data: { messages: [system, user, call, { role: "tool", tool_call_id: "c1", content: "found" }] } });
  const shorter = { ...system, content: system.content.replace("300", "500") };
  await agent.record({ type: "prompt", data: { messages: [shorter, user, call, { role: "tool", tool_call_id: "c1", content: "found" }, { role: "user", content: "Go on" }] } });
  await until("four rows are shown", async () => (await rows(page).count()) === 4);
  const heads = () => page.locator("#details .message h4").allTextContents();
  await select(page, 1);
  assert.deepEqual(await heads(), ["System", "User"]);
  await select(page, 3);
  await says(page, "#details .payload-bar", /2 unchanged, 2 new · compared with #1/);
  assert.deepEqual(await heads(), ["Assistant new", "Tool new"]);
  assert.match(await page.locator("#details .part.call").textContent(), /Calls search c1.*"q": "Lisbon"/s);
  await page.getByRole("button", { name: "2 unchanged messages" }).click();
  assert.deepEqual(await heads(), ["System", "User", "Assistant new", "Tool new"]);
  await select(page, 4);
  await says(page, "#details .payload-bar", /3 unchanged, 1 new, 1 changed · compared with #3/);
  assert.deepEqual(await page.locator("#details .diff > *").allTextContents(), ["  Be short.\n", "− Never above 300 EUR.\n", "+ Never above 500 EUR.\n"]);
  await page.getByRole("button", { name: "Show all", exact: true }).click();
  assert.equal((await heads()).length, 5);
  await select(page, 2);
  assert.deepEqual(await heads(), ["System", "User"], "another run's conversation is another conversation");
});

claim("a tool's output appears beside its input when it comes, and the node's events lead to one another", async () => {
  const { agent, page } = await attached();
  await agent.record({ type: "prompt", node_id: "top", data: { text: "hi" } });
  await agent.record({ type: "tool_call", name: "search", node_id: "t", parent_id: "top", data: { q: "Lisbon" } });
  await agent.record({ type: "log", data: {} });
  await until("three rows are shown", async () => (await rows(page).count()) === 3);
  await select(page, 2);
  await says(page, "#details .waiting", /Output.*No output yet/);
  await page.locator("#details .tree [role=treeitem]").first().focus();
  await agent.record({ type: "tool_result", name: "search", node_id: "t", parent_id: "top", data: { hits: 1.50 } });
  await says(page, "#details .pair", /Input.*"q": "Lisbon".*Output #4.*"hits": 1.5/s);
  await says(page, "#details [data-field=node_id]", /t closed by #4/);
  await says(page, "#details [data-field=parent_id]", /top #1/);
  assert.match(await page.locator("#details [data-field=wall] dd").textContent(), /^\d/);
  await page.locator("#details [data-field=node_id] a").click();
  await says(page, "#details [data-field=node_id]", /t opened by #2/);
  await says(page, "#details .pair", /Input #2.*"q": "Lisbon".*Output.*"hits": 1.5/s);
  assert.equal(await page.locator("#timeline [aria-selected=true]").getAttribute("data-seq"), "4");
  await agent.record({ type: "tool_call", name: "pay", node_id: "p", data: {} });
  await agent.record({ type: "error", name: "pay", node_id: "p", data: { error: "declined" } });
  await select(page, 5);
  await says(page, "#details .pair", /Input.*Error #6.*"declined"/s);
});

claim("the time that a step was held is not part of its duration", async () => {
  const { agent, page } = await attached();
  const held = agent.trace({ type: "tool_call", node_id: "n", data: {} });
  await whenHeld(page, 1);
  await page.keyboard.press("c");
  await held;
  await agent.trace({ type: "tool_result", node_id: "n", data: {} });
  await select(page, 1);
  await says(page, "#details [data-field=wall] dd", /^\d.*, plus \d.* held$/);
  await says(page, "#details [data-field=hold] dd", /^continued · proceed · held for /);
});

claim("JSON is a tree that the keyboard opens, closes and copies from", async () => {
  const { agent, page } = await attached(undefined, { permissions: ["clipboard-read", "clipboard-write"] });
  const data = '{"a":{"b":[1.10,"two\\nlines"],"odd \'key\'":null},"big":12345678901234567890}';
  await agent.trace(`{"type":"log","hold":"never","data":${data}}`);
  await lines(page).first().waitFor();
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
    return page.evaluate(() => document.activeElement.textContent);
  };
  const copied = () => page.evaluate(() => navigator.clipboard.readText());
  await lines(page).first().focus();
  assert.equal(await press("ArrowDown"), '"a": {');
  assert.equal(await press("ArrowLeft"), '"a": {},');
  assert.equal(await page.evaluate(() => document.activeElement.ariaExpanded), "false");
  assert.equal(await lines(page).count(), 3, "what is closed is not in the page");
  assert.equal(await press("ArrowRight", "ArrowRight", "ArrowDown"), "1.10,");
  await page.getByRole("button", { name: "Copy path" }).click();
  assert.equal(await copied(), "$.a.b[0]");
  await lines(page).nth(4).focus();
  assert.match(await press("Enter"), /^"two\nlines"/);
  await page.getByRole("button", { name: "Copy value" }).click();
  assert.equal(await copied(), "two\nlines");
  await lines(page).nth(5).click();
  assert.equal(await page.locator(".json-bar code").textContent(), "$.a['odd \\'key\\'']");
  await page.keyboard.press("End");
  await page.keyboard.press("Control+c");
  assert.equal(await copied(), "12345678901234567890");
  assert.equal(await press("ArrowLeft"), "{");
  assert.deepEqual(await page.evaluate(() => [document.activeElement.ariaLevel, document.activeElement.ariaSetSize]), ["1", "1"]);
  assert.deepEqual(await axeFindings(page), []);
});

claim("a payload of two megabytes costs no more than what is seen of it", async () => {
  const { agent, page } = await attached();
  const list = Array.from({ length: 20_000 }, (_, i) => ({ i, text: "x".repeat(60), more: { even: i % 2 === 0 } }));
  const messages = Array.from({ length: 4_000 }, (_, i) => ({ role: i % 2 ? "assistant" : "user", content: `${i} ${"word ".repeat(90)}` }));
  await agent.record({ type: "log", data: {} });
  await agent.record({ type: "log", data: { list } });
  await agent.record({ type: "prompt", data: { messages } });
  await agent.record({ type: "prompt", data: { messages: [...messages, { role: "user", content: "the last" }] } });
  await until("four rows are shown", async () => (await rows(page).count()) === 4);
  await select(page, 1);
  const cost = (seq) => page.evaluate(async (which) => {
    const start = performance.now();
    document.querySelector(`#timeline [data-seq="${which}"]`).click();
    while (document.getElementById("details").dataset.seq !== String(which)) await new Promise(requestAnimationFrame);
    return [performance.now() - start, document.querySelectorAll("#details *").length];
  }, seq);
  for (const seq of [2, 3, 4]) {
    const [ms, elements] = await cost(seq);
    assert.ok(ms < 1000, `#${seq} takes ${ms} ms`);
    assert.ok(elements < 1500, `#${seq} takes ${elements} elements`);
  }
  await says(page, "#details .payload-bar", /4000 unchanged, 1 new/);
  await select(page, 2);
  await lines(page).first().focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  await until("a portion is open", async () => (await lines(page).count()) > 200);
  await page.getByText("Show 200 more of 19,800").click();
  await until("the next portion is open", async () => (await lines(page).count()) > 400);
  assert.equal(await page.evaluate(() => document.activeElement.ariaPosInSet), "201");
});

claim("an edit is shown as a diff with its author, and a manual result as it is", async () => {
  const { agent, page } = await attached();
  const held = agent.trace({ type: "tool_call", name: "book", accepts: ALL, data: { hotel: "Tejo", nights: 2 } });
  await whenHeld(page, 1);
  await agent.post("release", '{"seq":1,"action":"edit","data":{"hotel":"Tejo","nights":3}}');
  await held;
  await says(page, "#details .decided", /Decision: edit.*by 127\.0\.0\.1/);
  assert.deepEqual((await page.locator("#details .decided .diff > *").allTextContents()).filter((line) => !line.startsWith(" ")),
    ['−   "nights": 2\n', '+   "nights": 3\n']);
  assert.deepEqual(await page.locator("#details .decided .diff strong").allTextContents(), ["2", "3"]);
  const answer = agent.trace({ type: "tool_call", name: "book", accepts: ALL, data: {} });
  await whenHeld(page, 1);
  await agent.post("release", '{"seq":2,"action":"fail","message":"sold out\\u202e"}');
  await answer;
  await says(page, "#details .decided", /Decision: fail.*sold out\[U\+202E\]/);
});

claim("the raw event is exactly what was received", async () => {
  const { agent, page } = await attached();
  await agent.trace('{"type":"log","hold":"never","data":{"n":1.10,"n":2},"metadata":{"big":12345678901234567890}}');
  await lines(page).first().waitFor();
  assert.equal(await page.locator("#details .raw-json").count(), 0);
  await page.getByText("Raw event").click();
  const shown = (await page.locator("#details .raw-json").textContent()).replace(/\s/g, "");
  assert.ok(shown.includes('"data":{"n":1.10,"n":2}') && shown.includes('"big":12345678901234567890'), shown);
});

claim("hostile content of every kind is inert and can be read", async () => {
  const { agent, page } = await attached();
  const id = "<img src=x onerror=alert(1)>\u202Egnp.exe\u2066";
  const nasty = `${id}\u0000`;
  const deep = `${'{"a":['.repeat(28)}"the bottom"${"]}".repeat(28)}`;
  const messages = [
    { role: nasty, name: nasty, content: nasty },
    { role: "assistant", content: [{ type: "thinking", thinking: nasty }, { type: nasty }], tool_calls: [{ id: nasty, function: { name: nasty, arguments: nasty } }] },
    { role: "tool", content: "y".repeat(1024 * 1024) },
  ];
  await agent.record({ type: "prompt", node_id: "n", data: { messages, [nasty]: nasty } });
  await agent.record({ type: "prompt", node_id: id, parent_id: id, model: id, effect: "read", data: { messages: [...messages.slice(1), { role: nasty, content: `${nasty} again` }] } });
  await agent.trace(`{"type":"tool_call","hold":"never","name":"deep","data":${deep}}`);
  await until("three rows are shown", async () => (await rows(page).count()) === 3);
  for (const seq of [1, 2, 3]) {
    await select(page, seq);
    for (const more of await page.locator("#details .message").getByText("Show all").all()) await more.click();
    for (const closed = page.locator("#details .tree [aria-expanded=false]").first(); await closed.count(); ) {
      await closed.focus();
      await page.keyboard.press("ArrowRight");
    }
    const text = await page.locator("#details").evaluate((panel) => panel.textContent + [...panel.querySelectorAll("[title],[aria-label]")].map((one) => one.title + one.ariaLabel));
    assert.doesNotMatch(text, /[\u202e\u2066\u0000]/, `#${seq}`);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
    assert.equal(await page.locator("#details img").count(), 0);
    await screenshot(page, `hostile-${seq}`);
  }
  await says(page, "#details .tree", /"the bottom"/);
  await page.locator("#details [role=treeitem]", { hasText: "the bottom" }).click();
  assert.match(await page.locator(".json-bar code").textContent(), /^\$\.a\[0\]\.a/);
  assert.deepEqual(page.problems, []);
});

claim("the origin of an event is shown where it is not live", async () => {
  const page = await open(browser, `${server.url}/agent/origins/debug?mode=observe`);
  const event = (seq, origin) => `id: e.${seq}\ndata: {"type":"log","seq":${seq},"run_id":"","data":{},"origin":${origin}}\n\n`;
  await page.route(/debug\/events/, (route) => route.fulfill({
    contentType: "text/event-stream",
    body: `data: {"type":"position","pos":0,"total":3}\n\n${event(1, '"live"')}${event(2, '"recorded"')}${event(3, '"<b>odd"')}`,
  }));
  await page.reload();
  await until("three rows are shown", async () => (await rows(page).count()) === 3);
  for (const [seq, said] of [[1, []], [2, ["from the record"]], [3, ["<b>odd"]]]) {
    await select(page, seq);
    assert.deepEqual(await page.locator("#details .origin").allTextContents(), said);
  }
  await shows(page, "#details [data-field=origin] dd", "<b>odd");
});

claim("what the server found wrong with an event is marked on its row, said in its details and found", async () => {
  const page = await open(browser, `${server.url}/agent/warned/debug?mode=observe`);
  const event = (seq, more) => `id: e.${seq}\ndata: ${JSON.stringify({ type: "tool_call", name: "pay", seq, run_id: "", data: {}, ...more })}\n\n`;
  const markup = "unknown field `<img src=x onerror=alert(1)>\u202e`";
  await page.route(/debug\/events/, (route) => route.fulfill({
    contentType: "text/event-stream",
    body: `data: {"type":"position","pos":0,"total":3}\n\n${event(1, {})}${event(2, { warnings: ["unknown field `args`"] })}${event(3, { warnings: [markup, "unknown field `b`"] })}`,
  }));
  await page.reload();
  await until("three rows are shown", async () => (await rows(page).count()) === 3);
  assert.deepEqual(await page.locator("#timeline .row .warning").allTextContents(), ["", "1 warning", "2 warnings"]);
  await select(page, 1);
  assert.equal(await page.locator("#details .warnings").count(), 0);
  await select(page, 2);
  assert.deepEqual(await page.locator("#details .warnings li").allTextContents(), ["unknown field `args`"]);
  await select(page, 3);
  assert.deepEqual(await page.locator("#details .warnings li").allTextContents(), ["unknown field `<img src=x onerror=alert(1)>[U+202E]`", "unknown field `b`"]);
  assert.match(await row(page, 3).locator(".warning").getAttribute("title"), /\[U\+202E\]/);
  assert.deepEqual(await axeFindings(page), []);
  await screenshot(page, "warnings");
  for (const view of ["1", "3", "2"]) {
    await page.keyboard.press(view);
    await until("the rows are marked", async () => (await page.locator("#timeline .row .warning:not(:empty)").count()) === 2);
  }
  await page.locator("#find").fill("is:warning");
  await shows(page, "#find-count", "2 of 2");
  assert.equal(await page.locator("#details img, #timeline img").count(), 0);
});

claim("a role, an origin or an effect that is named like a member of every object is shown as any other", async () => {
  const { agent, page } = await attached();
  const names = ["constructor", "__proto__", "toString", "hasOwnProperty"];
  const messages = names.map((role) => ({ role, name: role, content: role, tool_calls: [{ id: role, function: { name: role, arguments: "{}" } }] }));
  await agent.record({ type: "prompt", name: "constructor", model: "__proto__", run_id: "constructor", node_id: "toString", data: { messages } });
  await agent.record({ type: "response", name: "constructor", run_id: "constructor", node_id: "toString", data: { role: "constructor", content: "yes" } });
  await until("two rows are shown", async () => (await rows(page).count()) === 2);
  await select(page, 1);
  assert.deepEqual(await page.locator("#details .carried .message h4 > bdi:first-child").allTextContents(), ["constructor", "__proto__", "tostring", "hasownproperty", "constructor"]);
  await page.keyboard.press("1");
  await until("the tree is shown", async () => (await page.locator("#timeline .row.root .name").textContent()) === "constructor");
  await page.keyboard.press("f");
  await page.locator("#fork-form").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("#run").selectOption("run:constructor");
  await shows(page, "#shown", "2 of 2");
  assert.deepEqual(page.problems, []);
});

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desktop", { width: 1280, height: 800 }], ["phone", { width: 390, height: 844 }]]) {
    claim(`axe finds nothing serious in the details: ${colorScheme}, ${device}`, async () => {
      const agent = new Agent(server.url, `details ${colorScheme} ${device}`);
      const messages = [{ role: "system", content: "Be short.\nBe kind." }, { role: "user", content: "hi" }];
      const next = [{ ...messages[0], content: "Be short.\nBe quick." }, messages[1], { role: "user", content: "go on" }];
      await agent.record({ type: "prompt", node_id: "a", data: { messages } });
      await agent.record({ type: "prompt", node_id: "b", data: { messages: next } });
      const content = [{ type: "thinking", thinking: "hm" }, { type: "text", text: "Yes." }, { type: "tool_use", id: "t", name: "find", input: { q: [1, { two: true }] } }];
      await agent.record({ type: "response", node_id: "b", data: { role: "assistant", content, stop_reason: "tool_use" } });
      await agent.record({ type: "tool_call", name: "find", node_id: "c", parent_id: "b", data: { q: "x" } });
      await agent.record({ type: "error", name: "find", node_id: "c", parent_id: "b", data: { error: "A longer explanation of what went wrong,\nin two lines" } });
      const { page } = await attached(agent.base.split("/").at(-2).replaceAll("%20", " "), { colorScheme, viewport });
      const held = agent.trace({ type: "tool_call", name: "pay", accepts: ALL, data: { eur: 240 } });
      await whenHeld(page, 1);
      await agent.post("release", '{"seq":6,"action":"edit","data":{"eur":200}}');
      await held;
      for (const seq of [2, 3, 4, 6]) {
        await select(page, seq);
        await page.locator("#details .raw summary").click();
        assert.deepEqual(await axeFindings(page), [], `#${seq}`);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
        await page.locator("#details").evaluate((panel) => panel.scrollIntoView());
        await screenshot(page, `details-${seq}-${colorScheme}-${device}`);
      }
    });
  }
}
