"""What a helper makes of a step without an answer: only where nothing listens is there no debugger."""

import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from conftest import missing, tool
from contract import REPOSITORY
from examples import CURL, EXAMPLES, GO, LANGGRAPH, NODE, PYTHON, RUST, go_program
from runs import Runs
from scripted import Answer, Cut, Error, Proxy, Scripted
from server import BINARY, PATIENCE, Server

PROBES = REPOSITORY / "tests/e2e/probes"
# How long a service that is away is asked again, in seconds.
AWAY = 10


def command(helper, kind):
    """The command line that reports one step of a kind, and the folder to run it in."""
    match helper.name:
        case "rust":
            binary = BINARY.parent / "examples/probe"
            return [binary if binary.exists() else missing(binary, "cargo build --examples"), kind], REPOSITORY
        case "python" | "langgraph":
            return [sys.executable, PROBES / "probe.py", EXAMPLES / helper.name, kind], REPOSITORY
        case "node":
            return [tool("node"), PROBES / "probe.mjs", kind], REPOSITORY
        case "go":
            return [go_program("go-probe", PROBES / "go/probe.go"), kind], EXAMPLES / "go"
        case "curl":
            return [tool("bash"), PROBES / "probe.sh", kind], REPOSITORY


@dataclass
class Told:
    action: str  # what the agent is to do, or "refused" or "aborted"
    why: str
    complaints: str
    seconds: float


def report(helper, url, kind="ordinary", agent_id="probe", **settings):
    """Reports one step, and returns what its agent was told."""
    argv, cwd = command(helper, kind)
    env = {key: value for key, value in os.environ.items() if not key.startswith("AGENT_DEBUGGER_")}
    env |= {"AGENT_DEBUGGER_URL": url, "AGENT_DEBUGGER_AGENT_ID": agent_id, **settings}
    began = time.monotonic()
    ran = subprocess.run(argv, cwd=cwd, env=env, text=True, capture_output=True, timeout=2 * PATIENCE)
    assert ran.returncode == 0, ran.stderr
    (line,) = ran.stdout.splitlines()
    told = json.loads(line)
    return Told(told["told"], told.get("why", ""), ran.stderr, time.monotonic() - began)


HELPERS = [RUST, PYTHON, NODE, GO, CURL, LANGGRAPH]
each = pytest.mark.parametrize("helper", HELPERS, ids=str)


def of_all(script, **settings):
    """What each helper was told by a service of its own: all at once, since each waits for seconds."""

    def ask(helper):
        with Scripted(helper.speaks, *script) as service:
            return helper.name, report(helper, service.url, **settings), service.request_ids

    for helper in HELPERS:
        command(helper, "ordinary")  # is there, and built
    with ThreadPoolExecutor(len(HELPERS)) as pool:
        return [*pool.map(ask, HELPERS)]


@pytest.fixture(scope="module")
def locked_server():
    server = Server(token="0123456789abcdef" * 4)
    yield server
    server.stop()


