"""Reports an agent's steps to agent-debugger and returns what to do. Copy it into your own agent."""

import json
import os
import sys
import time
import uuid
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import grpc

# The stubs are made from the contract when this module is loaded (grpcio-tools does it), so there is nothing
# to generate and nothing to keep up to date. In your own project point this at your copy of `proto/`.
sys.path.append(str(Path(__file__).resolve().parents[2] / "proto"))
pb, services = grpc.protos_and_services("agent_debugger/v1/debugger.proto")

# How long a debugger that is away is asked again, and how long between two attempts, in seconds.
AWAY, PAUSE = 10, 0.2
# A step that got no answer for this long was held: others are answered in milliseconds.
HELD_AFTER = 1
# How long one call waits while the step is held, before it asks again, and how long its answer may take beyond that;
# and the same while the debugger is away.
POLL, MARGIN = 20, 10
POLL_AWAY, MARGIN_AWAY = 2, 3
# The largest message that the service reads to its end.
MAX_BYTES = 4 * 1024 * 1024
# How gRPC says that nothing listens there; any other failure to connect is none of these.
NOTHING_LISTENS = ("Connection refused", "No route to host", "is unreachable", "imed out", "imeout", "DNS resolution failed")


class Aborted(Exception):
    """The run was aborted: no further step of it may run."""


class Refused(Exception):
    """This step must not run: it was refused, or its answer was lost, or a required debugger is absent."""


class Absent(Exception):
    """Nothing listens there, or the service has no room for this agent."""


class Away(Exception):
    """No answer, but there may be one in a moment."""


class Debugger:
    def __init__(self, default_agent_id, run_id=None):
        url = urlsplit(os.environ.get("AGENT_DEBUGGER_URL") or "http://127.0.0.1:7117")
        self.agent_id = os.environ.get("AGENT_DEBUGGER_AGENT_ID") or default_agent_id
        self.run_id = os.environ.get("AGENT_DEBUGGER_RUN_ID", "") if run_id is None else run_id
        self.required = os.environ.get("AGENT_DEBUGGER_REQUIRED", "0") not in ("", "0")
        token = os.environ.get("AGENT_DEBUGGER_TOKEN")
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        # Without a port gRPC would take 443 for either scheme.
        address = url.netloc if url.port else f"{url.netloc}:{443 if url.scheme == 'https' else 80}"
        # gRPC would wait for up to two minutes before it tries again where nothing listened.
        options = [("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 1000)]
        if url.scheme == "https":
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials(), options)
        else:
            channel = grpc.insecure_channel(address, options)
        self.stub = services.DebuggerServiceStub(channel)
        self.ended = False  # whether an event with run_end was reported
        self.complained = False

    def step(self, type, data, *, accepts=(), **fields):
        """Reports one step, waits while it is held, and returns the decision.

        The decision has `action` (proceed, edit, fulfil or fail), `data`, `model`, `message` and the step's
        `node_id`, which belongs on the event that closes the step. An abort is raised as Aborted, and a step that
        must not run as Refused. Where nothing listens, steps proceed unless AGENT_DEBUGGER_REQUIRED is set.
        """
        try:
            request = pb.TraceRequest(
                agent_id=self.agent_id,
                run_id=self.run_id,
                type=f"EVENT_TYPE_{type.upper()}",
                data_json=json.dumps(data, allow_nan=False),
                accepts=[f"VERB_{verb.upper()}" for verb in accepts],
                request_id=uuid.uuid4().hex,
                **fields,
            )
        except Exception as error:  # What cannot be reported must not run unseen.
            raise Refused(f"the step cannot be sent: {error!r}") from error
        if request.ByteSize() > MAX_BYTES:
            raise Refused(f"the step cannot be sent: {request.ByteSize()} bytes, at most {MAX_BYTES} are taken")
        answer = self.ask(request)
        self.ended |= request.run_end

        action = answer.decision.WhichOneof("action")
        if action is None:
            raise Refused("decision: it is none that this helper knows")
        decided = getattr(answer.decision, action)
        if action == "abort":
            raise Aborted(decided.reason)
        data_json = getattr(decided, "data_json", "")
        return SimpleNamespace(
            action=action,
            data=json.loads(data_json) if data_json else None,
            model=getattr(decided, "model", ""),
            message=getattr(decided, "message", ""),
            node_id=answer.node_id,
        )

    def ask(self, request):
        """Asks until there is an answer, or it is clear that there will be none."""
        held, away_until = False, None
        while True:
            asked = time.monotonic()
            try:
                answer = self.trace(request, away_until is not None)
                if answer.outcome != pb.OUTCOME_STILL_HELD:
                    return answer
                held, away_until = True, None
                continue
            except Absent as error:
                if not held and away_until is None:
                    return self.absent(error)
                trouble = error  # It was there a moment ago, and may be starting again.
            except Away as error:
                trouble = error
            now = time.monotonic()
            held = held or now - asked > HELD_AFTER
            away_until = away_until or now + AWAY
            if now >= away_until:
                if held:
                    raise Refused(f"the step was held, and the connection was lost: {trouble}") from trouble
                return self.absent(trouble)
            time.sleep(PAUSE)

    def trace(self, request, away):
        poll, margin = (POLL_AWAY, MARGIN_AWAY) if away else (POLL, MARGIN)
        request.hold_timeout.FromSeconds(poll)
        try:
            return self.stub.Trace(request, metadata=self.metadata, timeout=poll + margin)
        except grpc.RpcError as error:
            raise trouble_of(error) from error

    def absent(self, error):
        if self.required:
            raise Refused(f"a debugger is required, and there is none: {error}") from error
        if not self.complained:
            print(f"going on without the debugger: {error}", file=sys.stderr)
            self.complained = True
        return pb.TraceResponse(decision=pb.Decision(proceed=pb.Proceed()))


def trouble_of(error):
    """What a failed call says of the debugger: it refused, it is absent, or it may be back in a moment."""
    code, said = error.code(), error.details() or ""
    # The service sends details with every refusal; gRPC has none for its own.
    details = dict(error.trailing_metadata() or ()).get("grpc-status-details-bin")
    if code == grpc.StatusCode.ABORTED:
        return Aborted(said)
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED and details and b"\n\x0bAGENT_LIMIT" in details:  # ErrorInfo.reason
        return Absent(said)
    if code == grpc.StatusCode.UNAVAILABLE:
        if details is None and said.startswith(("failed to connect", "DNS resolution failed")):
            if any(words in said for words in NOTHING_LISTENS):
                return Absent(said)
            if "handshake" in said:  # A service that is not the one that was meant, or does not want this client.
                return Refused(said)
        return Away(said)
    if code in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED) and details is None:
        return Away(said)
    return Refused(said)
