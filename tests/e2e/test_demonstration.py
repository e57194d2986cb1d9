"""The whole story with one agent and two servers: debug it, fork it, compare, take it away in a file, replay it there."""

import uuid

import pytest

from debuggers import HttpDebugger
from examples import PYTHON, Running
from runs import Runs
from server import Server


@pytest.fixture
def first():
    server = Server()
    yield server
    server.stop()


@pytest.fixture
def second():
    server = Server()
    yield server
    server.stop()


def test_pause_answer_fork_compare_export_import_and_replay_offline(first, second):
    agent_id = f"demonstration-{uuid.uuid4().hex[:8]}"
    runs = Runs(first, agent_id)

    # Pause at a tool, and answer it by hand.
    person = HttpDebugger(first, agent_id).attach()
    agent = Running(PYTHON, first.url, agent_id, run_id="monday")
    call = person.step_to("tool_call", PYTHON.tool)
    assert person.held() == [call["seq"]]
    person.release(call["seq"], "fulfil", data=PYTHON.by_hand)
    person.step_to_the_end()
    result = agent.result()
    assert (result["answer"], result["calls"]) == (PYTHON.by_hand_answer, {"model": 3, "tools": 1})
    person.resume()
    person.close()

    # Fork three steps earlier, with another model.
    fork = runs.fork(run_id="monday", seq=call["seq"] - 3, model="scripted-2")
    plan = fork["plan"]
    assert (plan["from_record"], plan["live_prompts"], plan["model"]) == (2, 2, "scripted-2")
    assert plan["live_calls"] == [{"effect": "read", "policy": "run", "count": 1}]
    assert plan["summary"] == "2 served from record, then live: 2 prompts to scripted-2, 1 read call will run"
    result = Running(PYTHON, first.url, agent_id, run_id=fork["run_id"]).result()
    assert result["answer"] == "Ada is on call for agent-debugger."
    assert result["calls"] == {"model": 2, "tools": 1}, "the first prompt and the file came from the record"

    # Compare: the same up to the fork point; then the same prompt goes to another model, which answers otherwise.
    compared = runs.compare("monday", fork["run_id"])
    same = compared["rows"][0]
    assert (same["kind"], compared["first_divergence"]) == ("equal", 1)
    monday, forked = runs.recorded("monday"), runs.recorded(fork["run_id"])
    assert same["left_seqs"] == [event["seq"] for event in monday[:4]]
    assert same["right_seqs"] == [event["seq"] for event in forked[:4]]
    asked, answered = compared["rows"][1:3]
    assert asked["kind"] == answered["kind"] == "changed"
    assert asked["fields"] == [{"path": "model", "left": '"scripted-1"', "right": '"scripted-2"'}]
    fields = {field["path"]: (field["left"], field["right"]) for field in answered["fields"]}
    assert fields["$.model"] == ('"scripted-1"', '"scripted-2"')
    assert "SELECT person" in fields["$.input.sql"][0] and "SELECT service, person" in fields["$.input.sql"][1]
    assert [event["origin"] for event in forked] == ["recorded"] * 4 + ["edited", "live", "live", "live", "edited", "live"]

    # Export, and import on a second server.
    file = runs.export(fork["run_id"])
    there = Runs(second, "somebody-else")
    taken = there.take_in(file)
    assert (taken["run_id"], taken["events"]) == (fork["run_id"], len(forked))
    imported = there.run(fork["run_id"])
    assert imported["imported"] and imported["finished"] and "masked" not in imported
    assert imported["forked_from"] == {"run_id": "monday", "seq": None, "ordinal": call["seq"] - 3}
    assert there.export(fork["run_id"]) == file

    # Replay it there, with the first server gone: from its last event all of it is in the record.
    first.stop()
    whole = there.fork(run_id=fork["run_id"], seq=taken["last_seq"])
    assert whole["plan"]["summary"] == "5 served from record, then live"
    replayed = Running(PYTHON, second.url, "somebody-else", run_id=whole["run_id"]).result()
    assert replayed["answer"] == result["answer"]
    assert replayed["calls"] == {"model": 0, "tools": 0}, "nothing was called"
    steps = [(event["type"], event["name"], event["data"]) for event in there.recorded(whole["run_id"])]
    assert steps == [(event["type"], event["name"], event["data"]) for event in forked]
    assert {event["origin"] for event in there.recorded(whole["run_id"])} == {"recorded"}

    # And from the middle, with another input: the same beginning, and then live.
    query = next(event["seq"] for event in there.recorded(fork["run_id"]) if event["name"] == PYTHON.tool)
    other = there.fork(run_id=fork["run_id"], seq=query, data=PYTHON.edited)
    changed = Running(PYTHON, second.url, "somebody-else", run_id=other["run_id"]).result()
    assert (changed["answer"], changed["calls"]) == (PYTHON.edited_answer, {"model": 1, "tools": 1})
    beginning = [(event["type"], event["data"]) for event in there.recorded(other["run_id"])[:6]]
    assert beginning == [(event["type"], event["data"]) for event in forked[:6]]
