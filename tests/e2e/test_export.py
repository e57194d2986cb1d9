"""A run as a file: what docs/reference/export-format.md says of it is so, and whatever is not so is refused and leaves nothing."""

import hashlib
import json
import re
import subprocess
import sys

import grpc
import jsonschema
import pytest

import story
from contract import pb, services
from debuggers import Refused
from documents import Document
from files import SCHEMA, changed, decision, event, file, manifest, sealed, text
from runs import Runs
from server import PATIENCE, Server

FORMAT = Document("docs/reference/export-format.md")
(EXAMPLE,), (READER,) = FORMAT.blocks("## An example", "jsonl"), FORMAT.blocks("## A reader", "python")
VALIDATOR = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))


@pytest.fixture(scope="module")
def second():
    """Another server, which knows nothing of the first."""
    server = Server()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def told(server):
    """An agent whose runs hold everything, with the ids of the runs."""
    runs = Runs(server, "told")
    with grpc.insecure_channel(server.address) as channel:
        story.record(runs, services.DebuggerServiceStub(channel), "told")
    story.record_to_fork(runs)
    return runs, ["rich", "plain", story.fork_and_diverge(runs)]


def lines_of(exported):
    return [json.loads(line) for line in exported.decode().splitlines()]


# What is written.


def test_the_story_holds_what_a_run_can_hold(told):
    runs, ids = told
    lines = [it for run_id in ids for line in lines_of(runs.export(run_id)) for it in line.items()]
    events = [it for kind, it in lines if kind == "event"]
    decisions = [it for kind, it in lines if kind == "decision"]
    assert {event["type"] for event in events} == {"prompt", "response", "tool_call", "tool_result", "error", "log"}
    assert {event["origin"] for event in events} == {"live", "recorded", "edited"}
    assert {event["form"] for event in events} == {event["form"] for event in decisions if "form" in event} == {"json", "struct"}
    assert {decision["action"] for decision in decisions} == {"proceed", "edit", "fulfil", "fail", "abort"}
    assert {decision["outcome"] for decision in decisions} == {"released", "timed_out", "not_held"}
    properties = VALIDATOR.schema["$defs"]
    assert {key for event in events for key in event} == set(properties["event"]["properties"])
    assert {key for decision in decisions for key in decision} == set(properties["decision"]["properties"])


def test_every_line_is_as_the_schema_says(told):
    runs, ids = told
    for run_id in ids:
        for mask in (False, True):
            for line in lines_of(runs.export(run_id, mask=mask)):
                VALIDATOR.validate(line)


def test_the_document_names_every_key_and_no_other():
    for kind in ("manifest", "event", "decision"):
        rows = dict(re.findall(r"^\| `(\w+)` \|(.*?)\|", FORMAT.section(f"## `{kind}`"), re.MULTILINE))
        described = VALIDATOR.schema["$defs"][kind]
        assert set(rows) == set(described["properties"])
        assert {key for key, needed in rows.items() if not needed.strip()} == set(described["required"])


def test_what_was_told_is_in_the_file_digit_for_digit(told):
    runs, _ = told
    exported = runs.export("rich").decode()
    assert f'"data":{story.NUMBERS}' in exported
    (prompt, *_) = [line["event"] for line in lines_of(runs.export("rich")) if "event" in line]
    assert prompt["data"] == story.UNICODE
    assert '"input_tokens":18446744073709551615' in exported and '"start_ts":-0.999999999' in exported
    assert runs.url.split("/")[4] not in exported, "it does not say whose run it is"


# There and back.


@pytest.mark.parametrize("index", range(3), ids=["rich", "plain", "fork"])
def test_what_is_imported_is_exported_byte_for_byte(told, second, index, agent_id):
    runs, ids = told
    exported = runs.export(ids[index])
    for there, run_id in ((Runs(second, agent_id), None), (Runs(second, agent_id), "other"), (runs, f"again-{agent_id}")):
        taken = there.take_in(exported, run_id)
        assert taken["run_id"] == (run_id or ids[index])
        assert there.export(taken["run_id"]) == exported
        assert relative(there.recorded(taken["run_id"])) == relative(runs.recorded(ids[index]))
        assert runs.run(ids[index])["finished"] == there.run(taken["run_id"])["finished"]
        seqs = [event["seq"] for event in there.recorded(taken["run_id"])]
        assert (seqs[0], seqs[-1], len(seqs)) == (taken["first_seq"], taken["last_seq"], taken["events"])


