"""What somebody with nothing but grpcurl sees."""

import json
import subprocess
import threading
from queue import Queue

import pytest

from conftest import tool
from server import PATIENCE

SERVICE = "agent_debugger.v1.DebuggerService"


class Grpcurl:
    def __init__(self, address):
        self._command = [tool("grpcurl"), "-plaintext"]
        self._address = address
        self.started = []

    def __call__(self, *words, flags=(), fails=False):
        """The text that it prints, on stderr where it is meant to fail."""
        done = subprocess.run(
            [*self._command, *flags, self._address, *words], capture_output=True, text=True, timeout=PATIENCE
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    def call(self, method, request):
        return json.loads(self(f"{SERVICE}/{method}", flags=["-d", json.dumps(request)]))

    def start(self, method, request):
        """A call that does not end by itself; its messages come from `messages`."""
        process = subprocess.Popen(
            [*self._command, "-d", json.dumps(request), self._address, f"{SERVICE}/{method}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return Messages(process)


class Messages:
    """The JSON objects that a grpcurl prints, one after the other, as they come."""

    def __init__(self, process):
        self._messages = Queue()
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process):
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":  # grpcurl indents everything else
                self._messages.put(json.loads(text))
                text = ""

    def next(self):
        return self._messages.get(timeout=PATIENCE)

    def next_with(self, key):
        while key not in (message := self.next()):
            pass
        return message[key]


@pytest.fixture
def grpcurl(server):
    grpcurl = Grpcurl(server.address)
    yield grpcurl
    for process in grpcurl.started:
        process.kill()
        process.wait()


def test_services_are_listed(grpcurl):
    services = grpcurl("list").split()
    assert {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"} <= set(services)


def test_calls_are_described_with_their_comments(grpcurl):
    described = grpcurl("describe", SERVICE)
    assert "rpc Trace ( .agent_debugger.v1.TraceRequest ) returns ( .agent_debugger.v1.TraceResponse );" in described
    assert "// Releases exactly one held Trace, the oldest, and moves the position on by one." in described
    assert "returns ( stream .agent_debugger.v1.EventsResponse );" in described


@pytest.mark.parametrize("symbol, comment", [
    ("TraceRequest", "// What kind of step this is."),
    ("EventType", "// A tool that is about to be called. Opens a node."),
    ("Decision", "// Do not run the step; take this result."),
])
def test_messages_are_described_with_their_comments(grpcurl, symbol, comment):
    assert comment in grpcurl("describe", f"agent_debugger.v1.{symbol}")


@pytest.mark.parametrize("service", ["", SERVICE])
def test_the_service_is_healthy(grpcurl, service):
    answer = grpcurl("grpc.health.v1.Health/Check", flags=["-d", json.dumps({"service": service})])
    assert json.loads(answer) == {"status": "SERVING"}


def test_a_step_is_recorded(grpcurl, agent_id):
    event = {"agent_id": agent_id, "type": "EVENT_TYPE_PROMPT", "data": {"text": "hi"}}
    answer = grpcurl.call("Trace", event)
    assert (answer["seq"], answer["total"], answer["nodeId"]) == ("1", "1", "n1")
    assert answer["outcome"] == "OUTCOME_NOT_HELD"
    assert answer["decision"] == {"proceed": {}}
    assert grpcurl.call("Status", {"agent_id": agent_id})["totalEvents"] == "1"


def test_an_agent_is_watched_and_stepped(grpcurl, agent_id):
    events = grpcurl.start("Events", {"agent_id": agent_id})
    assert "position" in events.next(), "the first frame says where the debugger stands"

    call = {"agent_id": agent_id, "type": "EVENT_TYPE_TOOL_CALL", "name": "search", "data": {"q": "cats", "n": 2.5}}
    trace = grpcurl.start("Trace", call)
    event = events.next_with("event")
    assert (event["seq"], event["name"]) == ("1", "search")
    assert event["data"] == {"q": "cats", "n": 2.5}, "a Struct comes back as a Struct"

    assert grpcurl.call("Step", {"agent_id": agent_id}) == {"position": "1", "total": "1", "released": ["1"]}
    assert trace.next()["outcome"] == "OUTCOME_STEPPED"
    assert events.next_with("decision")["outcome"] == "OUTCOME_STEPPED"


def test_a_tool_is_answered_by_hand(grpcurl, agent_id):
    events = grpcurl.start("Events", {"agent_id": agent_id})
    assert "position" in events.next()
    call = {"agent_id": agent_id, "type": "EVENT_TYPE_TOOL_CALL", "name": "search", "data": {"q": "cats"}}
    trace = grpcurl.start("Trace", call | {"accepts": ["VERB_FULFIL"]})
    seq = events.next_with("event")["seq"]
    grpcurl.call("Release", {"agent_id": agent_id, "seq": seq, "fulfil": {"data": {"hits": 3}}})
    answer = trace.next()
    assert (answer["outcome"], answer["decision"]) == ("OUTCOME_RELEASED", {"fulfil": {"data": {"hits": 3}}})


def test_a_mistake_is_explained(grpcurl):
    said = grpcurl(f"{SERVICE}/Trace", flags=["-d", '{"agent_id":"a/b","type":"EVENT_TYPE_LOG"}'], fails=True)
    assert "Code: InvalidArgument" in said
    assert "google.rpc.ErrorInfo" in said and "agent-debugger" in said
    assert "google.rpc.BadRequest" in said and "agent_id" in said
