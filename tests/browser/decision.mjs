// Decisions about a held step, made by hand: what may be decided, what is sent, and that no draft is ever lost.

import assert from "node:assert/strict";
import { attached, claim, rows, rowTexts, whenHeld } from "./fixture.mjs";
import { shows, until } from "./harness.mjs";

const ALL = ["edit", "fulfil", "fail", "abort"];
const verb = (page, name) => page.locator(".verbs").getByRole("button", { name, exact: true });
const decided = (page) => until("the panel is gone", async () => (await page.locator(".decision").count()) === 0);

/** An agent that is held at a step, with the panel to decide about it. */
async function heldAt(step, id) {
  const { agent, page } = await attached(id);
  const answer = agent.trace(step);
  await whenHeld(page, 1);
  await page.locator(".decision").waitFor();
  return { agent, page, answer };
}

claim("proceed releases this one step", async () => {
  const { page, answer } = await heldAt({ type: "log", data: {} });
  await verb(page, "Proceed").click();
  const { outcome, decision } = await answer;
  assert.deepEqual([outcome, decision], ["released", { action: "proceed" }]);
  await decided(page);
  await until("it was announced", async () => /Step 1 was released/.test(await page.locator("#live").textContent()));
});

claim("an edit goes out as it was typed, digit for digit", async () => {
  const { agent, page } = await attached();
  const answer = agent.rawTrace('{"type":"tool_call","name":"pay","accepts":["edit"],"data":{"id":12345678901234567890123,"price":1.10,"note":"a"}}');
  await whenHeld(page, 1);
  await verb(page, "Edit").click();
  const editor = page.locator("#decision-data");
  assert.equal(await editor.inputValue(), '{\n  "id": 12345678901234567890123,\n  "price": 1.10,\n  "note": "a"\n}');
  assert.equal(await page.locator("[type=submit]", { hasText: "Send edit" }).isDisabled(), true);
  await editor.fill((await editor.inputValue()).replace("1.10", "9007199254740993.50"));
  await page.keyboard.press("Control+Enter");
  assert.ok((await answer).includes('"decision":{"action":"edit","data":{"id":12345678901234567890123,"price":9007199254740993.50,"note":"a"}}'));
  await until("the row says so", async () => (await rowTexts(page, ".badge")).join() === "edit");
  assert.deepEqual(page.problems, []);
});

claim("what is wrong with the JSON is said while it is typed, with its place, and is not sent", async () => {
  const { agent, page, answer } = await heldAt({ type: "prompt", data: { text: "hi" }, accepts: ALL });
  await verb(page, "Edit").click();
  const editor = page.locator("#decision-data");
  await editor.fill('{\n  "text": "hi",\n}');
  assert.equal(await page.locator("#decision-data-error > span").textContent(), "Line 3, column 1: expected a name in double quotes, found “}”");
  assert.equal(await editor.getAttribute("aria-invalid"), "true");
  await page.keyboard.press("Control+Enter");
  await page.getByRole("button", { name: "Show the error" }).click();
  assert.equal(await editor.evaluate((area) => area.selectionStart), 18);
  await editor.fill("[1]");
  assert.match(await page.locator("#decision-data-error").textContent(), /Line 1, column 1: .*object/);
  assert.equal((await agent.status()).held.length, 1);
  await editor.fill('{"text":"ho"}');
  assert.equal(await page.locator("#decision-data-error").isVisible(), false);
  await page.locator("[type=submit]", { hasText: "Send edit" }).click();
  assert.deepEqual((await answer).decision, { action: "edit", data: { text: "ho" } });
});

claim("a prompt can go to another model as it is", async () => {
  const { page, answer } = await heldAt({ type: "prompt", model: "small", data: { text: "hi" }, accepts: ALL });
  await verb(page, "Edit").click();
  assert.equal(await page.locator("#decision-model").inputValue(), "small");
  await page.locator("#decision-model").fill("large");
  await page.keyboard.press("Enter");
  assert.deepEqual((await answer).decision, { action: "edit", model: "large" });
});

claim("a step is fulfilled, failed or aborted with words of one's own", async () => {
  const cases = [
    ["Fulfil", "#decision-result", '{"result": {"seats": 2}}', { action: "fulfil", data: { result: { seats: 2 } } }],
    ["Fail", "#decision-message", "no seats “left”", { action: "fail", message: "no seats “left”" }],
    ["Abort", "#decision-reason", "wrong city", { action: "abort", reason: "wrong city" }],
  ];
  for (const [name, field, text, decision] of cases) {
    const { page, answer } = await heldAt({ type: "tool_call", name: "book", data: {}, accepts: ALL });
    await verb(page, name).click();
    assert.equal(await page.locator(field).evaluate((element) => element === document.activeElement), true);
    await page.locator(field).fill(text);
    await page.locator("[type=submit]", { hasText: `Send ${name.toLowerCase()}` }).click();
    assert.deepEqual((await answer).decision, decision);
    await decided(page);
  }
});

