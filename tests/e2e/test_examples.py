"""Every example, as it is shipped, debugged by a person over the other transport."""

import socket

import pytest
import requests

from debuggers import Refused
from examples import CALLBACK, CURL, OBEDIENT, Running
from server import PATIENCE, Server

MODEL = ["prompt", "response"]
TOOL = ["tool_call", "tool_result"]
# As long as a real one (256 bits), and as secret as this file.
TOKEN = "0123456789abcdef" * 4
WHOLE_RUN = MODEL + TOOL + MODEL + TOOL + MODEL

obedient = pytest.mark.parametrize("example", OBEDIENT, ids=str)
every = pytest.mark.parametrize("example", [*OBEDIENT, CALLBACK], ids=str)


@pytest.fixture(scope="module")
def locked_server():
    """A server that answers nobody without the token."""
    server = Server(token=TOKEN)
    yield server
    server.stop()


@pytest.fixture
def run(server, agent_id):
    """Starts an example, which is stopped at the latest when the test is over."""
    running = []

    def run(example, url=server.url, **settings):
        running.append(Running(example, url, agent_id, **settings))
        return running[-1]

    yield run
    for agent in running:
        agent.stop()


@every
def test_it_is_stepped_from_its_first_event_to_its_last(example, run, attach):
    debugger = attach(example.steps_over)
    agent = run(example, run_id="run-1")
    held = []
    while not (debugger.seen and debugger.seen[-1]["run_end"]):
        event = debugger.next_event()
        waiting = debugger.held()
        if event["type"] == "log" and not (example is CALLBACK and event["run_end"]):
            assert event["seq"] not in waiting, "what only makes the tree, or tells the end, is not held"
            continue
        assert waiting == [event["seq"]], "the agent waits at each step and nowhere else"
        held.append(event)
        assert debugger.step() == len(held) if example is not CALLBACK else debugger.step()
    result = agent.result()

    assert (result["status"], result["answer"]) == ("done", example.answer)
    assert [event["seq"] for event in debugger.seen] == list(range(1, len(debugger.seen) + 1))
    assert [event["type"] for event in debugger.seen if event["type"] != "log"] == WHOLE_RUN
    assert {event["run_id"] for event in debugger.seen} == {"run-1"}
    assert [event["run_end"] for event in debugger.seen].count(True) == 1
    assert_nodes_are_paired(debugger.seen)
    assert set(debugger.outcomes()) - {None, "not_held"} == {"stepped"}
    assert debugger.held() == []
    runs = {run["run_id"]: run["finished"] for run in debugger.status()["runs"]}
    assert runs["run-1"], "the run is over"


@every
def test_with_nobody_attached_it_is_recorded_and_not_held(example, run, server, attach):
    agent = run(example)
    assert agent.result()["answer"] == example.answer
    assert agent.complaints == ""

    debugger = attach(example.steps_over)
    while not (debugger.seen and debugger.seen[-1]["run_end"]):
        debugger.next_event()
    assert [event["type"] for event in debugger.seen if event["type"] != "log"] == WHOLE_RUN
    assert set(debugger.outcomes()) <= {None, "not_held"}


@every
def test_without_a_debugger_it_runs_to_its_end(example, run):
    # The port was free a moment ago and nothing listens on it.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    agent = run(example, url=f"http://127.0.0.1:{port}")
    assert agent.result()["answer"] == example.answer
    assert agent.complaints.count("going on without the debugger") == 1


@every
def test_a_token_is_brought_along(example, run, locked_server, agent_id):
    agent = run(example, url=locked_server.url, token=TOKEN)
    assert agent.result()["answer"] == example.answer
    assert agent.complaints == ""
    assert total_events(locked_server, agent_id) >= len(WHOLE_RUN)


@every
def test_without_the_token_its_first_step_is_stopped(example, run, locked_server, agent_id):
    agent = run(example, url=locked_server.url)
    result = agent.result()
    assert result["status"] == "failed" and "answer" not in result
    assert "token" in result["error"]
    assert "going on without the debugger" not in agent.complaints
    assert total_events(locked_server, agent_id) == 0


@obedient
def test_a_tool_answered_by_hand_is_not_run(example, run, attach):
    debugger = attach(example.steps_over)
    agent = run(example)
    call = debugger.step_to("tool_call", example.tool)
    debugger.release(call["seq"], "fulfil", data=example.by_hand)

    result = debugger.next_event()
    assert (result["type"], result["node_id"]) == ("tool_result", call["node_id"])
    assert result["data"] == example.by_hand
    debugger.resume()
    assert agent.result()["answer"] == example.by_hand_answer


@obedient
def test_a_tool_is_run_with_the_input_it_was_given_instead(example, run, attach):
    debugger = attach(example.steps_over)
    agent = run(example)
    call = debugger.step_to("tool_call", example.tool)
    debugger.release(call["seq"], "edit", data=example.edited)
    debugger.step_to_the_end()
    assert agent.result()["answer"] == example.edited_answer


