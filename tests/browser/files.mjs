// Runs as files: what is exported is what the server writes, what is imported is shown, and what is refused says why.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { attached, browser, claim, server, size } from "./fixture.mjs";
import { Agent, axeFindings, open, screenshot, shows, startServer, until } from "./harness.mjs";
import { ALL, record } from "./runs.mjs";

const says = (page, selector, pattern) => until(`${selector} says ${pattern}`, async () => pattern.test(await page.locator(selector).first().textContent()));
const exported = async (agent, run) => (await fetch(`${agent.base}/export?run_id=${run}`)).text();
const asFile = (text, name = "run.jsonl") => ({ name, mimeType: "application/x-ndjson", buffer: Buffer.from(text) });

/** Presses one of the buttons under a run's "More". */
async function more(page, run, name) {
  await page.getByRole("button", { name: `More actions for ${run}`, exact: true }).click();
  await page.getByRole("button", { name, exact: true }).click();
}

async function withPanel(id, options) {
  const { agent, page } = await attached(id, { query: "?mode=observe", ...options });
  await record(agent, "first");
  await page.keyboard.press("r");
  await page.locator("#run-list li").first().waitFor();
  return { agent, page };
}

claim("a run is exported as the server writes it, also with its secrets masked", async () => {
  const { agent, page } = await withPanel("exports");
  await agent.record({ type: "prompt", run_id: "keys", accepts: ALL, data: { authorization: "Bearer s3cr3t" } });
  await page.locator("#run-list li", { hasText: "keys" }).waitFor();
  const plain = page.waitForEvent("download");
  await more(page, "keys", "Export: keys");
  const file = await plain;
  assert.equal(file.suggestedFilename(), "exports-keys.jsonl");
  assert.equal(await readFile(await file.path(), "utf8"), await exported(agent, "keys"));
  await says(page, "#file-state", /Exported keys: /);
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export with secrets masked: keys" }).click();
  const masked = await download;
  assert.equal(masked.suggestedFilename(), "exports-keys-masked.jsonl");
  assert.equal((await readFile(await masked.path(), "utf8")).includes("s3cr3t"), false);
  assert.deepEqual(await axeFindings(page), []);
  await screenshot(page, "export");
});

