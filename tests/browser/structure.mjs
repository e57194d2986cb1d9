// How the page's source is laid out: which folder may import which, and what no module may do.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { posix } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

const templates = new URL("../../templates/", import.meta.url);
const assets = new URL("assets/", templates);
const text = (path) => readFile(new URL(path, assets), "utf8");
/** The folders from the bottom up. A module imports from its own folder and from those before it. */
const LAYERS = ["core", "model", "ui", "panels"];
const MAX_LINES = 450;

const files = (await readdir(assets, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  .map((entry) => posix.join(entry.parentPath.slice(assets.pathname.length - 1), entry.name).replace(/^\//, ""))
  .sort();
const sources = new Map();
for (const file of files) if (file.endsWith(".js") && !file.startsWith("vendor/")) sources.set(file, await text(file));

/** What a module imports, as paths from the assets' folder: at once, and with `import()` when it is needed. */
function importsOf(file) {
  const found = [];
  const source = sources.get(file);
  for (const pattern of [/^import\s[^;]*?from\s+"([^"]+)";/gm, /^import\s+"([^"]+)";/gm, /^export\s[^;]*?from\s+"([^"]+)";/gm]) {
    for (const [, path] of source.matchAll(pattern)) found.push({ path, late: false });
  }
  for (const [, path] of source.matchAll(/\bimport\("([^"]+)"\)/g)) found.push({ path, late: true });
  return found.map(({ path, late }) => {
    assert.match(path, /^\.{1,2}\//, `${file} imports ${path}: only files of the page itself are imported`);
    return { target: posix.join(posix.dirname(file), path), late };
  });
}
const imports = new Map([...sources.keys()].map((file) => [file, importsOf(file)]));
const layerOf = (file) => (file.includes("/") ? LAYERS.indexOf(file.split("/")[0]) : LAYERS.length);

test("every import names a file that is there, and every module is imported by another or is an entry point", () => {
  const imported = new Set();
  for (const [file, list] of imports) {
    for (const { target } of list) {
      assert.ok(sources.has(target), `${file} imports ${target}, which does not exist`);
      imported.add(target);
    }
  }
  assert.deepEqual([...sources.keys()].filter((file) => !imported.has(file)), ["debugger.js", "index.js"]);
  assert.ok(sources.size > 50);
});

test("no module imports itself, directly or through others", () => {
  const done = new Set();
  const visit = (file, path) => {
    assert.ok(!path.includes(file), `a circle of imports: ${[...path, file].join(" → ")}`);
    if (done.has(file)) return;
    for (const { target } of imports.get(file)) visit(target, [...path, file]);
    done.add(file);
  };
  for (const file of sources.keys()) visit(file, []);
});

test("core imports no model, model no ui, ui no panel, and no panel another one", () => {
  for (const [file, list] of imports) {
    assert.notEqual(layerOf(file), -1, `${file} is in none of the folders ${LAYERS.join(", ")}`);
    for (const { target } of list) {
      assert.ok(layerOf(target) <= layerOf(file), `${file} imports ${target} of a layer above its own`);
      assert.ok(!target.startsWith("panels/") || layerOf(file) > 3 || posix.dirname(target) === posix.dirname(file), `${file} imports ${target} of another panel`);
    }
  }
});

test("core and model know no document", () => {
  for (const [file, source] of sources) {
    if (layerOf(file) > 1) continue;
    const code = source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    assert.doesNotMatch(code, /\bdocument\b|\bcreateElement\b/, file);
  }
});

test("a table is a Map, so that a key that an agent chose finds nothing it inherited", () => {
  for (const [file, source] of sources) {
    const [lookUp] = /\b[A-Z][A-Z_]{2,}\[[^\]]*\]/.exec(source.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "")) ?? [];
    // A list is read by its number.
    assert.ok(lookUp === undefined || /^\w+\[Math\.min\(/.test(lookUp), `${file}: ${lookUp} looks up a key in an object`);
  }
});

test("nothing parses markup or runs text as code", () => {
  for (const [file, source] of sources) {
    assert.doesNotMatch(source, /\b(innerHTML|outerHTML|insertAdjacentHTML|srcdoc|DOMParser|createContextualFragment)\b|document\.write|\beval\(|new Function\b/, file);
  }
});

test(`no file is longer than ${MAX_LINES} lines`, async () => {
  for (const file of files) {
    if (file.startsWith("vendor/")) continue;
    const lines = (await text(file)).split("\n").length;
    assert.ok(lines <= MAX_LINES, `${file} has ${lines} lines`);
  }
});

test("each style sheet is linked by a page, and each link leads to a file", async () => {
  const linked = new Set();
  for (const page of ["index.html", "debugger.html"]) {
    const html = await readFile(new URL(page, templates), "utf8");
    for (const [, path] of html.matchAll(/(?:href|src)="\/assets\/([^"]+)"/g)) {
      assert.ok(files.includes(path), `${page} links ${path}, which does not exist`);
      linked.add(path);
    }
  }
  assert.deepEqual(files.filter((file) => file.endsWith(".css") && !linked.has(file)), []);
});

test("every vendored file is the one that VERSIONS.json names, with its licence beside it", async () => {
  const { files: listed } = JSON.parse(await text("vendor/VERSIONS.json"));
  const there = files.filter((file) => /^vendor\/.*\.(js|css)$/.test(file)).map((file) => file.slice("vendor/".length));
  assert.deepEqual(listed.map(({ file }) => file).sort(), there);
  for (const { file, package: name, version, licence, licence_file: licenceFile, source, sha256 } of listed) {
    assert.ok(name && /^\d+\.\d+\.\d+$/.test(version) && licence && source, file);
    const hash = createHash("sha256").update(await readFile(new URL(`vendor/${file}`, assets))).digest("hex");
    assert.equal(hash, sha256, `${file} is not the file of ${name}@${version}`);
    assert.ok((await text(`vendor/${licenceFile}`)).length > 200, licenceFile);
  }
});

test("what opens the page is less than 150 KB, compressed, and with all that it may load later less than 160 KB", async () => {
  const html = await readFile(new URL("debugger.html", templates), "utf8");
  const packed = async (path) => gzipSync(await text(path)).length;
  const opened = new Set([...html.matchAll(/(?:href|src)="\/assets\/([^"]+)"/g)].map(([, path]) => path));
  // What a module imports is loaded with it; what it imports when it is needed is not.
  for (const path of opened) for (const { target, late } of imports.get(path) ?? []) if (!late) opened.add(target);
  const every = files.filter((path) => /\.(js|css|svg)$/.test(path) && !/^index\.js$|^panels\/agents\//.test(path));
  const page = gzipSync(html).length;
  const sum = async (paths) => (await Promise.all([...paths].map(packed))).reduce((a, b) => a + b, page);
  const [first, all] = [await sum(opened), await sum(every)];
  assert.ok(opened.size > 50 && first < 150_000, `${opened.size} files of ${first} bytes`);
  assert.ok(all < 160_000 && every.length > opened.size, `${every.length} files of ${all} bytes`);
});
