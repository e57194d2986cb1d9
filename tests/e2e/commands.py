"""Commands of the documents, run as they are shown."""

import contextlib
import json
import os
import subprocess
import time

from contract import REPOSITORY
from documents import DEFAULT_PORT
from server import BINARY, PATIENCE


def installed(tmp_path):
    """A folder in which the program has the name under which `cargo install` puts it on the path."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "agent-debugger").symlink_to(BINARY.resolve())
    return folder


def without_settings():
    """The environment without what the developer's shell has set for a debugger of its own."""
    return {key: value for key, value in os.environ.items() if not key.startswith("AGENT_DEBUGGER_")}


class Shell:
    """Starts commands in the repository, with what they print in files."""

    def __init__(self, server, tmp_path):
        self._server, self._folder, self._started = server, tmp_path, []
        programs = installed(tmp_path), REPOSITORY / "target/e2e-bin", os.environ["PATH"]
        self._env = without_settings() | {
            "AGENT_DEBUGGER_URL": server.url,
            "PATH": os.pathsep.join(map(str, programs)),
        }

    def __call__(self, command):
        out, errors = (self._folder / f"{len(self._started)}.{name}" for name in ("out", "errors"))
        process = subprocess.Popen(
            ["bash", "-euc", command.replace(DEFAULT_PORT, self._server.port)],
            cwd=REPOSITORY,
            env=self._env,
            stdin=subprocess.PIPE,
            stdout=out.open("w"),
            stderr=errors.open("w"),
            start_new_session=True,
        )
        self._started.append(process)
        return Command(process, out, errors)

    def stop(self):
        for process in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, 9)
            process.wait()
            process.stdin.close()


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

    def answered(self):
        """The JSON that it printed, once it has ended well."""
        return json.loads(self.ended())
