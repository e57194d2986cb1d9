"""A service that answers steps by a script, over gRPC or HTTP: what the real one cannot be brought to at will."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from contract import pb, services

HTTP = {
    "INVALID_ARGUMENT": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "FAILED_PRECONDITION": 409,
    "ABORTED": 409, "OUT_OF_RANGE": 410, "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503,
}  # fmt: skip


@dataclass(frozen=True)
class Error:
    """The step is answered with an error."""

    code: str
    reason: str = "SOME_REASON"


@dataclass(frozen=True)
class Answer:
    outcome: str = "not_held"
    action: str = "proceed"  # "" is a decision that no client knows


@dataclass(frozen=True)
class Cut:
    """The connection breaks so many seconds after the step came."""

    after: float = 0
    for_good: bool = False  # and nothing listens any more


class Scripted:
    """Steps are answered in the order of the script, whose last line counts for all that follow."""

    def __init__(self, transport, *script):
        self._script, self.request_ids = list(script), []
        self._service = {"grpc": _Grpc, "http": _Http}[transport](self)
        self._front = Proxy(f"127.0.0.1:{self._service.port}")
        self.url = self._front.url

    def line(self, request_id):
        """What becomes of a step; None where its connection was cut."""
        self.request_ids.append(request_id)
        line = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(line, Cut):
            time.sleep(line.after)  # the time for which it is held
            self._front.close() if line.for_good else self._front.cut()
            return None
        return line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._front.close()
        self._service.close()


class _Grpc(services.DebuggerServiceServicer):
    def __init__(self, scripted):
        self._scripted = scripted
        self._server = grpc.server(ThreadPoolExecutor(8))
        services.add_DebuggerServiceServicer_to_server(self, self._server)
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()

    def Trace(self, request, context):
        line = self._scripted.line(request.request_id)
        if line is None:
            context.abort(grpc.StatusCode.INTERNAL, "nobody hears this")
        if isinstance(line, Error):
            packed = any_pb2.Any()
            packed.Pack(error_details_pb2.ErrorInfo(reason=line.reason, domain="agent-debugger"))
            status = status_pb2.Status(code=code_pb2.Code.Value(line.code), message=f"said {line.reason}", details=[packed])
            context.abort_with_status(rpc_status.to_status(status))
        decision = pb.Decision(**{line.action: {}} if line.action else {})
        return pb.TraceResponse(outcome=f"OUTCOME_{line.outcome.upper()}", node_id="n1", decision=decision)

    def close(self):
        self._server.stop(None)


class _Http:
    def __init__(self, scripted):
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                line = scripted.line(body["request_id"])
                if line is None:
                    return
                if isinstance(line, Error):
                    self._send(HTTP[line.code], {"error": f"said {line.reason}", "reason": line.reason})
                else:
                    decision = {"action": line.action or "later"}
                    self._send(200, {"outcome": line.outcome, "node_id": "n1", "decision": decision})

            def _send(self, status, body):
                text = json.dumps(body, separators=(",", ":")).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


class Proxy:
    """A way to a server that can be cut."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self._behind = host, int(port)
        self._front = socket.create_server(("127.0.0.1", 0))
        self._open = []
        self.url = f"http://127.0.0.1:{self._front.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                ends = self._front.accept()[0], socket.create_connection(self._behind)
                self._open += ends
                for one, other in (ends, ends[::-1]):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one, other):
        with contextlib.suppress(OSError):
            while piece := one.recv(65536):
                other.sendall(piece)
        shut(one, other)

    def cut(self):
        """Breaks every connection; new ones are taken."""
        shut(*self._open)

    def close(self):
        """Breaks every connection, and nothing listens any more."""
        shut(self._front)
        self._front.close()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def shut(*sockets):
    for end in sockets:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