def relative(events):
    """The events without what belongs to a server: its numbers."""
    kept = []
    for event in events:
        event = {key: value for key, value in event.items() if key not in ("seq", "run_id", "source_seq")}
        for part in ("decision", "divergence"):
            if event.get(part):
                event[part] = {key: it for key, it in event[part].items() if key not in ("seq", "run_id", "nearest_seq")}
        kept.append(event)
    return kept


def test_over_grpc_it_is_the_same_file(told, second, agent_id):
    runs, ids = told
    target = pb.ImportTarget(agent_id=agent_id)
    with grpc.insecure_channel(runs.url.split("/")[2]) as here, grpc.insecure_channel(second.address) as there:
        here, there = services.DebuggerServiceStub(here), services.DebuggerServiceStub(there)
        for run_id in ids:
            pieces = here.Export(pb.ExportRequest(agent_id="told", run_id=run_id), timeout=PATIENCE)
            exported = b"".join(piece.chunk for piece in pieces)
            assert exported == runs.export(run_id)
            # In pieces that end anywhere.
            parts = [exported[start : start + 7] for start in range(0, len(exported), 7)]
            messages = [pb.ImportRequest(target=target), *(pb.ImportRequest(chunk=part) for part in parts)]
            taken = there.Import(iter(messages), timeout=PATIENCE)
            assert (taken.run_id, taken.events) == (run_id, len(runs.recorded(run_id)))
            again = there.Export(pb.ExportRequest(agent_id=agent_id, run_id=run_id), timeout=PATIENCE)
            assert b"".join(piece.chunk for piece in again) == exported

        with pytest.raises(grpc.RpcError) as refusal:
            there.Import(iter([pb.ImportRequest(target=target), pb.ImportRequest(chunk=b"{}\n")]), timeout=PATIENCE)
        assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.value.details().startswith("line 1: ")
        with pytest.raises(grpc.RpcError) as refusal:
            there.Import(iter(messages), timeout=PATIENCE)
        assert refusal.value.code() == grpc.StatusCode.ALREADY_EXISTS


def test_an_imported_run_is_not_added_to(told, second, agent_id):
    runs, _ = told
    there = Runs(second, agent_id)
    there.take_in(runs.export("plain"))
    with pytest.raises(Refused) as refusal:
        there.trace(type="log", run_id="plain")
    assert refusal.value.code == 409
    assert len(there.recorded("plain")) == len(runs.recorded("plain"))


def test_what_has_no_events_is_not_exported(told, server, agent_id):
    runs, _ = told
    seq = runs.recorded("plain")[-1]["seq"]
    waiting = runs.fork(run_id="plain", seq=seq)["run_id"]
    for agent, run_id in ((runs, waiting), (runs, "never"), (Runs(server, agent_id), "")):
        with pytest.raises(Refused) as refusal:
            agent.export(run_id)
        assert refusal.value.code == 404


# The reader and the example of the document.


def read(tmp_path, exported):
    """What the reader of the document makes of a file."""
    (tmp_path / "reader.py").write_text(READER)
    (tmp_path / "run.jsonl").write_bytes(exported)
    return subprocess.run(
        [sys.executable, "reader.py", "run.jsonl"], cwd=tmp_path, text=True, capture_output=True, timeout=PATIENCE,
        env={"PYTHONUTF8": "1"},
    )  # fmt: skip


def test_the_reader_prints_every_step_of_a_real_file(told, tmp_path):
    runs, ids = told
    for run_id in ids:
        records = lines_of(runs.export(run_id))[1:-1]
        done = read(tmp_path, runs.export(run_id))
        assert done.returncode == 0, done.stderr
        printed = [line.split()[:2] for line in done.stdout.rstrip().split("\n")]
        steps = [(it["ordinal"], it.get("type") or it["action"]) for record in records for it in record.values()]
        assert printed == [[str(ordinal), what] for ordinal, what in steps]
    assert len(READER.strip().splitlines()) <= 12


