//! `attach` with breakpoints and with steps over and out.

use agent_debugger::proto::{EventType, Outcome, TraceRequest};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::support::{Ended, Process, TestServer, soon, step};

fn at(kind: EventType, name: &str, node: &str, parent: &str, data: &str) -> TraceRequest {
    let (name, node_id, parent_id) = (name.into(), node.into(), parent.into());
    TraceRequest { name, node_id, parent_id, run_id: "r".into(), ..step("a", kind, data) }
}

/// An agent that takes these steps one after the other.
fn agent(server: &TestServer, steps: Vec<TraceRequest>) -> JoinHandle<Vec<Outcome>> {
    let mut api = server.api();
    tokio::spawn(async move {
        let mut outcomes = Vec::new();
        for step in steps {
            outcomes.push(api.trace(step).await.unwrap().into_inner().outcome());
        }
        outcomes
    })
}

/// A prompt with two calls under it, the second of which makes a call itself.
fn nested() -> Vec<TraceRequest> {
    use EventType::{Prompt, Response, ToolCall, ToolResult};
    vec![
        at(Prompt, "", "p", "", "{}"),
        at(ToolCall, "one", "c1", "p", "{\"price\":50}"),
        at(ToolResult, "one", "c1", "", "{}"),
        at(ToolCall, "two", "c2", "p", "{\"price\":150}"),
        at(ToolCall, "deep", "c3", "c2", "{}"),
        at(ToolResult, "deep", "c3", "", "{}"),
        at(ToolResult, "two", "c2", "", "{}"),
        TraceRequest { run_end: true, ..at(Response, "", "p", "", "{}") },
    ]
}

async fn scripted(server: &TestServer, flags: &[&str], script: &str) -> (Vec<Outcome>, Ended) {
    let mut debugger = Process::start(server.cli(&[&["attach", "a"], flags].concat()));
    server.until("a", "the debugger", |status| status.debuggers == 1).await;
    let agent = agent(server, nested());
    debugger.say(script).await;
    let outcomes = soon("the agent", agent).await.unwrap();
    (outcomes, debugger.end().await)
}

fn holds(ended: &Ended) -> Vec<&str> {
    let held = |line: &&String| line.starts_with("held at");
    ended.out.iter().filter(held).map(String::as_str).collect()
}

#[tokio::test]
async fn next_goes_to_the_end_of_the_node_and_a_breakpoint_inside_still_stops() {
    let server = TestServer::start().await;
    let script = "wait\nstep\nwait\nnext\nwait\nstep\nwait\nn\nwait\ncontinue\nwait end";
    let (outcomes, ended) = scripted(&server, &[], script).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(
        holds(&ended),
        [
            "held at #1 prompt (run r): step",
            "held at #2 tool_call one (run r): step",
            "held at #3 tool_result one (run r): step",
            "held at #4 tool_call two (run r): step",
            "held at #7 tool_result two (run r): step",
        ]
    );
    assert_eq!(outcomes[4..6], [Outcome::NotHeld; 2]);

    let server = TestServer::start().await;
    let script = "b tool_call:deep\nwait\nnext\nwait\ncontinue\nwait end";
    let (_, ended) = scripted(&server, &[], script).await;
    assert_eq!(holds(&ended), ["held at #1 prompt (run r): step", "held at #5 tool_call deep (run r): breakpoint b1"]);
}

#[tokio::test]
async fn out_goes_to_the_end_of_the_node_above() {
    let server = TestServer::start().await;
    let script = "b tool_call:deep\nwait\nc\nwait\nout\nwait\no\nwait\nstep\nwait end";
    let (_, ended) = scripted(&server, &[], script).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(
        holds(&ended),
        [
            "held at #1 prompt (run r): step",
            "held at #5 tool_call deep (run r): breakpoint b1",
            "held at #7 tool_result two (run r): step",
            "held at #8 response (run r): step",
        ]
    );
}

#[tokio::test]
async fn a_breakpoint_stops_where_its_condition_holds_and_nowhere_else() {
    let server = TestServer::start().await;
    let script =
        "break tool_call if event.data.price > 100 once\nwait\ncontinue\nwait\nheld\ncontinue\nwait end\nbreak";
    let (outcomes, ended) = scripted(&server, &[], script).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(holds(&ended)[1], "held at #4 tool_call two (run r): breakpoint b1");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Outcome::NotHeld).count(), 6);
    assert_eq!(ended.out.last().unwrap(), "no breakpoints", "once is gone after its stop: {ended:?}");
}

#[tokio::test]
async fn a_log_point_records_and_does_not_stop() {
    let server = TestServer::start().await;
    let script = "b tool_call hits hits == 2 log \"at {event.name}\"\nwait\nc\nwait end";
    let (_, ended) = scripted(&server, &[], script).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(holds(&ended), ["held at #1 prompt (run r): step"]);
    assert!(ended.out.iter().any(|line| line.contains("log") && line.contains("at two")), "{ended:?}");
}

#[tokio::test]
async fn a_gate_is_opened_by_proceed_and_not_by_continue() {
    let server = TestServer::start().await;
    let script = "b tool_call:two gate\nwait\ncontinue\nwait\ncontinue\nheld\nproceed\nwait end";
    let (outcomes, ended) = scripted(&server, &[], script).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(outcomes[3], Outcome::Released);
    assert!(ended.out.iter().any(|line| line.contains("breakpoint b1, gate;")), "{ended:?}");
}

#[tokio::test]
async fn breakpoints_are_listed_switched_tried_and_forgotten() {
    let server = TestServer::start().await;
    for step in nested() {
        server.trace(step).await;
    }
    let mut debugger = Process::start(server.cli(&["attach", "a", "--json"]));
    debugger.out.json("state").await;
    debugger.say("b tool_call:two\nb error\nb\nb disable b1\nb enable b1\nb test b1\nb test if event.data.price > 0\nb delete b1 b2\nb").await;
    let made = debugger.out.json("answer").await;
    assert_eq!((&made["breakpoint"]["id"], &made["breakpoint"]["name"]), (&json!("b1"), &json!("two")));
    debugger.out.json("answer").await;
    let listed = debugger.out.json("answer").await;
    assert_eq!(listed["breakpoints"].as_array().unwrap().len(), 2);
    assert_eq!(debugger.out.json("answer").await["breakpoint"]["enabled"], false);
    assert_eq!(debugger.out.json("answer").await["breakpoint"]["enabled"], true);
    let tested = debugger.out.json("answer").await;
    assert_eq!((&tested["matched"], &tested["examined"], &tested["seqs"]), (&json!(1), &json!(8), &json!([4])));
    assert_eq!(debugger.out.json("answer").await["seqs"], json!([2, 4]));
    assert_eq!(debugger.out.json("answer").await["deleted"], "b1");
    assert_eq!(debugger.out.json("answer").await["deleted"], "b2");
    assert_eq!(debugger.out.json("answer").await["breakpoints"], json!([]));
    assert_eq!(debugger.end().await.status.code(), Some(0));
}

#[tokio::test]
async fn a_condition_that_cannot_be_is_told_with_its_place() {
    let server = TestServer::start().await;
    let mut debugger = Process::start(server.cli(&["attach", "a"]));
    debugger.out.until("attached").await;
    debugger.say("b if event.data.x >").await;
    debugger.out.until("break: ").await;
    debugger.say("b delete b9").await;
    debugger.out.until("break: ").await;
    assert_eq!(debugger.end().await.status.code(), Some(1));
}
