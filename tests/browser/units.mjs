// The parts of the page that need no browser: the SSE parser, JSON as text, the counters, text made visible.

import assert from "node:assert/strict";
import { test } from "node:test";

const assets = new URL("../../templates/assets/", import.meta.url);
const pageModule = (path) => import(new URL(path, assets));
const { compact, fault, layOut, members } = await pageModule("core/json.js");
const { SseParser } = await pageModule("core/sse.js");
const { refusalOf } = await pageModule("core/refusal.js");
const { clip, curlLine, duration, visible, visibleJson, visibleLines } = await pageModule("core/text.js");
const { barOf, joined, tickOf, tickText, workOf } = await pageModule("model/bars.js");
const { stretches } = await pageModule("model/comparison.js");
const { conversation, readMessage } = await pageModule("model/conversation.js");
const { Counters } = await pageModule("model/counters.js");
const { EventList } = await pageModule("model/eventlist.js");
const { matches, parseQuery } = await pageModule("model/search.js");
const { holdReason, targets } = await pageModule("model/targets.js");
const { Trace } = await pageModule("model/trace.js");
const { TraceTree } = await pageModule("model/tree.js");

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

test("every character that Unicode calls default ignorable is made visible, but for the joiners", () => {
  const hidden = [];
  for (let point = 0; point <= 0x10ffff; point += 1) {
    if (point >= 0xd800 && point <= 0xdfff) continue;
    const text = `a${String.fromCodePoint(point)}`;
    if (/\p{Default_Ignorable_Code_Point}|\p{Cc}|\p{Bidi_Control}/u.test(text) && visible(text) === text) hidden.push(point.toString(16));
  }
  assert.deepEqual(hidden, ["200c", "200d"]);
  for (const point of [0xad, 0x34f, 0x115f, 0x180e, 0x206a, 0x3164, 0xfe00, 0xfe0f, 0xffa0, 0xe0100, 0xe01ef]) {
    const name = point.toString(16).toUpperCase().padStart(4, "0");
    assert.equal(visible(`a${String.fromCodePoint(point)}b`), `a[U+${name}]b`);
    assert.equal(visibleLines(`a${String.fromCodePoint(point)}\n`), `a[U+${name}]\n`);
    assert.equal(JSON.parse(visibleJson(`"${String.fromCodePoint(point)}"`)), String.fromCodePoint(point));
    assert.match(visibleJson(`"${String.fromCodePoint(point)}"`), /^"(\\u[0-9a-f]{4})+"$/);
  }
});

test("the selector that makes an emoji stays, and one that hides beside it does not", () => {
  for (const text of ["❤\ufe0f", "⚠\ufe0f!", "1\ufe0f\u20e3", "👩\u200d❤\ufe0f\u200d👩"]) assert.equal(visible(text), text);
  assert.equal(visible("⚠\ufe0f\ufe0f"), "⚠\ufe0f[U+FE0F]");
  assert.equal(visible("⚠\ufe0e 1\ufe0f 1\u20e3\ufe0f"), "⚠[U+FE0E] 1[U+FE0F] 1\u20e3[U+FE0F]");
});

test("a refusal says what the server said, with nothing hidden in it, or else its status", () => {
  assert.deepEqual(refusalOf('{"error":"Unknown event type: a\u202eb","reason":"BAD"}', 400, "Bad Request"), { message: "Unknown event type: a[U+202E]b", reason: "BAD", status: 400 });
  for (const text of ["", "<h1>no</h1>", "null", "[]", '{"error":7}', '{"error":""}', '"x"']) {
    assert.deepEqual(refusalOf(text, 502, "Bad Gateway"), { message: "The server answered 502 Bad Gateway.", reason: "", status: 502 });
  }
});

test("the line for a shell stays one line's worth of arguments for any id", () => {
  assert.ok(curlLine("http://h", "a'; rm -rf ~ #").startsWith("curl 'http://h/agent/a%27%3B%20rm%20-rf%20~%20%23/debug/trace'"));
});

