"""The resident worker of examples/python: it starts the forks that somebody else makes."""

import json
import os
import queue
import subprocess
import sys
import threading

import pytest

from examples import EXAMPLES, PYTHON, Running
from runs import Runs
from scripted import Proxy
from server import PATIENCE, Server


class Worker:
    """The worker, with each line that it prints."""

    def __init__(self, url, agent_id):
        env = os.environ | {"AGENT_DEBUGGER_URL": url, "AGENT_DEBUGGER_AGENT_ID": agent_id}
        self.process = subprocess.Popen(
            [sys.executable, "worker.py"], cwd=EXAMPLES / "python", env=env, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self._said, self._complained = queue.Queue(), queue.Queue()
        for pipe, lines in ((self.process.stdout, self._said), (self.process.stderr, self._complained)):
            threading.Thread(target=lambda pipe=pipe, lines=lines: [lines.put(line) for line in pipe], daemon=True).start()

    def result(self):
        """What came of the next run that it finished."""
        return json.loads(self._said.get(timeout=PATIENCE))

    def exit_status(self):
        return self.process.wait(PATIENCE)

    def complaint(self):
        return self._complained.get(timeout=PATIENCE)

    def has_said_all(self):
        return self._said.empty()

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def work(agent_id):
    """Starts a worker, which is stopped at the latest when the test is over."""
    workers = []

    def work(server):
        workers.append(Worker(server.url, agent_id))
        return workers[-1]

    yield work
    for worker in workers:
        worker.stop()


def first_run(server, agent_id, run_id="first"):
    assert Running(PYTHON, server.url, agent_id, run_id=run_id).result()["answer"] == PYTHON.answer


def seq_of(runs, run_id, type, name=None):
    return next(event["seq"] for event in runs.recorded(run_id) if (event["type"], event["name"]) == (type, name))


def test_a_fork_is_started_by_itself_with_its_beginning_from_the_record(server, agent_id, work):
    first_run(server, agent_id)
    runs = Runs(server, agent_id)
    worker = work(server)
    fork = runs.fork(run_id="first", seq=seq_of(runs, "first", "tool_call", "query_sqlite"), model="scripted-2")
    assert fork["plan"]["from_record"] == 3, fork["plan"]["summary"]

    result = worker.result()
    assert (result["run_id"], result["status"]) == (fork["run_id"], "done")
    assert result["calls"] == {"model": 1, "tools": 1}, "what was recorded before the fork point did not run again"
    run = runs.run(fork["run_id"])
    assert run["finished"] and run["forked_from"]["run_id"] == "first"
    events = runs.recorded(fork["run_id"])
    assert [event["origin"] for event in events] == ["recorded"] * 6 + ["live", "live", "edited", "live"]
    assert [event["data"] for event in events[:6]] == [event["data"] for event in runs.recorded("first")[:6]]
    assert runs.status()["observers"] == 1 and runs.status()["debuggers"] == 0, "it only watches"


def test_a_fork_that_was_made_before_it_came_is_started_once_and_what_is_over_never_again(server, agent_id, work):
    first_run(server, agent_id)
    runs = Runs(server, agent_id)
    point = {"run_id": "first", "seq": seq_of(runs, "first", "tool_call", "query_sqlite"), "data": {"sql": "SELECT 'Lin' AS person"}}
    over, waiting = runs.fork(**point)["run_id"], runs.fork(**point)["run_id"]
    assert Running(PYTHON, server.url, agent_id, run_id=over).result()["answer"] == "Lin is on call."
    events_of_the_first = len(runs.recorded(over))

    early = work(server)
    result = early.result()
    assert (result["run_id"], result["answer"]) == (waiting, "Lin is on call.")
    early.stop()
    late = work(server)
    third = runs.fork(**point)
    # It has looked at both old forks before it came to this one.
    assert worker_ran(third, late) and late.has_said_all()
    assert len(runs.recorded(over)) == len(runs.recorded(waiting)) == events_of_the_first


def test_it_goes_on_when_the_debugger_comes_back(agent_id, work):
    server = Server()
    port = server.address.rpartition(":")[2]
    first_run(server, agent_id)
    worker = work(server)
    runs = Runs(server, agent_id)
    seen = seq_of(runs, "first", "tool_call", "query_sqlite")
    assert worker_ran(runs.fork(run_id="first", seq=seen), worker)
    server.stop()
    assert "waiting for the debugger" in worker.complaint()

    again = Server(port=port)
    try:
        first_run(again, agent_id)
        runs = Runs(again, agent_id)
        assert worker_ran(runs.fork(run_id="first", seq=seq_of(runs, "first", "tool_call", "query_sqlite")), worker)
        assert worker.has_said_all()
    finally:
        again.stop()


def test_a_connection_that_breaks_costs_no_fork(server, agent_id, work):
    first_run(server, agent_id)
    runs = Runs(server, agent_id)
    point = {"run_id": "first", "seq": seq_of(runs, "first", "tool_call", "query_sqlite")}
    with Proxy(server.address) as proxy:
        worker = work(proxy)
        assert worker_ran(runs.fork(**point), worker)
        proxy.cut()
        # Whether it hears of this one at once or only when it is there again: it does, and once.
        missed = runs.fork(**point)
        assert worker_ran(missed, worker)
        assert worker_ran(runs.fork(**point), worker)
        assert worker.has_said_all()
    assert len(runs.recorded(missed["run_id"])) == len(runs.recorded("first"))


def test_a_worker_that_is_refused_says_so_and_ends(work):
    locked = Server(token="0123456789abcdef" * 4)
    try:
        worker = work(locked)
        assert "the debugger refuses this worker" in worker.complaint()
        assert worker.exit_status() == 1
    finally:
        locked.stop()


def worker_ran(fork, worker):
    return worker.result()["run_id"] == fork["run_id"]
