//! Memory under pressure: whatever clients leave half said or do not take, the process keeps within its budget.

#![cfg(target_os = "linux")]

use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{Request, StatusCode};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Child,
    task::JoinSet,
};

use crate::process::start;

const MIB: usize = 1024 * 1024;
/// The budget of bytes in flight, as docs/reference/limits.md has it, in KiB.
const BUDGET: usize = 256 * 1024;
/// What the process needs beside it: buffers of connections, and what the allocator has not given back.
const BESIDE: usize = 128 * 1024;

/// The most memory that a process has had at a time, in KiB.
fn peak(child: &Child) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id().unwrap())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A connection over HTTP/2 whose streams have a window of so many bytes.
async fn connect(url: &str, window: u32) -> SendRequest<Bytes> {
    let io = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window).max_send_buffer_size(64 * MIB);
    let (send, connection) = builder.handshake(io).await.unwrap();
    tokio::spawn(connection);
    send
}

fn request(url: &str, path: &str) -> http::request::Builder {
    Request::builder().uri(format!("{url}{path}"))
}

const TRACE: &str = "/agent_debugger.v1.DebuggerService/Trace";

/// Sends a body that lacks its last byte.
async fn unfinished(send: &mut SendRequest<Bytes>, request: Request<()>, body: Bytes) -> (ResponseFuture, Unfinished) {
    let mut ready = send.clone().ready().await.unwrap();
    let (response, mut stream) = ready.send_request(request, false).unwrap();
    stream.send_data(body, false).unwrap();
    (response, stream)
}

type Unfinished = h2::SendStream<Bytes>;

/// The HTTP status of a response and its gRPC status.
async fn statuses(response: ResponseFuture) -> (StatusCode, Option<String>) {
    let response = response.await.unwrap();
    let status = response.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    (response.status(), status)
}

/// Every body lacks a byte: those that there is no room for are refused, the others when their time is over.
async fn press(url: &str, connections: usize, each: usize, mut make: impl FnMut() -> (Request<()>, Bytes)) -> Answers {
    let mut answers = JoinSet::new();
    for _ in 0..connections {
        let mut send = connect(url, 65_535).await;
        for _ in 0..each {
            let (request, body) = make();
            let (response, stream) = unfinished(&mut send, request, body).await;
            answers.spawn(async move {
                let answer = statuses(response).await;
                drop(stream);
                answer
            });
        }
    }
    tokio::time::timeout(Duration::from_secs(120), answers.join_all()).await.expect("every body is answered")
}