claim("with a token the file is fetched with it", async () => {
  const token = "t".repeat(40);
  const guarded = await startServer({ flags: ["--token", token] });
  try {
    const url = `${guarded.url}/agent/guarded/debug`;
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${token}` };
    await fetch(`${url}/trace`, { method: "POST", headers, body: JSON.stringify({ type: "log", run_id: "r", data: {} }) });
    const page = await open(browser, `${url}?mode=observe#token=${token}`);
    await shows(page, "#connection", "Live");
    await page.keyboard.press("r");
    const download = page.waitForEvent("download");
    await more(page, "r", "Export: r");
    const text = await readFile(await (await download).path(), "utf8");
    assert.match(text, /^\{"manifest":/);
    await page.locator("#import-file").setInputFiles(asFile(text));
    await says(page, "#file-error", /There is a run "r" already/);
  } finally {
    await guarded.stop();
  }
});

claim("a file is imported, announced and shown; a run that is there already asks for another id", async () => {
  const { agent, page } = await withPanel("imports");
  const text = await exported(agent, "first");
  await page.locator("#import-file").setInputFiles(asFile(text));
  await says(page, "#file-error", /There is a run "first" already/);
  assert.equal(await page.locator("#import-id").inputValue(), "first-2");
  assert.equal(await page.evaluate(() => document.activeElement.id), "import-id");
  assert.deepEqual(await axeFindings(page), []);
  await screenshot(page, "import-exists");
  await page.keyboard.press("Enter");
  await says(page, "#file-state", /Imported 8 events as first-2\./);
  await says(page, "#live", /Imported 8 events as first-2\./);
  assert.equal(await page.locator("#run").inputValue(), "run:first-2");
  await until("its rows are shown", async () => (await size(page)) === 8);
  await says(page, "#details .details-title", /^#9 /);
  await until("the panel says so", async () => /imported/.test(await page.locator("#run-list li", { hasText: "first-2" }).textContent()));
  assert.equal(await page.locator("#import-as").isVisible(), false);
});

claim("a damaged file is refused with its line, and one that finds no room says so", async () => {
  const small = await startServer({ flags: ["--max-events-per-agent", "12"] });
  try {
    const agent = new Agent(small.url, "small");
    await record(agent, "first");
    const page = await open(browser, `${agent.base}?mode=observe`);
    await shows(page, "#connection", "Live");
    await page.keyboard.press("r");
    const text = await exported(agent, "first");
    const other = await startServer();
    try {
      const elsewhere = new Agent(other.url, "elsewhere");
      const there = await open(browser, `${elsewhere.base}?mode=observe`);
      await shows(there, "#connection", "Live");
      await there.keyboard.press("r");
      await there.locator("#import-file").setInputFiles(asFile(text.replace("release notes", "Release notes")));
      await says(there, "#file-error", /Line 10: sha256/);
      await there.locator("#import-file").setInputFiles(asFile("{}"));
      await says(there, "#file-error", /Line 1/);
      assert.deepEqual(await axeFindings(there), []);
      await there.locator("#import-file").setInputFiles(asFile(text));
      await says(there, "#file-state", /Imported 8 events as first/);
    } finally {
      await other.stop();
    }
    await page.locator("#import-file").setInputFiles(asFile(text));
    await page.locator("#import-id").fill("copy");
    await page.keyboard.press("Enter");
    await says(page, "#file-error", /room|limit|at most|trim/i);
    assert.equal(await page.locator("#import-as").isVisible(), false);
    await page.locator("#import").focus();
  } finally {
    await small.stop();
  }
});

claim("a file that is dropped on the panel is imported, and one beside it does not take the page away", async () => {
  const { agent, page } = await withPanel("drops");
  const text = await exported(agent, "first");
  const drop = (selector) => page.evaluate(([where, content]) => {
    const data = new DataTransfer();
    data.items.add(new File([content], "<b>run</b>.jsonl"));
    const target = document.querySelector(where);
    const fire = (type) => !target.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: data }));
    const over = fire("dragover");
    const marked = "drop" in document.getElementById("runs-panel").dataset;
    return { over, marked, taken: fire("drop") };
  }, [selector, text]);
  assert.deepEqual(await drop("#details"), { over: true, marked: false, taken: true });
  assert.equal(await page.locator("#file-bar").isVisible(), false);
  assert.deepEqual(await drop("#run-list"), { over: true, marked: true, taken: true });
  await says(page, "#file-error", /There is a run "first" already/);
  await page.locator("#import-not").click();
  assert.equal(await page.locator("#file-bar").isVisible(), false);
  assert.deepEqual(page.problems.filter((one) => !/409/.test(one)), []);
});

claim("the import of a large file shows its progress, and can be cancelled", async () => {
  const { page } = await withPanel("large");
  let release;
  await page.route(/debug\/import/, () => new Promise((resolve) => (release = resolve)));
  await page.locator("#import-file").setInputFiles(asFile("x".repeat(1_000_000), "large.jsonl"));
  await says(page, "#file-state", /Importing large\.jsonl|Checking large\.jsonl/);
  assert.equal(await page.locator("#import-progress").isVisible(), true);
  assert.deepEqual(await axeFindings(page), []);
  await screenshot(page, "importing");
  await page.locator("#import-cancel").click();
  await says(page, "#file-state", /Cancelled\. Nothing was imported/);
  assert.equal(await page.locator("#import-progress").isVisible(), false);
  release();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [device, viewport] of [["desktop", { width: 1280, height: 800 }], ["phone", { width: 390, height: 844 }]]) {
    claim(`axe finds nothing serious in the panel of runs with its files: ${colorScheme}, ${device}`, async () => {
      const { agent, page } = await withPanel(`files ${colorScheme} ${device}`, { colorScheme, viewport });
      await record(agent, "second");
      const { run_id: run } = await agent.post("fork", '{"run_id":"first","seq":5}');
      await page.getByRole("button", { name: `More actions for ${run}` }).click();
      await page.locator("#import-file").setInputFiles(asFile(await exported(agent, "first")));
      await page.locator("#import-as").waitFor();
      assert.deepEqual(await axeFindings(page), []);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true);
      await screenshot(page, `files-${colorScheme}-${device}`);
    });
  }
}
