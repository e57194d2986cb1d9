//! `request_id`: a request repeated is the same request, for clients that cannot wait long.

use agent_debugger::proto;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestServer, held_seqs, trace_request};

fn asking(timeout_ms: u64) -> Value {
    json!({"type": "tool_call", "name": "rm", "accepts": ["fulfil"], "request_id": "once", "hold_timeout_ms": timeout_ms})
}

#[tokio::test]
async fn a_client_with_short_time_outs_can_be_held_for_as_long_as_it_asks() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    for _ in 0..5 {
        let answer = server.post("a", "trace", asking(15)).await;
        assert_eq!(
            (&answer["outcome"], &answer["seq"], &answer["total"]),
            (&json!("still_held"), &json!(1), &json!(1))
        );
    }
    // The decision is made while nobody asks, and waits for the asking.
    server.post("a", "release", json!({"seq": 1, "action": "fulfil", "data": {"by": "hand"}})).await;
    let answer = server.post("a", "trace", asking(15)).await;
    assert_eq!(answer["outcome"], "released");
    assert_eq!(answer["decision"], json!({"action": "fulfil", "data": {"by": "hand"}}));
    // And the answer is the same however often it is asked for, with whatever patience.
    assert_eq!(server.post("a", "trace", asking(9999)).await, answer);
    assert_eq!(server.status("a").await["total_events"], 1, "one event");
}

#[tokio::test]
async fn a_grpc_deadline_says_still_held_to_whoever_can_ask_again() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let mut client = server.grpc().await;
    let ask = || proto::TraceRequest { request_id: "r".into(), ..trace_request("a", proto::EventType::Prompt, "{}") };
    let mut short = tonic::Request::new(ask());
    short.set_timeout(std::time::Duration::from_millis(200));
    assert_eq!(client.trace(short).await.unwrap().into_inner().outcome(), proto::Outcome::StillHeld);
    let waiting = tokio::spawn(async move { client.trace(ask()).await });
    server.post("a", "step", Value::Null).await;
    assert_eq!(waiting.await.unwrap().unwrap().into_inner().outcome(), proto::Outcome::Stepped);
}

#[tokio::test]
async fn the_same_id_with_another_body_is_refused() {
    let server = TestServer::start().await;
    server.post("a", "trace", json!({"type": "log", "request_id": "r", "data": {"n": 1}})).await;
    let other = json!({"type": "log", "request_id": "r", "data": {"n": 2}}).to_string();
    let (status, answer) = server.try_post("a", "trace", other).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(answer["error"].as_str().unwrap().starts_with("request_id"), "{answer}");
    // Ids are per agent, and go with the trace.
    server.post("b", "trace", json!({"type": "log", "request_id": "r", "data": {"n": 2}})).await;
    server.post("a", "clear", Value::Null).await;
    server.post("a", "trace", json!({"type": "log", "request_id": "r", "data": {"n": 2}})).await;
}

#[tokio::test]
async fn calls_with_one_id_wait_at_one_hold_and_get_one_answer() {
    let server = TestServer::start().await;
    let _debugger = server.attach("a").await;
    let body = json!({"type": "prompt", "request_id": "r"});
    let first = server.held("a", body.clone()).await;
    // The second call is at the hold when it is told that it waits there: it asks once with a short patience, and the
    // third, which waits on, gives the first one's place up and takes over.
    let mut patient = body.clone();
    patient["hold_timeout_ms"] = json!(20);
    assert_eq!(server.post("a", "trace", patient).await["outcome"], "still_held");
    first.abandon();
    let mut asking = body;
    asking["hold_timeout_ms"] = json!(60_000);
    let url = format!("{}/agent/a/debug/trace", server.url);
    let third = server.http.post(url).body(asking.to_string());
    let third = tokio::spawn(async move { third.send().await.unwrap().json::<Value>().await.unwrap() });
    assert_eq!(held_seqs(&server.status("a").await), [1], "the hold outlives whoever left");
    server.post("a", "step", Value::Null).await;
    let answer = third.await.unwrap();
    assert_eq!((&answer["outcome"], &answer["seq"]), (&json!("stepped"), &json!(1)));
    assert_eq!(server.status("a").await["total_events"], 1);
}