type Answers = Vec<(StatusCode, Option<String>)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_over_grpc_that_lack_a_byte_keep_within_the_budget_and_end() {
    let (child, url) = start(&["--listen", "127.0.0.1:0"]).await;
    let before = peak(&child);
    let message = Bytes::from([&[0][..], &(4 * MIB as u32 - 1).to_be_bytes(), &vec![10; 4 * MIB - 2]].concat());
    let answers = press(&url, 6, 23, || {
        let request = request(&url, TRACE).method("POST").header("content-type", "application/grpc");
        (request.body(()).unwrap(), message.clone())
    })
    .await;
    let with = |code: &str| answers.iter().filter(|(_, status)| status.as_deref() == Some(code)).count();
    assert_eq!(with("8") + with("4"), 6 * 23, "{answers:?}");
    assert!(with("8") >= 60 && with("4") > 30, "{answers:?}");
    let grown = peak(&child) - before;
    assert!(grown < BUDGET + BESIDE, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_over_http_that_lack_a_byte_keep_within_the_budget_and_end() {
    let (child, url) = start(&["--listen", "127.0.0.1:0"]).await;
    let before = peak(&child);
    let body = Bytes::from(vec![b' '; 4 * MIB - 1]);
    let mut paths = ["/agent/a/debug/trace", "/agent/a/debug/step"].iter().cycle();
    let answers = press(&url, 6, 50, || {
        let request = request(&url, paths.next().unwrap()).method("POST");
        (request.body(()).unwrap(), body.clone())
    })
    .await;
    let with = |code: u16| answers.iter().filter(|(status, _)| status.as_u16() == code).count();
    assert_eq!(with(429) + with(408), 6 * 50, "{answers:?}");
    assert!(with(429) >= 200 && with(408) > 30, "{answers:?}");
    let grown = peak(&child) - before;
    assert!(grown < BUDGET + BESIDE, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_are_not_taken_keep_within_the_budget() {
    let (child, url) = start(&["--listen", "127.0.0.1:0"]).await;
    let http = reqwest::Client::new();
    for _ in 0..7 {
        let body = json!({"type": "log", "data": {"text": "x".repeat(MIB / 2 - 1024)}});
        let sent = http.post(format!("{url}/agent/a/debug/trace")).json(&body).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
    }
    let before = peak(&child);
    let list = Bytes::from_static(b"\0\0\0\0\x06\x0a\x01a\x18\xe8\x07");
    let mut kept = Vec::new();
    let (mut taken, mut refused) = (0, 0);
    for number in 0..6 {
        let send = connect(&url, 0).await;
        let mut responses = Vec::new();
        for _ in 0..50 {
            let mut ready = send.clone().ready().await.unwrap();
            if number % 2 == 0 {
                let get = request(&url, "/agent/a/debug/trace?page_size=1000").body(()).unwrap();
                responses.push(ready.send_request(get, true).unwrap().0);
            } else {
                let path = "/agent_debugger.v1.DebuggerService/ListEvents";
                let call = request(&url, path).method("POST").header("content-type", "application/grpc");
                let (response, mut stream) = ready.send_request(call.body(()).unwrap(), false).unwrap();
                stream.send_data(list.clone(), true).unwrap();
                responses.push(response);
            }
        }
        for response in responses {
            let response = response.await.unwrap();
            match response.status() {
                StatusCode::OK => taken += 1,
                StatusCode::TOO_MANY_REQUESTS => refused += 1,
                other => panic!("{other}"),
            }
            kept.push(response);
        }
    }
    assert!(taken > 60 && refused > 60, "{taken} {refused}");
    // What is small still gets in, on a connection of its own.
    let step = http.post(format!("{url}/agent/a/debug/step")).send().await.unwrap();
    assert_eq!(step.status(), StatusCode::OK);
    let grown = peak(&child) - before;
    assert!(grown < BUDGET + BESIDE, "{grown} KiB");
    drop(kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn comparisons_at_a_time_are_few() {
    const CONTROL: &str = "control-0123456789abcdef0123456789abcdef0123456789abcdef";
    const VIEW: &str = "view-0123456789abcdef0123456789abcdef0123456789abcdef";
    let tokens = tempfile("tokens", &format!("control:{CONTROL}\ningest:in-{CONTROL}\nview:{VIEW}\n"));
    let (child, url) = start(&["--listen", "127.0.0.1:0", "--token", &format!("@{tokens}")]).await;
    let http = reqwest::Client::new();
    let words: Vec<_> = (0..20_000).map(|n| json!({"n": n, "password": n, "text": format!("word {n}")})).collect();
    for run in ["left", "right"] {
        for n in 0..8 {
            let body = json!({"type": "log", "run_id": run, "data": {"n": n, "run": run, "words": words}});
            let sent = http.post(format!("{url}/agent/a/debug/trace")).bearer_auth(format!("in-{CONTROL}")).json(&body);
            assert_eq!(sent.send().await.unwrap().status(), StatusCode::OK);
        }
    }
    let before = peak(&child);
    let mut compared = JoinSet::new();
    for _ in 0..24 {
        let compare = http.get(format!("{url}/agent/a/debug/compare?left=left&right=right")).bearer_auth(VIEW);
        compared.spawn(async move { compare.send().await.unwrap().status() });
    }
    let statuses = compared.join_all().await;
    let with = |code: StatusCode| statuses.iter().filter(|status| **status == code).count();
    assert_eq!(with(StatusCode::OK) + with(StatusCode::TOO_MANY_REQUESTS), 24, "{statuses:?}");
    assert!(with(StatusCode::OK) >= 4, "{statuses:?}");
    let grown = peak(&child) - before;
    assert!(grown < BUDGET + BESIDE, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_of_what_it_asked_for_is_let_go() {
    let (_child, url) = start(&["--listen", "127.0.0.1:0"]).await;
    let http = reqwest::Client::new();
    for _ in 0..7 {
        let body = json!({"type": "log", "data": {"text": "x".repeat(MIB / 2 - 1024)}});
        let sent = http.post(format!("{url}/agent/a/debug/trace")).json(&body).send().await.unwrap();
        assert_eq!(sent.status(), StatusCode::OK);
    }
    let tasks = async || {
        let metrics = http.get(format!("{url}/metrics")).send().await.unwrap().text().await.unwrap();
        let line = metrics.lines().find_map(|line| line.strip_prefix("agent_debugger_tasks ")).unwrap();
        line.parse::<usize>().unwrap()
    };
    let before = tasks().await;
    // More than the system keeps on its way.
    let mut io = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let asked = "GET /agent/a/debug/trace HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(8);
    io.write_all(asked.as_bytes()).await.unwrap();
    assert!(tasks().await > before);
    let mut often = tokio::time::interval(Duration::from_secs(1));
    let closed = tokio::time::timeout(Duration::from_secs(45), async {
        while tasks().await > before {
            often.tick().await;
        }
    });
    closed.await.expect("the connection is closed");
    let mut taken = 0;
    let mut piece = vec![0; MIB];
    while let Ok(read @ 1..) = io.read(&mut piece).await {
        taken += read;
    }
    assert!(taken < 8 * 3 * MIB, "{taken}");
}

/// A file of this test run.
fn tempfile(name: &str, text: &str) -> String {
    let path = format!("{}/pressure-{}-{name}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::write(&path, text).unwrap();
    path
}