test("a stretch of time reads as people say it", () => {
  assert.deepEqual([0, 999, 1500, 61_000, 3_700_000, 90_000_000].map(duration), ["0 ms", "999 ms", "1.5 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
});

test("a fault is found where it is, and only where JSON.parse finds one too", () => {
  const sound = ['{}', ' {"a":[1,-0.5e+3,true,null,"\\u0041\\n"],"b":{"c":[]}}\n', '{"a":12345678901234567890123}', '{"":[[{}]]}'];
  for (const text of sound) {
    JSON.parse(text);
    assert.equal(fault(text), null, text);
  }
  const faulty = {
    "": [1, 1], "[]": [1, 1], '"a"': [1, 1], "{": [1, 2], '{"a"}': [1, 5], '{"a":}': [1, 6], '{"a":1,}': [1, 8],
    '{"a":01}': [1, 7], '{"a":1 2}': [1, 8], "{'a':1}": [1, 2], '{"a":\n  tru}': [2, 3], '{"a":[1,]}': [1, 9],
    '{"a":"\\x"}': [1, 7], '{"a":"x\ny"}': [1, 6], '{"a":"x': [1, 6], "{} x": [1, 4], '{"a":1]': [1, 7], '{"a":.5}': [1, 6],
    '{"a":\u00a01}': [1, 6], '{"a":truex}': [1, 6], '{"a":"\t"}': [1, 7],
  };
  for (const [text, [line, column]] of Object.entries(faulty)) {
    const found = fault(text);
    assert.deepEqual([found?.line, found?.column], [line, column], `${text}: ${found?.message}`);
  }
});

test("text cut off anywhere, or with one character replaced, has a fault exactly where JSON.parse refuses it", () => {
  const text = '{"a":[1,-2.5e3,{"b":"x\\"y\\u00e9"}],"c":null,"d":false}';
  const refuses = (candidate) => {
    try {
      return JSON.parse(candidate) === null || typeof JSON.parse(candidate) !== "object";
    } catch {
      return true;
    }
  };
  for (let i = 0; i <= text.length; i += 1) {
    for (const c of ["", ",", '"', "}", "]", "{", "1", "e", "\\", " ", ":"]) {
      for (const candidate of [text.slice(0, i) + c, text.slice(0, i) + c + text.slice(i + 1)]) {
        assert.equal(fault(candidate) !== null, refuses(candidate), candidate);
      }
    }
  }
});

test("formatted JSON goes over the wire as it was received", () => {
  const text = '{"a b":[1.10,-0.0,12345678901234567890,{"c":" x, {y} \\" "}],"d":{},"e":[]}';
  assert.equal(compact(laidOut(text)), text);
});

test("a list of events is trimmed at the front and found by seq", () => {
  const list = new EventList();
  assert.equal(list.near(1, 0), undefined);
  for (let seq = 2; seq <= 600; seq += 2) list.push({ seq });
  for (let seq = 2; seq <= 400; seq += 2) assert.equal(list.shift().seq, seq);
  assert.equal(list.length, 100);
  assert.deepEqual([list.near(500, 1), list.near(501, 0), list.near(1, 0), list.near(404, -Infinity), list.near(404, Infinity)].map(({ seq }) => seq), [502, 500, 402, 402, 600]);
  assert.deepEqual([[...list][0].seq, [...list].length, list.last.seq], [402, 100, 600]);
});

test("the buttons act on the chosen run, there on the selected step where it is held, else on the oldest", () => {
  const held = [
    { seq: 3, run_id: "a", gate: true, accepts: ["abort"] },
    { seq: 5, run_id: "a", accepts: [] },
    { seq: 7, run_id: "b", accepts: ["abort"] },
    { seq: 9, run_id: "a", accepts: ["abort"] },
  ];
  const seen = (run, selected) => {
    const { step, stop, next, bodies } = targets(held, run, selected);
    return [step?.seq, stop?.seq, next?.seq, bodies.step, bodies.continue];
  };
  assert.deepEqual(seen(null, 1), [5, 3, 5, { granularity: "into" }, {}]);
  assert.deepEqual(seen(null, 9), [9, 9, 5, { granularity: "into", seq: 9 }, {}]);
  assert.deepEqual(seen(null, 3), [5, 3, 5, { granularity: "into" }, {}], "a gate is opened by a release only");
  assert.deepEqual(seen("b", 9), [7, 7, 7, { granularity: "into", run_id: "b" }, { run_id: "b" }]);
  assert.deepEqual(seen("a", 9)[3], { granularity: "into", run_id: "a", seq: 9 });
  assert.deepEqual(seen("", 9), [undefined, undefined, undefined, { granularity: "into", run_id: "" }, { run_id: "" }]);
  assert.equal(targets(held.slice(0, 1), null, undefined).next.seq, 3, "following leads to a gate where nothing else is held");
});

test("why a step is held reads as a list", () => {
  assert.equal(holdReason({ reason: "effect", gate: true }), "waits for approval of its side effect, gate (only a release opens it)");
  assert.equal(holdReason({ reason: "step" }), "paused");
  assert.equal(holdReason({ reason: "pause", breakpoint_ids: [], gate: false }), "pause requested");
  assert.equal(holdReason({ reason: "breakpoint", breakpoint_ids: ["b1", "b3"] }), "breakpoints b1, b3");
  assert.equal(holdReason({ reason: "breakpoint", breakpoint_ids: ["b1"], gate: true }), "breakpoint b1, gate (only a release opens it)");
});

/** Events as model/trace.js makes them, as far as the tree, bars and search read them. */
let number = 0;
function event(type, fields = {}) {
  number += 1;
  const run = fields.runId ?? "";
  return {
    seq: number, type, name: "", runId: run, run, nodeId: null, parentId: null, model: "", origin: "live", ts: number, start: number, end: null,
    took: 0, tokens: 0, raw: "{}", held: null, decision: null, warnings: [], hit: false, gone: false, ...fields,
  };
}
const node = (type, nodeId, parentId = null, fields = {}) => event(type, { nodeId, parentId, ...fields });
const outline = (rows) => rows.map((row) => `${row.level}:${row.items ? row.runId || "-" : `${row.type[0]}${row.nodeId ?? ""}`}`).join(" ");

test("a tree of any depth is walked without recursion, and nothing of it is left when it is trimmed", () => {
  const tree = new TraceTree();
  const events = Array.from({ length: 5000 }, (_, i) => node("prompt", `n${i}`, i ? `n${i - 1}` : null));
  for (const one of events) tree.append(one);
  const rows = tree.rows();
  assert.equal(rows.length, 5001);
  assert.equal(rows.at(-1).level, 5001);
  assert.ok(rows.every(({ group }) => group.size === 1));
  for (const one of events) tree.drop(one);
  assert.equal(tree.rows().length, 0);
  assert.deepEqual(tree.runs, []);
});

test("what closes a node stands beside what opened it, and is left out where rows stand for nodes", () => {
  const tree = new TraceTree();
  const all = [node("tool_call", "a"), node("prompt", "b", "a"), node("log", "b"), node("response", "b"), node("tool_result", "a"), event("log")];
  for (const one of all) tree.append(one);
  assert.equal(outline(tree.rows()), "1:- 2:ta 3:pb 4:lb 3:rb 2:ta 2:l");
  assert.equal(outline(tree.rows({ run: "" })), "1:ta 2:pb 3:lb 2:rb 1:ta 1:l");
  assert.equal(outline(tree.rows({ merged: true })), "1:- 2:ta 3:pb 4:lb 2:l");
  all[3].hit = true;
  assert.equal(outline(tree.rows({ hits: true })), "1:- 2:ta 3:pb 3:rb", "what is above a hit stays");
  tree.rows()[1].node.folded = true;
  assert.equal(outline(tree.rows()), "1:- 2:ta 2:ta 2:l");
  assert.equal(tree.reveal(all[2]), true);
  assert.equal(tree.reveal(all[2]), false);
  // The head is trimmed: what was inside moves up.
  tree.drop(all[0]);
  assert.equal(outline(tree.rows()), "1:- 2:pb 3:lb 2:rb 2:ta 2:l");
});

test("a node that opens once more is a node once more, and a circle of parents is no parent", () => {
  const tree = new TraceTree();
  for (const type of ["prompt", "response", "prompt", "response"]) tree.append(node(type, "again"));
  assert.equal(outline(tree.rows()), "1:- 2:pagain 2:ragain 2:pagain 2:ragain");
  tree.clear();
  for (const [id, parent] of [["a", "b"], ["b", "a"], ["c", "c"]]) tree.append(node("prompt", id, parent));
  assert.equal(tree.rows().length, 4);
});

test("held time is no work, counts once where it overlaps, and counts for the nodes above", () => {
  const tree = new TraceTree();
  const at = (ts, type, id, parent) => node(type, id, parent, { ts, start: ts });
  const [outer, inner, end, close] = [at(10, "tool_call", "o"), at(11, "prompt", "i", "o"), at(16, "response", "i", "o"), at(18, "tool_result", "o")];
  for (const one of [outer, inner, end, close]) tree.append(one);
  tree.addHold(inner, 11, 14);
  tree.addHold(end, 16, 17);
  const [a, b] = [barOf(outer, 18, new Map()), barOf(inner, 18, new Map())];
  assert.deepEqual([a.from, a.to, a.held, a.heldFor, a.open], [10, 18, [[11, 14], [16, 17]], 4, false]);
  assert.deepEqual([b.from, b.to, workOf(inner, b)], [11, 17, 2000]);
  assert.equal(workOf(outer, a), 4000);
  end.took = 1500;
  assert.equal(workOf(inner, b), 1500, "what a step says of itself comes first");
  const waits = barOf(at(20, "prompt", "x"), 25, new Map());
  assert.equal(waits.point, true);
  assert.deepEqual(joined([[3, 5], [1, 2], [4, 6], [6, 7]]), [[1, 2], [3, 7]]);
  assert.equal(joined(Array.from({ length: 1000 }, (_, i) => [i * 2, i * 2 + 1])).length, 24);
});

test("an axis has round ticks at any closeness, each with a text of its own", () => {
  for (let least = 1e-5; least < 1e6; least *= 1.7) {
    const step = tickOf(least);
    assert.ok(step >= least * 0.99 && step < least * 3.1, `${least}: ${step}`);
    const texts = [0, 1, 2, 3, 4, 5].map((i) => tickText(i * step, step));
    assert.equal(new Set(texts).size, 6, `${step}: ${texts}`);
  }
});

test("a query finds words in payloads, decisions and fields, and not in the names of fields", () => {
  const raw = JSON.stringify({ type: "prompt", data: { text: 'Say "Grüße" twice\n' }, node_id: null, metadata: { team: "blue" } });
  const one = event("tool_call", { warnings: ["unknown field `args`"], name: "book_hotel", run: "trip", model: "gpt-5-mini", nodeId: "n7", raw, decision: { outcome: "released", action: "edit", raw: '{"decision":{"data":{"city":"Porto"}}}' } });
  const found = (text) => matches(parseQuery(text), one);
  for (const text of ["grüße", "GRÜßE twice", "blue", "porto", "tool call", "type:tool_call", "name:hotel", "run:trip", "model:gpt", "node:n7", "is:edit", "is:warning", "-lisbon", "book -type:log"]) {
    assert.equal(found(text), true, text);
  }
  for (const text of ["metadata", "node_id", "null", "-porto", "type:log", "lisbon", "name:trip", "unknown:field", "origin:edited", "a.c"]) assert.equal(found(text), false, text);
  assert.equal(matches(parseQuery("gruesse"), { ...one, raw: raw.replace("ü", "\\u00fc") }), false);
  assert.equal(matches(parseQuery("grüße"), { ...one, raw: raw.replace("ü", "\\u00fc").replace("ß", "\\u00df") }), true);
  assert.deepEqual(parseQuery('  "" - '), []);
});

test("a role, a type or a state that is named like a member of every object is one like any other", () => {
  for (const name of ["constructor", "__proto__", "toString", "hasOwnProperty", "valueOf"]) {
    const data = JSON.stringify({ messages: [{ role: name, content: "hi" }] });
    const [message] = conversation(data, true).messages;
    const { role, parts } = readMessage(message);
    assert.deepEqual([role, parts], [name.toLowerCase(), [{ kind: "text", text: "hi" }]]);
    assert.equal(holdReason({ reason: name }), name.replaceAll("_", " "));
    assert.equal(matches(parseQuery(`${name}:x`), event("log", { raw: '{"data":{}}' })), false);
    assert.equal(matches(parseQuery(`${name}:x`), event("log", { raw: JSON.stringify({ data: { text: `${name}:x` } }) })), true);
    const [stretch] = stretches([{ kind: name, left_seqs: [1, 2], right_seqs: [3] }]);
    assert.deepEqual([stretch.folds, stretch.pairs.length], [false, 2]);
  }
});

test("a warning is kept as text, and anything else in its place is none", () => {
  const trace = new Trace(() => {});
  const frame = (seq, warnings) => ({ seq, type: "log", run_id: "", data: {}, warnings });
  for (const [i, warnings] of [["a\u202eb", 7, null], undefined, null, "x", {}].entries()) trace.append(frame(i + 1, warnings), "{}");
  assert.deepEqual([1, 2, 3, 4, 5].map((seq) => trace.get(seq).warnings), [["a[U+202E]b"], [], [], [], []]);
});
