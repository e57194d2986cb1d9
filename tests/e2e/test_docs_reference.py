"""The tables of docs/ are those of the program: flags, routes, scopes, fields, conditions, commands."""

import re
import subprocess

import pytest
import requests

from commands import without_settings
from contract import pb
from documents import DEFAULT_PORT, Document, code
from server import BINARY, PATIENCE, Server

BREAKPOINTS = Document("docs/guides/breakpoints.md")
CLI = Document("docs/reference/cli.md")
CONDITIONS_PAGE = Document("docs/reference/conditions.md")
CONFIGURATION = Document("docs/reference/configuration.md")
LIMITS = Document("docs/reference/limits.md")
ROUTES = Document("docs/reference/http.md")
SCOPES = {scope: f"{scope}-{'0123456789abcdef' * 4}" for scope in ("ingest", "view", "control")}


# The concepts.


def words(enum, prefix):
    """The values of an enum as HTTP spells them."""
    return {name.removeprefix(f"{prefix}_").lower() for name in enum.keys()} - {"unspecified"}


@pytest.mark.parametrize(
    "page, column, known",
    [
        ("events", "type", words(pb.EventType, "EVENT_TYPE")),
        ("events", "origin", words(pb.Origin, "ORIGIN")),
        ("decisions", "decision", words(pb.Verb, "VERB") | {"proceed"}),
        ("modes", "mode", words(pb.RunMode, "RUN_MODE")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_words_of_a_concept_are_those_of_the_contract(page, column, known):
    document = Document(f"docs/concepts/{page}.md")
    (title,) = re.findall(r"^# .+$", document.prose, re.MULTILINE)
    assert {code(row[0]) for row in document.table(title, column)} == known


def test_the_frames_of_a_stream_are_those_of_the_contract():
    rows = Document("docs/concepts/epochs.md").table("# Epochs and resuming a stream", "frame")
    frames = pb.DESCRIPTOR.message_types_by_name["EventsResponse"].oneofs_by_name["frame"].fields
    assert {row[0] for row in rows} == {field.name for field in frames}


def test_the_fields_to_report_are_fields_of_the_body(fresh):
    rows = Document("docs/guides/instrument.md").table("## What to report", "field")
    fields = {name for cell, _ in rows for name in re.findall(r"`(\w+)`", cell)}
    schemas = requests.get(f"{fresh.url}/openapi.json", timeout=PATIENCE).json()["components"]["schemas"]
    bodies = [schema.get("properties", {}).keys() for schema in schemas.values()]
    assert any(fields <= body for body in bodies), fields


# Breakpoints and conditions.


def test_the_fields_of_a_breakpoint_are_those_of_the_service():
    fields = {name for cell, *_ in BREAKPOINTS.table("## Fields", "field") for name in re.findall(r"`(\w+)`", cell)}
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


@pytest.mark.parametrize("condition", [code(row[0]) for row in CONDITIONS_PAGE.table("## Examples", "condition")])
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
    fields = re.search(r"the event as the stream sends it: (.*?);", CONDITIONS_PAGE.section("## Variables")).group(1)
    functions = re.search(r"The functions are(.*?)\.\n", CONDITIONS_PAGE.section("## Functions"), re.DOTALL).group(1)
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


# The commands.


def help_of(*command):
    done = subprocess.run([BINARY, *command], env=without_settings(), text=True, capture_output=True, check=True)
    return done.stdout


def test_the_commands_are_those_of_the_program():
    listed = help_of("--help").partition("\nCommands:\n")[2].partition("\n\nOptions:")[0]
    commands = set(re.findall(r"^  (\w+)", listed, re.MULTILINE)) - {"help"}
    cells = [cell for cell, _ in CLI.table("# Commands", "command")]
    documented = {name for cell in cells for name in re.findall(r"`(?:agent-debugger)? ?([a-z]*)", cell)}
    assert documented - {""} == commands


def test_the_flags_of_the_commands_are_those_of_the_program():
    documented = {}
    for row in CLI.table("## Commands for agents", "command") + CLI.table("## Commands for whole runs", "command"):
        name = code(row[0]) and code(row[0]).split()[0] or name
        documented.setdefault(name, set()).update(re.findall(r"--[\w-]+", row[1]))
    assert documented.keys() == {"run", "attach", "tail", "agents", "fork", "compare", "export", "import"}
    everywhere = {"--url", "--token", "--tls-ca", "--help"}
    assert everywhere - {"--help"} <= set(re.findall(r"--[\w-]+", CLI.section("# Commands").partition("\n## ")[0]))
    for name, flags in documented.items():
        text = help_of(name, "-h")
        assert flags == set(re.findall(r"^ +(?:-\w, +)?(--[\w-]+)", text, re.MULTILINE)) - everywhere, name


def test_the_commands_of_the_prompt_are_those_of_the_help(shell):
    text = shell("echo help | agent-debugger attach a").ended()
    rows = CLI.table("## Commands of the prompt", "command")
    for row in rows:
        for command in re.findall(r"`([a-z]+)[^`]*`", row[0]):
            assert re.search(rf"\b{command}\b", text), command
        for short in re.findall(r"`(\w+)`", row[1]):
            assert re.search(rf"^.{{10}} ?{short} ", text, re.MULTILINE), short
    spec = re.search(r"makes a breakpoint: `(.*?)`", CLI.section("## Commands of the prompt")).group(1)
    assert re.sub(r"\s+", " ", text).count(spec.replace("\\|", "|")) == 1


# The server.


def test_the_configuration_table_is_that_of_the_program():
    flags = {}
    for part in re.split(r"^ +(?:-\w, +|    )(?=--)", help_of("--help"), flags=re.MULTILINE)[1:]:
        flag = re.match(r"--[\w-]+", part).group()
        found = re.search(r"\[env: (\w+)=?\]", part), re.search(r"\[default:\s+([^\]]+)\]", part)
        flags[flag] = tuple(match and match.group(1) for match in found)
    del flags["--help"], flags["--version"]
    rows = CONFIGURATION.table("# Configuration", "flag")
    documented = {code(flag): (code(env), code(default)) for flag, env, default, _ in rows}
    assert documented == flags
    assert documented["--listen"][1].endswith(f":{DEFAULT_PORT}")


def test_the_limits_that_can_be_set_are_the_defaults_of_the_configuration():
    defaults = {code(row[0]): code(row[2]) for row in CONFIGURATION.table("# Configuration", "flag")}
    limits = {row[0]: row[1] for row in LIMITS.table("# Limits", "what")}
    for flag, what in {
        "--max-events-per-agent": "events per agent",
        "--max-bytes-per-agent": "events per agent",
        "--max-bytes": "bytes in all",
        "--max-agents": "agents",
        "--max-holds-per-agent": "held steps",
        "--max-subscribers-per-agent": "subscribers per agent",
        "--max-connections": "connections",
    }.items():
        number, unit = re.fullmatch(r"(\d+)(\w*)", defaults[flag]).groups()
        assert f"{int(number):,} {unit}".strip() in limits[what], flag


def routes():
    return [
        (*code(route).split(), code(scope), code(rpc)) for route, scope, rpc, _ in ROUTES.table("# HTTP routes", "route")
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
    assert path in ROUTES.text
    assert answer(locked, "GET", path + "?mode=observe", "view") == 200
    assert answer(locked, "GET", path + "?mode=observe", "ingest") == 403