def test_the_reader_refuses_what_was_changed(told, tmp_path):
    runs, _ = told
    done = read(tmp_path, runs.export("plain").replace(b"who?", b"why?", 1))
    assert done.returncode == 1 and "damaged" in done.stderr and not done.stdout


def test_the_example_of_the_document_is_a_file(second, agent_id):
    example = EXAMPLE.encode()
    for line in lines_of(example):
        VALIDATOR.validate(line)
    runs = Runs(second, agent_id)
    assert runs.take_in(example)["run_id"] == "monday"
    assert runs.export("monday") == example


# What is refused.


@pytest.fixture
def untouched(second, agent_id):
    """Asserts that a file is refused, and that nothing has changed by it, for an agent that there is and one that is not."""
    runs, nobody = Runs(second, agent_id), Runs(second, f"nobody-{agent_id}")
    runs.trace(type="log", run_id="before", hold="never")

    def untouched(file, status=400, run_id=None):
        before = runs.status(), runs.recorded()
        problems = []
        for agent in (runs, nobody):
            with pytest.raises(Refused) as refusal:
                agent.take_in(file, run_id)
            assert refusal.value.code == status, refusal.value
            problems.append(str(refusal.value).removeprefix(f"{status}: "))
        assert (runs.status(), runs.recorded()) == before
        assert nobody.status()["total_events"] == 0 and nobody.status()["runs"] == []
        assert agent_id in runs.agents() and f"nobody-{agent_id}" not in runs.agents()
        assert line_of(problems[0]) == line_of(problems[1])
        return problems[0]

    return untouched


def line_of(problem):
    return int(re.match(r"line (\d+): \S", problem).group(1))


SMALL = file(
    event(1, type="prompt", node_id="n1", data={"q": "naïve\\ ☃", "n": -1.5e3}),
    decision(1, action="fulfil", form="json", data={"a": 1}),
    event(2, type="response", node_id="n1", origin="edited", data={"a": 1}),
)


def test_the_file_that_is_damaged_below_is_one(second, agent_id):
    assert Runs(second, agent_id).take_in(SMALL)["events"] == 2


def test_no_byte_can_be_changed(untouched):
    seen = set()
    lines = SMALL.splitlines(keepends=True)
    start = 0
    for number, line in enumerate(lines, 1):
        for at, byte in enumerate(line):
            letter = chr(byte)
            kind = "word" if letter.isalpha() and byte < 128 else "digit" if letter.isdigit() else byte if byte < 128 else "wide"
            if (number, kind) in seen:
                continue
            seen.add((number, kind))
            for flip in (0x01, 0x20, 0x80):
                damaged = bytearray(SMALL)
                damaged[start + at] ^= flip
                where = line_of(untouched(bytes(damaged)))
                assert number <= where <= len(lines), (number, letter, flip)
        start += len(line)
    assert len(seen) > 50


def test_no_line_can_be_dropped_doubled_or_moved(untouched):
    lines = SMALL.splitlines(keepends=True)
    for at in range(len(lines)):
        dropped = lines[:at] + lines[at + 1 :]
        assert at + 1 <= line_of(untouched(b"".join(dropped))) <= len(lines), at
        doubled = lines[: at + 1] + lines[at:]
        assert line_of(untouched(b"".join(doubled))) == at + 2
        for other in range(at):
            moved = lines.copy()
            moved[at], moved[other] = moved[other], moved[at]
            assert other + 1 <= line_of(untouched(b"".join(moved))) <= len(lines), (at, other)


def test_no_end_is_missing(untouched):
    for length in range(0, len(SMALL), 11):
        assert line_of(untouched(SMALL[:length])) == SMALL[:length].count(b"\n") + 1
    assert "cut short" in untouched(SMALL[:-1])


