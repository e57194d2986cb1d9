//! Execution control over the wire: breakpoints, gates, steps over and out.

use agent_debugger::proto;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestServer, held_seqs, trace_request};

async fn make(server: &TestServer, breakpoint: Value) -> Value {
    server.post("a", "breakpoints", breakpoint).await
}

async fn change(server: &TestServer, id: &str, body: Value) -> (StatusCode, Value) {
    let url = format!("{}/agent/a/debug/breakpoints/{id}", server.url);
    server.answer(server.http.patch(url).body(body.to_string())).await
}

#[tokio::test]
async fn a_breakpoint_is_made_listed_changed_and_forgotten() {
    let server = TestServer::start().await;
    let made = make(&server, json!({"types": ["tool_call"], "name": "rm*", "condition": "event.data.n > 1"})).await;
    let expected = json!({
        "id": "b1", "types": ["tool_call"], "name": "rm*", "run_id": null, "condition": "event.data.n > 1",
        "hit_condition": "", "log_message": "", "once": false, "enabled": true, "all_stop": false,
        "unattended": "skip", "timeout_ms": null, "on_timeout": "fail", "hits": 0, "problem": "",
    });
    assert_eq!(made, expected);
    // What was read can be sent back.
    let second = make(&server, made).await;
    assert_eq!(second["id"], "b2");
    let (_, changed) = change(&server, "b1", json!({"enabled": false, "timeout_ms": 1500, "run_id": "r"})).await;
    assert_eq!(
        (&changed["enabled"], &changed["timeout_ms"], &changed["run_id"]),
        (&json!(false), &json!(1500), &json!("r"))
    );
    assert_eq!(changed["condition"], "event.data.n > 1", "what is not named stays");
    let (_, changed) = change(&server, "b1", json!({"run_id": null})).await;
    assert_eq!((&changed["run_id"], &changed["enabled"]), (&Value::Null, &json!(false)));
    let url = format!("{}/agent/a/debug/breakpoints/b1", server.url);
    assert_eq!(server.answer(server.http.delete(&url)).await.1, json!({"status": "deleted"}));
    let ids: Vec<_> = server.get("a", "breakpoints").await["breakpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|made| made["id"].clone())
        .collect();
    assert_eq!(ids, ["b2"]);
    let (status, answer) = server.answer(server.http.delete(&url)).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::NOT_FOUND, &json!("NO_BREAKPOINT")));
    assert_eq!(make(&server, json!({})).await["id"], "b3", "an id is never used twice");
}

#[tokio::test]
async fn what_cannot_work_is_refused_at_its_field() {
    let server = TestServer::start().await;
    for (body, field) in [
        (json!({"condition": "event.data.n >"}), "condition does not compile at line 1 column"),
        (json!({"condition": "evnt.data"}), "condition there is no variable `evnt`, at line 1 column 1"),
        (json!({"hit_condition": "event.seq > 1"}), "hit_condition"),
        (json!({"log_message": "{"}), "log_message"),
        (json!({"name": "a["}), "name"),
        (json!({"types": ["dance"]}), "types"),
        (json!({"types": "tool_call"}), "types"),
        (json!({"unattended": "maybe"}), "unattended"),
        (json!({"timeout_ms": -5}), "timeout_ms"),
        (json!({"conditon": "true"}), "unknown field `conditon`"),
    ] {
        let (status, answer) = server.try_post("a", "breakpoints", body.to_string()).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        let said = answer["error"].as_str().unwrap();
        assert!(said.contains(field), "{body}: {said}");
    }
    for (verb, body) in
        [("continue", json!({"run": "x"})), ("step", json!({"granularity": "sideways"})), ("pause", json!({"seq": 1}))]
    {
        assert_eq!(server.try_post("a", verb, body.to_string()).await.0, StatusCode::BAD_REQUEST, "{verb} {body}");
    }
}

#[tokio::test]
async fn a_hit_holds_the_step_and_names_the_breakpoint() {
    let server = TestServer::start().await;
    make(&server, json!({"name": "rm", "condition": "event.data.path.startsWith('/etc')"})).await;
    let _debugger = server.attach("a").await;
    server.post("a", "continue", Value::Null).await;
    let harmless = json!({"type": "tool_call", "name": "rm", "data": {"path": "/tmp"}});
    assert_eq!(server.post("a", "trace", harmless).await["outcome"], "not_held");
    let held = server.held("a", json!({"type": "tool_call", "name": "rm", "data": {"path": "/etc/passwd"}})).await;
    let status = server.status("a").await;
    assert_eq!(
        (&status["held"][0]["reason"], &status["held"][0]["breakpoint_ids"]),
        (&json!("breakpoint"), &json!(["b1"]))
    );
    assert_eq!(server.get("a", "breakpoints").await["breakpoints"][0]["hits"], 1);
    server.post("a", "continue", Value::Null).await;
    assert_eq!(held.outcome().await, "continued");
}

