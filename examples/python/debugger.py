"""Reports an agent's steps to agent-debugger and returns what to do. Copy it into your own agent."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import grpc

# The stubs are made from the contract when this module is loaded (grpcio-tools does it), so there is nothing
# to generate and nothing to keep up to date. In your own project point this at your copy of `proto/`.
sys.path.append(str(Path(__file__).resolve().parents[2] / "proto"))
pb, services = grpc.protos_and_services("agent_debugger/v1/debugger.proto")


class Aborted(Exception):
    """Somebody decided that the run ends here."""


class Debugger:
    def __init__(self, default_agent_id, run_id=None):
        url = urlsplit(os.environ.get("AGENT_DEBUGGER_URL") or "http://127.0.0.1:7117")
        self.agent_id = os.environ.get("AGENT_DEBUGGER_AGENT_ID") or default_agent_id
        self.run_id = os.environ.get("AGENT_DEBUGGER_RUN_ID", "") if run_id is None else run_id
        token = os.environ.get("AGENT_DEBUGGER_TOKEN")
        self.metadata = [("authorization", f"Bearer {token}")] if token else []
        # Without a port gRPC would take 443 for either scheme.
        address = url.netloc if url.port else f"{url.netloc}:{443 if url.scheme == 'https' else 80}"
        if url.scheme == "https":
            channel = grpc.secure_channel(address, grpc.ssl_channel_credentials())
        else:
            channel = grpc.insecure_channel(address)
        self.stub = services.DebuggerServiceStub(channel)
        self.ended = False  # whether an event with run_end was reported
        self.complained = False

    def step(self, type, data, *, accepts=(), **fields):
        """Reports one step, waits while it is held, and returns the decision.

        The decision has `action` (proceed, edit, fulfil or fail), `data`, `model`, `message` and the step's
        `node_id`, which belongs on the event that closes the step. An abort is raised as Aborted.
        """
        self.ended |= fields.get("run_end", False)
        request = pb.TraceRequest(
            agent_id=self.agent_id,
            run_id=self.run_id,
            type=f"EVENT_TYPE_{type.upper()}",
            data_json=json.dumps(data),
            accepts=[f"VERB_{verb.upper()}" for verb in accepts],
            **fields,
        )
        try:
            # No deadline: the step may be held for as long as somebody looks at it.
            answer = self.stub.Trace(request, metadata=self.metadata)
        except grpc.RpcError as error:
            # ABORTED is a stop for agents that do not say that they accept one. Everything else fails open:
            # a debugger that is away or broken must not stop the agent.
            if error.code() == grpc.StatusCode.ABORTED:
                raise Aborted(error.details()) from error
            if not self.complained:
                print(f"going on without the debugger: {error.details()}", file=sys.stderr)
                self.complained = True
            answer = pb.TraceResponse(decision=pb.Decision(proceed=pb.Proceed()))

        action = answer.decision.WhichOneof("action")
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
