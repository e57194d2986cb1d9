"""Runs the agent of agent.py with the debugger's middleware, which is all that it takes."""

import json

from agent import ScriptedModel, ask, calls
from debugger import Aborted, Debugger
from debugger_middleware import DebuggerMiddleware

# What running a tool does to the world: a fork lets what only reads run again, and asks before anything else.
EFFECTS = {"read_file": "read", "query_sqlite": "read"}


def main():
    debugger = Debugger("langgraph-example")
    middleware = DebuggerMiddleware(debugger, EFFECTS, model_named=lambda name: ScriptedModel(model=name))
    try:
        result = {"status": "done", "answer": ask([middleware])}
    except Aborted as abort:
        result = {"status": "aborted", "reason": str(abort)}
    except Exception as error:
        result = {"status": "failed", "error": str(error)}
    debugger.end("log", result, run_end=True)
    print(json.dumps(result | {"calls": calls}))


if __name__ == "__main__":
    main()