#[tokio::test]
async fn a_breakpoint_is_tried_on_the_record_before_it_is_armed() {
    let server = TestServer::start().await;
    for n in 0..12 {
        server.log("a", json!({"n": n})).await;
    }
    let tried = server.post("a", "breakpoints/test", json!({"condition": "event.data.n % 5 == 0"})).await;
    assert_eq!(tried, json!({"matched": 3, "examined": 12, "seqs": [1, 6, 11]}));
    let second = json!({"condition": "event.data.n % 5 == 0", "hit_condition": "hits == 2"});
    assert_eq!(server.post("a", "breakpoints/test", second).await["seqs"], json!([6]));
    assert_eq!(server.get("a", "breakpoints").await, json!({"breakpoints": []}));
}

/// What a condition says of the record is what it would have said live.
#[tokio::test]
async fn a_back_test_agrees_with_what_was_live() {
    let server = TestServer::start().await;
    let conditions = ["repeats >= 2", "run.tokens > 25", "run.events == 4", "node.depth > 0", "event.data.n == 1"];
    for condition in conditions {
        let log = json!({"condition": condition, "log_message": "hit", "unattended": "hold"});
        make(&server, log).await;
    }
    for n in [1, 1, 2, 1] {
        let body = json!({"type": "tool_call", "data": {"n": n}, "token_count": 10, "parent_id": "p", "name": "t"});
        server.post("a", "trace", body).await;
    }
    let live: Vec<_> = server.get("a", "breakpoints").await["breakpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|made| made["hits"].clone())
        .collect();
    for (condition, live) in conditions.into_iter().zip(live) {
        let tried = json!({"condition": condition, "types": ["tool_call"]});
        assert_eq!(server.post("a", "breakpoints/test", tried).await["matched"], live, "{condition}");
    }
}

#[tokio::test]
async fn a_message_is_recorded_where_it_was_logged() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    server.post("a", "continue", Value::Null).await;
    make(&server, json!({"types": ["prompt"], "log_message": "asked {event.data.text}"})).await;
    server.post("a", "trace", json!({"type": "prompt", "data": {"text": "why"}, "run_id": "r"})).await;
    let events = server.get("a", "trace").await["events"].clone();
    assert_eq!((&events[1]["type"], &events[1]["run_id"]), (&json!("log"), &json!("r")));
    assert_eq!(events[1]["data"], json!({"breakpoint_id": "b1", "message": "asked why", "seq": 1}));
}

#[tokio::test]
async fn an_approval_gate_holds_unattended_until_somebody_decides() {
    let server = TestServer::start().await;
    make(&server, json!({"types": ["tool_call"], "condition": "event.effect == 'mutating'", "unattended": "hold"}))
        .await;
    assert_eq!(server.post("a", "trace", json!({"type": "tool_call", "effect": "read"})).await["outcome"], "not_held");
    let mutating = json!({"type": "tool_call", "name": "pay", "effect": "mutating", "accepts": ["fail"]});
    let held = server.held("a", mutating).await;
    assert_eq!(server.status("a").await["held"][0]["gate"], true);
    for verb in ["continue", "step"] {
        server.post("a", verb, Value::Null).await;
        assert!(held.is_held(), "{verb} does not open a gate");
    }
    let (status, answer) = server.try_post("a", "step", json!({"seq": held.seq}).to_string()).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::CONFLICT, &json!("GATE")));
    server.post("a", "release", json!({"seq": held.seq, "action": "proceed"})).await;
    assert_eq!(held.answer().await["decision"], json!({"action": "proceed"}));
}

#[tokio::test]
async fn a_gate_that_nobody_opens_in_time_fails_closed() {
    let server = TestServer::start().await;
    make(&server, json!({"unattended": "hold", "timeout_ms": 30})).await;
    let told = server.post("a", "trace", json!({"type": "tool_call", "accepts": ["fail"]})).await;
    assert_eq!((&told["outcome"], &told["decision"]["action"]), (&json!("timed_out"), &json!("fail")));
    // An agent that obeys nothing is stopped by the failure of its own call.
    let (status, answer) = server.try_post("a", "trace", json!({"type": "tool_call"}).to_string()).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::CONFLICT, &json!("STOPPED")));
    let refused = server.grpc().await.trace(trace_request("a", proto::EventType::ToolCall, "{}")).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Aborted);
    let (status, _) = change(&server, "b1", json!({"on_timeout": "proceed", "timeout_ms": null})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "to let pass some time, there must be a time");
    change(&server, "b1", json!({"on_timeout": "proceed"})).await;
    assert_eq!(server.post("a", "trace", json!({"type": "tool_call"})).await["decision"]["action"], "proceed");
}

