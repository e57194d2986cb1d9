"""Debugs an agent of `create_agent`: it obeys every decision, and so it can be forked and replayed.

Middleware stands around each call of a model or a tool, so that it can change what goes in, answer in its place, and
change what comes out. This one is for agents that are invoked or streamed synchronously.
"""

import json
from contextvars import ContextVar

from langchain.agents.middleware import AgentMiddleware, ModelResponse
from langchain.chat_models import init_chat_model
from langchain_core.messages import SystemMessage, ToolMessage, message_to_dict, messages_from_dict

# What is obeyed before and after a step; the debugger offers nothing else.
BEFORE = ["edit", "fulfil", "fail", "abort"]
AFTER = ["edit", "fail", "abort"]
# The step around this one: an agent that a tool invokes has its place below that tool.
ABOVE = ContextVar("above", default=None)


class Failed(Exception):
    """Somebody decided that a step fails, and what it says."""


class DebuggerMiddleware(AgentMiddleware):
    """`effects` says for each tool what running it does to the world; `model_named` makes a model of its name."""

    def __init__(self, debugger, effects=None, model_named=init_chat_model):
        super().__init__()
        self.debugger = debugger
        self.effects = effects or {}
        self.model_named = model_named

    def wrap_model_call(self, request, handler):
        model = request.model._get_ls_params().get("ls_model_name", "")
        messages = [request.system_message] if request.system_message else []
        # Each run gives its messages other ids, which say nothing: without them a fork knows its prompts again.
        prompt = {"model": model, "messages": [without_id(message) for message in [*messages, *request.messages]]}
        told = self.report("prompt", prompt, model=model, accepts=BEFORE)
        if told.action == "edit":
            model = told.model or model
            request = self.edited(request, told)

        def work():
            response = handler(request)
            return response.result[0], response.structured_response

        message, structured = self.result(told, work, lambda data: (message_of(data), None))
        tokens = {key: (message.usage_metadata or {}).get(key) for key in ("input_tokens", "output_tokens")}
        answer = {"model": model, "message": message}
        told = self.report("response", answer, node_id=told.node_id, accepts=AFTER, **tokens)
        if told.action == "edit":
            message, structured = message_of(told.data), None
        return ModelResponse(result=[message], structured_response=structured)

    def edited(self, request, told):
        if told.data is not None:
            messages = messages_from_dict(told.data["messages"])
            first = messages.pop(0) if isinstance(messages[0], SystemMessage) else None
            request = request.override(messages=messages, system_message=first)
        return request.override(model=self.model_named(told.model)) if told.model else request

    def wrap_tool_call(self, request, handler):
        name, id = request.tool_call["name"], request.tool_call["id"]
        labels = {"name": name, "effect": self.effects.get(name)}
        told = self.report("tool_call", request.tool_call["args"], accepts=BEFORE, **labels)
        if told.action == "edit" and told.data is not None:
            request = request.override(tool_call=request.tool_call | {"args": told.data})

        def message_of(data, status="success"):
            return ToolMessage(content_of(data), name=name, tool_call_id=id, status=status)

        above = ABOVE.set(told.node_id)
        try:
            result = self.result(told, lambda: handler(request), message_of)
        except Failed as failed:  # which is for the model to hear of
            return message_of({"output": str(failed)}, "error")
        finally:
            ABOVE.reset(above)
        # A tool may also return a command for the graph, which nobody can write by hand.
        is_message = isinstance(result, ToolMessage)
        output = {"output": result.content if is_message else result}
        told = self.report("tool_result", output, node_id=told.node_id, name=name, accepts=AFTER if is_message else ["abort"])
        if told.action == "fail":
            return message_of({"output": told.message}, "error")
        return message_of(told.data) if told.action == "edit" else result

    def result(self, told, work, by_hand):
        """What comes of a step; a failure is reported, and raised."""
        try:
            if told.action == "fail":
                raise Failed(told.message)
            return by_hand(told.data or {}) if told.action == "fulfil" else work()
        except Exception as error:
            said = str(error) if isinstance(error, Failed) else repr(error)
            self.report("error", {"error": said}, node_id=told.node_id, accepts=["abort"])
            raise

    def report(self, type, data, **fields):
        told = self.debugger.step(type, data, parent_id=ABOVE.get(), **fields)
        if told.action == "fail" and type == "response":
            raise Failed(told.message)
        return told


def without_id(message):
    message = message_to_dict(message)
    return message | {"data": {key: value for key, value in message["data"].items() if key != "id"}}


def message_of(data):
    """The model's message, out of what was recorded or written by hand."""
    (message,) = messages_from_dict([data["message"]])
    return message


def content_of(data):
    """The tool's output, out of what was recorded or written by hand."""
    return data["output"] if isinstance(data.get("output"), (str, list)) else json.dumps(data)
