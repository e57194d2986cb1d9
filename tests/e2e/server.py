"""The real binary, on a port of its own."""

import os
import queue
import re
import signal
import subprocess
import threading
from pathlib import Path

from contract import REPOSITORY

BINARY = Path(os.environ.get("AGENT_DEBUGGER_BIN") or REPOSITORY / "target/debug/agent-debugger")
# What every wait in these suites is bounded by, in seconds. Nothing takes that long unless it is broken.
PATIENCE = 30


class Server:
    def __init__(self, port=0, **settings):
        # Whatever the caller's shell has set for a debugger of its own must not reach this one.
        env = {key: value for key, value in os.environ.items() if not key.startswith("AGENT_DEBUGGER_")}
        env |= {f"AGENT_DEBUGGER_{name.upper()}": value for name, value in settings.items()}
        self.process = subprocess.Popen(
            [BINARY, "--listen", f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True, env=env
        )
        lines = queue.Queue()
        threading.Thread(target=lambda: lines.put(self.process.stdout.readline()), daemon=True).start()
        try:
            line = lines.get(timeout=PATIENCE)
            match = re.fullmatch(r"agent-debugger listening on (https?://(127\.0\.0\.1:\d+))\n", line)
            assert match, f"the server printed {line!r} instead of where it listens"
        except BaseException:
            self.process.kill()
            raise
        self.url, self.address = match.groups()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