#[tokio::test]
async fn a_hold_says_when_it_ends_by_itself() {
    let server = TestServer::with(&["--hold-timeout", "1h"]).await;
    let debugger = server.attach("a").await;
    make(&server, json!({"types": ["tool_call"], "unattended": "hold", "timeout_ms": 600_000})).await;
    let _service = server.held("a", json!({"type": "prompt"})).await;
    let _gate = server.held("a", json!({"type": "tool_call"})).await;
    let _caller = server.held("a", json!({"type": "log", "hold_timeout_ms": 60_000})).await;
    // Who can ask again ends no hold: the service does.
    let _again = server.held("a", json!({"type": "log", "hold_timeout_ms": 60_000, "request_id": "r"})).await;
    let status = server.status("a").await;
    let over_http: Vec<_> =
        status["held"].as_array().unwrap().iter().map(|held| held["times_out_in_ms"].as_f64().unwrap()).collect();
    let request = proto::StatusRequest { agent_id: "a".into() };
    let status = server.grpc().await.status(request).await.unwrap().into_inner();
    let over_grpc: Vec<_> = status.held.iter().map(|held| held.times_out_in.unwrap().seconds as f64 * 1000.0).collect();
    for left in [over_http, over_grpc] {
        let minutes: Vec<_> = left.iter().map(|ms| (ms / 60_000.0).ceil()).collect();
        assert_eq!(minutes, [60.0, 10.0, 1.0, 60.0]);
    }
    drop(debugger);
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let _held = server.held("a", json!({"type": "prompt"})).await;
    assert_eq!(server.status("a").await["held"][0]["times_out_in_ms"], Value::Null);
}

#[tokio::test]
async fn an_agent_with_a_gate_is_not_forgotten() {
    let server = TestServer::with(&["--max-agents", "1"]).await;
    make(&server, json!({"unattended": "hold", "name": "pay"})).await;
    let (status, _) = server.try_post("other", "trace", "{\"type\":\"log\"}").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let url = format!("{}/agent/a/debug/breakpoints/b1", server.url);
    server.answer(server.http.delete(url)).await;
    server.log("other", json!({})).await;
}

#[tokio::test]
async fn steps_go_over_and_out_of_sub_agents() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let call = server.held("a", json!({"type": "tool_call", "name": "sub_agent", "node_id": "sub"})).await;
    server.post("a", "step", json!({"granularity": "over"})).await;
    assert_eq!(call.outcome().await, "stepped");
    assert_eq!(server.status("a").await["mode"], "stepping");
    for body in [
        json!({"type": "prompt", "node_id": "inner", "parent_id": "sub"}),
        json!({"type": "response", "node_id": "inner"}),
    ] {
        assert_eq!(server.post("a", "trace", body).await["outcome"], "not_held");
    }
    let close = server.held("a", json!({"type": "tool_result", "node_id": "sub"})).await;
    assert_eq!(held_seqs(&server.status("a").await), [close.seq]);
    let mut client = server.grpc().await;
    let out = proto::StepRequest {
        agent_id: "a".into(),
        granularity: proto::StepGranularity::Out.into(),
        ..Default::default()
    };
    assert_eq!(client.step(out).await.unwrap().into_inner().released, [close.seq]);
}

#[tokio::test]
async fn the_state_says_when_breakpoints_changed() {
    let server = TestServer::start().await;
    let mut observer = server.sse("a", "?mode=observe").await;
    let first = observer.until(|frame| frame.kind() == "state").await;
    make(&server, json!({})).await;
    let second = observer.until(|frame| frame.kind() == "state").await;
    assert!(second.data["breakpoint_revision"].as_u64() > first.data["breakpoint_revision"].as_u64());
}

#[tokio::test]
async fn grpc_and_http_know_the_same_breakpoints() {
    let server = TestServer::start().await;
    let mut client = server.grpc().await;
    let breakpoint = proto::Breakpoint {
        types: vec![proto::EventType::Error.into()],
        condition: "event.data.code == 7".into(),
        timeout: Some(prost_types::Duration { seconds: 2, nanos: 0 }),
        ..Default::default()
    };
    let request = proto::CreateBreakpointRequest { agent_id: "a".into(), breakpoint: Some(breakpoint.clone()) };
    let made = client.create_breakpoint(request).await.unwrap().into_inner().breakpoint.unwrap();
    let listed = server.get("a", "breakpoints").await["breakpoints"][0].clone();
    assert_eq!(
        (&listed["id"], &listed["condition"], &listed["timeout_ms"]),
        (&json!(made.id), &json!(made.condition), &json!(2000))
    );
    let update = proto::UpdateBreakpointRequest {
        agent_id: "a".into(),
        breakpoint: Some(proto::Breakpoint { id: made.id.clone(), once: true, ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["once".into()] }),
    };
    let updated = client.update_breakpoint(update).await.unwrap().into_inner().breakpoint.unwrap();
    assert_eq!((updated.once, updated.condition.as_str()), (true, "event.data.code == 7"));
    let bad = proto::TestBreakpointRequest {
        agent_id: "a".into(),
        breakpoint: Some(proto::Breakpoint { condition: "(".into(), ..Default::default() }),
    };
    assert_eq!(client.test_breakpoint(bad).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}
