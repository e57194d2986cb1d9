"""README.md does what it says: its agents, its commands and its tables, as they stand there.

Only the port is another than 7117, so that a debugger that runs already is left alone.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from conftest import tool
from contract import REPOSITORY, pb
from debuggers import HttpDebugger
from server import BINARY, PATIENCE, Server

README = (REPOSITORY / "README.md").read_text()
DEFAULT_PORT = "7117"
# Compiling the crate takes longer than anything else here.
BUILD_PATIENCE = 900
FIRST_AGENT = "first-agent"
WHOLE_RUN = ["prompt", "response", "tool_call", "tool_result"]
SCOPES = {scope: f"{scope}-{'0123456789abcdef' * 4}" for scope in ("ingest", "view", "control")}


FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
# The same text without its code, in which a line may begin like a heading.
PROSE = FENCED.sub(lambda block: " " * len(block.group()), README)


def section(heading):
    """What stands under a heading, up to the next one of the same or a higher level."""
    level = heading.split()[0]
    start = PROSE.index(f"\n{heading}\n")
    end = re.compile(rf"^#{{1,{len(level)}}} ", re.MULTILINE).search(PROSE, start + len(heading) + 2)
    return README[start : end.start() if end else None]


def blocks(heading, language):
    """The code in that language under a heading, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", section(heading), re.MULTILINE | re.DOTALL)


def table(heading, first_column):
    """The rows of the table whose first column has this name, each as a list of its cells."""
    lines = iter(section(heading).splitlines())
    assert any(line.startswith(f"| {first_column} |") for line in lines), f"{heading} has no table of {first_column}s"
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def code(cell):
    """The text of a cell without its backticks; nothing where the cell says that there is nothing."""
    return cell.strip("`") if cell not in ("", "–") else None


@pytest.fixture
def fresh():
    """A server that nobody has used: README begins with one."""
    server = Server()
    server.port = server.address.rpartition(":")[2]
    yield server
    server.stop()


@pytest.fixture
def shell(fresh, tmp_path):
    """Starts a command of README in the repository, with what it prints in a file."""
    started = []
    programs = installed(tmp_path)

    def shell(command):
        out, errors = (tmp_path / f"{len(started)}.{name}" for name in ("out", "errors"))
        path = f"{programs}{os.pathsep}{REPOSITORY / 'target/e2e-bin'}{os.pathsep}{os.environ['PATH']}"
        env = {key: value for key, value in os.environ.items() if not key.startswith("AGENT_DEBUGGER_")}
        env["AGENT_DEBUGGER_URL"] = fresh.url
        process = subprocess.Popen(
            [tool("bash"), "-euc", command.replace(DEFAULT_PORT, fresh.port)],
            cwd=REPOSITORY,
            env=env | {"PATH": path},
            stdin=subprocess.PIPE,
            stdout=out.open("w"),
            stderr=errors.open("w"),
            start_new_session=True,
        )
        started.append(process)
        return Command(process, out, errors)

    yield shell
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        process.wait()
        process.stdin.close()