@pytest.mark.parametrize("foreign", [
    b"", b"\n", b"{}\n", b"[]\n", b"null\n", b"\xef\xbb\xbf" + SMALL, b"\xff\xfe\x00", bytes(range(256)) * 64,
    b'{"traceEvents":[]}\n', b'{"jsonrpc":"2.0"}\n', b"\x1f\x8b\x08\x00" + b"\x00" * 100, SMALL.decode().encode("utf-16"),
    SMALL.replace(b"\n", b"\r\n"), SMALL.replace(b"\n", b"\r"), b"\n" + SMALL, SMALL + b"\n", SMALL + b"{}", SMALL + SMALL,
    b"[" * 100_000 + b"]" * 100_000 + b"\n", b'{"manifest":' * 100_000 + b"}" * 100_000 + b"\n",
    b'{"manifest":{"format":"agent-debugger/run","version":99}}\n',
], ids=lambda data: repr(data[:12]))  # fmt: skip
def test_what_is_no_such_file_is_refused(untouched, foreign):
    assert 1 <= line_of(untouched(foreign)) <= foreign.count(b"\n") + 1


def nested(depth):
    value = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


PROMPT = event(1, type="prompt", metadata={"m": 1}, metadata_form="json", name="x", effect="read", accepts=["edit"],
               divergence={"reason": "why", "fields": [{"path": "$.a", "left": "1", "right": ""}]}, token_count=1, end_ts=2,
               duration_ms=-0.5, run_end=True, by_breakpoint=True, replay_checkpoint=False)  # fmt: skip
EDIT = decision(1, action="edit", model="m", form="json", data={}, before={"b": 1}, before_form="json")
FAIL = decision(1, action="fail", message="no", form="struct", data={"why": 1})
ABORT = decision(1, action="abort", reason="no")
NEEDED = ["ordinal", "at", "type", "start_ts", "origin", "context", "form", "data"]
WRONG = [
    *((PROMPT, ["event", key], ...) for key in NEEDED),
    *((PROMPT, ["event", "context", key], ...) for key in PROMPT["event"]["context"]),
    *((PROMPT, ["event", key], 1) for key in ("seq", "agent_id", "request_id", "Data", "")),
    *((PROMPT, ["event", "ordinal"], wrong) for wrong in (0, -1, "1", 1.5, None, 2**64)),
    *((PROMPT, ["event", "at"], wrong) for wrong in ("1", None, [], 9223372037, -9223372037, 1e300)),
    *((PROMPT, ["event", "duration_ms"], wrong) for wrong in ("1", {}, 9223372036855, True)),
    *((PROMPT, ["event", "type"], wrong) for wrong in ("thought", "Prompt", "", None, 1)),
    *((PROMPT, ["event", "origin"], wrong) for wrong in ("imported", "", None)),
    *((PROMPT, ["event", "effect"], wrong) for wrong in ("unknown", "", 1)),
    *((PROMPT, ["event", "accepts"], wrong) for wrong in (["proceed"], "edit", [1], [None])),
    *((PROMPT, ["event", "form"], wrong) for wrong in ("yaml", "", None, 1)),
    *((PROMPT, ["event", key], wrong) for key in ("data", "metadata") for wrong in ([], "{}", 1)),
    (PROMPT, ["event", "metadata"], ...),
    *((PROMPT, ["event", "metadata_form"], wrong) for wrong in ("yaml", 1)),
    *((PROMPT, ["event", key], wrong) for key in ("name", "node_id", "model") for wrong in ("x" * 201, "a\nb", "\x7f", "\x85", 1)),
    *((PROMPT, ["event", "token_count"], wrong) for wrong in (-1, 1.5, 2**64, "1")),
    *((PROMPT, ["event", key], wrong) for key in ("run_end", "by_breakpoint", "replay_checkpoint") for wrong in ("yes", 1)),
    *((PROMPT, ["event", "context", "depth"], wrong) for wrong in (-1, 2**32, 0.5, "0", None)),
    (PROMPT, ["event", "context", "more"], 1),
    (PROMPT, ["event", "divergence", "reason"], ...),
    (PROMPT, ["event", "divergence", "reason"], "x" * 8193),
    (PROMPT, ["event", "divergence", "nearest_seq"], 1),
    (PROMPT, ["event", "divergence", "fields"], [{"path": "$", "left": "", "right": ""}] * 21),
    (PROMPT, ["event", "divergence", "fields"], [{"path": "$", "left": ""}]),
    *((EDIT, ["decision", key], ...) for key in ("ordinal", "at", "outcome", "actor", "held_ms", "action", "data", "before")),
    *((EDIT, ["decision", "action"], wrong) for wrong in ("proceed", "fulfil", "fail", "abort", "retry", "", None)),
    *((EDIT, ["decision", key], wrong) for key in ("message", "reason") for wrong in ("x", 1)),
    *((EDIT, ["decision", "held_ms"], wrong) for wrong in (-1, "1", None)),
    *((EDIT, ["decision", "outcome"], wrong) for wrong in ("still_held", "", None, "Released")),
    *((EDIT, ["decision", "actor"], wrong) for wrong in ("x" * 201, "a\nb", 1, None)),
    *((EDIT, ["decision", key], wrong) for key in ("data", "before") for wrong in ([], 1)),
    *((EDIT, ["decision", key], "yaml") for key in ("form", "before_form")),
    (EDIT, ["decision", "seq"], 1),
    (FAIL, ["decision", "message"], ...),
    (FAIL, ["decision", "message"], "x" * 8193),
    (FAIL, ["decision", "model"], "m"),
    (ABORT, ["decision", "reason"], ...),
    (ABORT, ["decision", "action"], "proceed"),
    (decision(1, action="edit"), ["decision", "ordinal"], 1),
    (decision(1, action="proceed"), ["decision", "model"], "m"),
]


