//! Who is held, and how it ends: the claims of a debugger, and the races that cannot happen.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestServer, held_seqs, soon, trace_request};
use agent_debugger::proto;

#[tokio::test]
async fn step_releases_exactly_one_held_trace() {
    let server = TestServer::start().await;
    let _debugger = server.attach("planner").await;
    let (first, second) = (server.prompt_held("planner").await, server.prompt_held("planner").await);
    server.post("planner", "step", Value::Null).await;
    let answer = first.answer().await;
    assert_eq!((&answer["outcome"], &answer["total"]), (&json!("stepped"), &json!(1)), "total as of the append");
    assert!(answer["held_ms"].as_f64().unwrap() > 0.0);
    assert!(second.is_held());
    assert_eq!(held_seqs(&server.status("planner").await), [second.seq]);
}

#[tokio::test]
async fn an_observer_never_holds() {
    let server = TestServer::start().await;
    let mut observer = server.sse("a", "?mode=observe").await;
    observer.until(|frame| frame.name.as_deref() == Some("state")).await;
    let answer = server.post("a", "trace", json!({"type": "prompt"})).await;
    assert_eq!(answer["outcome"], "not_held");
    let status = server.status("a").await;
    assert_eq!(
        (&status["has_listener"], &status["observers"], &status["mode"]),
        (&json!(true), &json!(1), &json!("detached"))
    );
}

#[tokio::test]
async fn continue_releases_all_and_later_ones_pass() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let held = [server.prompt_held("a").await, server.prompt_held("a").await];
    assert_eq!(server.post("a", "continue", Value::Null).await, json!({"status": "continued", "pos": 2}));
    for held in held {
        assert_eq!(held.outcome().await, "continued");
    }
    assert_eq!(server.post("a", "trace", json!({"type": "log"})).await["outcome"], "not_held");
    server.post("a", "pause", Value::Null).await;
    let held = server.prompt_held("a").await;
    assert_eq!(server.status("a").await["held"][0]["reason"], "pause");
    server.post("a", "clear", Value::Null).await;
    assert_eq!(held.outcome().await, "cleared");
}

#[tokio::test]
async fn a_held_trace_is_released_with_a_decision() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let call = json!({"type": "tool_call", "name": "rm", "accepts": ["edit", "fulfil", "fail", "abort"]});
    for (release, decision) in [
        (json!({"action": "proceed"}), json!({"action": "proceed"})),
        (json!({"action": "edit", "data": {"n": 1.0}}), json!({"action": "edit", "data": {"n": 1.0}})),
        (json!({"action": "edit", "model": "m"}), json!({"action": "edit", "model": "m"})),
        (json!({"action": "fulfil", "data": {"ok": true}}), json!({"action": "fulfil", "data": {"ok": true}})),
        (json!({"action": "fail", "message": "no"}), json!({"action": "fail", "message": "no"})),
        (json!({"action": "abort", "reason": "enough"}), json!({"action": "abort", "reason": "enough"})),
    ] {
        let held = server.held("a", call.clone()).await;
        let mut release = release;
        release["seq"] = json!(held.seq);
        let answer = server.post("a", "release", release.clone()).await;
        assert_eq!((&answer["status"], &answer["pos"]), (&json!("released"), &json!(held.seq)));
        let (status, again) = server.try_post("a", "release", release.to_string()).await;
        assert_eq!((status, &again["reason"]), (StatusCode::CONFLICT, &json!("NOT_HELD")));
        let told = held.answer().await;
        assert_eq!((&told["outcome"], &told["decision"]), (&json!("released"), &decision));
    }
}

#[tokio::test]
async fn a_decision_that_the_agent_does_not_obey_is_refused() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let held = server.held("a", json!({"type": "tool_call", "accepts": ["fail"]})).await;
    let release = json!({"seq": held.seq, "action": "fulfil", "data": {}});
    let (status, answer) = server.try_post("a", "release", release.to_string()).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::CONFLICT, &json!("NOT_ACCEPTED")));
    assert!(held.is_held());
    assert_eq!(server.status("a").await["held"][0]["accepts"], json!(["fail"]));
}