def installed(tmp_path):
    """A folder in which the program has the name under which people know it."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/agent-debugger").symlink_to(BINARY.resolve())
    return tmp_path / "bin"


class Command:
    def __init__(self, process, out, errors):
        self._process, self._out, self._errors = process, out, errors

    def type(self, line):
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def leave(self):
        self._process.stdin.close()

    def said(self):
        return self._out.read_text()

    def complained(self):
        return self._errors.read_text()

    def lines(self, count):
        """What it printed, once it has printed that many lines."""
        deadline = time.monotonic() + PATIENCE
        while self.said().count("\n") < count:
            assert time.monotonic() < deadline, f"fewer than {count} lines: {self.said()} {self.complained()}"
            time.sleep(0.02)
        return self.said().splitlines()

    def ended(self):
        """What it printed, once it has ended well."""
        assert self._process.wait(PATIENCE) == 0, self._errors.read_text()
        return self.said()


def debugger(server, agent_id):
    return contextlib.closing(HttpDebugger(server, agent_id))


# The agents.


@pytest.fixture(scope="session")
def rust_first(tmp_path_factory):
    """The Rust agent, built with the dependencies that README names."""
    package = tmp_path_factory.mktemp("rust")
    (source,), (dependencies,) = blocks("## Debug your first agent", "rust"), blocks("## Debug your first agent", "toml")
    manifest = '[package]\nname = "first"\nversion = "0.1.0"\nedition = "2024"\n\n[workspace]\n\n' + dependencies
    assert "../agent-debugger" in manifest
    (package / "Cargo.toml").write_text(manifest.replace("../agent-debugger", str(REPOSITORY)))
    # The versions that are tested everywhere else.
    shutil.copy(REPOSITORY / "Cargo.lock", package)
    (package / "src").mkdir()

    def build(port):
        (package / "src/main.rs").write_text(source.replace(DEFAULT_PORT, port))
        target = REPOSITORY / "target/readme"
        subprocess.run(
            [tool("cargo"), "build", "--quiet"],
            cwd=package,
            env=os.environ | {"CARGO_TARGET_DIR": str(target)},
            check=True,
            timeout=BUILD_PATIENCE,
        )
        return str(target / "debug/first")

    return build


def run_python(folder, source, port, rust):
    (folder / "first.py").write_text(source.replace(DEFAULT_PORT, port))
    return [sys.executable, "first.py"]


def run_node(folder, source, port, rust):
    (folder / "first.mjs").write_text(source.replace(DEFAULT_PORT, port))
    return [tool("node"), "first.mjs"]


def run_go(folder, source, port, rust):
    (folder / "first.go").write_text(source.replace(DEFAULT_PORT, port))
    # Built rather than run with `go run`, which would leave the agent behind when the test ends it.
    subprocess.run([tool("go"), "build", "-o", "first", "first.go"], cwd=folder, check=True, timeout=BUILD_PATIENCE)
    return ["./first"]


def run_rust(folder, source, port, rust):
    return [rust(port)]


def run_bash(folder, source, port, rust):
    tool("curl")
    (folder / "first.sh").write_text(source.replace(DEFAULT_PORT, port))
    return [tool("bash"), "first.sh"]


LANGUAGES = {"python": run_python, "js": run_node, "go": run_go, "rust": run_rust, "bash": run_bash}
OBEDIENT = [language for language in LANGUAGES if language != "bash"]


@pytest.fixture
def first_agent(fresh, tmp_path, rust_first):
    """Starts the first agent in a language."""
    running = []

    def first_agent(language):
        (source,) = blocks("## Debug your first agent", language)
        argv = LANGUAGES[language](tmp_path, source, fresh.port, rust_first)
        running.append(
            subprocess.Popen(argv, cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        )
        return SimpleNamespace(
            output=lambda: running[-1].communicate(timeout=PATIENCE)[0], code=lambda: running[-1].returncode
        )

    yield first_agent
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_agent_is_stepped_to_its_end(language, fresh, first_agent):
    with debugger(fresh, FIRST_AGENT) as person:
        person.attach()
        agent = first_agent(language)
        for count in range(1, len(WHOLE_RUN) + 1):
            event = person.next_event()
            assert person.held() == [event["seq"]], "the agent waits at each step"
            assert person.step() == count
        assert "sunny in Lisbon" in agent.output()
        assert agent.code() == 0
        assert [event["type"] for event in person.seen] == WHOLE_RUN
        assert [event["node_id"] for event in person.seen] == ["n1", "n1", "n3", "n3"]
        assert [event["name"] for event in person.seen] == [None, None, "weather", "weather"]
        assert person.outcomes() == ["stepped"] * 4


@pytest.mark.parametrize("language", OBEDIENT)
def test_the_first_agent_does_what_it_is_told(language, fresh, first_agent):
    with debugger(fresh, FIRST_AGENT) as person:
        person.attach()
        agent = first_agent(language)
        person.release(person.next_event()["seq"], "fulfil", data={"city": "Porto"})
        assert person.next_event()["data"] == {"city": "Porto"}, "the model was answered by hand"
        person.step()
        call = person.next_event()
        assert call["data"] == {"city": "Porto"}
        person.release(call["seq"], "edit", data={"city": "Faro"})
        result = person.next_event()
        assert result["data"] == {"forecast": "sunny in Faro"}
        person.release(result["seq"], "edit", data={"forecast": "rain"})
        assert "rain" in agent.output()
        assert agent.code() == 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_agent_stops_when_it_is_told_to(language, fresh, first_agent):
    with debugger(fresh, FIRST_AGENT) as person:
        person.attach()
        agent = first_agent(language)
        person.release(person.next_event()["seq"], "abort", reason="enough")
        assert "aborted" in agent.output()
        assert agent.code() != 0
        assert person.status()["total_events"] == 1


# The commands.


def test_the_example_that_is_stepped_at_once_can_be(fresh, shell):
    commands = blocks("## Start it", "sh")
    assert "git clone <this repository>" in commands[0] and len(commands) == 2
    assert f"http://127.0.0.1:{DEFAULT_PORT}/agent/curl-example/debug" in section("## Start it")
    with debugger(fresh, "curl-example") as person:
        person.attach()
        agent = shell(f"AGENT_DEBUGGER_URL=http://127.0.0.1:{DEFAULT_PORT} {commands[1]}")
        person.step_to_the_end()
        assert person.seen[0]["type"] == "prompt"
        assert '"status":"done"' in agent.ended()


def test_the_requirements_are_those_of_the_package():
    (version,) = re.findall(r'^rust-version = "(.+)"', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)
    assert f"Rust {version} or newer" in README


def test_an_agent_is_stepped_with_curl(fresh, shell):
    tool("curl")
    watch, report, step, release, rest = blocks("### With curl", "sh")
    looking = HttpDebugger(fresh, "terminal")  # which only asks for the status
    watcher = shell(watch)
    looking.until(lambda status: status["debuggers"] == 1, "the watcher")

    agent = shell(report)
    looking.until(lambda status: status["held"], "the first step")
    assert json.loads(shell(step).ended()) == {"status": "stepped", "pos": 1}
    assert json.loads(agent.ended())["outcome"] == "stepped"

    agent = shell(report)
    looking.until(lambda status: status["held"], "the second step")
    assert json.loads(shell(release).ended()) == {"status": "released", "pos": 2}
    assert json.loads(agent.ended())["decision"] == {"action": "fulfil", "data": {"forecast": "rain"}}
    assert watcher.said().count("Lisbon") == 2, "each event is printed once"

    answers = [json.loads(shell(command).ended()) for command in rest.splitlines()]
    assert [answer.get("status") for answer in answers if "status" in answer] == ["continued", "paused", "cleared"]
    assert answers[0]["mode"] == "paused"
    assert [event["decision"]["outcome"] for event in answers[1]["events"]] == ["stepped", "released"]
    assert [agent["agent_id"] for agent in answers[-1]["agents"]] == ["terminal"]
    looking.close()


def test_an_agent_is_stepped_with_grpcurl(fresh, shell):
    tool("grpcurl")
    looked_at, watch, report, step, release = blocks("### With grpcurl", "sh")
    described = shell(looked_at).ended()
    assert "grpc.health.v1.Health" in described
    assert "rpc Trace (" in described and "message TraceRequest {" in described

    looking = HttpDebugger(fresh, "terminal")
    watcher = shell(watch)
    looking.until(lambda status: status["debuggers"] == 1, "the watcher")
    agent = shell(report)
    looking.until(lambda status: status["held"], "the first step")
    assert json.loads(shell(step).ended()) == {"position": "1", "total": "1", "released": ["1"]}
    assert json.loads(agent.ended())["outcome"] == "OUTCOME_STEPPED"

    agent = shell(report)
    looking.until(lambda status: status["held"], "the second step")
    shell(release).ended()
    assert json.loads(agent.ended())["decision"] == {"fulfil": {"data": {"forecast": "rain"}}}
    assert watcher.said().count('"EVENT_TYPE_TOOL_CALL"') >= 2
    looking.close()


# Control.


@pytest.fixture
def person(fresh):
    """Somebody who only asks for the status, of agents that come and go."""
    with contextlib.ExitStack() as stack:
        yield lambda agent_id: stack.enter_context(debugger(fresh, agent_id))


def answered(command):
    return json.loads(command.ended())


def test_a_breakpoint_is_made_tried_switched_off_and_deleted(fresh, shell, person):
    make, test, rest = blocks("### Breakpoints", "sh")
    made = answered(shell(make))
    assert made["id"] == "b1"
    for command in ("rm -rf /", "ls"):
        event = {"type": "tool_call", "name": "shell", "data": {"command": command}, "hold": "never"}
        requests.post(f"{fresh.url}/agent/terminal/debug/trace", json=event, timeout=PATIENCE).raise_for_status()
    url = f"{fresh.url}/agent/terminal/debug/breakpoints/test"
    assert requests.post(url, json=made, timeout=PATIENCE).json()["seqs"] == [1]
    assert answered(shell(test)) == {"matched": 0, "examined": 2, "seqs": []}
    off, listed, deleted = (answered(shell(command)) for command in rest.splitlines())
    assert off["enabled"] is False and listed["breakpoints"] == [off]
    assert deleted == {"status": "deleted"}


def test_the_fields_of_a_breakpoint_are_those_of_the_service():
    fields = {name for cell, *_ in table("### Breakpoints", "field") for name in re.findall(r"`(\w+)`", cell)}
    known = {field.name for field in pb.DESCRIPTOR.message_types_by_name["Breakpoint"].fields}
    assert fields == {"timeout_ms" if name == "timeout" else name for name in known - {"id", "hits", "problem"}}


# For each condition of the table an event at which it holds, and one at which it does not.
CALL = {"type": "tool_call", "name": "book_room"}
CONDITIONS = {
    "event.data.args": (CALL | {"data": {"args": {"price": 240}}}, CALL | {"data": {"args": {"price": 24}}}),
    "event.type": (CALL, CALL | {"name": "search"}),
    "event.data.command": (CALL | {"data": {"command": "rm -rf /"}}, CALL | {"data": {"command": "ls"}}),
    "event.data.items": (CALL | {"data": {"items": [{"price": 200}]}}, CALL | {"data": {"items": []}}),
    "has(": (CALL | {"data": {"error": None}}, CALL),
    "event.duration_ms": (CALL | {"duration_ms": 6000}, CALL),
    "repeats": (CALL, CALL | {"type": "log"}),
    "run.tokens": (CALL | {"token_count": 60_000}, CALL | {"run_id": "cheap"}),
    "node.depth": (CALL | {"node_id": "n", "parent_id": "p4"}, CALL | {"node_id": "o", "parent_id": "p"}),
}


@pytest.mark.parametrize("condition", [code(row[0]) for row in table("### Conditions", "condition")])
def test_a_condition_holds_where_the_table_says(condition, fresh):
    url = f"{fresh.url}/agent/a/debug"

    def report(event):
        answer = requests.post(f"{url}/trace", json={"hold": "never"} | event, timeout=PATIENCE)
        answer.raise_for_status()
        return answer.json()["seq"]

    (holds, fails), *others = (pair for start, pair in CONDITIONS.items() if condition.startswith(start))
    assert not others
    parents = ["p", "p1", "p2", "p3", "p4"]
    for parent, node in zip(parents, parents[1:]):
        report({"type": "prompt", "node_id": node, "parent_id": parent, "data": {"of": node}})
    report(fails)
    before = [report(holds), report(holds)]
    last = report(holds)
    answer = requests.post(f"{url}/breakpoints/test", json={"condition": condition}, timeout=PATIENCE).json()
    assert answer["seqs"] == ([last] if "repeats" in condition else [*before, last])


def test_the_names_of_conditions_are_all_there_are(fresh):
    text = section("### Conditions")
    fields = re.search(r"the event as the stream has it: (.*?);", text).group(1)
    functions = re.search(r"The functions are(.*?)\.\n", text, re.DOTALL).group(1)
    given = {"size": "{}([])", "type": "{}(1) == int", "matches": "'a'.{}('a')"}
    for name in re.findall(r"`(\w+)`", fields):
        assert tried(fresh, f"event.{name} == event.{name}") == 200, name
    for name in re.findall(r"`(\w+)`", functions):
        one = "{}('1')" if name in ("int", "uint", "double", "string") else "{}(true)" if name == "bool" else None
        call = given.get(name) or one or ("'A'.{}()" if name.endswith("Ascii") else "'a'.{}('a')")
        assert tried(fresh, call.format(name)) == 200, name
    assert tried(fresh, "event.nothing") == tried(fresh, "nothing()") == 400


def tried(server, condition):
    url = f"{server.url}/agent/a/debug/breakpoints/test"
    return requests.post(url, json={"condition": condition}, timeout=PATIENCE).status_code


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
    (script,) = blocks("### A session", "sh")
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
    make, report, waits, approve, refuse, shorter, told, stopped = blocks("### Ask before it happens", "sh")
    failed, error = (json.loads(text) for text in blocks("### Ask before it happens", "json"))
    payer = person("payer")
    assert answered(shell(make))["unattended"] == "hold"

    agent = shell(report)
    payer.until(lambda status: status["held"], "the gate")
    agents, status = (answered(shell(command)) for command in waits.splitlines())
    assert agents["agents"][0]["held"] == 1
    assert status["held"][0]["gate"] and status["mode"] == "detached"
    for verb in ("step", "continue"):
        requests.post(f"{fresh.url}/agent/payer/debug/{verb}", timeout=PATIENCE).raise_for_status()
        assert payer.held() == [1], verb
    shell(approve).ended()
    assert answered(agent)["decision"] == {"action": "proceed"}

    agent = shell(report)
    payer.until(lambda status: status["held"], "the gate again")
    shell(refuse).ended()
    assert answered(agent)["decision"] == {"action": "fail", "message": "too expensive"}

    shell(shorter).ended()
    answer = answered(shell(told))
    assert failed.items() <= answer.items()
    answer = answered(shell(stopped))
    assert error.items() <= answer.items()


def test_a_run_is_forked_compared_exported_and_imported(fresh, shell, tmp_path):
    heading = "## Fork, replay, compare, share"
    install, fork, compare, share = blocks(heading, "sh")
    first, second = (json.loads(text) for text in blocks(heading, "json"))
    (summary,) = blocks(heading, "text")
    install, run = install.splitlines()
    assert install == "pip install -r examples/python/requirements.txt", "which is what install.sh does"
    python = f"PATH={Path(sys.executable).parent}:$PATH; "
    assert answered(shell(python + run)) == first

    forked = answered(shell(fork))
    assert forked["plan"]["summary"] == summary.strip()
    placeholder = re.search(r"fork-[0-9a-f]{8}", compare).group()
    again, compare = compare.replace(placeholder, forked["run_id"]).splitlines()
    assert answered(shell(python + again)) == second
    compared = answered(shell(compare))
    assert (compared["left"]["run_id"], compared["right"]["run_id"]) == ("monday", forked["run_id"])
    assert compared["equal"] == 4 and compared["first_divergence"] == 1

    share = share.replace(placeholder, forked["run_id"]).replace("run.jsonl", str(tmp_path / "run.jsonl"))
    export, take_in = share.splitlines()
    shell(export).ended()
    assert answered(shell(take_in))["run_id"] == forked["run_id"]
    again = requests.get(f"{fresh.url}/agent/somebody-else/debug/export?run_id={forked['run_id']}", timeout=PATIENCE)
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
    heading = "### With agent-debugger"
    run, attach, piped, looks = blocks(heading, "sh")
    greeting, transcript = blocks(heading, "text")
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
    heading = "### Fork, compare, export, import"
    again, compare, keep = blocks(heading, "sh")
    (compared,) = blocks(heading, "text")
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


def test_the_flags_of_the_commands_for_runs_are_those_of_the_program():
    documented = {}
    for command, flags, _ in table("### Fork, compare, export, import", "command"):
        name = code(command) and code(command).split()[0] or name
        documented.setdefault(name, set()).update(re.findall(r"--[\w-]+", flags))
    everywhere = {"--url", "--token", "--tls-ca", "--help"}
    for name, flags in documented.items():
        text = subprocess.run([BINARY, name, "-h"], text=True, capture_output=True, check=True).stdout
        assert flags == set(re.findall(r"^ +(?:-\w, +)?(--[\w-]+)", text, re.MULTILINE)) - everywhere, name


def test_the_commands_are_those_of_the_help(fresh, shell):
    text = shell("echo help | agent-debugger attach a").ended()
    for row in table("### With agent-debugger", "command"):
        for command in re.findall(r"`([a-z]+)[^`]*`", row[0]):
            assert re.search(rf"\b{command}\b", text), command
        for short in re.findall(r"`(\w+)`", row[1]):
            assert re.search(rf"^.{{10}} ?{short} ", text, re.MULTILINE), short
    spec = re.search(r"makes a breakpoint: `(.*?)`", section("### With agent-debugger")).group(1)
    assert re.sub(r"\s+", " ", text).count(spec.replace("\\|", "|")) == 1


# The tables.


def help_text():
    env = {key: value for key, value in os.environ.items() if not key.startswith("AGENT_DEBUGGER_")}
    return subprocess.run([BINARY, "--help"], env=env, text=True, capture_output=True, check=True).stdout


def test_the_configuration_table_is_that_of_the_program():
    flags = {}
    for part in re.split(r"^ +(?:-\w, +|    )(?=--)", help_text(), flags=re.MULTILINE)[1:]:
        flag = re.match(r"--[\w-]+", part).group()
        found = re.search(r"\[env: (\w+)=?\]", part), re.search(r"\[default:\s+([^\]]+)\]", part)
        flags[flag] = tuple(match and match.group(1) for match in found)
    del flags["--help"], flags["--version"]
    documented = {code(flag): (code(env), code(default)) for flag, env, default, _ in table("## Configuration", "flag")}
    assert documented == flags
    assert documented["--listen"][1].endswith(f":{DEFAULT_PORT}")


def routes():
    return [
        (*code(route).split(), code(scope), code(rpc)) for route, scope, rpc, _ in table("## HTTP routes", "route")
    ]


def test_the_route_table_is_that_of_the_service(fresh):
    described = requests.get(f"{fresh.url}/openapi.json", timeout=PATIENCE).json()["paths"]
    operations = {(verb.upper(), path) for path, verbs in described.items() for verb in verbs}
    # Pages and what operators ask are no calls of the contract.
    assert {(verb, path) for verb, path, _, rpc in routes() if rpc} == operations
    rpcs = pb.DESCRIPTOR.services_by_name["DebuggerService"].methods
    assert sorted(rpc for *_, rpc in routes() if rpc) == sorted(rpc.name for rpc in rpcs)


BODIES = {"trace": {"type": "log", "hold": "never"}, "breakpoints": {"name": "x"}, "test": {}, "release": {"seq": 1, "action": "proceed"}, "fork": {"seq": 999}}
QUERIES = {"compare": "?left=never&right=never", "export": "?run_id=never"}
# The answer of whose scope suffices, where there is nothing to release and nothing to change.
NOTHING = {"Release": 409, "UpdateBreakpoint": 404, "DeleteBreakpoint": 404, "Fork": 404, "Compare": 404, "Export": 404, "Import": 400}


def answer(server, verb, path, scope=None):
    """The status with which a route answers the bearer of a token, or somebody without one."""
    name = path.rpartition("/")[2]
    url = server.url + path.replace("{agent_id}", "a").replace("{id}", "b999") + QUERIES.get(name, "")
    headers = {"Authorization": f"Bearer {SCOPES[scope]}"} if scope else {}
    body = {"POST": BODIES.get(name), "PATCH": {"enabled": True}}.get(verb)
    with requests.request(verb, url, headers=headers, json=body, stream=True, timeout=PATIENCE) as response:
        return response.status_code


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    tokens = tmp_path_factory.mktemp("tokens") / "tokens"
    tokens.write_text("".join(f"{scope}:{token}\n" for scope, token in SCOPES.items()))
    server = Server(token=f"@{tokens}")
    yield server
    server.stop()


@pytest.mark.parametrize("verb, path, scope, rpc", routes(), ids=lambda part: part or "–")
def test_a_route_asks_for_the_scope_that_the_table_names(verb, path, scope, rpc, locked):
    assert answer(locked, verb, path) == (200 if scope is None else 401)
    allowed = {None: SCOPES, "any": SCOPES, "view": ("view", "control")}.get(scope, (scope,))
    for bearer in SCOPES:
        status = answer(locked, verb, path, bearer)
        assert status == (NOTHING.get(rpc, 200) if bearer in allowed else 403), bearer


def test_observing_needs_only_view(locked):
    path = "/agent/{agent_id}/debug/events"
    assert path in section("## HTTP routes")
    assert answer(locked, "GET", path + "?mode=observe", "view") == 200
    assert answer(locked, "GET", path + "?mode=observe", "ingest") == 403


def test_the_public_server_starts_as_it_is_shown(tmp_path):
    (command,) = blocks("## Security", "sh")
    subprocess.run(
        [tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=debug.example", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem", "-days", "1"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    certificate = str(tmp_path / "cert.pem")
    (tmp_path / "tokens").write_text(f"view:{SCOPES['view']}\n")
    path = f"{installed(tmp_path)}{os.pathsep}{os.environ['PATH']}"
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

        bearer = {"Authorization": f"Bearer {SCOPES['view']}"}
        assert status() == 401
        assert status(**bearer) == 200
        assert status(**bearer, Host="debug.example") == 200
        assert status(**bearer, Host="other.example") == 403
    finally:
        process.terminate()
        process.wait(PATIENCE)


# The links.


@pytest.mark.parametrize("document", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_what_is_linked_to_is_there(document):
    text = (REPOSITORY / document).read_text()
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'(?:src|srcset)="([^"]+)"', text)
    for target in targets:
        if target.startswith("#"):
            headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
            assert target[1:] in anchors, target
        elif not target.startswith(("http://", "https://")):
            assert (REPOSITORY / Path(target)).exists(), target
