"""The commands of README.md and docs/ do what the text around them says, as they stand there."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import requests

from commands import installed
from conftest import tool
from contract import REPOSITORY
from debuggers import HttpDebugger
from documents import DEFAULT_PORT, README, STARTED, Document
from server import PATIENCE

BREAKPOINTS = Document("docs/guides/breakpoints.md")
CURL = Document("docs/guides/curl.md")
FORK = Document("docs/guides/fork-and-replay.md")
GATES = Document("docs/guides/approval-gates.md")
GRPCURL = Document("docs/guides/grpcurl.md")
SECURITY = Document("docs/guides/security.md")
SHARE = Document("docs/guides/share-runs.md")
STEPPING = Document("docs/guides/stepping.md")
TERMINAL = Document("docs/guides/terminal.md")

# Every block is claimed here, when the module is loaded: test_docs.py asks which ones no module has claimed.
README_STARTS = README.blocks("## Install and start", "sh")
README_DEBUGS = README.blocks("## Debug the agent you have", "sh")
STARTED_STARTS = STARTED.blocks("## Build and start the server", "sh")
STARTED_STEPS = STARTED.blocks("## Step an example", "sh")
WITH_CURL = CURL.blocks("# With curl", "sh")
WITH_GRPCURL = GRPCURL.blocks("# With grpcurl", "sh")
BREAKPOINT = [
    *BREAKPOINTS.blocks("## Create one", "sh"),
    *BREAKPOINTS.blocks("## Test it first", "sh"),
    *BREAKPOINTS.blocks("## Disable, list and delete", "sh"),
]
SESSION = STEPPING.blocks("## A session", "sh")
GATE = GATES.blocks("# Approval gates", "sh")
GATE_ANSWERS = GATES.blocks("# Approval gates", "json")
FORKED = FORK.blocks("# Fork and replay", "sh")
FORK_RESULTS = FORK.blocks("# Fork and replay", "json")
FORK_PLAN = FORK.blocks("# Fork and replay", "text")
SHARED = SHARE.blocks("# Share a run", "sh")
RUN_AND_ATTACH = TERMINAL.blocks("## Run and attach", "sh")
RUN_AND_ATTACH_PRINT = TERMINAL.blocks("## Run and attach", "text")
PIPED = TERMINAL.blocks("## Scripts and pipes", "sh")
WATCHED = TERMINAL.blocks("## Watch without holding", "sh")
WHOLE_RUNS = TERMINAL.blocks("## Fork, compare, export, import", "sh")
WHOLE_RUNS_PRINT = TERMINAL.blocks("## Fork, compare, export, import", "text")
PUBLIC = SECURITY.blocks("## TLS", "sh")

# A fork's id, as the documents show it.
PLACEHOLDER = "fork-5eed1e55"
VIEW_TOKEN = f"view-{'0123456789abcdef' * 4}"


# The first minutes.


@pytest.mark.parametrize("clone", [README_STARTS, STARTED_STARTS], ids=["README", "getting-started"])
def test_the_program_is_cloned_first(clone):
    (clone,) = clone
    assert clone == "git clone <this repository> agent-debugger\ncd agent-debugger\n"


def test_the_example_that_is_stepped_at_once_can_be(fresh, shell, person):
    (command,) = STARTED_STEPS
    assert f"http://127.0.0.1:{DEFAULT_PORT}/agent/curl-example/debug" in STARTED.section("## Step an example")
    debugger = person("curl-example")
    debugger.attach()
    agent = shell(f"AGENT_DEBUGGER_URL=http://127.0.0.1:{DEFAULT_PORT} {command}")
    debugger.step_to_the_end()
    assert debugger.seen[0]["type"] == "prompt"
    assert '"status":"done"' in agent.ended()


def test_the_example_of_the_readme_waits_until_a_debugger_attaches(fresh, shell, person):
    run, attach = README_DEBUGS
    agent = shell(run)
    looking = person("agent.sh")
    looking.until(lambda status: status["held"], "the first step")
    assert f"{fresh.url}/agent/agent.sh/debug" in agent.complained(), "it prints the address of the page"
    terminal = shell(attach)
    terminal.type("step")
    looking.until(lambda status: [held["seq"] for held in status["held"]] == [2], "the second step")
    terminal.type("help")
    terminal.type("continue")
    assert '"status":"done"' in agent.ended()
    terminal.leave()
    terminal.ended()


def test_an_agent_is_stepped_with_curl(fresh, shell, person):
    tool("curl")
    watch, report, step, release, rest = WITH_CURL
    looking = person("terminal")
    watcher = shell(watch)
    looking.until(lambda status: status["debuggers"] == 1, "the watcher")

    agent = shell(report)
    looking.until(lambda status: status["held"], "the first step")
    assert shell(step).answered() == {"status": "stepped", "pos": 1}
    assert agent.answered()["outcome"] == "stepped"

    agent = shell(report)
    looking.until(lambda status: status["held"], "the second step")
    assert shell(release).answered() == {"status": "released", "pos": 2}
    assert agent.answered()["decision"] == {"action": "fulfil", "data": {"forecast": "rain"}}
    frames = [line for line in watcher.said().splitlines() if line.startswith('data: {"type":"tool_call"')]
    assert len(frames) == 2 and all("Lisbon" in frame for frame in frames), "each event is printed once"

    answers = [shell(command).answered() for command in rest.splitlines()]
    assert [answer.get("status") for answer in answers if "status" in answer] == ["continued", "paused", "cleared"]
    assert answers[0]["mode"] == "paused"
    assert [event["decision"]["outcome"] for event in answers[1]["events"]] == ["stepped", "released"]
    assert [agent["agent_id"] for agent in answers[-1]["agents"]] == ["terminal"]


def test_an_agent_is_stepped_with_grpcurl(fresh, shell, person):
    tool("grpcurl")
    looked_at, watch, report, step, release = WITH_GRPCURL
    described = shell(looked_at).ended()
    assert "grpc.health.v1.Health" in described
    assert "rpc Trace (" in described and "message TraceRequest {" in described

    looking = person("terminal")
    watcher = shell(watch)
    looking.until(lambda status: status["debuggers"] == 1, "the watcher")
    agent = shell(report)
    looking.until(lambda status: status["held"], "the first step")
    assert shell(step).answered() == {"position": "1", "total": "1", "released": ["1"]}
    assert agent.answered()["outcome"] == "OUTCOME_STEPPED"

    agent = shell(report)
    looking.until(lambda status: status["held"], "the second step")
    shell(release).ended()
    assert agent.answered()["decision"] == {"fulfil": {"data": {"forecast": "rain"}}}
    assert watcher.said().count('"EVENT_TYPE_TOOL_CALL"') >= 2


# The guides.


def test_a_breakpoint_is_made_tried_switched_off_and_deleted(fresh, shell):
    make, test, rest = BREAKPOINT
    made = shell(make).answered()
    assert made["id"] == "b1"
    for command in ("rm -rf /", "ls"):
        event = {"type": "tool_call", "name": "shell", "data": {"command": command}, "hold": "never"}
        requests.post(f"{fresh.url}/agent/terminal/debug/trace", json=event, timeout=PATIENCE).raise_for_status()
    url = f"{fresh.url}/agent/terminal/debug/breakpoints/test"
    assert requests.post(url, json=made, timeout=PATIENCE).json()["seqs"] == [1]
    assert shell(test).answered() == {"matched": 0, "examined": 2, "seqs": []}
    off, listed, deleted = (shell(command).answered() for command in rest.splitlines())
    assert off["enabled"] is False and listed["breakpoints"] == [off]
    assert deleted == {"status": "deleted"}


def travel(server):
    """The agent of the session: it plans, delegates to a sub-agent, books, and polls until it is stopped."""
    url = f"{server.url}/agent/traveller/debug/trace"

    def report(type, data, **fields):
        event = {"type": type, "data": data, "run_id": "trip", "accepts": ["edit", "fulfil", "fail", "abort"]}
        return requests.post(url, json=event | fields, timeout=PATIENCE).json()["decision"]

    research = {"node_id": "research", "name": "research"}
    sub = {"node_id": "sub", "parent_id": "research"}
    search = {"node_id": "search", "parent_id": "sub", "name": "search"}
    told = [
        report("prompt", {"text": "Plan a trip"}),
        report("tool_call", {"city": "Lisbon", "days": 2}, **research),
        report("prompt", {"text": "What to see?"}, **sub),
        report("tool_call", {"q": "Lisbon"}, **search),
        report("tool_result", {"hits": 3}, **search),
        report("response", {"text": "The tower"}, **sub),
        report("tool_result", {"see": ["the tower"]}, **research),
        report("tool_call", {"hotel": "Tejo"}, node_id="book", name="book"),
    ]
    while told[-1]["action"] != "abort":
        told.append(report("tool_call", {"id": 7}, name="poll"))
        if told[-1]["action"] != "abort":
            report("tool_result", {"ready": False}, name="poll")
    return told


def test_the_session_goes_as_it_is_told(fresh, shell, person):
    (script,) = SESSION
    traveller = person("traveller")
    attached = shell(script)
    traveller.until(lambda status: status["mode"] == "running", "the continue")
    told = []
    agent = threading.Thread(target=lambda: told.extend(travel(fresh)), daemon=True)
    agent.start()
    attached.ended()
    agent.join(PATIENCE)
    assert told[1] == {"action": "edit", "data": {"city": "Lisbon", "days": 3}}
    assert told[7] == {"action": "fulfil", "data": {"booked": True}}
    assert told[-1] == {"action": "abort", "reason": "it polls for ever"}
    record = []
    for event in traveller.recorded():
        ended = event["decision"] and f"{event['decision']['outcome']} {event['decision']['decision']['action']}"
        record.append([event["seq"], event["type"], event["name"], ended])
    assert record == json.loads((REPOSITORY / "tests/fixtures/session.json").read_text())


def test_a_gate_is_opened_refused_and_left_alone(fresh, shell, person):
    make, report, waits, approve, refuse, shorter, told, stopped = GATE
    failed, error = map(json.loads, GATE_ANSWERS)
    payer = person("payer")
    assert shell(make).answered()["unattended"] == "hold"

    agent = shell(report)
    payer.until(lambda status: status["held"], "the gate")
    agents, status = (shell(command).answered() for command in waits.splitlines())
    assert agents["agents"][0]["held"] == 1
    assert status["held"][0]["gate"] and status["mode"] == "detached"
    for verb in ("step", "continue"):
        requests.post(f"{fresh.url}/agent/payer/debug/{verb}", timeout=PATIENCE).raise_for_status()
        assert payer.held() == [1], verb
    shell(approve).ended()
    assert agent.answered()["decision"] == {"action": "proceed"}

    agent = shell(report)
    payer.until(lambda status: status["held"], "the gate again")
    shell(refuse).ended()
    assert agent.answered()["decision"] == {"action": "fail", "message": "too expensive"}

    shell(shorter).ended()
    answer = shell(told).answered()
    assert failed.items() <= answer.items()
    answer = shell(stopped).answered()
    assert error.items() <= answer.items()


def test_a_run_is_forked_compared_exported_and_imported(fresh, shell, tmp_path):
    install, fork, compare = FORKED
    (share,) = SHARED
    first, second = map(json.loads, FORK_RESULTS)
    (summary,) = FORK_PLAN
    install, run = install.splitlines()
    assert install == "pip install -r examples/python/requirements.txt", "which is what install.sh does"
    python = f"PATH={Path(sys.executable).parent}:$PATH; "
    assert shell(python + run).answered() == first

    forked = shell(fork).answered()
    assert forked["plan"]["summary"] == summary.strip()
    assert PLACEHOLDER in compare and PLACEHOLDER in share
    again, compare = compare.replace(PLACEHOLDER, forked["run_id"]).splitlines()
    assert shell(python + again).answered() == second
    compared = shell(compare).answered()
    assert (compared["left"]["run_id"], compared["right"]["run_id"]) == ("monday", forked["run_id"])
    assert compared["equal"] == 4 and compared["first_divergence"] == 1

    share = share.replace(PLACEHOLDER, forked["run_id"]).replace("run.jsonl", str(tmp_path / "run.jsonl"))
    export, take_in = share.splitlines()
    shell(export).ended()
    assert shell(take_in).answered()["run_id"] == forked["run_id"]
    again = requests.get(f"{fresh.url}/agent/elsewhere/debug/export?run_id={forked['run_id']}", timeout=PATIENCE)
    assert again.content == (tmp_path / "run.jsonl").read_bytes()


# The terminal.


VARIES = [
    (r"\d\d:\d\d:\d\d\.\d{3}Z", "TIME"),
    (r"after [\d.]+m?s", "after TIME"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
]


def plain(line):
    """A line without what differs from one time to the next."""
    for pattern, word in VARIES:
        line = re.sub(pattern, word, line)
    return line


def test_the_transcript_is_true(fresh, shell, person):
    run, attach = RUN_AND_ATTACH
    greeting, transcript = RUN_AND_ATTACH_PRINT
    (piped,), (looks,) = PIPED, WATCHED
    agent = shell(run)
    looking = person("agent.sh")
    looking.until(lambda status: status["held"], "the first step")
    assert agent.complained() == greeting.replace(DEFAULT_PORT, fresh.port)

    prompt = "(agent.sh) "
    terminal = shell(attach)
    # A command, and what is printed until the next one.
    turns = [[None, []]]
    for line in transcript.splitlines():
        if line.startswith(prompt):
            turns.append([line.removeprefix(prompt), []])
        else:
            turns[-1][1].append(line)
    done = 0
    for command, expected in turns:
        if command:
            terminal.type(command)
        printed = terminal.lines(done + len(expected))[done : done + len(expected)]
        done += len(expected)
        # The agent goes on while the answer is on its way, so that it may be printed later.
        for line, shown in zip(sorted(map(plain, expected)), sorted(map(plain, printed)), strict=True):
            assert shown == line or (line.endswith("…") and shown.startswith(line.removesuffix("…"))), printed
    terminal.leave()
    assert len(terminal.ended().splitlines()) == done
    assert '"answer":"The contract has 3 calls."' in agent.ended()

    answers = [json.loads(line) for line in shell(piped).ended().splitlines()]
    assert [answer["command"] for answer in answers if answer["type"] == "answer"] == ["break", "status"]
    tail, tail_json, agents, agents_json = (shell(command).ended().splitlines() for command in looks.splitlines())
    assert sum(line.startswith("#") and "[r1]" in line for line in tail) == 10
    assert sum(json.loads(line)["type"] == "tool_call" for line in tail_json) == 2
    assert agents[1].startswith("agent.sh ") and json.loads(agents_json[0])["agent_id"] == "agent.sh"


def test_runs_are_forked_compared_exported_and_imported(shell, tmp_path):
    again, compare, keep = WHOLE_RUNS
    (compared,) = WHOLE_RUNS_PRINT
    assert '"answer":"The contract has 4 calls."' in shell(again).ended().splitlines()[-1]
    shown = shell(compare).ended()
    assert '"answer":"The contract has 4 calls."' in shown.splitlines()[0]
    expected, shown = (masked(text).splitlines() for text in (compared, shown.partition("\n")[2]))
    assert shown == expected
    copied = shell(keep.replace("r1.jsonl", str(tmp_path / "r1.jsonl"))).ended().splitlines()
    assert copied[0] == "run kept: 10 events, #31 to #40" and "the same: 10 equal" in copied


def masked(text):
    """A comparison without what differs from one time to the next, or from one contract to the next."""
    text = re.sub(r"fork-[0-9a-f]+", "FORK", text)
    text = re.sub(r"^time .*$", "TIME", text, flags=re.MULTILINE)
    text = re.sub(r"\b\d+( →| calls)", r"N\1", text)
    return re.sub(r" {2,}", "  ", text)


# A server that others can reach.


def test_the_public_server_starts_as_it_is_shown(tmp_path):
    (command,) = PUBLIC
    subprocess.run(
        [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=debug.example", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem", "-days", "1"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    certificate = str(tmp_path / "cert.pem")
    (tmp_path / "tokens").write_text(f"view:{VIEW_TOKEN}\n")
    path = os.pathsep.join([str(installed(tmp_path)), os.environ["PATH"]])
    process = subprocess.Popen(
        ["bash", "-c", "exec " + command.replace(DEFAULT_PORT, "0")],
        cwd=tmp_path, env=os.environ | {"PATH": path}, text=True, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        port = re.fullmatch(r"agent-debugger listening on https://0\.0\.0\.0:(\d+)\n", line).group(1)

        def status(**headers):
            url = f"https://127.0.0.1:{port}/agents"
            return requests.get(url, headers=headers, verify=certificate, timeout=PATIENCE).status_code

        bearer = {"Authorization": f"Bearer {VIEW_TOKEN}"}
        assert status() == 401
        assert status(**bearer) == 200
        assert status(**bearer, Host="debug.example") == 200
        assert status(**bearer, Host="other.example") == 403
    finally:
        process.terminate()
        process.wait(PATIENCE)
