"""A small agent over gRPC: it finds out who is on call for this project, and can be debugged at every step."""

import json
import re
import sqlite3
import tempfile
from pathlib import Path

from debugger import Aborted, Debugger, Refused

REPOSITORY = Path(__file__).resolve().parents[2]
QUESTION = "Who is on call for this project?"
# What this agent obeys before and after a step; the debugger offers nothing else.
BEFORE = ("edit", "fulfil", "fail", "abort")
AFTER = ("edit", "fail", "abort")
# What running a tool does to the world: a fork lets what only reads run again, and asks before anything else.
EFFECTS = {"read_file": "EFFECT_READ", "query_sqlite": "EFFECT_READ"}


def make_database(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE on_call (service TEXT, person TEXT)")
        database.executemany(
            "INSERT INTO on_call VALUES (?, ?)", [("agent-debugger", "Ada"), ("billing", "Grace")]
        )


def read_file(input):
    return {"text": (REPOSITORY / input["path"]).read_text()}


def query_sqlite(path, input):
    database = sqlite3.connect(path)
    database.row_factory = sqlite3.Row
    return {"rows": [dict(row) for row in database.execute(input["sql"])]}


def think(prompt):
    """The "model": it decides by rule, from the messages alone, so that every run is the same."""
    reply = {"model": prompt["model"]}
    last = prompt["messages"][-1]
    content = last["content"]
    if last["role"] == "user":
        return reply | {"call": "read_file", "input": {"path": "Cargo.toml"}}
    if "error" in content:
        return reply | {"answer": f"I could not find out: {content['error']}"}
    if last["tool"] == "read_file":
        service = re.search(r'^name = "(.+)"', content["text"], re.MULTILINE).group(1)
        # One model is more thorough than the other.
        columns = "service, person" if prompt["model"] == "scripted-2" else "person"
        return reply | {
            "call": "query_sqlite",
            "input": {"sql": f"SELECT {columns} FROM on_call WHERE service = '{service}'"},
        }
    row = content["rows"][0]
    whose = f" for {row['service']}" if "service" in row else ""
    return reply | {"answer": f"{row['person']} is on call{whose}."}


def step(debugger, opening, closing, name, input, work):
    """One step of the agent: report it and obey, do it, report what came of it and obey again."""
    labels = {"name": name, "model": input.get("model", ""), "effect": EFFECTS.get(name)}
    told = debugger.step(opening, input, accepts=BEFORE, **labels)
    try:
        if told.action == "fail":
            raise RuntimeError(told.message)
        if told.action == "edit":
            input = told.data or input
            if told.model:
                input = input | {"model": told.model}
        output = (told.data or {}) if told.action == "fulfil" else work(input)
    except Exception as error:
        output = {"error": str(error)}
    told = debugger.step(
        "error" if "error" in output else closing,
        output,
        name=name,
        node_id=told.node_id,
        accepts=("abort",) if "error" in output else AFTER,
        run_end="answer" in output,
    )
    if told.action == "fail":
        return {"error": told.message}
    return told.data if told.action == "edit" and told.data else output


def run(debugger, tools):
    messages = [{"role": "user", "content": QUESTION}]
    model = "scripted-1"
    # What was really done, and not answered by somebody else or from a record.
    calls = {"model": 0, "tools": 0}

    def counted(what, work):
        def count(input):
            calls[what] += 1
            return work(input)

        return count

    while True:
        prompt = {"model": model, "messages": messages}
        reply = step(debugger, "prompt", "response", "", prompt, counted("model", think))
        if "call" not in reply:
            return {"status": "failed" if "error" in reply else "done", **reply, "calls": calls}
        name, input = reply["call"], reply.get("input", {})
        tool = counted("tools", lambda input: tools[name](input))
        result = step(debugger, "tool_call", "tool_result", name, input, tool)
        messages.append({"role": "tool", "tool": name, "content": result})


def work(run_id=None):
    """One whole run, and what came of it."""
    debugger = Debugger("python-example", run_id)
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "on_call.sqlite"
        make_database(database)
        tools = {"read_file": read_file, "query_sqlite": lambda input: query_sqlite(database, input)}
        try:
            result = run(debugger, tools)
        except Aborted as abort:
            result = {"status": "aborted", "reason": str(abort)}
        except Refused as refusal:
            result = {"status": "failed", "error": str(refusal)}
    if not debugger.ended:
        # The run did not get as far as an answer. Its last event says that it is over.
        try:
            debugger.step("log", result, run_end=True, hold="HOLD_POLICY_NEVER")
        except (Aborted, Refused):
            pass  # Every later step of an aborted run is answered so; what is over cannot be stopped.
    return result


if __name__ == "__main__":
    print(json.dumps(work()))