@pytest.fixture
def nowhere():
    """An address where nothing listens: the port was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@each
@pytest.mark.parametrize("kind", ["large", "huge", "deep", "nan", "list", "foreign", "long_name", "huge_name"])
def test_an_input_that_is_chosen_to_be_refused_does_not_pass_a_gate(helper, kind, server, agent_id):
    gate = {"types": ["tool_call"], "unattended": "hold", "timeout_ms": 1, "on_timeout": "fail"}
    Runs(server, agent_id).post("breakpoints", **gate)
    told = report(helper, server.url, kind, agent_id)
    assert told.action == "refused" and told.why
    assert "going on" not in told.complaints


@each
@pytest.mark.parametrize("size", ["ordinary", "sizeable"])
def test_a_step_of_any_size_without_the_token_is_refused(helper, size, locked_server):
    # The service need not read a body to its end to refuse it, and the helper may still be sending.
    told = report(helper, locked_server.url, size)
    assert told.action == "refused" and "token" in told.why, told


@each
def test_a_gate_holds_an_ordinary_step(helper, server, agent_id):
    gate = {"types": ["tool_call"], "unattended": "hold", "timeout_ms": 1, "on_timeout": "fail"}
    Runs(server, agent_id).post("breakpoints", **gate)
    assert report(helper, server.url, "ordinary", agent_id).action == "fail"


@each
@pytest.mark.parametrize("code", [
    "INVALID_ARGUMENT", "FAILED_PRECONDITION", "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "NOT_FOUND",
    "OUT_OF_RANGE", "INTERNAL", "UNIMPLEMENTED",
])  # fmt: skip
def test_an_error_for_this_step_stops_it(helper, code):
    with Scripted(helper.speaks, Error(code), Answer()) as service:
        told = report(helper, service.url)
        assert (told.action, len(service.request_ids)) == ("refused", 1)
        assert "said SOME_REASON" in told.why


@each
def test_a_decision_that_the_helper_does_not_know_is_no_leave_to_go_on(helper):
    with Scripted(helper.speaks, Answer(action="")) as service:
        assert report(helper, service.url).action == "refused"


@each
def test_a_stop_aborts_the_run(helper):
    with Scripted(helper.speaks, Error("ABORTED", "STOPPED")) as service:
        told = report(helper, service.url)
        assert (told.action, told.why) == ("aborted", "said STOPPED")


@each
def test_no_room_for_the_agent_is_an_absence_with_one_warning(helper):
    with Scripted(helper.speaks, Error("RESOURCE_EXHAUSTED", "AGENT_LIMIT")) as service:
        told = report(helper, service.url)
        assert (told.action, len(service.request_ids)) == ("proceed", 1)
        assert told.complaints.count("going on without the debugger") == 1
        assert report(helper, service.url, AGENT_DEBUGGER_REQUIRED="1").action == "refused"


@each
def test_where_nothing_listens_it_goes_on_at_once_unless_a_debugger_is_required(helper, nowhere):
    told = report(helper, nowhere)
    assert told.action == "proceed" and told.seconds < AWAY
    assert told.complaints.count("going on without the debugger") == 1
    assert report(helper, nowhere, AGENT_DEBUGGER_REQUIRED="0").action == "proceed"
    assert report(helper, nowhere, AGENT_DEBUGGER_REQUIRED="").action == "proceed"
    assert report(helper, nowhere, AGENT_DEBUGGER_REQUIRED="1").action == "refused"


@each
def test_a_host_that_does_not_exist_is_an_absence(helper):
    assert report(helper, "http://there-is-no-such-host.invalid:7117").action == "proceed"


@each
def test_a_service_that_cannot_be_trusted_is_no_absence(helper, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run([
        tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate,
    ], check=True, capture_output=True)  # fmt: skip
    server = Server(tls_cert=str(certificate), tls_key=str(key))
    try:
        told = report(helper, server.url)
    finally:
        server.stop()
    assert told.action == "refused", told


@each
def test_a_service_that_speaks_no_tls_is_no_absence(helper):
    with Scripted("http", Answer()) as service:
        assert report(helper, service.url.replace("http:", "https:")).action == "refused"


@each
def test_a_service_that_drains_is_asked_again_for_the_same_step(helper):
    with Scripted(helper.speaks, Error("UNAVAILABLE"), Error("UNAVAILABLE"), Answer("released", "fail")) as service:
        assert report(helper, service.url).action == "fail"
        assert len(service.request_ids) == 3 and len(set(service.request_ids)) == 1
        assert service.request_ids[0]


@each
@pytest.mark.parametrize("after", [0, 1.5])
def test_a_lost_connection_is_made_again_for_the_same_step(helper, after):
    with Scripted(helper.speaks, Cut(after), Answer("released", "fail")) as service:
        assert report(helper, service.url).action == "fail"
        assert len(service.request_ids) == 2 and len(set(service.request_ids)) == 1


@each
def test_a_held_step_whose_connection_breaks_is_decided_and_recorded_once(helper, server, agent_id, attach):
    debugger = attach(helper.steps_over)
    with Proxy(server.address) as proxy, ThreadPoolExecutor(1) as pool:
        told = pool.submit(report, helper, proxy.url, agent_id=agent_id)
        event = debugger.next_event()
        proxy.cut()
        debugger.release(event["seq"], "fail", message="no")
        assert told.result(PATIENCE).action == "fail"
    assert debugger.outcomes() == ["released"]


@each
def test_a_step_that_is_still_held_is_asked_for_again(helper):
    script = [Answer("still_held")] * 3 + [Answer("released", "fail")]
    with Scripted(helper.speaks, *script) as service:
        assert report(helper, service.url).action == "fail"
        assert len(service.request_ids) == 4 and len(set(service.request_ids)) == 1


def test_a_service_that_stays_away_is_as_if_nothing_listened():
    for name, told, request_ids in of_all([Error("UNAVAILABLE")]):
        assert (name, told.action) == (name, "proceed")
        assert AWAY <= told.seconds < 2 * AWAY and len(set(request_ids)) == 1 < len(request_ids)
        assert told.complaints.count("going on without the debugger") == 1


def test_a_service_that_stays_away_stops_the_step_where_it_is_required():
    for name, told, _ in of_all([Error("UNAVAILABLE")], AGENT_DEBUGGER_REQUIRED="1"):
        assert (name, told.action) == (name, "refused")


def test_a_step_that_was_lost_at_once_goes_on_when_the_bound_is_over():
    for name, told, _ in of_all([Cut(for_good=True)]):
        assert (name, told.action) == (name, "proceed")
        assert AWAY <= told.seconds < 2 * AWAY


@pytest.mark.parametrize("script", [
    [Cut(after=1.5, for_good=True)],
    [Answer("still_held"), Cut(for_good=True)],
    [Cut(after=1.5), Error("UNAVAILABLE")],
], ids=["waited", "told so", "away"])  # fmt: skip
def test_a_step_that_was_held_is_stopped_when_nobody_answers_for_it(script):
    for name, told, _ in of_all(script):
        assert (name, told.action) == (name, "refused")
        assert "held" in told.why
