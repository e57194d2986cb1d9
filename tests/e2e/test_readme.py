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

    def shell(command):
        out, errors = (tmp_path / f"{len(started)}.{name}" for name in ("out", "errors"))
        path = f"{REPOSITORY / 'target/e2e-bin'}{os.pathsep}{os.environ['PATH']}"
        env = {key: value for key, value in os.environ.items() if not key.startswith("AGENT_DEBUGGER_")}
        process = subprocess.Popen(
            [tool("bash"), "-euc", command.replace(DEFAULT_PORT, fresh.port)],
            cwd=REPOSITORY,
            env=env | {"PATH": path},
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


class Command:
    def __init__(self, process, out, errors):
        self._process, self._out, self._errors = process, out, errors

    def said(self):
        return self._out.read_text()

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


BODIES = {"trace": {"type": "log", "hold": "never"}, "release": {"seq": 1, "action": "proceed"}}


def answer(server, verb, path, scope=None):
    """The status with which a route answers the bearer of a token, or somebody without one."""
    url = server.url + path.replace("{agent_id}", "a")
    headers = {"Authorization": f"Bearer {SCOPES[scope]}"} if scope else {}
    body = BODIES.get(path.rpartition("/")[2]) if verb == "POST" else None
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
        # There is nothing to release.
        assert status == (403 if bearer not in allowed else 409 if rpc == "Release" else 200), bearer


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
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/agent-debugger").symlink_to(BINARY.resolve())
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
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
