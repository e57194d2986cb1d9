"""The examples, how each is started, and what it says at the end."""

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache

from conftest import missing, tool
from contract import REPOSITORY
from server import BINARY, PATIENCE

EXAMPLES = REPOSITORY / "examples"
CALLS = sum(
    line.strip().startswith("rpc ")
    for line in (REPOSITORY / "proto/agent_debugger/v1/debugger.proto").read_text().splitlines()
)


@dataclass(frozen=True)
class Example:
    name: str
    speaks: str  # the transport that it reports over
    tool: str  # its second tool; the first is read_file in all of them
    edited: dict  # other input for that tool, and
    edited_answer: str  # what the agent then answers
    by_hand: dict  # a result for that tool, and
    by_hand_answer: str  # what the agent then answers
    answer: str  # what it answers when nobody interferes
    reply: dict = field(default_factory=lambda: {"answer": "Nobody.\nAsk again."})  # a response of its model
    last: tuple = ()  # what it reports after its last step

    @property
    def steps_over(self):
        """The other transport: an event that came over one is debugged over the other."""
        return {"grpc": "http", "http": "grpc"}[self.speaks]

    def __str__(self):
        return self.name


ON_CALL = dict(
    tool="query_sqlite",
    edited={"sql": "SELECT person FROM on_call WHERE service = 'billing'"},
    edited_answer="Grace is on call.",
    by_hand={"rows": [{"person": "Edsger"}]},
    by_hand_answer="Edsger is on call.",
    answer="Ada is on call.",
)
COUNTING = dict(
    edited_answer="The contract has 1 calls.",
    by_hand={"count": 42},
    by_hand_answer="The contract has 42 calls.",
    answer=f"The contract has {CALLS} calls.",
)
CONTRACT = "proto/agent_debugger/v1/debugger.proto"

RUST = Example("rust", "grpc", tool="count_lines", edited={"path": CONTRACT, "start": "package "}, last=("log",), **COUNTING)
PYTHON = Example("python", "grpc", **ON_CALL)
NODE = Example("node", "grpc", **ON_CALL)
GO = Example("go", "grpc", **ON_CALL)
CURL = Example("curl", "http", tool="count_matches", edited={"path": CONTRACT, "pattern": "^package "}, **COUNTING)
LANGGRAPH = Example(
    "langgraph",
    "http",
    **ON_CALL | {"by_hand": {"output": '[{"person": "Edsger"}]'}},
    reply={"message": {"type": "ai", "data": {"content": "Nobody.\nAsk again."}}},
    last=("log",),
)
# A callback cannot change what happens, so nothing is edited or answered by hand.
CALLBACK = Example("callback", "http", **ON_CALL)

OBEDIENT = [RUST, PYTHON, NODE, GO, CURL, LANGGRAPH]


@cache
def go_program(name, main=None):
    """The Go example, or its helper under another main file."""
    # Built rather than run with `go run`, which would leave the agent behind when a test ends it.
    binary = REPOSITORY / "target/e2e-bin" / name
    overlay = binary.with_suffix(".json")
    overlay.write_text(json.dumps({"Replace": {str(EXAMPLES / "go/main.go"): str(main)} if main else {}}))
    subprocess.run([tool("go"), "build", "-overlay", overlay, "-o", binary, "."], cwd=EXAMPLES / "go", check=True)
    return binary


def command(example):
    """The command line and the folder to run it in."""
    match example.name:
        case "rust":
            binary = BINARY.parent / "examples/agent"
            if not binary.exists():
                missing(binary, "cargo build --examples")
            return [binary], REPOSITORY
        case "python":
            return [sys.executable, "agent.py"], EXAMPLES / "python"
        case "node":
            if not (REPOSITORY / "node_modules/@grpc/grpc-js").exists():
                missing("node_modules/@grpc/grpc-js", "npm ci")
            return [tool("node"), "agent.mjs"], EXAMPLES / "node"
        case "go":
            return [go_program("go-agent")], EXAMPLES / "go"
        case "curl":
            tool("curl")
            return [tool("bash"), "agent.sh"], EXAMPLES / "curl"
        case "langgraph" | "callback":
            if not importlib.util.find_spec("langgraph"):
                missing("langgraph", "pip install -r examples/langgraph/requirements.txt")
            script = {"langgraph": "run.py", "callback": "watch.py"}[example.name]
            return [sys.executable, script], EXAMPLES / "langgraph"


class Running:
    """One run of an example."""

    def __init__(self, example, url, agent_id, run_id="", token=""):
        argv, cwd = command(example)
        env = os.environ | {
            "AGENT_DEBUGGER_URL": url,
            "AGENT_DEBUGGER_AGENT_ID": agent_id,
            "AGENT_DEBUGGER_RUN_ID": run_id,
            "AGENT_DEBUGGER_TOKEN": token,
        }
        self.process = subprocess.Popen(
            argv, cwd=cwd, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def result(self):
        """What the agent printed: one line of JSON, and nothing else."""
        stdout, self.complaints = self.process.communicate(timeout=PATIENCE)
        assert self.process.returncode == 0, self.complaints
        (line,) = stdout.splitlines()
        return json.loads(line)

    def stop(self):
        self.process.kill()
        self.process.wait()
