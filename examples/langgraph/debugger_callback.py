"""Shows any LangChain or LangGraph program to agent-debugger, step by step.

A callback is told what happens and cannot change it: it can only wait, and stop the run by raising. So the one
decision that these steps accept is abort. An agent of `create_agent` can do better: see debugger_middleware.py.
"""

from langchain_core.callbacks import BaseCallbackHandler

from debugger import Debugger


class DebuggerCallback(BaseCallbackHandler):
    raise_error = True  # else LangChain logs an abort and goes on
    run_inline = True  # else an asynchronous agent would start a step while its report is still held

    def __init__(self, default_agent_id):
        self.debugger = Debugger(default_agent_id)

    def step(self, type, data, run_id, parent_run_id=None, **fields):
        """LangChain's run ids are the debugger's node ids."""
        self.debugger.step(type, data, **ids(run_id, parent_run_id), **fields)

    def end(self, type, data, run_id, parent_run_id, **fields):
        self.debugger.end(type, data, **ids(run_id, parent_run_id), **fields)

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



def ids(run_id, parent_run_id):
    return {"node_id": str(run_id), "parent_id": parent_run_id and str(parent_run_id)}
