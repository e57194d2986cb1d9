"""A run that holds everything that a run can hold, and a fork of it."""

import time
from concurrent.futures import ThreadPoolExecutor

from google.protobuf import struct_pb2, timestamp_pb2

from contract import pb
from debuggers import Refused
from server import PATIENCE

EVERYTHING = ["edit", "fulfil", "fail", "abort"]
UNICODE = {"text": "naïve ☃ 🧵 \u2028 \u0000 \"quoted\" \\back", "ключ": "значение", "": ["", None, True, {"deep": [[]]}]}
# As text, since it is the digits that count.
NUMBERS = '{"huge":123456789012345678901234567890,"exact":0.10,"e":1E+2,"small":-0.0,"beyond":1e999,"twice":1,"twice":2}'


def record(runs, stub, agent_id, run_id="rich"):
    """Records the run: every type of event, every field, and every decision, of which one comes too late."""
    with ThreadPoolExecutor(1) as pool:

        def step(action, decision={}, **event):
            """Reports an event, and releases it as soon as it is held."""
            report = pool.submit(runs.trace, **{"run_id": run_id, "accepts": EVERYTHING} | event)
            runs.release(held(runs), action, **decision)
            return report.result(PATIENCE)

        gate = {"types": ["prompt", "response", "tool_call", "error"], "unattended": "hold", "run_id": run_id}
        gate = runs.post("breakpoints", **gate)["id"]
        plan = {"node_id": "plan", "name": "plan"}
        step("edit", {"data": {"text": "Another question"}, "model": "large-2"}, type="prompt", data=UNICODE, **plan,
             parent_id="root", start_ts=1_763_894_400.123456, end_ts=1_763_894_401.5, duration_ms=-1376.544, token_count=7,
             input_tokens=2**64 - 1, output_tokens=0, model="small-1", latency_ms=0.000001, replay_checkpoint=False,
             checkpoint_id="c/1", metadata={"tags": ["é"], "n": 1.0}, match_key="k:plan")  # fmt: skip
        step("edit", {"data": {"answer": "by hand"}}, type="response", data={"answer": "by the model"}, node_id="plan")
        step("fulfil", {"data": {"rows": [1, 2.50]}}, type="tool_call", name="query", data={"sql": "SELECT 1"}, effect="pure")
        runs.trace_text(f'{{"type":"tool_result","run_id":"{run_id}","name":"query","data":{NUMBERS}}}')
        step("fail", {"message": "no \"disk\"\n", "data": {"code": 5}}, type="tool_call", name="write", data={}, effect="mutating")
        step("proceed", type="error", name="write", data={"error": "no disk"}, accepts=["abort"])
        struct_step(stub, agent_id, run_id, runs, pool)
        # A decision that nobody made in time: the default comes.
        runs.trace(type="tool_call", name="slow", data={"n": 1}, run_id=run_id, accepts=["fail"], hold_timeout_ms=1)
        runs.delete(f"breakpoints/{gate}")

        logs = {"types": ["tool_result"], "log_message": "came back: {event.name}", "unattended": "hold", "run_id": run_id}
        logs = runs.post("breakpoints", **logs)["id"]
        runs.trace(type="tool_result", name="slow", data={"ok": True}, run_id=run_id, accepts=["edit"])
        runs.delete(f"breakpoints/{logs}")
        runs.trace(type="log", data={}, run_id=run_id, args="of no step")

        runs.post("breakpoints", run_id=run_id, unattended="hold", once=True)
        step("abort", {"reason": "enough"}, type="prompt", data={"text": "And now?"})
        runs.trace(type="log", data={"over": True}, run_id=run_id, run_end=True, accepts=["abort"])


def held(runs):
    deadline = time.monotonic() + PATIENCE
    while not (waiting := runs.status()["held"]):
        assert time.monotonic() < deadline, "nothing is held"
    return waiting[0]["seq"]


def struct_step(stub, agent_id, run_id, runs, pool):
    """A tool call with Structs, over gRPC, answered with one."""
    data, metadata, result = struct_pb2.Struct(), struct_pb2.Struct(), struct_pb2.Struct()
    data.update({"n": 1e300, "whole": 3, "list": [None, {"☃": "x"}], "tiny": 5e-324})
    metadata.update({"from": "gRPC"})
    result.update({"hits": 3})
    request = pb.TraceRequest(
        agent_id=agent_id, run_id=run_id, type="EVENT_TYPE_TOOL_CALL", name="search", data=data, metadata=metadata,
        effect="EFFECT_IDEMPOTENT", accepts=["VERB_FULFIL"], start_time=timestamp_pb2.Timestamp(seconds=-1, nanos=1),
    )  # fmt: skip
    report = pool.submit(stub.Trace, request, timeout=PATIENCE)
    release = pb.ReleaseRequest(agent_id=agent_id, seq=held(runs), fulfil=pb.Fulfil(data=result))
    stub.Release(release, timeout=PATIENCE)
    report.result(PATIENCE)
    request = pb.TraceRequest(agent_id=agent_id, run_id=run_id, type="EVENT_TYPE_TOOL_RESULT", name="search", data=result)
    request.hold = pb.HOLD_POLICY_NEVER
    stub.Trace(request, timeout=PATIENCE)


def record_to_fork(runs, run_id="plain"):
    """A run that can be forked anywhere."""

    def report(type, data, **fields):
        runs.trace(type=type, data=data, run_id=run_id, accepts=EVERYTHING[: 4 if "_call" in type or type == "prompt" else 1], **fields)

    report("prompt", {"q": "who?"}, model="small-1")
    report("response", {"call": "read"})
    report("tool_call", {"path": "a"}, name="read", effect="read")
    report("tool_result", {"text": "A"}, name="read")
    report("prompt", {"q": "and then?"}, model="small-1")
    report("response", {"answer": "nothing"}, run_end=True)


def fork_and_diverge(runs, run_id="plain"):
    """A fork whose agent does something that its record does not have: recorded, edited and live steps in one run."""
    prompt = next(event["seq"] for event in runs.recorded(run_id) if event["data"] == {"q": "and then?"})
    fork = runs.fork(run_id=run_id, seq=prompt, model="large-2", data={"q": "and now?"}, on_divergence="live")["run_id"]
    told = []
    for type, data, fields in [
        ("prompt", {"q": "who?"}, {}),
        ("response", {"call": "read"}, {}),
        ("tool_call", {"path": "b"}, {"name": "read", "effect": "read"}),
        ("tool_result", {"text": "B"}, {"name": "read"}),
        ("prompt", {"q": "and then?"}, {}),
        ("response", {"answer": "something"}, {"run_end": True}),
    ]:
        try:
            told.append(runs.trace(type=type, data=data, run_id=fork, accepts=EVERYTHING, **fields)["decision"])
        except Refused as refusal:
            raise AssertionError(f"{type} was refused") from refusal
    assert [decision["action"] for decision in told] == ["fulfil", "proceed", "proceed", "proceed", "edit", "proceed"]
    return fork
