"""A debugger over gRPC and one over HTTP, with one face: what a test does with one it can do with the other."""

import contextlib
import http.client
import json
import queue
import socket
import threading
import time
from urllib.parse import urlsplit

import grpc
import requests

from contract import pb, services, word
from server import PATIENCE


class Refused(Exception):
    """The service said no. `code` is gRPC's name for why."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Debugger:
    """Watches the stream on a thread of its own, so that a test reads it at its own pace and never for ever."""

    def __init__(self, agent_id):
        self.agent_id = agent_id
        self.seen = []
        self._frames = queue.Queue()

    def attach(self):
        """Returns when the service has answered with the position, which is when the agent is held."""
        threading.Thread(target=self._watch, daemon=True).start()
        assert self._next() == "position"
        return self

    def _watch(self):
        try:
            for frame in self._stream():
                self._frames.put(frame)
        except Exception as error:  # the test sees it where it waits for the next frame
            self._frames.put(error)

    def _next(self):
        frame = self._frames.get(timeout=PATIENCE)
        if isinstance(frame, Exception):
            raise frame
        return frame

    def next_event(self):
        """The next recorded event, as a dict with HTTP's names."""
        while True:
            frame = self._next()
            if isinstance(frame, dict):
                self.seen.append(frame)
                return frame

    def held(self):
        """The seqs that wait."""
        return [held["seq"] for held in self.status()["held"]]

    def until(self, condition, waited_for):
        """Asks for the status again and again until the condition holds for it."""
        deadline = time.monotonic() + PATIENCE
        while not condition(status := self.status()):
            assert time.monotonic() < deadline, f"never came: {waited_for}; last: {status}"
        return status

    def step_to(self, type, name=""):
        """Steps until such an event is held, and returns it."""
        while True:
            event = self.next_event()
            if (event["type"], event["name"] or "") == (type, name):
                return event
            assert not event["run_end"], f"the run ended before {type} {name}"
            if event["seq"] in self.held():
                self.step()

    def step_to_the_end(self):
        """Steps every event that is held, up to the run's last."""
        while True:
            event = self.next_event()
            if event["seq"] in self.held():
                self.step()
            if event["run_end"]:
                return


class HttpDebugger(Debugger):
    def __init__(self, server, agent_id):
        super().__init__(agent_id)
        self._url = f"{server.url}/agent/{agent_id}/debug"
        self._stream_connection = http.client.HTTPConnection(server.address, timeout=PATIENCE)
        self._stream_connection.connect()
        self._stream_socket = self._stream_connection.sock

    def _stream(self):
        self._stream_connection.request("GET", urlsplit(f"{self._url}/events").path)
        response = self._stream_connection.getresponse()
        assert response.status == 200, response.read()
        name = None
        for line in iter(response.readline, b""):
            line = line.rstrip(b"\r\n")
            if line.startswith(b"event:"):
                name = line[6:].strip()
            elif line.startswith(b"data:") and name is None:
                frame = json.loads(line[5:])
                # Only the fields up to `metadata` are always there.
                yield {"run_end": False} | frame if "seq" in frame else frame["type"]
            elif not line:
                name = None

    def _call(self, method, path, body=None):
        answer = requests.request(method, f"{self._url}/{path}", json=body, timeout=PATIENCE)
        if answer.status_code == 409:
            raise Refused("FAILED_PRECONDITION", answer.json()["error"])
        answer.raise_for_status()
        return answer.json()

    def status(self):
        return self._call("GET", "status")

    def step(self):
        return self._call("POST", "step")["pos"]

    def resume(self):
        return self._call("POST", "continue")["pos"]

    def release(self, seq, action, **decision):
        self._call("POST", "release", {"seq": seq, "action": action, **decision})

    def recorded(self):
        return self._call("GET", "trace?page_size=1000")["events"]

    def outcomes(self):
        return [event["decision"] and event["decision"]["outcome"] for event in self.recorded()]

    def close(self):
        # Closing the response would wait for its reader; ending the connection under it does not.
        with contextlib.suppress(OSError):
            self._stream_socket.shutdown(socket.SHUT_RDWR)
        self._stream_connection.close()


class GrpcDebugger(Debugger):
    def __init__(self, server, agent_id):
        super().__init__(agent_id)
        self._channel = grpc.insecure_channel(server.address)
        self.stub = services.DebuggerServiceStub(self._channel)

    def _stream(self):
        for frame in self.stub.Events(pb.EventsRequest(agent_id=self.agent_id)):
            kind = frame.WhichOneof("frame")
            yield as_http(frame.event) if kind == "event" else kind

    def _call(self, rpc, request):
        try:
            return getattr(self.stub, rpc)(request, timeout=PATIENCE)
        except grpc.RpcError as error:
            raise Refused(error.code().name, error.details()) from error

    def status(self):
        status = self._call("Status", pb.StatusRequest(agent_id=self.agent_id))
        return {
            "total_events": status.total_events,
            "position": status.position,
            "debuggers": status.debuggers,
            "held": [
                {
                    "seq": held.seq,
                    "name": held.name,
                    "accepts": [word(pb.Verb, "VERB", verb) for verb in held.accepts],
                }
                for held in status.held
            ],
            "runs": [{"run_id": run.run_id, "finished": run.finished} for run in status.runs],
        }

    def step(self):
        return self._call("Step", pb.StepRequest(agent_id=self.agent_id)).position

    def resume(self):
        return self._call("Continue", pb.ContinueRequest(agent_id=self.agent_id)).position

    def release(self, seq, action, *, data=None, **decision):
        if data is not None:
            decision["data_json"] = json.dumps(data)
        request = pb.ReleaseRequest(agent_id=self.agent_id, seq=seq, **{action: decision})
        self._call("Release", request)

    def outcomes(self):
        page = self._call("ListEvents", pb.ListEventsRequest(agent_id=self.agent_id, page_size=1000))
        return [
            word(pb.Outcome, "OUTCOME", event.decision.outcome) if event.HasField("decision") else None
            for event in page.events
        ]

    def close(self):
        self._channel.close()


def as_http(event):
    return {
        "seq": event.seq,
        "run_id": event.run_id,
        "type": word(pb.EventType, "EVENT_TYPE", event.type),
        "data": json.loads(event.data_json or "{}"),
        "node_id": event.node_id or None,
        "parent_id": event.parent_id or None,
        "name": event.name or None,
        "run_end": event.run_end,
    }
