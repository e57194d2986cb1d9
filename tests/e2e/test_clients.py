"""What a gRPC client in another language meets that is no business of the examples."""

import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf import duration_pb2, struct_pb2
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_status import rpc_status

from contract import pb, services
from server import PATIENCE

MIB = 1024 * 1024


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(server.address) as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return services.DebuggerServiceStub(channel)


def tool_call(agent_id, **fields):
    return pb.TraceRequest(agent_id=agent_id, type=pb.EVENT_TYPE_TOOL_CALL, **fields)


def outcome(answer):
    return pb.Outcome.Name(answer.outcome)


def test_a_deadline_that_is_shorter_than_the_hold_is_answered_and_no_error(stub, agent_id, attach):
    attach("grpc")
    answer = stub.Trace(tool_call(agent_id), timeout=1)
    assert outcome(answer) == "OUTCOME_TIMED_OUT"
    assert answer.decision.WhichOneof("action") == "proceed"
    assert answer.held_for.ToMilliseconds() > 0


def test_a_hold_time_out_is_answered(stub, agent_id, attach):
    attach("http")
    answer = stub.Trace(tool_call(agent_id, hold_timeout=milliseconds(50)), timeout=PATIENCE)
    assert outcome(answer) == "OUTCOME_TIMED_OUT"


def test_a_caller_that_goes_away_is_not_held_any_more(stub, agent_id, attach):
    debugger = attach("http")
    trace = stub.Trace.future(tool_call(agent_id))
    debugger.next_event()
    trace.cancel()
    status = debugger.until(lambda status: not status["held"], "the end of the hold")
    assert status["total_events"] == 1, "what was recorded stays"


@pytest.mark.parametrize("field, request_", [
    ("agent_id", pb.TraceRequest(agent_id="", type=pb.EVENT_TYPE_LOG)),
    ("agent_id", pb.TraceRequest(agent_id="..", type=pb.EVENT_TYPE_LOG)),
    ("agent_id", pb.TraceRequest(agent_id="a" * 201, type=pb.EVENT_TYPE_LOG)),
    ("type", pb.TraceRequest(agent_id="a")),
    ("type", pb.TraceRequest(agent_id="a", type=99)),
    ("data", pb.TraceRequest(agent_id="a", type=pb.EVENT_TYPE_LOG, data_json="[1]")),
    ("data", pb.TraceRequest(agent_id="a", type=pb.EVENT_TYPE_LOG, data_json="{")),
    ("run_id", pb.TraceRequest(agent_id="a", type=pb.EVENT_TYPE_LOG, run_id="r" * 201)),
    ("hold_timeout", pb.TraceRequest(agent_id="a", type=pb.EVENT_TYPE_LOG, hold_timeout={"seconds": -1})),
])
def test_a_mistake_says_what_is_wrong_with_which_field(stub, field, request_):
    with pytest.raises(grpc.RpcError) as failure:
        stub.Trace(request_, timeout=PATIENCE)
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    info, bad_request = details(failure.value)
    assert info.domain == "agent-debugger" and info.reason
    assert [violation.field for violation in bad_request.field_violations] == [field]
    assert bad_request.field_violations[0].description


def test_a_hold_is_released_exactly_once(stub, agent_id, attach):
    debugger = attach("grpc")
    trace = stub.Trace.future(tool_call(agent_id), timeout=PATIENCE)
    seq = debugger.next_event()["seq"]
    release = pb.ReleaseRequest(agent_id=agent_id, seq=seq, proceed={})
    stub.Release(release, timeout=PATIENCE)
    assert outcome(trace.result(PATIENCE)) == "OUTCOME_RELEASED"
    with pytest.raises(grpc.RpcError) as failure:
        stub.Release(release, timeout=PATIENCE)
    assert failure.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_a_request_id_asks_again_for_the_same_step(stub, agent_id, attach):
    debugger = attach("http")
    request = tool_call(
        agent_id, request_id="r1", hold_timeout=milliseconds(100), data_json='{"q":1}', accepts=[pb.VERB_FULFIL]
    )
    for _ in range(3):
        still = stub.Trace(request, timeout=PATIENCE)
        assert (outcome(still), still.seq) == ("OUTCOME_STILL_HELD", 1)
    assert debugger.held() == [1]

    # Decided while nobody asks: the answer is kept for the next one who does, and for everyone after.
    debugger.release(1, "fulfil", data={"a": 2})
    first, second = (stub.Trace(request, timeout=PATIENCE) for _ in range(2))
    assert first == second
    assert (outcome(first), json.loads(first.decision.fulfil.data_json)) == ("OUTCOME_RELEASED", {"a": 2})
    assert debugger.status()["total_events"] == 1


