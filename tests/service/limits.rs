//! Limits answer clearly to whoever asks for too much, and never stop an agent that only records.

use std::time::Duration;

use agent_debugger::proto;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpStream};
use tonic_types::StatusExt;

use crate::support::{TestServer, soon};

#[tokio::test]
async fn over_the_hold_limit_a_step_is_recorded_and_passes() {
    let server = TestServer::with(&["--max-holds-per-agent", "2"]).await;
    let _debugger = server.attach("a").await;
    let (_one, _two) = (server.prompt_held("a").await, server.prompt_held("a").await);
    let answer = server.post("a", "trace", json!({"type": "prompt"})).await;
    assert_eq!((&answer["outcome"], &answer["seq"]), (&json!("not_held"), &json!(3)));
    let (_, metrics) = server.answer(server.http.get(format!("{}/metrics", server.url))).await;
    assert!(metrics.as_str().unwrap().contains("agent_debugger_holds_over_limit_total 1"));
}

#[tokio::test]
async fn one_subscriber_too_many_is_told_so() {
    let server = TestServer::with(&["--max-subscribers-per-agent", "1"]).await;
    let _first = server.attach("a").await;
    let url = format!("{}/agent/a/debug/events", server.url);
    let (status, answer) = server.answer(server.http.get(url)).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::TOO_MANY_REQUESTS, &json!("TOO_MANY_SUBSCRIBERS")));
    let request = proto::EventsRequest { agent_id: "a".into(), ..Default::default() };
    let status = server.grpc().await.events(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(status.get_error_details().quota_failure().is_some());
}

#[tokio::test]
async fn the_least_recently_used_idle_agent_makes_room() {
    let server = TestServer::with(&["--max-agents", "2", "--detach-grace", "0s"]).await;
    let watched = server.attach("watched").await;
    server.log("idle", json!({})).await;
    server.log("new", json!({})).await;
    assert_eq!(server.status("idle").await["epoch"], "", "forgotten");
    assert_eq!(server.status("watched").await["debuggers"], 1);
    let also_watched = server.attach("new").await;
    let (status, answer) = server.try_post("third", "trace", "{\"type\":\"log\"}").await;
    assert_eq!((status, &answer["reason"]), (StatusCode::TOO_MANY_REQUESTS, &json!("AGENT_LIMIT")));
    drop((watched, also_watched));
    server.until("watched", "the debugger to go", |status| status["debuggers"] == 0).await;
    server.log("third", json!({})).await;
}

#[tokio::test]
async fn the_oldest_events_go_when_an_agent_is_full_of_bytes() {
    let server = TestServer::with(&["--max-bytes-per-agent", "8MiB"]).await;
    for _ in 0..10 {
        server.log("a", json!({"big": "x".repeat(1024 * 1024)})).await;
    }
    let status = server.status("a").await;
    let retained = status["total_events"].as_u64().unwrap();
    assert_eq!((retained, &status["first_seq"], &status["dropped_events"]), (7, &json!(4), &json!(3)));
}

#[tokio::test]
async fn a_held_event_can_be_trimmed_and_still_be_stepped() {
    let server = TestServer::with(&["--max-events-per-agent", "2"]).await;
    let _debugger = server.attach("a").await;
    let held = server.prompt_held("a").await;
    for _ in 0..3 {
        server.log("a", json!({})).await;
    }
    assert_eq!(server.status("a").await["first_seq"], 3);
    assert_eq!(server.post("a", "step", Value::Null).await["pos"], 1);
    assert_eq!(held.outcome().await, "stepped");
}

#[tokio::test]
async fn connections_over_the_limit_are_closed_and_the_rest_go_on() {
    let server = TestServer::with(&["--max-connections", "2"]).await;
    server.log("a", json!({})).await;
    // The client above keeps one; this takes the other.
    let _second = TcpStream::connect(server.address()).await.unwrap();
    soon("the third to be closed", async {
        loop {
            let mut third = TcpStream::connect(server.address()).await.unwrap();
            let mut byte = [0];
            if let Ok(read) = tokio::time::timeout(Duration::from_millis(200), third.read(&mut byte)).await {
                assert_eq!(read.unwrap_or(0), 0);
                break;
            }
        }
    })
    .await;
    server.log("a", json!({})).await;
}

#[tokio::test]
async fn idle_agents_make_room_for_bytes_before_the_caller_does() {
    let server = TestServer::with(&["--max-bytes", "8MiB"]).await;
    let big = json!({"big": "x".repeat(1024 * 1024)});
    for _ in 0..5 {
        server.log("old", big.clone()).await;
    }
    for _ in 0..5 {
        server.log("new", big.clone()).await;
    }
    assert_eq!(server.status("old").await["epoch"], "", "forgotten");
    assert_eq!(server.status("new").await["total_events"], 5);
    for _ in 0..5 {
        server.log("new", big.clone()).await;
    }
    assert_eq!(server.status("new").await["total_events"], 7, "nobody else is left to make room");
}

/// A few bytes of the HTTP/2 preface must not hold a place for ever.
#[tokio::test]
async fn a_connection_that_stops_in_the_middle_of_its_first_words_is_let_go() {
    let server = TestServer::start().await;
    let mut stuck = TcpStream::connect(server.address()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut stuck, b"PRI * HT").await.unwrap();
    let mut byte = [0];
    let closed = soon("the close", stuck.read(&mut byte)).await;
    assert_eq!(closed.unwrap_or(0), 0);
}
