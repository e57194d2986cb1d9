"""Runs the agent of agent.py with the debugger's callback, which can hold and stop it, and nothing else."""

import json

from agent import ask
from debugger import Aborted
from debugger_callback import DebuggerCallback


def main():
    try:
        result = {"status": "done", "answer": ask(callbacks=[DebuggerCallback("langgraph-example")])}
    except Aborted as abort:
        result = {"status": "aborted", "reason": str(abort)}
    except Exception as error:
        result = {"status": "failed", "error": str(error)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