#[tokio::test]
async fn a_hold_ends_at_its_own_time_out() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let answer = server.post("a", "trace", json!({"type": "prompt", "hold_timeout_ms": 30})).await;
    assert_eq!((&answer["outcome"], &answer["decision"]["action"]), (&json!("timed_out"), &json!("proceed")));
    assert!(answer["held_ms"].as_f64().unwrap() >= 30.0);
    assert!(held_seqs(&server.status("a").await).is_empty());
}

#[tokio::test]
async fn the_service_bounds_every_hold_where_it_is_told_to() {
    let server = TestServer::with(&["--hold-timeout", "40ms"]).await;
    let _debugger = server.attach("a").await;
    let answer = server.post("a", "trace", json!({"type": "prompt"})).await;
    assert_eq!(answer["outcome"], "timed_out");
    let asked_again = server.post("a", "trace", json!({"type": "prompt", "request_id": "r"})).await;
    assert_eq!(asked_again["outcome"], "timed_out", "a request_id does not outwit the bound");
}

#[tokio::test]
async fn a_grpc_deadline_is_answered_before_it_expires() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let mut request = tonic::Request::new(trace_request("a", proto::EventType::Prompt, "{}"));
    request.set_timeout(Duration::from_secs(2));
    let answer = server.grpc().await.trace(request).await.expect("an answer, no error").into_inner();
    assert_eq!(answer.outcome(), proto::Outcome::TimedOut);
}

#[tokio::test]
async fn a_caller_that_goes_away_is_not_held_any_more_and_its_event_stays() {
    let server = TestServer::start().await;
    let mut debugger = server.attach("a").await;
    server.prompt_held("a").await.abandon();
    server.until("a", "the hold to end", |status| held_seqs(status).is_empty()).await;
    let ended = debugger.until(|frame| frame.name.as_deref() == Some("decision")).await;
    assert_eq!(ended.data["outcome"], "abandoned");
    assert_eq!(server.status("a").await["total_events"], 1);

    // Over HTTP/2 the call is reset.
    let mut client = server.grpc().await;
    let call = tokio::spawn(async move { client.trace(trace_request("a", proto::EventType::Prompt, "{}")).await });
    server.until("a", "the hold", |status| held_seqs(status) == [2]).await;
    call.abort();
    server.until("a", "the hold to end", |status| held_seqs(status).is_empty()).await;
}

#[tokio::test]
async fn a_reload_within_the_grace_keeps_everybody_held() {
    let server = TestServer::with(&["--detach-grace", "1h"]).await;
    let debugger = server.attach("a").await;
    let held = server.prompt_held("a").await;
    drop(debugger);
    server.until("a", "the debugger to go", |status| status["debuggers"] == 0).await;
    let _again = server.attach("a").await;
    assert!(held.is_held());
    server.post("a", "step", Value::Null).await;
    assert_eq!(held.outcome().await, "stepped");
}

#[tokio::test]
async fn the_last_debugger_to_leave_lets_everybody_go() {
    let server = TestServer::with(&["--detach-grace", "20ms"]).await;
    let (one, two) = (server.attach("a").await, server.attach("a").await);
    let held = server.prompt_held("a").await;
    drop(one);
    server.until("a", "one to go", |status| status["debuggers"] == 1).await;
    assert!(held.is_held());
    drop(two);
    assert_eq!(held.outcome().await, "detached");
    assert_eq!(server.post("a", "trace", json!({"type": "log"})).await["outcome"], "not_held");
}

#[tokio::test]
async fn agents_never_affect_one_another() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let held = server.prompt_held("a").await;
    assert_eq!(server.post("b", "trace", json!({"type": "prompt"})).await["outcome"], "not_held");
    server.post("b", "step", Value::Null).await;
    server.post("b", "clear", Value::Null).await;
    assert!(held.is_held());
}

