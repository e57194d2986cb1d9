//! What is kept when room is made: held steps, what runs came to, and what was decided.

use agent_debugger::proto::{self, events_response::Frame};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tonic::Code;

use crate::support::{Held, TestServer, frame, frame_until};

const EVERYTHING: [&str; 4] = ["edit", "fulfil", "fail", "abort"];

/// A server whose agents retain ten events, with a gate on tool calls of agent "a".
async fn gated() -> TestServer {
    let server = TestServer::with(&["--max-events-per-agent", "10", "--detach-grace", "0s"]).await;
    server.post("a", "breakpoints", json!({"types": ["tool_call"], "unattended": "hold"})).await;
    server
}

async fn call_held(server: &TestServer, run: &str, data: Value) -> Held {
    let body = json!({"type": "tool_call", "name": "pay", "run_id": run, "data": data, "accepts": EVERYTHING});
    server.held("a", body).await
}

/// Pushes everything before it out of the trace.
async fn others(server: &TestServer) {
    for number in 0..15 {
        server.post("a", "trace", json!({"type": "log", "run_id": "other", "data": {"n": number}})).await;
    }
}

async fn listed(server: &TestServer, run: &str) -> Vec<Value> {
    let url = format!("{}/agent/a/debug/trace?run_id={run}", server.url);
    server.answer(server.http.get(url)).await.1["events"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_held_step_is_readable_everywhere_until_its_decision_is_in_the_record() {
    let server = gated().await;
    let held = call_held(&server, "g", json!({"amount": 7, "password": "hunter2"})).await;
    others(&server).await;
    let status = server.status("a").await;
    assert_eq!((&status["total_events"], &status["first_seq"]), (&json!(10), &json!(7)), "outside of the total");
    let event = &status["held"][0]["event"];
    assert_eq!((&event["seq"], &event["data"]["amount"], &event["name"]), (&json!(1), &json!(7), &json!("pay")));
    assert_eq!(listed(&server, "g").await[0]["data"]["amount"], 7);
    // A reader who comes now is given it first, and one who comes back what it missed.
    let mut sse = server.sse("a", "?mode=observe").await;
    assert_eq!(sse.documented().await.data, json!({"type": "position", "pos": 0, "total": 10}));
    let first = sse.event().await;
    assert_eq!((&first.data["seq"], &first.data["data"]["amount"]), (&json!(1), &json!(7)));
    for seq in 7..=16 {
        assert_eq!(sse.event().await.data["seq"], seq);
    }
    let state = sse.until(|frame| frame.name.as_deref() == Some("state")).await;
    assert_eq!(state.data["held"][0]["event"]["data"]["amount"], 7);
    let mut resumed = server.sse_after("a", "?mode=observe", first.id.as_deref()).await;
    assert_eq!(resumed.event().await.data["seq"], 7);
    let mut grpc = server.grpc().await;
    let request = proto::StatusRequest { agent_id: "a".into() };
    let status = grpc.status(request).await.unwrap().into_inner();
    assert_eq!(status.held[0].event.as_ref().unwrap().seq, 1);
    let request =
        proto::EventsRequest { agent_id: "a".into(), mode: proto::Mode::Observe.into(), ..Default::default() };
    let mut stream = grpc.events(request).await.unwrap().into_inner();
    assert!(matches!(frame(&mut stream).await.frame, Some(Frame::Position(at)) if at.total == 10));
    assert!(matches!(frame(&mut stream).await.frame, Some(Frame::Event(event)) if event.seq == 1));
    let state = frame_until(&mut stream, |frame| matches!(frame, Frame::State(_))).await;
    let Some(Frame::State(state)) = state.frame else { panic!("a state") };
    assert_eq!(state.held[0].event.as_ref().unwrap().seq, 1);
    let request = proto::ListEventsRequest { agent_id: "a".into(), page_size: 1, ..Default::default() };
    let page = grpc.list_events(request).await.unwrap().into_inner();
    assert_eq!(page.events[0].event.as_ref().unwrap().seq, 1);
    let request =
        proto::ListEventsRequest { page_token: page.next_page_token, agent_id: "a".into(), ..Default::default() };
    let page = grpc.list_events(request).await.unwrap().into_inner();
    assert_eq!((page.events.len(), page.events[0].event.as_ref().unwrap().seq), (10, 7));

    server.post("a", "release", json!({"seq": 1, "action": "fulfil", "data": {"paid": true}})).await;
    assert_eq!(held.answer().await["decision"]["data"], json!({"paid": true}));
    let listed_after = listed(&server, "g").await;
    assert_eq!(listed_after[0]["decision"]["decision"]["action"], "fulfil");
    let result = json!({"type": "tool_result", "name": "pay", "run_id": "g", "data": {"paid": true}});
    assert_eq!(server.post("a", "trace", result).await["node_id"], "n1");
    let file = server.http.get(format!("{}/agent/a/debug/export?run_id=g", server.url)).send().await.unwrap();
    let file = file.text().await.unwrap();
    assert!(file.contains(r#""events":2,"decisions":1"#) && file.contains(r#""truncated":false"#), "{file}");
    // It goes with the record of its decision.
    for _ in 0..2 {
        others(&server).await;
    }
    assert_eq!(listed(&server, "g").await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_poll_for_a_held_step_finds_its_decision_though_the_step_was_trimmed() {
    let server = gated().await;
    let ask = || {
        let body = json!({"type": "tool_call", "name": "pay", "request_id": "r", "hold_timeout_ms": 1,
                          "accepts": EVERYTHING});
        server.post("a", "trace", body)
    };
    assert_eq!(ask().await["outcome"], "still_held");
    others(&server).await;
    assert_eq!(ask().await["outcome"], "still_held");
    server.post("a", "release", json!({"seq": 1, "action": "fail", "message": "no"})).await;
    let answer = ask().await;
    assert_eq!((&answer["seq"], &answer["decision"]["action"]), (&json!(1), &json!("fail")));
}

#[tokio::test]
async fn a_view_token_sees_no_secrets_in_what_is_held() {
    let (ingest, view, control) = ("ingest-".repeat(5), "view-".repeat(7), "control-".repeat(5));
    let server = TestServer::with(&["--token", &format!("ingest:{ingest}\nview:{view}\ncontrol:{control}")]).await;
    let url = |verb: &str| format!("{}/agent/a/debug/{verb}", server.url);
    let gate = json!({"unattended": "hold"}).to_string();
    let made = server.http.post(url("breakpoints")).bearer_auth(&control).body(gate).send().await.unwrap();
    assert_eq!(made.status(), StatusCode::OK);
    let step = json!({"type": "prompt", "data": {"password": "hunter2"}, "request_id": "r", "hold_timeout_ms": 1});
    let traced = server.http.post(url("trace")).bearer_auth(&ingest).body(step.to_string()).send().await.unwrap();
    assert_eq!(traced.json::<Value>().await.unwrap()["outcome"], "still_held");
    for (token, seen) in [(&view, "[masked: password]"), (&control, "hunter2")] {
        let status = server.http.get(url("status")).bearer_auth(token).send().await.unwrap();
        let status = status.json::<Value>().await.unwrap();
        assert_eq!(status["held"][0]["event"]["data"]["password"], seen);
        let mut response = server.http.get(url("events?mode=observe")).bearer_auth(token).send().await.unwrap();
        let mut stream = String::new();
        while !stream.contains("event: state") || !stream.ends_with("\n\n") {
            stream.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
        }
        assert_eq!(stream.contains("hunter2"), seen == "hunter2", "{stream}");
        assert_eq!(stream.matches(seen).count(), 2, "in the event and in the state: {stream}");
    }
}

#[tokio::test]
async fn a_quiet_run_keeps_its_totals_and_its_export_says_that_its_beginning_is_gone() {
    let server = TestServer::with(&["--max-events-per-agent", "10"]).await;
    server.post("a", "breakpoints", json!({"condition": "run.tokens > 100", "unattended": "hold"})).await;
    let step = json!({"type": "prompt", "run_id": "q", "token_count": 60});
    server.post("a", "trace", step.clone()).await;
    others(&server).await;
    let held = server.held("a", step).await;
    assert_eq!(server.status("a").await["held"][0]["run_id"], "q");
    let file = server.http.get(format!("{}/agent/a/debug/export?run_id=q", server.url)).send().await.unwrap();
    let file = file.text().await.unwrap();
    assert!(file.contains(r#""truncated":true"#), "{file}");
    // Trimmed around a held step, it is truncated in the middle.
    others(&server).await;
    server.post("a", "release", json!({"seq": held.seq, "action": "proceed"})).await;
    let file = server.http.get(format!("{}/agent/a/debug/export?run_id=other", server.url)).send().await.unwrap();
    assert!(file.text().await.unwrap().contains(r#""truncated":true"#));
}

#[tokio::test]
async fn an_export_that_lacks_what_came_after_a_held_first_step_says_so_and_can_be_imported() {
    let server = gated().await;
    let held = call_held(&server, "g", json!({"first": true})).await;
    server.post("a", "trace", json!({"type": "log", "run_id": "g", "data": {"second": true}})).await;
    others(&server).await;
    server.post("a", "trace", json!({"type": "log", "run_id": "g", "data": {"last": true}})).await;
    server.post("a", "release", json!({"seq": held.seq, "action": "proceed"})).await;
    let file = server.http.get(format!("{}/agent/a/debug/export?run_id=g", server.url)).send().await.unwrap();
    let file = file.text().await.unwrap();
    assert!(file.contains(r#""truncated":true"#) && file.contains("first") && !file.contains("second"), "{file}");
    let (code, answer) = server.try_post("b", "import", file.clone()).await;
    assert_eq!(code, StatusCode::OK, "{answer}");
    let again = server.http.get(format!("{}/agent/b/debug/export?run_id=g", server.url)).send().await.unwrap();
    assert_eq!(again.text().await.unwrap(), file);
}

#[tokio::test]
async fn a_reader_that_falls_behind_is_told_what_is_gone_around_a_held_step() {
    let server = gated().await;
    let log = json!({"type": "log", "run_id": "g"});
    server.post("a", "trace", log.clone()).await;
    let mut sse = server.sse("a", "?mode=observe").await;
    let seen = sse.event().await;
    drop(sse);
    server.post("a", "trace", log).await;
    let _held = call_held(&server, "g", json!({})).await;
    others(&server).await;
    let mut sse = server.sse_after("a", "?mode=observe", seen.id.as_deref()).await;
    let mut told = Vec::new();
    while told.last() != Some(&(0, 10)) {
        let frame = sse.next().await;
        match frame.name.as_deref() {
            Some("gap") => told.push((frame.data["from"].as_u64().unwrap(), frame.data["to"].as_u64().unwrap())),
            None if frame.is_event() => told.push((0, frame.data["seq"].as_u64().unwrap())),
            _ => {}
        }
    }
    assert_eq!(told[told.len() - 3..], [(4, 8), (0, 9), (0, 10)], "{told:?}");
    assert!(told.contains(&(0, 3)), "{told:?}");
}

#[tokio::test]
async fn what_was_decided_about_an_agent_is_not_evicted_for_others() {
    let server = TestServer::with(&["--max-agents", "3", "--detach-grace", "0s"]).await;
    let debugger = server.attach("aborted").await;
    let held = server.held("aborted", json!({"type": "prompt", "accepts": EVERYTHING})).await;
    server.post("aborted", "release", json!({"seq": held.seq, "action": "abort", "reason": "enough"})).await;
    drop(debugger);
    server.until("aborted", "the debugger to go", |status| status["mode"] == "detached").await;
    server.post("broken", "breakpoints", json!({"types": ["error"]})).await;
    server.post("paused", "pause", json!({})).await;
    for number in 0..20 {
        let (code, answer) = server.try_post(&format!("other {number}"), "trace", r#"{"type":"log"}"#).await;
        assert_eq!((code, &answer["reason"]), (StatusCode::TOO_MANY_REQUESTS, &json!("AGENT_LIMIT")));
    }
    let request = crate::support::trace_request("one more", proto::EventType::Log, "{}");
    assert_eq!(server.grpc().await.trace(request).await.unwrap_err().code(), Code::ResourceExhausted);
    assert_eq!(server.log("aborted", json!({})).await["decision"]["action"], "abort");
    assert_eq!(server.get("broken", "breakpoints").await["breakpoints"].as_array().unwrap().len(), 1);
    let _debugger = server.sse("paused", "?pause_on_attach=false").await;
    let _held = server.prompt_held("paused").await;
    // What nothing is decided about any more makes room again.
    server.post("aborted", "continue", json!({})).await;
    server.log("other", json!({})).await;
}

/// The server and this test share one thread: what blocks it delays every answer.
#[tokio::test]
async fn costly_conditions_delay_no_other_request_and_gates_fail_closed() {
    let server = TestServer::start().await;
    let nested = "event.data.items.all(a, event.data.items.all(b, !a.contains(b + '!')))";
    for number in 0..100 {
        let condition = format!("{nested} && {number} < 0");
        server.post("a", "breakpoints", json!({"condition": condition, "unattended": "hold"})).await;
    }
    let items = vec!["x"; 95];
    let step = json!({"type": "tool_call", "data": {"items": items}, "accepts": EVERYTHING}).to_string();
    let url = format!("{}/agent/a/debug/trace", server.url);
    let http = server.http.clone();
    let traced = tokio::spawn(async move { http.post(url).body(step).send().await.unwrap().json::<Value>().await });
    let (mut served, mut longest) = (0, std::time::Duration::ZERO);
    let status = loop {
        let began = std::time::Instant::now();
        let health = server.http.get(format!("{}/healthz", server.url)).send().await.unwrap();
        assert!(health.status().is_success());
        server.log("b", json!({})).await;
        longest = longest.max(began.elapsed());
        served += 1;
        let status = server.status("a").await;
        if status["held"][0]["seq"] == 1 {
            break status;
        }
        assert!(!traced.is_finished(), "it was not held");
    };
    assert_eq!(status["held"][0]["gate"], true);
    assert!(longest < std::time::Duration::from_secs(1), "{longest:?} for one of {served}");
    let breakpoints = server.get("a", "breakpoints").await;
    let problems = breakpoints["breakpoints"].as_array().unwrap().iter().filter_map(|it| it["problem"].as_str());
    let missed = problems.filter(|problem| problem.contains("not evaluated")).count();
    assert!(missed > 50, "only {missed} of 100 were not evaluated");
    server.post("a", "release", json!({"seq": 1, "action": "proceed"})).await;
    assert_eq!(traced.await.unwrap().unwrap()["outcome"], "released");
}

#[tokio::test]
async fn steps_behind_a_costly_one_keep_their_order_and_are_recorded_though_their_callers_go() {
    let server = TestServer::start().await;
    let nested = "event.data.items.exists(a, event.data.items.exists(b, a == b + 'x'))";
    server.post("a", "breakpoints", json!({"condition": nested, "unattended": "hold"})).await;
    let step = json!({"type": "log", "data": {"items": vec!["x"; 95]}});
    let url = format!("{}/agent/a/debug/trace", server.url);
    for _ in 0..5 {
        let request = server.http.post(&url).body(step.to_string());
        let sent = tokio::spawn(request.send());
        while server.status("a").await["total_events"] == 0 && !sent.is_finished() {
            tokio::task::yield_now().await;
        }
        sent.abort();
    }
    for _ in 0..5 {
        assert_eq!(server.post("a", "trace", step.clone()).await["outcome"], "not_held");
    }
    let listed = server.get("a", "trace").await;
    let seqs: Vec<_> =
        listed["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert!(seqs.len() >= 6, "{seqs:?}");
}
