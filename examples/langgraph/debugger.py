"""Reports steps to agent-debugger over HTTP and returns what to do. Nothing to install beside LangChain."""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from types import SimpleNamespace

from langchain_core.load import dumpd
from langchain_core.messages import BaseMessage, message_to_dict


class Aborted(Exception):
    """Somebody decided that the run ends here."""


class Debugger:
    def __init__(self, default_agent_id):
        url = os.environ.get("AGENT_DEBUGGER_URL") or "http://127.0.0.1:7117"
        agent_id = os.environ.get("AGENT_DEBUGGER_AGENT_ID") or default_agent_id
        self.url = f"{url.rstrip('/')}/agent/{urllib.parse.quote(agent_id, safe='')}/debug/trace"
        self.run_id = os.environ.get("AGENT_DEBUGGER_RUN_ID", "")
        self.headers = {"Content-Type": "application/json"}
        if token := os.environ.get("AGENT_DEBUGGER_TOKEN"):
            self.headers["Authorization"] = f"Bearer {token}"
        self.complained = False

    def step(self, type, data, **fields):
        """Reports one step, waits while it is held, and returns the decision.

        It has `action` (proceed, edit, fulfil or fail), `data`, `model`, `message`, and the step's `node_id`, which
        belongs on the event that closes the step. An abort is raised as Aborted.
        """
        body = json.dumps({"type": type, "data": data, "run_id": self.run_id, **fields}, default=plain).encode()
        try:
            # No time-out: the step may be held for as long as somebody looks at it.
            with urllib.request.urlopen(urllib.request.Request(self.url, body, self.headers)) as answer:
                answer = json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code == 409:  # a stop for agents that do not say that they accept one
                raise Aborted(json.load(error)["error"]) from error
            answer = self.complain(error)
        except OSError as error:
            answer = self.complain(error)
        told = {"data": None, "model": None, "message": None} | answer["decision"]
        if told["action"] == "abort":
            raise Aborted(told["reason"])
        return SimpleNamespace(node_id=answer["node_id"], **told)

    def end(self, type, data, **fields):
        """Reports what is over already: it is not held, and an abort of the run is being obeyed as it is."""
        try:
            self.step(type, data, hold="never", **fields)
        except Aborted:
            pass

    def complain(self, error):
        # Everything else fails open: a debugger that is away or broken must not stop the agent.
        if not self.complained:
            print(f"going on without the debugger: {error}", file=sys.stderr)
        self.complained = True
        return {"node_id": None, "decision": {"action": "proceed"}}


def plain(value):
    """What LangChain keeps in objects, as JSON."""
    return message_to_dict(value) if isinstance(value, BaseMessage) else dumpd(value)