@pytest.mark.parametrize("example", [agent for agent in OBEDIENT if agent is not CURL], ids=str)
def test_another_model_can_be_asked(example, run, attach):
    debugger = attach(example.steps_over)
    agent = run(example)
    prompt = debugger.next_event()
    assert prompt["data"]["model"] == "scripted-1"
    debugger.release(prompt["seq"], "edit", model="scripted-2")
    assert debugger.next_event()["data"]["model"] == "scripted-2"
    debugger.resume()
    assert agent.result()["answer"] == example.answer


@obedient
def test_what_a_tool_returned_can_be_changed(example, run, attach):
    debugger = attach(example.steps_over)
    agent = run(example)
    result = debugger.step_to("tool_result", example.tool)
    debugger.release(result["seq"], "edit", data=example.by_hand)
    debugger.step_to_the_end()
    assert agent.result()["answer"] == example.by_hand_answer


@obedient
def test_a_tool_that_is_made_to_fail_is_reported_as_an_error(example, run, attach):
    debugger = attach(example.steps_over)
    agent = run(example)
    call = debugger.step_to("tool_call", "read_file")
    debugger.release(call["seq"], "fail", message='the disk is "full"')

    error = debugger.next_event()
    assert (error["type"], error["node_id"]) == ("error", call["node_id"])
    debugger.resume()
    assert agent.result()["answer"] == 'I could not find out: the disk is "full"'


@obedient
def test_a_model_that_is_answered_by_hand_is_believed(example, run, attach):
    debugger = attach(example.steps_over)
    agent = run(example)
    prompt = debugger.next_event()
    debugger.release(prompt["seq"], "fulfil", data=example.reply)
    debugger.step_to_the_end()
    assert [event["type"] for event in debugger.seen] == [*MODEL, *example.last]
    assert agent.result()["answer"] == "Nobody.\nAsk again."


@obedient
def test_a_run_that_fails_still_ends(example, run, attach):
    debugger = attach(example.steps_over)
    agent = run(example)
    prompt = debugger.next_event()
    debugger.release(prompt["seq"], "fail", message="no model today")
    debugger.step_to_the_end()
    assert [event["type"] for event in debugger.seen] == ["prompt", "error", "log"]
    result = agent.result()
    assert (result["status"], result["error"]) == ("failed", "no model today")


@every
def test_an_aborted_run_ends_at_once(example, run, attach):
    debugger = attach(example.steps_over)
    agent = run(example)
    call = debugger.step_to("tool_call", "read_file")
    debugger.release(call["seq"], "abort", reason="not on a Friday")
    last = debugger.next_event()
    result = agent.result()

    assert (result["status"], result["reason"]) == ("aborted", "not on a Friday")
    assert (last["type"], last["run_end"]) == ("log", True), "nothing was run after the abort"
    assert debugger.held() == []
    assert [run["finished"] for run in debugger.status()["runs"]] == [True]


def test_a_callback_accepts_nothing_but_an_abort(run, attach):
    debugger = attach(CALLBACK.steps_over)
    agent = run(CALLBACK)
    call = debugger.step_to("tool_call", "query_sqlite")
    assert debugger.status()["held"][0]["accepts"] == ["abort"]
    for action in ({"fulfil": {"data": {}}}, {"edit": {"data": {}}}, {"fail": {"message": "no"}}):
        ((verb, decision),) = action.items()
        with pytest.raises(Refused) as refusal:
            debugger.release(call["seq"], verb, **decision)
        assert refusal.value.code == "FAILED_PRECONDITION"
    debugger.resume()
    assert agent.result()["answer"] == CALLBACK.answer


def test_every_step_that_a_callback_sees_has_its_place_in_the_tree(run, attach):
    debugger = attach(CALLBACK.steps_over)
    agent = run(CALLBACK)
    debugger.step_to_the_end()
    agent.result()
    nodes = {event["node_id"]: event["parent_id"] for event in reversed(debugger.seen)}
    roots = [node for node, parent in nodes.items() if parent is None]
    assert len(roots) == 1
    assert {parent for parent in nodes.values() if parent} <= set(nodes)


def total_events(server, agent_id):
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    status = requests.get(f"{server.url}/agent/{agent_id}/debug/status", headers=bearer, timeout=PATIENCE)
    return status.json()["total_events"]


def assert_nodes_are_paired(events):
    opened = {}
    for event in events:
        if event["type"] in ("prompt", "tool_call"):
            assert event["node_id"] and event["node_id"] not in opened
            opened[event["node_id"]] = event["type"], event["name"]
        elif event["type"] != "log":
            closes = {"response": "prompt", "tool_result": "tool_call"}[event["type"]]
            assert opened[event["node_id"]] == (closes, event["name"] or opened[event["node_id"]][1])
