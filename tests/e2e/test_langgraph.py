"""The LangGraph agent is forked from a run that it really made, and retraces it without calling anything."""

from examples import LANGGRAPH, Running
from runs import Runs


def test_a_real_run_is_forked_with_another_model_and_compared(server, agent_id):
    runs = Runs(server, agent_id)
    first = Running(LANGGRAPH, server.url, agent_id, run_id="first").result()
    assert (first["answer"], first["calls"]) == (LANGGRAPH.answer, {"model": 3, "tools": 2})
    record = runs.recorded("first")
    second_prompt = [event["seq"] for event in record if event["type"] == "prompt"][1]

    fork = runs.fork(run_id="first", seq=second_prompt, model="scripted-2")
    assert fork["plan"]["summary"] == "2 served from record, then live: 2 prompts to scripted-2, 1 read call will run"
    again = Running(LANGGRAPH, server.url, agent_id, run_id=fork["run_id"]).result()
    assert again["answer"] == "Ada is on call for agent-debugger."
    assert again["calls"] == {"model": 2, "tools": 1}, "the first answer and the file came from the record"

    forked = runs.recorded(fork["run_id"])
    assert [event["data"] for event in forked[:4]] == [event["data"] for event in record[:4]]
    assert [event["origin"] for event in forked] == ["recorded"] * 4 + ["edited", "live", "live", "live", "edited", "live", "live"]
    assert not any(event.get("divergence") for event in forked)
    assert forked[4]["model"] == "scripted-1" and forked[5]["data"]["model"] == "scripted-2"

    compared = runs.compare("first", fork["run_id"])
    assert compared["rows"][0]["left_seqs"] == [event["seq"] for event in record[:4]]
    assert compared["rows"][1]["fields"] == [{"path": "model", "left": '"scripted-1"', "right": '"scripted-2"'}]
    fields = [field for row in compared["rows"][1:] for field in row.get("fields", [])]
    assert any("SELECT person" in field["left"] and "SELECT service, person" in field["right"] for field in fields)


def test_a_whole_run_is_replayed_without_a_call(server, agent_id):
    runs = Runs(server, agent_id)
    first = Running(LANGGRAPH, server.url, agent_id, run_id="first").result()
    answered = next(event["seq"] for event in reversed(runs.recorded("first")) if event["type"] == "response")
    fork = runs.fork(run_id="first", seq=answered)["run_id"]
    replayed = Running(LANGGRAPH, server.url, agent_id, run_id=fork).result()
    assert (replayed["answer"], replayed["calls"]) == (first["answer"], {"model": 0, "tools": 0})
    assert runs.compare("first", fork)["first_divergence"] is None


def test_what_a_tool_answered_can_be_changed_afterwards(server, agent_id):
    runs = Runs(server, agent_id)
    Running(LANGGRAPH, server.url, agent_id, run_id="first").result()
    returned = next(event["seq"] for event in runs.recorded("first") if (event["type"], event["name"]) == ("tool_result", LANGGRAPH.tool))
    fork = runs.fork(run_id="first", seq=returned, data=LANGGRAPH.by_hand)["run_id"]
    changed = Running(LANGGRAPH, server.url, agent_id, run_id=fork).result()
    assert (changed["answer"], changed["calls"]) == (LANGGRAPH.by_hand_answer, {"model": 1, "tools": 0})