@pytest.mark.parametrize("line", [PROMPT, EDIT, FAIL, ABORT], ids=lambda line: next(iter(line.values())).get("action", "event"))
def test_the_lines_that_are_made_wrong_below_are_right(line, second, agent_id):
    records = [line] if "event" in line else [event(1), line]
    VALIDATOR.validate(line)
    assert Runs(second, agent_id).take_in(file(*records))["events"] == 1


@pytest.mark.parametrize("line, path, value", WRONG, ids=lambda part: None if isinstance(part, dict) else repr(part)[:40])
def test_what_the_schema_refuses_is_refused(untouched, line, path, value):
    wrong = changed(line, path, value)
    assert not VALIDATOR.is_valid(wrong)
    records = [line] if "event" in line else [event(1), line]
    # The manifest is that of the right line, but for the length of what is no payload any more.
    said = manifest([*records[:-1], wrong] if value is not ... else records)
    whole = sealed([said, *records[:-1], wrong])
    assert line_of(untouched(whole)) == len(records) + 1


@pytest.mark.parametrize("key, value", [
    ("format", "agent-debugger"), ("format", 1), ("version", 0), ("version", 2), ("version", "1"), ("version", 1.5),
    ("run_id", "x" * 201), ("run_id", "a\nb"), ("run_id", None), ("events", 0), ("events", -1), ("events", "1"), ("decisions", -1),
    ("bytes", 0.5), ("truncated", "no"), ("truncated", None), ("more", 1), ("forked_from", {"run_id": "x"}),
    ("forked_from", {"run_id": "x", "ordinal": -1}), ("forked_from", {"run_id": "x", "ordinal": 1, "seq": 1}), ("forked_from", "x"),
    ("masked", []), ("masked", {"rule": -1}), ("masked", {"rule": "1"}), ("masked", {f"rule-{at}": 1 for at in range(101)}),
], ids=lambda part: repr(part)[:40])  # fmt: skip
def test_a_manifest_that_the_schema_refuses_is_refused(untouched, key, value):
    said = manifest([event(1)], **{key: value})
    assert not VALIDATOR.is_valid(said)
    assert line_of(untouched(sealed([said, event(1)]))) == 1


