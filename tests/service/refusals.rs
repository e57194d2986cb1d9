//! Refusals that reach their client: over HTTP/1.1 most clients listen only once they have sent everything.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{TestServer, soon};

const MIB: usize = 1024 * 1024;

/// Sends a head and so many bytes of body, and only then reads the response to its end.
async fn send(server: &TestServer, head: &str, body: &[u8]) -> String {
    let mut io = TcpStream::connect(server.address()).await.unwrap();
    let head = format!("{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    io.write_all(head.as_bytes()).await.unwrap();
    io.write_all(body).await.expect("the server reads on");
    let mut said = String::new();
    soon("the response", io.read_to_string(&mut said)).await.expect("the connection is not reset");
    said
}

#[tokio::test]
async fn a_client_that_sends_everything_first_hears_why_it_was_refused() {
    let server = TestServer::with(&["--token", "0123456789abcdef0123456789abcdef0123456789abcdef"]).await;
    let token = "authorization: Bearer 0123456789abcdef0123456789abcdef0123456789abcdef";
    let body = vec![b' '; 32 * MIB];
    for (head, status) in [
        (format!("POST /agent/a/debug/trace HTTP/1.1\r\n{token}"), "413"),
        (format!("POST /agent/a/debug/step HTTP/1.1\r\n{token}"), "413"),
        (format!("POST /agent/a%20b/debug/trace HTTP/1.1\r\n{token}"), "413"),
        ("POST /agent/a/debug/trace HTTP/1.1".into(), "401"),
        ("POST /agent/a/debug/import HTTP/1.1".into(), "401"),
        (format!("POST /agent/a/debug/import HTTP/1.1\r\n{token}"), "400"),
        (format!("POST /agent/a/debug/nothing HTTP/1.1\r\n{token}"), "404"),
        (format!("PUT /agent/a/debug/trace HTTP/1.1\r\n{token}"), "405"),
        (format!("POST /agent/a/debug/trace HTTP/1.1\r\n{token}\r\norigin: http://evil.test"), "403"),
    ] {
        let said = send(&server, &head, &body).await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{head}: {said}");
        assert!(said.contains("\"error\":"), "{head}: {said}");
    }
}

#[tokio::test]
async fn an_import_of_a_run_that_exists_is_refused_in_words() {
    let server = TestServer::start().await;
    for n in 0..8 {
        server.log("a", json!({"n": n, "text": "x".repeat(MIB)})).await;
    }
    let file = server.http.get(format!("{}/agent/a/debug/export", server.url)).send().await.unwrap();
    let file = file.bytes().await.unwrap();
    let said = send(&server, "POST /agent/a/debug/import?run_id= HTTP/1.1", &file).await;
    assert!(said.starts_with("HTTP/1.1 409 ") && said.contains("RUN_EXISTS"), "{said}");
}

#[tokio::test]
async fn a_body_without_end_is_read_within_bounds_and_then_cut_off() {
    let server = TestServer::start().await;
    let io = TcpStream::connect(server.address()).await.unwrap();
    let (mut read, mut write) = io.into_split();
    let head = "POST /agent/a/debug/trace HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\n\r\n";
    write.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    let writing = tokio::spawn(async move {
        let piece = vec![b' '; 64 * 1024];
        // Until the server closes.
        while write.write_all(&piece).await.is_ok() {}
    });
    let mut said = vec![0; 4096];
    let length = soon("the response", read.read(&mut said)).await.unwrap();
    let said = String::from_utf8_lossy(&said[..length]).into_owned();
    assert!(said.starts_with("HTTP/1.1 413 ") && said.contains("connection: close"), "{said}");
    soon("the end", writing).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_client_that_asks_first_is_not_asked_for_what_is_refused() {
    let server = TestServer::start().await;
    let mut io = TcpStream::connect(server.address()).await.unwrap();
    let head = "POST /agent/a/debug/trace HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n";
    io.write_all(head.as_bytes()).await.unwrap();
    let began = Instant::now();
    let mut said = String::new();
    soon("the response", io.read_to_string(&mut said)).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
}
