"""Shows a LangChain or LangGraph program to agent-debugger, step by step. Copy it beside your own agent.

A callback is told what happens and cannot change it: it can only wait, and stop the run by raising. So the one
decision that these steps accept is abort.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumpd
from langchain_core.messages import BaseMessage, message_to_dict


class Aborted(Exception):
    """Somebody decided that the run ends here."""


class DebuggerCallback(BaseCallbackHandler):
    raise_error = True  # else LangChain logs an abort and goes on
    run_inline = True  # else an asynchronous agent would start a step while its report is still held

    def __init__(self, default_agent_id):
        url = os.environ.get("AGENT_DEBUGGER_URL") or "http://127.0.0.1:7117"
        agent_id = os.environ.get("AGENT_DEBUGGER_AGENT_ID") or default_agent_id
        self.url = f"{url.rstrip('/')}/agent/{urllib.parse.quote(agent_id, safe='')}/debug/trace"
        self.run_id = os.environ.get("AGENT_DEBUGGER_RUN_ID", "")
        self.headers = {"Content-Type": "application/json"}
        if token := os.environ.get("AGENT_DEBUGGER_TOKEN"):
            self.headers["Authorization"] = f"Bearer {token}"
        self.complained = False

    def step(self, type, data, run_id, parent_run_id=None, **fields):
        """Reports one step and waits while it is held. LangChain's run ids are the debugger's node ids."""
        event = {"type": type, "data": data, "run_id": self.run_id, "node_id": str(run_id), **fields}
        if parent_run_id:
            event["parent_id"] = str(parent_run_id)
        body = json.dumps(event, default=plain).encode()
        try:
            # No time-out: the step may be held for as long as somebody looks at it.
            with urllib.request.urlopen(urllib.request.Request(self.url, body, self.headers)) as answer:
                decision = json.load(answer)["decision"]
        except urllib.error.HTTPError as error:
            if error.code == 409:  # a stop for agents that do not say that they accept one
                raise Aborted(json.load(error)["error"]) from error
            return self.complain(error)
        except OSError as error:
            return self.complain(error)
        if decision["action"] == "abort":
            raise Aborted(decision["reason"])

    def complain(self, error):
        # Everything else fails open: a debugger that is away or broken must not stop the agent.
        if not self.complained:
            print(f"going on without the debugger: {error}", file=sys.stderr)
        self.complained = True

    def end(self, type, data, run_id, parent_run_id, **fields):
        """Reports what is over already: it is not held, and an abort of the run is being obeyed as it is."""
        try:
            self.step(type, data, run_id, parent_run_id, hold="never", **fields)
        except Aborted:
            pass

    def on_chat_model_start(self, serialized, messages, *, run_id, parent_run_id=None, metadata=None, **kwargs):
        model = (metadata or {}).get("ls_model_name", "")
        self.step("prompt", {"messages": messages[0]}, run_id, parent_run_id, model=model, accepts=["abort"])

    def on_llm_end(self, response, *, run_id, parent_run_id=None, **kwargs):
        message = response.generations[0][0].message
        usage = message.usage_metadata or {}
        tokens = {"input_tokens": usage.get("input_tokens"), "output_tokens": usage.get("output_tokens")}
        self.step("response", {"message": message}, run_id, parent_run_id, accepts=["abort"], **tokens)

    def on_llm_error(self, error, *, run_id, parent_run_id=None, **kwargs):
        self.end("error", {"error": repr(error)}, run_id, parent_run_id)

    def on_tool_start(self, serialized, input_str, *, run_id, parent_run_id=None, inputs=None, **kwargs):
        data = inputs if inputs is not None else {"input": input_str}
        self.step("tool_call", data, run_id, parent_run_id, name=serialized["name"], accepts=["abort"])

    def on_tool_end(self, output, *, run_id, parent_run_id=None, **kwargs):
        self.step("tool_result", {"output": output}, run_id, parent_run_id, accepts=["abort"])

    def on_tool_error(self, error, *, run_id, parent_run_id=None, **kwargs):
        self.end("error", {"error": repr(error)}, run_id, parent_run_id)

    # A chain is the graph, or one of its nodes. The log event makes it a parent in the tree of steps; only the
    # graph itself has no parent, and with it the run is over.

    def on_chain_start(self, serialized, inputs, *, run_id, parent_run_id=None, name=None, **kwargs):
        self.end("log", {"message": f"{name} starts"}, run_id, parent_run_id, name=name or "")

    def on_chain_end(self, outputs, *, run_id, parent_run_id=None, **kwargs):
        if parent_run_id is None:
            self.step("log", {"message": "ends", "output": outputs}, run_id, run_end=True)

    def on_chain_error(self, error, *, run_id, parent_run_id=None, **kwargs):
        if parent_run_id is None:
            self.end("log", {"message": "failed", "error": repr(error)}, run_id, None, run_end=True)


def plain(value):
    """What LangChain keeps in objects, as JSON."""
    return message_to_dict(value) if isinstance(value, BaseMessage) else dumpd(value)