@pytest.mark.parametrize("line, lines", [
    (3, [manifest([event(1)], events=2, truncated=True), changed(event(1), ["event", "context", "run_events"], 2), event(3)]),
    (2, [manifest([event(1)]), event(2)]),
    (2, [manifest([event(1)], truncated=True), event(1)]),
    (2, [manifest([event(1)]), changed(event(1), ["event", "context", "run_events"], 2)]),
    (2, [manifest([event(1), decision(1)]), decision(1), event(1)]),
    (3, [manifest([event(1), decision(1)]), event(1), decision(2)]),
    (4, [manifest([event(1), decision(1), decision(1)]), event(1), decision(1), decision(1)]),
    (2, [manifest([event(1)]), manifest([event(1)]), event(1)]),
    (1, [event(1)]),
    (3, [manifest([event(1)]), event(1), event(2)]),
    (3, [manifest([event(1)], events=2), event(1)]),
    (3, [manifest([event(1)]), event(1), decision(1)]),
    (3, [manifest([event(1)], decisions=1), event(1)]),
    (2, [manifest([event(1)], bytes=1), event(1)]),
    (3, [manifest([event(1)], bytes=3), event(1)]),
    (2, [manifest([event(1)]), b'{"event":1,"decision":2}\n']),
    (2, [manifest([event(1)]), b'{"event":{},"event":{}}\n']),
    (2, [manifest([event(1)]), text(event(1)).encode() + b" x\n"]),
    (2, [manifest([event(1)]), text(event(1)).replace('"ordinal":1', '"ordinal":1,"ordinal":1').encode() + b"\n"]),
    # What a schema cannot say.
    (2, [manifest([event(1)]), text(event(1)).replace('"at":1.5', '"at":1.5e0').encode() + b"\n"]),
    (2, [manifest([event(1)]), text(event(1)).replace('"at":1.5', '"at":1.0000000001').encode() + b"\n"]),
    (2, [manifest([event(1)]), text(event(1)).replace('"data":{}', '"data":{\r}').encode() + b"\n"]),
    (2, [manifest([event(1)]), text(event(1)).replace('"data":{}', '"data":{"a":"\x01"}').encode() + b"\n"]),
    (2, [manifest([event(1)]), text(event(1)).replace('"data":{}', '"data":{"a":01}').encode() + b"\n"]),
    (2, [manifest([event(1)]), text(event(1)).encode().replace(b'"data":{}', b'"data":{"a":"\xed\xa0\x80"}') + b"\n"]),
    (2, [manifest([event(1, data=nested(65))]), event(1, data=nested(65))]),
    (2, [manifest([event(1)]), event(1, name="é" * 101)]),
    (2, [manifest([event(1)], bytes=3_670_017), event(1, data={"a": "x" * 3_670_009})]),
    (2, [manifest([event(1)], bytes=10**7), event(1, data={"a": "x" * 2_000_000}, metadata={"b": "x" * 2_000_000}, metadata_form="json")]),
])  # fmt: skip
def test_what_is_wrong_between_the_lines_is_refused(untouched, line, lines):
    assert line_of(untouched(sealed(lines))) == line


def test_another_hash_is_refused(untouched):
    whole = file(event(1))
    body = whole[: whole.rindex(b'{"end"')]
    right = hashlib.sha256(body).hexdigest()
    for wrong in ("0" * 64, right.upper(), right[:-1], "", right + "0"):
        closing = {"end": {"sha256": wrong}}
        assert VALIDATOR.is_valid(closing) == (wrong == "0" * 64)
        assert line_of(untouched(body + text(closing).encode() + b"\n")) == 3
    assert line_of(untouched(body + text({"end": {"sha256": right, "more": 1}}).encode() + b"\n")) == 3


def test_a_run_that_there_is_stays_as_it_is(second, agent_id):
    runs = Runs(second, agent_id)
    runs.trace(type="log", run_id="live", hold="never")
    runs.take_in(SMALL)
    before = runs.status(), runs.recorded()
    for run_id in ("live", None, "by-hand"):
        with pytest.raises(Refused) as refusal:
            runs.take_in(SMALL, run_id)
        assert refusal.value.code == 409 and "already" in str(refusal.value)
    assert (runs.status(), runs.recorded()) == before


# Limits.


