// The parts of the page that need no browser: the SSE parser, JSON as text, the counters, text made visible.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

/** Imports a page's module. Node would take its `.js` for CommonJS, so that it comes as a data URL. */
async function pageModule(name) {
  const source = await readFile(new URL(`../../templates/assets/${name}`, import.meta.url), "utf8");
  return import(`data:text/javascript,${encodeURIComponent(source)}`);
}
const { SseParser } = await pageModule("sse.js");
const { layOut, members } = await pageModule("json.js");
const { Counters } = await pageModule("counters.js");
const { clip, curlLine, duration, visible, visibleJson } = await pageModule("text.js");

function laidOut(text) {
  let out = "";
  layOut(text, (_kind, piece) => (out += piece));
  return out;
}

test("a stream means the same wherever it is cut into chunks, and whatever ends its lines", () => {
  const stream = ": hi\nretry: 2000\n\nid: a.1\ndata: {\"x\":1}\n\nevent: state\ndata:two\ndata: lines\n\nid: a.2\n\ndata\n\n";
  const expected = [
    { event: "", data: '{"x":1}', id: "a.1" },
    { event: "state", data: "two\nlines", id: null },
    { event: "", data: "", id: null },
  ];
  for (const ending of ["\n", "\r\n", "\r"]) {
    const text = stream.replaceAll("\n", ending);
    for (let size = 1; size <= text.length; size += 1) {
      const frames = [];
      const parser = new SseParser((frame) => frames.push(frame));
      for (let at = 0; at < text.length; at += size) parser.feed(text.slice(at, at + size));
      assert.deepEqual(frames, expected, `${JSON.stringify(ending)}, chunks of ${size}`);
    }
  }
});

test("members come as the text that was sent", () => {
  const found = members(' { "a" : 1.10 , "b\\"" : {"x":[1,"}"]} , "c":"\\\\" ,"d":null,"a\\u0062":-0e5}');
  assert.deepEqual([...found], [["a", "1.10"], ['b"', '{"x":[1,"}"]}'], ["c", '"\\\\"'], ["d", "null"], ["ab", "-0e5"]]);
  assert.deepEqual([...members("[1]")], []);
});

test("laying out changes nothing but space, and keeps keys that come twice", () => {
  for (const text of ['{"a":[1,2,{"b":[]}],"a":{},"c":"x, {y}: \\" z"}', "[]", '"s"', "12345678901234567890", "[true,null,1e-400]"]) {
    assert.equal(JSON.stringify(JSON.parse(laidOut(text))), JSON.stringify(JSON.parse(text)));
    // Outside of strings no character may be lost either.
    assert.equal(laidOut(text).replace(/\s/g, ""), text.replace(/\s/g, ""));
  }
  const pretty = { a: [1, { b: [] }], c: {}, d: "é\n" };
  assert.equal(laidOut(JSON.stringify(pretty)), JSON.stringify(pretty, null, 2));
});

test("text that is cut off anywhere is laid out as far as it goes", () => {
  const text = '{"a":[1,"two\\"",{"b":null}]}';
  for (let length = 0; length <= text.length; length += 1) {
    assert.equal(laidOut(text.slice(0, length)).replace(/\s/g, ""), text.slice(0, length));
  }
});

test("the backlog that a position counts is not counted twice, and what comes after it is", () => {
  const counters = new Counters();
  counters.snapshot(1, 3, true);
  for (const seq of [8, 9, 10]) counters.event(seq);
  assert.equal(counters.total, 3);
  assert.equal(counters.cursorSeq, 8);
  counters.event(11);
  assert.deepEqual([counters.position, counters.total], [1, 4]);
  counters.snapshot(4, 4, false);
  assert.equal(counters.cursorSeq, 11);
});

test("after a clear counting starts at zero with whatever number comes next", () => {
  const counters = new Counters();
  counters.snapshot(0, 0, true);
  counters.event(1);
  counters.clear();
  assert.deepEqual([counters.position, counters.total, counters.cursorSeq], [0, 0, 0]);
  counters.snapshot(0, 0, false);
  counters.event(2);
  counters.event(3);
  assert.equal(counters.total, 2);
});

test("a resumed stream counts what was missed once", () => {
  const counters = new Counters();
  counters.snapshot(0, 2, true);
  counters.event(1);
  counters.event(2);
  counters.snapshot(1, 5, true);
  for (const seq of [3, 4, 5]) counters.event(seq);
  assert.equal(counters.total, 5);
  counters.event(6);
  assert.equal(counters.total, 6);
});

test("a trim shows in the next position, and a status settles what a resume leaves open", () => {
  const counters = new Counters();
  counters.snapshot(2, 5, true);
  for (const seq of [1, 2, 3, 4, 5, 6]) counters.event(seq);
  counters.snapshot(1, 5, false);
  assert.equal(counters.cursorSeq, 2);
  counters.snapshot(0, 5, true);
  for (const seq of [7, 8, 9]) counters.event(seq);
  counters.retained(5, 9);
  assert.equal(counters.total, 5);
});

test("what hides or reorders is made visible, and what scripts and emoji need stays", () => {
  assert.equal(visible("a\u0000b\n\u007f\u202Ec\u2066\u200b\u{E0041}"), "a␀b␊␡[U+202E]c[U+2066][U+200B][U+E0041]");
  assert.equal(visible("👩\u200d💻 שלום"), "👩\u200d💻 שלום");
  const json = visibleJson('"\u202E\u{E0041}"');
  assert.equal(json, '"\\u202e\\udb40\\udc41"');
  assert.equal(JSON.parse(json), "\u202E\u{E0041}");
  assert.equal(clip("ab😀cd", 3), "ab…");
});

test("the line for a shell stays one line's worth of arguments for any id", () => {
  assert.ok(curlLine("http://h", "a'; rm -rf ~ #").startsWith("curl 'http://h/agent/a%27%3B%20rm%20-rf%20~%20%23/debug/trace'"));
});

test("a stretch of time reads as people say it", () => {
  assert.deepEqual([0, 999, 1500, 61_000, 3_700_000, 90_000_000].map(duration), ["0 ms", "999 ms", "1.5 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
});
