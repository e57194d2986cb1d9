"""Reports steps to agent-debugger over HTTP and returns what to do. Nothing to install beside LangChain."""

import errno
import http.client
import json
import os
import socket
import ssl
import sys
import time
import urllib.parse
import uuid
from types import SimpleNamespace

from langchain_core.load import dumpd
from langchain_core.messages import BaseMessage, message_to_dict

# How long a debugger that is away is asked again, and how long between two attempts, in seconds.
AWAY, PAUSE = 10, 0.2
# How long to wait for a connection.
CONNECT = 5
# A step that got no answer for this long was held: others are answered in milliseconds.
HELD_AFTER = 1
# How long one call waits while the step is held, before it asks again, and how long its answer may take beyond that;
# and the same while the debugger is away.
POLL, MARGIN = 20, 10
POLL_AWAY, MARGIN_AWAY = 2, 3
# The largest body that the service reads to its end.
MAX_BYTES = 4 * 1024 * 1024
# The statuses with which the service, or a proxy before it, says that it may be back in a moment.
UNAVAILABLE = (502, 503, 504)
NOTHING_LISTENS = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ETIMEDOUT)


class Aborted(Exception):
    """The run was aborted: no further step of it may run."""


class Refused(Exception):
    """This step must not run: it was refused, or its answer was lost, or a required debugger is absent."""


class Absent(Exception):
    """Nothing listens there, or the service has no room for this agent."""


class Away(Exception):
    """No answer, but there may be one in a moment."""


class Debugger:
    def __init__(self, default_agent_id):
        url = urllib.parse.urlsplit(os.environ.get("AGENT_DEBUGGER_URL") or "http://127.0.0.1:7117")
        self.secure, self.host, self.port = url.scheme == "https", url.hostname, url.port
        agent_id = os.environ.get("AGENT_DEBUGGER_AGENT_ID") or default_agent_id
        self.path = f"{url.path.rstrip('/')}/agent/{urllib.parse.quote(agent_id, safe='')}/debug/trace"
        self.run_id = os.environ.get("AGENT_DEBUGGER_RUN_ID", "")
        self.required = os.environ.get("AGENT_DEBUGGER_REQUIRED", "0") not in ("", "0")
        self.headers = {"Content-Type": "application/json"}
        if token := os.environ.get("AGENT_DEBUGGER_TOKEN"):
            self.headers["Authorization"] = f"Bearer {token}"
        self.complained = False

    def step(self, type, data, **fields):
        """Reports one step, waits while it is held, and returns the decision.

        It has `action` (proceed, edit, fulfil or fail), `data`, `model`, `message`, and the step's `node_id`, which
        belongs on the event that closes the step. An abort is raised as Aborted, and a step that must not run as
        Refused. Where nothing listens, steps proceed unless AGENT_DEBUGGER_REQUIRED is set.
        """
        body = {"type": type, "data": data, "run_id": self.run_id, "request_id": uuid.uuid4().hex, **fields}
        answer = self.ask(body)
        try:
            told = {"data": None, "model": None, "message": None} | answer["decision"]
            told = SimpleNamespace(node_id=answer["node_id"], **told)
            if told.action not in ("proceed", "edit", "fulfil", "fail", "abort"):
                raise ValueError(f"there is no action {told.action!r}")
        except Exception as error:  # What cannot be understood is no leave to go on.
            raise Refused(f"the answer cannot be read: {error!r}") from error
        if told.action == "abort":
            raise Aborted(told.reason)
        return told

    def end(self, type, data, **fields):
        """Reports what is over already: it is not held, and there is nothing left of it to stop."""
        try:
            self.step(type, data, hold="never", **fields)
        except Aborted:
            pass  # Which is being obeyed as it is.
        except Refused as refusal:
            self.complain(f"not recorded: {refusal}")

    def ask(self, body):
        """Asks until there is an answer, or it is clear that there will be none."""
        held, away_until = False, None
        while True:
            asked = time.monotonic()
            try:
                answer = self.trace(body, away_until is not None)
                if answer.get("outcome") != "still_held":
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

    def trace(self, body, away):
        poll, margin = (POLL_AWAY, MARGIN_AWAY) if away else (POLL, MARGIN)
        try:
            body = json.dumps({**body, "hold_timeout_ms": poll * 1000}, default=plain, allow_nan=False).encode()
        except Exception as error:  # What cannot be reported must not run unseen.
            raise Refused(f"the step cannot be sent: {error!r}") from error
        if len(body) > MAX_BYTES:
            raise Refused(f"the step cannot be sent: {len(body)} bytes, at most {MAX_BYTES} are taken")
        connection = self.connected()
        connection.sock.settimeout(poll + margin)
        try:
            try:
                connection.request("POST", self.path, body, self.headers)
            except ConnectionError:
                pass  # It may have been refused before it was read, and the refusal be there.
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:  # The step may have been received.
            raise Away(repr(error)) from error
        finally:
            connection.close()
        if answer.status != 200:
            raise trouble_of(answer.status, text)
        try:
            return dict(json.loads(text))
        except Exception as error:
            raise Refused(f"the answer cannot be read: {error!r}") from error

    def connected(self):
        """A connection. Only what is known to mean that nothing listens counts as that."""
        kind = http.client.HTTPSConnection if self.secure else http.client.HTTPConnection
        connection = kind(self.host, self.port, timeout=CONNECT)
        try:
            connection.connect()
        except ssl.SSLError as error:  # A service that is not the one that was meant, or does not want this client.
            raise Refused(str(error)) from error
        except (socket.gaierror, TimeoutError) as error:
            raise Absent(str(error)) from error
        except OSError as error:
            raise (Absent if error.errno in NOTHING_LISTENS else Away)(str(error)) from error
        return connection

    def absent(self, error):
        if self.required:
            raise Refused(f"a debugger is required, and there is none: {error}") from error
        self.complain(f"going on without the debugger: {error}")
        return {"node_id": None, "decision": {"action": "proceed"}}

    def complain(self, message):
        if not self.complained:
            print(message, file=sys.stderr)
        self.complained = True


def trouble_of(status, text):
    """What an answer other than 200 says: the step is refused, the run is aborted, or it is to be asked again."""
    try:
        said = dict(json.loads(text))
    except Exception:  # An answer of something else than the service.
        said = {}
    message, reason = said.get("error", f"HTTP status {status}"), said.get("reason")
    if status == 409 and reason == "STOPPED":
        return Aborted(message)
    if status == 429 and reason == "AGENT_LIMIT":
        return Absent(message)
    return Away(message) if status in UNAVAILABLE else Refused(message)


def plain(value):
    """What LangChain keeps in objects, as JSON."""
    return message_to_dict(value) if isinstance(value, BaseMessage) else dumpd(value)
