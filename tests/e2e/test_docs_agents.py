"""The small agents of README.md and docs/getting-started.md do what the text around them says, as they stand there."""

import contextlib
import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest

from commands import without_settings
from conftest import tool
from contract import REPOSITORY
from debuggers import HttpDebugger
from documents import DEFAULT_PORT, README, STARTED
from server import PATIENCE

# Compiling the crate takes longer than anything else here.
BUILD_PATIENCE = 900
FIRST_AGENT = "first-agent"
WHOLE_RUN = ["prompt", "response", "tool_call", "tool_result"]
SOURCES = {language: STARTED.blocks("## Your first agent", language) for language in ("python", "js", "go", "rust", "bash")}
DEPENDENCIES = STARTED.blocks("## Your first agent", "toml")
SHOWN_FIRST = README.blocks("## Instrument an agent", "python")


def debugger(server, agent_id=FIRST_AGENT):
    return contextlib.closing(HttpDebugger(server, agent_id))


@pytest.fixture(scope="session")
def rust_first(tmp_path_factory):
    """Builds the Rust agent with the dependencies that the page names."""
    package = tmp_path_factory.mktemp("rust")
    (dependencies,) = DEPENDENCIES
    manifest = '[package]\nname = "first"\nversion = "0.1.0"\nedition = "2024"\n\n[workspace]\n\n' + dependencies
    assert "../agent-debugger" in manifest
    (package / "Cargo.toml").write_text(manifest.replace("../agent-debugger", str(REPOSITORY)))
    # The versions that are tested everywhere else.
    shutil.copy(REPOSITORY / "Cargo.lock", package)
    (package / "src").mkdir()

    def build(source):
        (package / "src/main.rs").write_text(source)
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


def run_python(folder, source, rust):
    (folder / "first.py").write_text(source)
    return [sys.executable, "first.py"]


def run_node(folder, source, rust):
    (folder / "first.mjs").write_text(source)
    return [tool("node"), "first.mjs"]


def run_go(folder, source, rust):
    (folder / "first.go").write_text(source)
    # Built rather than run with `go run`, which would leave the agent behind when the test ends it.
    subprocess.run([tool("go"), "build", "-o", "first", "first.go"], cwd=folder, check=True, timeout=BUILD_PATIENCE)
    return ["./first"]


def run_rust(folder, source, rust):
    return [rust(source)]


def run_bash(folder, source, rust):
    tool("curl")
    (folder / "first.sh").write_text(source)
    return [tool("bash"), "first.sh"]


LANGUAGES = {"python": run_python, "js": run_node, "go": run_go, "rust": run_rust, "bash": run_bash}
OBEDIENT = [language for language in LANGUAGES if language != "bash"]


@pytest.fixture
def first_agent(fresh, tmp_path, rust_first):
    """Starts the first agent in a language, with `changes` made to its source."""
    running = []

    def first_agent(language, changes=(), **settings):
        (source,) = SOURCES[language]
        for old, new in [(DEFAULT_PORT, fresh.port), *changes]:
            assert old in source
            source = source.replace(old, new)
        process = subprocess.Popen(
            LANGUAGES[language](tmp_path, source, rust_first),
            cwd=tmp_path,
            env=without_settings() | settings,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        running.append(process)
        return SimpleNamespace(output=lambda: process.communicate(timeout=PATIENCE)[0], code=lambda: process.returncode)

    yield first_agent
    for process in running:
        process.kill()
        process.communicate()


def test_the_agent_of_the_readme_is_that_of_getting_started():
    assert SHOWN_FIRST == SOURCES["python"]
    assert f"http://127.0.0.1:{DEFAULT_PORT}/agent/{FIRST_AGENT}/debug" in README.section("## Instrument an agent")
    assert f"http://127.0.0.1:{DEFAULT_PORT}/agent/{FIRST_AGENT}/debug" in STARTED.section("## Your first agent")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_agent_is_stepped_to_its_end(language, fresh, first_agent):
    with debugger(fresh) as person:
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
    with debugger(fresh) as person:
        person.attach()
        agent = first_agent(language)
        person.release(person.next_event()["seq"], "fulfil", data={"city": "Porto"})
        assert person.next_event()["data"] == {"city": "Porto"}, "the result was supplied by hand"
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
    with debugger(fresh) as person:
        person.attach()
        agent = first_agent(language)
        person.release(person.next_event()["seq"], "abort", reason="enough")
        assert "aborted" in agent.output()
        assert agent.code() != 0
        assert person.status()["total_events"] == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_start_of_the_first_agent_is_a_run_of_its_own(language, fresh, first_agent):
    with debugger(fresh) as person:
        for settings in ({}, {}, {"AGENT_DEBUGGER_RUN_ID": "monday"}):
            agent = first_agent(language, **settings)
            assert "sunny in Lisbon" in agent.output()
            assert agent.code() == 0
        runs = [run["run_id"] for run in person.status()["runs"]]
        assert len(set(runs)) == 3 and "monday" in runs and "" not in runs
        assert [event["run_id"] for event in person.recorded()[-4:]] == ["monday"] * 4


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refused_step_stops_the_first_agent_before_the_step_is_carried_out(language, fresh, first_agent):
    with debugger(fresh) as person:
        # Names of 201 bytes are refused, with 400 or INVALID_ARGUMENT.
        agent = first_agent(language, [("weather", "w" * 201)])
        assert "sunny in Lisbon" not in agent.output()
        assert agent.code() != 0
        assert [event["type"] for event in person.recorded()] == WHOLE_RUN[:2], "the call was not recorded"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_step_that_a_gate_stops_is_not_carried_out(language, fresh, first_agent):
    with debugger(fresh) as person:
        gate = {"types": ["tool_call"], "unattended": "hold", "timeout_ms": 1}
        person._call("POST", "breakpoints", gate)
        # An agent that accepts neither fail nor abort can be told only by an error: 409 or ABORTED.
        accepts = {
            "python": ('["edit", "fulfil", "abort"]', '["edit"]'),
            "js": ('["edit", "fulfil", "abort"]', '["edit"]'),
            "go": ('"edit", "fulfil", "abort"', '"edit"'),
            "rust": ("&[Verb::Edit, Verb::Fulfil, Verb::Abort]", "&[Verb::Edit]"),
            "bash": ('[\\"abort\\"]', "[]"),
        }
        agent = first_agent(language, [accepts[language]])
        assert "sunny in Lisbon" not in agent.output()
        assert agent.code() != 0
        assert [event["type"] for event in person.recorded()] == WHOLE_RUN[:3]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_first_agent_stops_when_the_server_cannot_be_reached(language, fresh, first_agent):
    fresh.stop()
    agent = first_agent(language)
    assert "sunny in Lisbon" not in agent.output()
    assert agent.code() != 0