#[tokio::test]
async fn runs_are_stepped_and_continued_apart() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let left = server.held("a", json!({"type": "prompt", "run_id": "left"})).await;
    let right = server.held("a", json!({"type": "prompt", "run_id": "right"})).await;
    server.post("a", "continue", json!({"run_id": "right"})).await;
    assert_eq!(right.outcome().await, "continued");
    assert!(left.is_held());
    let passes = server.post("a", "trace", json!({"type": "log", "run_id": "right"})).await;
    assert_eq!(passes["outcome"], "not_held");
    server.post("a", "step", json!({"run_id": "left", "seq": left.seq})).await;
    assert_eq!(left.outcome().await, "stepped");
}

/// The race that every debugger has to win: whoever sees an event can already release it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_step_sent_the_moment_the_event_is_seen_is_never_lost() {
    let server = TestServer::start().await;
    let mut debugger = server.attach("a").await;
    let url = format!("{}/agent/a/debug/trace", server.url);
    let agent = server.http.clone();
    let traces = tokio::spawn(async move {
        for number in 0..400 {
            let body = json!({"type": "prompt", "data": {"number": number}}).to_string();
            let answer: Value = agent.post(&url).body(body).send().await.unwrap().json().await.unwrap();
            assert_eq!(answer["outcome"], "stepped", "trace {number}");
        }
    });
    for number in 1..=400 {
        let seen = debugger.event().await;
        assert_eq!(seen.data["seq"], number);
        let answer = server.post("a", "step", Value::Null).await;
        assert_eq!(answer["pos"], number);
    }
    soon("the last release", traces).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_concurrent_steps_release_exactly_twenty_of_sixty_four() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let mut client = server.grpc().await;
    let mut traces = tokio::task::JoinSet::new();
    for _ in 0..64 {
        let mut client = client.clone();
        traces.spawn(async move { client.trace(trace_request("a", proto::EventType::Prompt, "{}")).await.unwrap() });
    }
    server.until("a", "64 held", |status| held_seqs(status).len() == 64).await;
    let mut steps = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let mut client = server.grpc().await;
        steps.spawn(async move {
            let step = proto::StepRequest { agent_id: "a".into(), ..Default::default() };
            client.step(step).await.unwrap().into_inner().released
        });
    }
    let mut released: Vec<u64> = steps.join_all().await.into_iter().flatten().collect();
    released.sort_unstable();
    assert_eq!(released, (1..=20).collect::<Vec<_>>(), "the oldest, each once");
    let status = server.status("a").await;
    assert_eq!((held_seqs(&status).len(), &status["position"]), (44, &json!(20)));
    client.r#continue(proto::ContinueRequest { agent_id: "a".into(), run_id: None }).await.unwrap();
    let outcomes: Vec<_> = traces.join_all().await.into_iter().map(|answer| answer.into_inner().outcome()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == proto::Outcome::Stepped).count(), 20);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == proto::Outcome::Continued).count(), 44);
}

#[tokio::test]
async fn shutting_down_answers_the_held_and_ends_the_streams() {
    let mut server = TestServer::start().await;
    let mut debugger = server.attach("a").await;
    let mut stream = {
        let request = proto::EventsRequest { agent_id: "a".into(), ..Default::default() };
        server.grpc().await.events(request).await.unwrap().into_inner()
    };
    let held = server.prompt_held("a").await;
    let began = Instant::now();
    server.stop();
    assert_eq!(held.outcome().await, "shutdown");
    debugger.until(|frame| frame.name.as_deref() == Some("bye")).await;
    assert!(debugger.maybe_next().await.is_none(), "the stream ends");
    let error = loop {
        match soon("the end", stream.message()).await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ends with a status"),
            Err(status) => break status,
        }
    };
    assert_eq!(error.code(), tonic::Code::Unavailable);
    drop((debugger, stream));
    server.stopped().await;
    assert!(began.elapsed() < Duration::from_secs(5));
}