def test_a_manifest_that_claims_much_is_refused_at_once(untouched):
    assert "room" in untouched(text(manifest([], events=1, bytes=10**9)).encode() + b"\n", status=429)
    assert "room" in untouched(text(manifest([], events=10_001)).encode() + b"\n", status=429)
    assert line_of(untouched(text(manifest([], events=2**64 - 1, bytes=2**64 - 1)).encode() + b"\n", status=429)) == 1


def test_depth_does_not_reach_the_stack(untouched):
    deep = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    said = manifest([event(1)], bytes=len(deep))
    lines = [said, text(event(1)).encode().replace(b'"data":{}', b'"data":' + deep) + b"\n"]
    assert "64 levels" in untouched(sealed(lines))
    assert line_of(untouched(sealed([said, deep + b"\n"]))) == 2


def test_a_line_of_20_megabytes_is_refused(untouched):
    for line in (b"x" * 20_000_000, text(event(1, data={"a": "x" * 20_000_000})).encode()):
        for whole in (line, line + b"\n", sealed([manifest([event(1)], bytes=20_000_008), line + b"\n"])):
            assert "at most" in untouched(whole)


def test_the_deepest_and_the_longest_are_taken(second, agent_id):
    runs = Runs(second, agent_id)
    records = [event(1, data=nested(64)), event(2, data={"a": "x" * 3_670_008}), decision(2, action="abort", reason="ä" * 4096)]
    whole = file(*records)
    runs.take_in(whole)
    assert runs.export("by-hand") == whole


def test_numbers_at_their_ends_are_taken_compared_and_shown(second, agent_id):
    """Whatever the format allows must not break what looks at it."""
    runs = Runs(second, agent_id)
    most = 2**64 - 1
    context = {"depth": 2**32 - 1, "repeats": 2**32 - 1, "run_events": most, "run_tokens": most, "run_elapsed_ms": most}
    ends = {"token_count": most, "input_tokens": most, "output_tokens": most}
    # As text: these are more digits than a double has.
    for name, time, span in (("a", "-9223372036.854775808", "-9223372036854.775808"), ("b", "9223372036.854775807", "9223372036854.775807")):
        times = {"start_ts": 11111, "end_ts": 11111, "duration_ms": 22222} | ends | {"latency_ms": 22222}
        records = [event(ordinal, at=11111, **times, context=context) for ordinal in (1, 2)]
        records.append(decision(1, at=11111, held_ms=33333))
        lines = [text(line).replace("11111", time).replace("22222", span).replace("33333", "9223372036854.775807") for line in records]
        said = manifest(records, truncated=True, run_id=name, forked_from={"run_id": "", "ordinal": most}, masked={"token": most})
        whole = sealed([said, *(line.encode() + b"\n" for line in lines)])
        runs.take_in(whole)
        assert runs.export(name) == whole
        assert runs.run(name)["masked"] and len(runs.recorded(name)) == 2
        assert runs.export(name, mask=True) == whole
    assert runs.compare("a", "b")["left"]["tokens"] == most
    runs.trace(type="log", run_id="later", data={"still": "there"})
    assert runs.recorded("later")[0]["data"] == {"still": "there"}


# Room.


@pytest.fixture(scope="module")
def small():
    server = Server(max_events_per_agent="10", max_bytes_per_agent="8MiB")
    yield server
    server.stop()


def test_what_would_push_recorded_events_out_is_refused(small, agent_id):
    runs = Runs(small, agent_id)
    for size in (3_000_000, *[1] * 7):
        runs.trace(type="log", run_id="before", hold="never", data={"a": "x" * size})
    before = runs.status(), runs.recorded()
    large = {"a": "x" * 3_000_000}
    for records in ([event(1), event(2), event(3)], [event(1, data=large), event(2, data=large)]):
        # Whether the manifest tells or only the lines do.
        for said in (manifest(records), manifest(records, events=1, bytes=2)):
            with pytest.raises(Refused) as refusal:
                runs.take_in(sealed([said, *records]))
            assert refusal.value.code == (429 if said == manifest(records) else 400)
    assert (runs.status(), runs.recorded()) == before
    assert runs.take_in(file(event(1), event(2)))["events"] == 2
    assert runs.status()["dropped_events"] == 0


