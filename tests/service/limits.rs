//! Limits answer clearly to whoever asks for too much, and never stop an agent that only records.

use std::time::{Duration, Instant};

use agent_debugger::proto;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
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

/// Idle connections over HTTP/2 whose clients answer pings, as many as get in.
async fn idle(server: &TestServer, most: usize) -> JoinSet<()> {
    let mut ends = JoinSet::new();
    for _ in 0..most {
        let io = TcpStream::connect(server.address()).await.unwrap();
        if let Ok((send, connection)) = h2::client::handshake(io).await {
            ends.spawn(async move {
                let _ = connection.await;
                drop(send);
            });
        }
    }
    ends
}

#[tokio::test]
async fn idle_connections_without_a_token_lock_no_caller_out_and_end() {
    const TOKEN: &str = "control-0123456789abcdef0123456789abcdef0123456789abcdef";
    let server = TestServer::with(&["--max-connections", "64", "--token", TOKEN]).await;
    let mut ends = idle(&server, 80).await;
    let began = Instant::now();
    soon("a step to get in", async {
        let step = || server.http.post(format!("{}/agent/a/debug/step", server.url)).bearer_auth(TOKEN);
        while !step().send().await.is_ok_and(|answer| answer.status() == StatusCode::OK) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    soon("the idle connections to end", async { while ends.join_next().await.is_some() {} }).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn an_open_call_without_a_token_keeps_no_connection() {
    const TOKEN: &str = "control-0123456789abcdef0123456789abcdef0123456789abcdef";
    let server = TestServer::with(&["--token", TOKEN]).await;
    let mut io = TcpStream::connect(server.address()).await.unwrap();
    let ask = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let began = Instant::now();
    let mut heard = Vec::new();
    soon("the end", async {
        // It asks again and again, and never shows a token.
        while io.write_all(ask).await.is_ok() && io.read_buf(&mut heard).await.is_ok_and(|read| read > 0) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    })
    .await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_last_connections_are_kept_for_callers_that_steer() {
    let server = TestServer::with(&["--max-connections", "32"]).await;
    let connection = async || {
        let mut io = TcpStream::connect(server.address()).await.unwrap();
        io.write_all(b"GET /agent/a/debug/status HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut said = vec![0; 4096];
        let length = io.read(&mut said).await.unwrap_or_default();
        (io, String::from_utf8_lossy(&said[..length]).into_owned())
    };
    let mut kept = Vec::new();
    for _ in 0..31 {
        let (io, said) = connection().await;
        assert!(said.starts_with("HTTP/1.1 200 "), "{said}");
        kept.push(io);
    }
    let mut last = TcpStream::connect(server.address()).await.unwrap();
    let mut ask = async |path: &str, body: &str| {
        let head = format!(
            "POST /agent/a/debug/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        last.write_all(head.as_bytes()).await.unwrap();
        let mut said = vec![0; 4096];
        let length = soon("an answer", last.read(&mut said)).await.unwrap();
        String::from_utf8_lossy(&said[..length]).into_owned()
    };
    let traced = ask("trace", "{\"type\":\"log\"}").await;
    assert!(traced.starts_with("HTTP/1.1 503 ") && traced.contains("CONNECTION_LIMIT"), "{traced}");
    let stepped = ask("step", "").await;
    assert!(stepped.starts_with("HTTP/1.1 200 "), "{stepped}");
    assert_eq!(connection().await.1, "", "and beyond them none gets in");
}

#[tokio::test]
async fn imports_that_crawl_give_their_places_back() {
    let server = TestServer::start().await;
    let mut crawling = JoinSet::new();
    for _ in 0..4 {
        let mut io = TcpStream::connect(server.address()).await.unwrap();
        let head = "POST /agent/a/debug/import HTTP/1.1\r\nhost: localhost\r\ncontent-length: 999999\r\n\r\n{";
        io.write_all(head.as_bytes()).await.unwrap();
        let (mut read, mut write) = io.into_split();
        crawling.spawn(async move {
            let mut said = String::new();
            tokio::select! {
                () = async { while write.write_all(b" ").await.is_ok() { tokio::time::sleep(Duration::from_secs(1)).await } } => {}
                read = read.read_to_string(&mut said) => drop(read),
            }
            said
        });
    }
    let import = || server.try_post("b", "import", "");
    soon("the places to be taken", async { while import().await.0 != StatusCode::TOO_MANY_REQUESTS {} }).await;
    let ended = tokio::time::timeout(Duration::from_secs(45), crawling.join_all()).await.expect("they end");
    assert!(ended.iter().all(|said| said.starts_with("HTTP/1.1 408 ")), "{ended:?}");
    assert_eq!(import().await.0, StatusCode::BAD_REQUEST, "there is a place");
}