claim("only what makes sense and what the agent accepts can be chosen, and the rest says why not", async () => {
  const cases = [
    ["tool_call", ALL, ["Proceed", "Edit", "Fulfil", "Fail", "Abort"], /^$/],
    ["tool_call", ["edit"], ["Proceed", "Edit"], /Fulfil, Fail, Abort: not in the “accepts” of this step/],
    ["response", ALL, ["Proceed", "Edit", "Fail", "Abort"], /Fulfil: not possible for a response/],
    ["error", ALL, ["Proceed", "Abort"], /Edit, Fulfil, Fail: not possible for an error/],
    ["log", undefined, ["Proceed"], /Abort: not in the “accepts”/],
  ];
  const { agent, page } = await attached();
  for (const [type, accepts, enabled, why] of cases) {
    const answer = agent.trace({ type, accepts, data: {} });
    await page.locator(".decision").waitFor();
    assert.deepEqual(await page.locator(".verbs button:enabled").allTextContents(), enabled);
    assert.match((await page.locator(".decision > .hint").allTextContents()).join(), why);
    await page.keyboard.press("s");
    await answer;
    await decided(page);
  }
});

claim("a draft survives what comes, other selections, and a change of mind", async () => {
  const { agent, page, answer } = await heldAt({ type: "tool_call", name: "book", data: { a: 1 }, accepts: ALL });
  await verb(page, "Edit").click();
  const editor = page.locator("#decision-data");
  await editor.fill('{"a": 2');
  await editor.press("End");
  for (let i = 0; i < 3; i += 1) await agent.record({ type: "log", run_id: "beside", data: {} });
  const other = agent.trace({ type: "log", run_id: "beside", data: {} });
  await whenHeld(page, 2);
  await page.keyboard.type("}");
  assert.equal(await editor.inputValue(), '{"a": 2}');
  await page.keyboard.press("Escape");
  await verb(page, "Fulfil").click();
  await page.locator("#decision-result").fill('{"mine": true}');
  await rows(page).last().click();
  await until("the other event is shown", async () => /#5/.test(await page.locator(".details-title").textContent()));
  await rows(page).first().click();
  assert.equal(await page.locator("#decision-result").inputValue(), '{"mine": true}');
  await verb(page, "Edit").click();
  assert.equal(await editor.inputValue(), '{"a": 2}');
  await page.locator("[type=submit]", { hasText: "Send edit" }).click();
  assert.deepEqual((await answer).decision, { action: "edit", data: { a: 2 } });
  await page.locator("#continue").click();
  await other;
});

claim("keys are text in an editor", async () => {
  const { agent, page, answer } = await heldAt({ type: "tool_call", data: {}, accepts: ALL });
  await verb(page, "Fail").click();
  await page.keyboard.type("son");
  await page.keyboard.press("F10");
  assert.equal(await page.locator("#decision-message").inputValue(), "son");
  assert.equal((await agent.status()).held.length, 1);
  await page.keyboard.press("Enter");
  assert.equal((await answer).decision.message, "son");
});

claim("a draft of a step that was released by another subscriber is kept until it is discarded", async () => {
  const { agent, page, answer } = await heldAt({ type: "tool_call", data: { a: 1 }, accepts: ALL });
  await verb(page, "Edit").click();
  await page.locator("#decision-data").fill('{"a": 2}');
  await agent.post("step");
  assert.equal((await answer).outcome, "stepped");
  await until("it says so", async () => /Not sent/.test(await page.locator(".decision").textContent()));
  assert.equal(await page.locator(".decision pre").textContent(), '{"a": 2}');
  await page.getByRole("button", { name: "Discard" }).click();
  await decided(page);
});

claim("what the server refuses is said beside the decision, which stays", async () => {
  const { page, answer } = await heldAt({ type: "tool_call", data: {}, accepts: ALL });
  await page.route(/debug\/release$/, (route) =>
    route.fulfill({ status: 409, contentType: "application/json", body: '{"error":"event 1 is not held any more","reason":"NOT_HELD"}' }));
  await verb(page, "Fail").click();
  await page.locator("#decision-message").fill("no");
  await page.keyboard.press("Enter");
  await shows(page, ".decision > .field-error", "event 1 is not held any more");
  await page.unroute(/debug\/release$/);
  await page.keyboard.press("Enter");
  assert.equal((await answer).decision.action, "fail");
});
