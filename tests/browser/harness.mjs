// What the browser tests share: the real binary on a port of its own, real Chromium, and waiting for conditions.

import { spawn } from "node:child_process";
import { mkdir, readFile } from "node:fs/promises";
import net from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const BINARY = process.env.AGENT_DEBUGGER_BIN ?? here("../../target/debug/agent-debugger");
const CHROMIUM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const SCREENSHOTS = process.env.SCREENSHOTS ?? here("screenshots");
const PATIENCE_MS = 10_000;

/** Starts the server and waits for the line that says where it listens. */
export async function startServer({ port = 0, flags = [] } = {}) {
  const child = spawn(BINARY, ["--listen", `127.0.0.1:${port}`, ...flags], { stdio: ["ignore", "pipe", "pipe"] });
  let log = "";
  child.stderr.on("data", (text) => (log = (log + text).slice(-10_000)));
  let stopping = false;
  const gone = new Promise((resolve) => {
    child.once("exit", (code, signal) => {
      // A server that ends by itself fails every test after it; this says what the reason was.
      if (!stopping) console.error(`the server ended by itself: code ${code}, signal ${signal}\n${log}`);
      resolve(code);
    });
  });
  const url = await new Promise((resolve, reject) => {
    child.once("error", reject);
    gone.then((code) => reject(new Error(`the server ended with ${code}:\n${log}`)));
    createInterface({ input: child.stdout }).on("line", (line) => {
      const [, found] = /^agent-debugger listening on (http:\/\/\S+)$/.exec(line) ?? [];
      if (found) resolve(found);
    });
  });
  return {
    url,
    port: Number(new URL(url).port),
    async stop() {
      stopping = true;
      child.kill("SIGTERM");
      return gone;
    },
  };
}

export function startBrowser() {
  return chromium.launch({
    executablePath: CHROMIUM,
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync"],
  });
}

/** One agent of a server, as a program would use it over HTTP. */
export class Agent {
  constructor(url, id) {
    this.base = `${url}/agent/${encodeURIComponent(id)}/debug`;
  }

  /** Reports a step and resolves with the answer, which a held step has only when it is released. */
  trace(body) {
    return this.post("trace", typeof body === "string" ? body : JSON.stringify(body));
  }

  /** Reports a step that is never held. */
  record(body) {
    return this.trace({ hold: "never", ...body });
  }

  async post(verb, body) {
    const response = await fetch(`${this.base}/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
    });
    return { code: response.status, ...(await response.json()) };
  }

  async status() {
    return (await fetch(`${this.base}/status`)).json();
  }

  /** What is recorded, each event with its decision. */
  async recorded() {
    return (await (await fetch(`${this.base}/trace?page_size=1000`)).json()).events;
  }

  /** The response as text, with digits that JSON.parse would lose. */
  async rawTrace(body) {
    const headers = { "Content-Type": "application/json" };
    return (await fetch(`${this.base}/trace`, { method: "POST", headers, body })).text();
  }

  async breakpoints() {
    return (await (await fetch(`${this.base}/breakpoints`)).json()).breakpoints;
  }
}

/**
 * Opens a page and keeps what went wrong in it: errors on its console and whatever its security policy stopped. Among
 * them `violations` are what no test may bring about, so that they are looked at after each.
 */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  page.problems = [];
  page.violations = [];
  await page.exposeBinding("reportViolation", (_source, text) => {
    page.problems.push(text);
    page.violations.push(text);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (violation) => {
      globalThis.reportViolation(`${violation.violatedDirective}: ${violation.blockedURI} ${violation.sample}`);
    });
  });
  page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
  page.on("pageerror", (error) => {
    page.problems.push(String(error));
    page.violations.push(String(error));
  });
  page.on("dialog", (dialog) => {
    page.problems.push(`a dialog opened: ${dialog.message()}`);
    page.violations.push(`a dialog opened: ${dialog.message()}`);
    return dialog.dismiss();
  });
  if (process.env.TEMPLATES) await context.route(/\/assets\/|\/debug$|\/debug[?#]|:\d+\/$/, fromWorkingTree);
  await page.goto(url);
  return page;
}

/** With TEMPLATES=1 pages and assets come from the working tree, so that trying one out needs no build. */
async function fromWorkingTree(route) {
  const { pathname } = new URL(route.request().url());
  const page = pathname === "/" ? "index.html" : "debugger.html";
  const file = here(`../../templates/${pathname.startsWith("/assets/") ? pathname.slice(1) : page}`);
  // The rest of the answer stays the server's: its security policy above all.
  const headers = { ...route.request().headers(), "if-none-match": "" };
  const body = await readFile(file);
  // A test may cut the connection or stop the server.
  const response = await route.fetch({ headers }).catch(() => null);
  if (!response) return route.abort();
  if (response.ok()) return route.fulfill({ response, body });
  // A file that is newer than the binary.
  const contentType = { css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8", svg: "image/svg+xml" }[pathname.split(".").at(-1)];
  return route.fulfill({ body, contentType });
}

/** Waits until `probe()` returns something true, and returns that. */
export async function until(what, probe) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Waits until an element shows exactly this text. */
export async function shows(page, selector, text) {
  let seen;
  const probe = async () => (seen = await page.locator(selector).textContent()) === text;
  await until(`${selector} shows "${text}"`, probe).catch((error) => {
    throw new Error(`${error.message}; it shows "${seen}"`);
  });
}

/** A TCP proxy, so that a connection can be cut without either end wanting it. */
export async function startProxy(port) {
  const sockets = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(port, "127.0.0.1");
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut,
    stop() {
      server.close();
      cut();
    },
  };
}

/** What axe-core finds that is serious or critical, one line each. */
export async function axeFindings(page) {
  // Evaluated and not put into a script element, which the page's policy would rightly stop.
  await page.evaluate(await readFile(fileURLToPath(import.meta.resolve("axe-core")), "utf8"));
  const { violations } = await page.evaluate(async () => {
    // What fades in has its colours only when it is there.
    const ends = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(ends.map(({ finished }) => finished));
    return globalThis.axe.run();
  });
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 120)} ${node.any[0]?.message ?? ""}`));
}

export async function screenshot(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: `${SCREENSHOTS}/${name}.png` });
}