def test_a_run_that_begins_in_the_middle_says_so(small, second, agent_id):
    runs = Runs(small, agent_id)
    for at in range(12):
        runs.trace(type="log", data={"at": at}, hold="never")
    exported = runs.export("")
    assert lines_of(exported)[0]["manifest"]["truncated"] is True
    there = Runs(second, agent_id)
    assert there.take_in(exported)["run_id"] == ""
    assert there.export("") == exported


# Masking.

SECRETS = {
    "api_key": "0123-in-data", "x-api-key": "0123-as-header", "OPENAI_API_KEY": "0123-as-variable", "password": "hunter2-in-data",
    "nested": [{"credentials": {"user": "the-user-himself", "pin": 987654321}}], "token": "secret-token-text",
    "text": "use sk-abcdefghijklmnop1234567890 or Bearer abcdefghijklmnop.qrstuvw, at postgres://user:hunter3@host/db",
}  # fmt: skip
HIDDEN = ["0123-", "hunter", "the-user-himself", "987654321", "secret-token-text", "sk-abc", "abcdefghijklmnop", "AKIAABCDEFGHIJKLMNOP"]


def test_a_masked_file_has_no_secret_and_says_what_was_masked(server, second, agent_id):
    runs = Runs(server, agent_id)
    runs.post("breakpoints", unattended="hold", types=["tool_call"])
    runs.trace(type="prompt", data=SECRETS, metadata={"authorization": "0123-in-metadata"}, accepts=["fulfil", "edit"])
    runs.trace(type="response", data={"usage": {"token_count": 5}, "secretary": "Ada"}, accepts=["edit"])
    with story.ThreadPoolExecutor(1) as pool:
        for action, said in [
            ("edit", {"data": SECRETS}), ("fulfil", {"data": {"cookie": "0123-in-result"}}), ("abort", {"reason": "AKIAABCDEFGHIJKLMNOP"}),
            ("fail", {"message": "bad sk-abcdefghijklmnop1234567890", "data": {"secret": "0123-in-failure"}}),
        ]:  # fmt: skip
            report = pool.submit(runs.trace, type="tool_call", data={"passphrase": "0123-before", "n": 1}, accepts=story.EVERYTHING)
            runs.release(story.held(runs), action, **said)
            report.result(PATIENCE)
            runs.post("continue")
    plain, masked = runs.export(""), runs.export("", mask=True)
    for secret in HIDDEN:
        assert secret.encode() in plain, secret
        assert secret.encode() not in masked, secret
    assert b"Ada" in masked and b'"token_count": 5' in masked
    said = lines_of(masked)[0]["manifest"]["masked"]
    assert set(said) == {"api_key", "authorization", "password", "credentials", "token", "cookie", "access_key", "secret", "passphrase"}
    assert masked.count(b"[masked: ") == sum(said.values())
    assert "masked" not in lines_of(plain)[0]["manifest"]
    assert runs.export("") == plain, "the record has it all"

    there = Runs(second, agent_id)
    taken = there.take_in(masked)
    assert there.export("") == masked == there.export("", mask=True)
    assert there.run("")["masked"] is True
    for seq in (taken["first_seq"], taken["first_seq"] + 2):
        with pytest.raises(Refused) as refusal:
            there.fork(run_id="", seq=seq)
        assert refusal.value.code == 409 and "masked" in str(refusal.value)
    assert len(there.status()["runs"]) == 1


def test_a_masked_file_without_secrets_is_masked_all_the_same(server, second, agent_id):
    runs = Runs(server, agent_id)
    runs.trace(type="prompt", data={"q": "who?"}, accepts=["fulfil", "edit"])
    masked = runs.export("", mask=True)
    assert lines_of(masked)[0]["manifest"]["masked"] == {}
    there = Runs(second, agent_id)
    with pytest.raises(Refused) as refusal:
        there.fork(seq=there.take_in(masked)["first_seq"])
    assert refusal.value.code == 409