def test_a_request_id_means_one_body(stub, agent_id):
    stub.Trace(tool_call(agent_id, request_id="r1", data_json='{"q":1}'), timeout=PATIENCE)
    with pytest.raises(grpc.RpcError) as failure:
        stub.Trace(tool_call(agent_id, request_id="r1", data_json='{"q":2}'), timeout=PATIENCE)
    assert failure.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_deadline_with_a_request_id_asks_to_come_again(stub, agent_id, attach):
    debugger = attach("grpc")
    request = tool_call(agent_id, request_id="r1")
    assert outcome(stub.Trace(request, timeout=1)) == "OUTCOME_STILL_HELD"
    debugger.step()
    assert outcome(stub.Trace(request, timeout=PATIENCE)) == "OUTCOME_STEPPED"


def test_three_mebibytes_pass_in_both_directions(stub, agent_id, attach):
    debugger = attach("grpc")
    sent, edited = {"text": "ä" * (3 * MIB // 2)}, {"text": "x" * (3 * MIB)}
    request = tool_call(agent_id, data_json=json.dumps(sent, ensure_ascii=False), accepts=[pb.VERB_EDIT])
    trace = stub.Trace.future(request, timeout=PATIENCE)
    event = debugger.next_event()
    assert event["data"] == sent
    debugger.release(event["seq"], "edit", data=edited)
    assert json.loads(trace.result(PATIENCE).decision.edit.data_json) == edited


def test_json_text_keeps_every_digit(stub, agent_id, attach):
    stub.Trace(tool_call(agent_id, data_json='{"b":1e2,"a":12345678901234567890.10}'), timeout=PATIENCE)
    page = stub.ListEvents(pb.ListEventsRequest(agent_id=agent_id), timeout=PATIENCE)
    assert page.events[0].event.data_json == '{"b":1e2,"a":12345678901234567890.10}'


def test_a_struct_comes_back_as_a_struct_with_its_decision(stub, agent_id, attach):
    debugger = attach("http")
    data, result = struct_pb2.Struct(), struct_pb2.Struct()
    data.update({"q": "cats", "deep": {"list": [1, None, True]}})
    result.update({"hits": 3})
    trace = stub.Trace.future(tool_call(agent_id, data=data, accepts=[pb.VERB_FULFIL]), timeout=PATIENCE)
    event = debugger.next_event()
    assert event["data"] == {"q": "cats", "deep": {"list": [1, None, True]}}
    debugger.release(event["seq"], "fulfil", data={"hits": 3})
    assert trace.result(PATIENCE).decision.fulfil.data == result


def test_a_compressed_message_is_understood(stub, agent_id):
    data_json = json.dumps({"text": "again and " * 10_000})
    request = tool_call(agent_id, data_json=data_json)
    stub.Trace(request, timeout=PATIENCE, compression=grpc.Compression.Gzip)
    page = stub.ListEvents(pb.ListEventsRequest(agent_id=agent_id), timeout=PATIENCE)
    assert page.events[0].event.data_json == data_json


def test_many_held_steps_share_one_connection_with_the_verbs(stub, agent_id, attach):
    debugger = attach("grpc")
    with ThreadPoolExecutor(50) as pool:
        traces = [pool.submit(stub.Trace, tool_call(agent_id), timeout=PATIENCE) for _ in range(50)]
        for _ in traces:
            debugger.next_event()
        debugger.step()
        debugger.resume()
        outcomes = sorted(outcome(trace.result()) for trace in traces)
    assert outcomes == ["OUTCOME_CONTINUED"] * 49 + ["OUTCOME_STEPPED"]


def test_a_stream_is_resumed_without_loss_or_doubling(stub, agent_id):
    def log(count):
        for _ in range(count):
            stub.Trace(pb.TraceRequest(agent_id=agent_id, type=pb.EVENT_TYPE_LOG), timeout=PATIENCE)

    def seqs(count, resume_token=""):
        watch = pb.EventsRequest(agent_id=agent_id, mode=pb.MODE_OBSERVE, resume_token=resume_token)
        seen, stream = [], stub.Events(watch, timeout=PATIENCE)
        for frame in stream:
            if frame.WhichOneof("frame") == "event":
                seen.append(frame.event.seq)
                if len(seen) == count:
                    break
        stream.cancel()
        return seen, frame.resume_token

    log(3)
    first, token = seqs(2)
    log(2)
    second, _ = seqs(3, token)
    assert first + second == [1, 2, 3, 4, 5]


def test_health_and_reflection_answer_their_own_clients(channel):
    health = health_pb2_grpc.HealthStub(channel)
    answer = health.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    # This client speaks v1alpha, which old tools know and nothing else.
    names = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert "agent_debugger.v1.DebuggerService" in names


def milliseconds(count):
    duration = duration_pb2.Duration()
    duration.FromMilliseconds(count)
    return duration


def details(error):
    """The ErrorInfo and the BadRequest of a refusal, each of which is there exactly once."""
    found = []
    for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
        (packed,) = [detail for detail in rpc_status.from_call(error).details if detail.Is(kind.DESCRIPTOR)]
        found.append(kind())
        packed.Unpack(found[-1])
    return found
