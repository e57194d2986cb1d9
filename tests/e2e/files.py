"""Run files written by hand: as they should be, and as they should not."""

import copy
import hashlib
import json

from contract import REPOSITORY

SCHEMA = REPOSITORY / "docs/reference/export-format.schema.json"


def text(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def in_order(kind, line):
    """The line with its keys in the order of the schema, which is that of the files."""
    order = [*json.loads(SCHEMA.read_text())["$defs"][kind]["properties"]]
    return {kind: dict(sorted(line.items(), key=lambda item: order.index(item[0])))}


def event(ordinal, **fields):
    """An event line with no more than it needs."""
    context = {"depth": 0, "repeats": 0, "run_events": ordinal, "run_tokens": 0, "run_elapsed_ms": 0}
    line = {"ordinal": ordinal, "at": 1.5, "type": "log", "start_ts": 1.5, "origin": "live", "context": context}
    return in_order("event", line | {"form": "json", "data": {}} | fields)


def decision(ordinal, **fields):
    line = {"ordinal": ordinal, "at": 2, "outcome": "released", "actor": "me", "held_ms": 0, "action": "proceed"}
    return in_order("decision", line | fields)


def manifest(records, **fields):
    """A manifest that says of the records what there is."""
    lines = [(kind, it) for record in records for kind, it in record.items()]
    payloads = [it[key] for _, it in lines for key in ("data", "metadata", "before") if key in it]
    line = {
        "format": "agent-debugger/run",
        "version": 1,
        "run_id": "by-hand",
        "events": sum(kind == "event" for kind, _ in lines),
        "decisions": sum(kind == "decision" for kind, _ in lines),
        "bytes": sum(len(text(payload).encode()) for payload in payloads),
        "truncated": False,
    }
    # Some of the manifests are to be wrong.
    return {"manifest": line | fields}


def sealed(lines):
    """The file of these lines (objects, or bytes as they are), with the closing line that belongs to them."""
    lines = [line if isinstance(line, bytes) else text(line).encode() + b"\n" for line in lines]
    whole = b"".join(lines)
    return whole + text({"end": {"sha256": hashlib.sha256(whole).hexdigest()}}).encode() + b"\n"


def file(*records, **fields):
    return sealed([manifest(records, **fields), *records])


def changed(line, path, value):
    """The line with one value set, or taken away where the value is `...`."""
    line = copy.deepcopy(line)
    *above, last = path
    at = line
    for key in above:
        at = at[key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return line
