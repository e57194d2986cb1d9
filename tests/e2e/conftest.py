"""What the suites share: the server, agents to run, and tools that must be there."""

import contextlib
import os
import shutil
import uuid

import pytest

from commands import Shell
from contract import REPOSITORY
from debuggers import GrpcDebugger, HttpDebugger
from server import BINARY, Server


@pytest.fixture(scope="session")
def server():
    if not BINARY.exists():
        pytest.fail(f"{BINARY} is missing: run `cargo build` first, or set AGENT_DEBUGGER_BIN")
    server = Server()
    yield server
    assert server.stop() == 0, "SIGTERM ends the server cleanly"


@pytest.fixture
def fresh():
    """A server of the test's own, with no agents: the documents begin with one."""
    server = Server()
    server.port = server.address.rpartition(":")[2]
    yield server
    server.stop()


@pytest.fixture
def person(fresh):
    """A debugger that only asks for the status, for any agent of the fresh server."""
    with contextlib.ExitStack() as stack:
        yield lambda agent_id: stack.enter_context(contextlib.closing(HttpDebugger(fresh, agent_id)))


@pytest.fixture
def shell(fresh, tmp_path):
    """Starts commands as the documents show them, against the fresh server."""
    shell = Shell(fresh, tmp_path)
    yield shell
    shell.stop()


@pytest.fixture
def agent_id(request):
    """An agent of the test's own: agents never affect one another, so that one server does for all tests."""
    return f"{request.node.originalname}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def attach(server, agent_id):
    """Attaches a debugger over `http` or `grpc` to the test's agent."""
    debuggers = []

    def attach(transport):
        kind = {"http": HttpDebugger, "grpc": GrpcDebugger}[transport]
        debuggers.append(kind(server, agent_id))
        return debuggers[-1].attach()

    yield attach
    for debugger in debuggers:
        debugger.close()


def missing(what, remedy):
    """On a developer's machine a missing tool skips its tests; in CI it must not go unnoticed."""
    message = f"{what} is missing: {remedy}"
    pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)


def tool(name):
    """The path of a program that `install.sh` puts in place."""
    path = shutil.which(name, path=f"{REPOSITORY / 'target/e2e-bin'}{os.pathsep}{os.environ['PATH']}")
    return path or missing(name, "see tests/e2e/install.sh")
