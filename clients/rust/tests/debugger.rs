//! What becomes of a step where no debugger answers it. The real service is asked by the end-to-end suite, as by the
//! helpers in other languages.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

use std::{fmt::Debug, time::Duration};

use agent_debugger_client::{
    Action, CallError, Config, ConfigError, Debugger, Step, Stopped,
    proto::{Effect, EventType},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::Instant,
};

/// A port on which nothing listens: it was free a moment ago.
async fn nothing(required: bool) -> Debugger {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    debugger(port, required)
}

fn debugger(port: u16, required: bool) -> Debugger {
    let url = format!("http://127.0.0.1:{port}");
    Debugger::new(Config { url, required, ..Config::new("a") }).unwrap()
}

/// A listener that reads what comes and closes each connection after a while.
async fn closing_after(span: Duration) -> Debugger {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let read = async { while stream.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {} };
                let _ = tokio::time::timeout(span, read).await;
            });
        }
    });
    debugger(port, false)
}

async fn call(debugger: &Debugger) -> Result<Action, Stopped> {
    debugger.step(Step::new(EventType::ToolCall, &json!({"n": 1})).name("pay")).await.map(|told| told.action)
}

fn assert_refused(result: Result<impl Debug, Stopped>, expected: &str) {
    let Err(Stopped::Refused { message, .. }) = result else { panic!("not refused: {result:?}") };
    assert!(message.contains(expected), "{message}");
}

#[tokio::test]
async fn where_nothing_listens_a_step_goes_on_at_once() {
    let debugger = nothing(false).await;
    let asked = Instant::now();
    assert_eq!(call(&debugger).await.unwrap(), Action::Proceed);
    assert!(asked.elapsed() < Duration::from_secs(5), "there is nothing to wait for");
}

#[tokio::test]
async fn where_no_host_has_the_name_a_step_goes_on() {
    let url = "http://there-is-no-such-host.invalid:7117".into();
    let debugger = Debugger::new(Config { url, ..Config::new("a") }).unwrap();
    assert_eq!(call(&debugger).await.unwrap(), Action::Proceed);
}

#[tokio::test]
async fn where_a_debugger_is_required_its_absence_stops_the_step() {
    assert!(matches!(call(&nothing(true).await).await, Err(Stopped::Absent { .. })));
}

#[tokio::test]
async fn a_step_that_is_too_large_to_send_is_refused_and_not_sent() {
    let large = "x".repeat(3_670_016);
    let debugger = nothing(false).await;
    assert_refused(debugger.step(Step::new(EventType::ToolCall, &json!({"text": large}))).await, "data: ");
    let named = Step::new(EventType::ToolCall, &json!({})).name("x".repeat(5 * 1024 * 1024));
    assert_refused(debugger.step(named).await, "the step: ");
}

#[tokio::test]
async fn work_that_is_stopped_is_not_done() {
    let debugger = nothing(true).await;
    let mut done = false;
    let work = async |input| -> Result<Value, std::fmt::Error> {
        done = true;
        Ok(input)
    };
    let result = debugger.tool("pay", Effect::Mutating, json!({}), work).await;
    assert!(matches!(result, Err(CallError::Stopped(Stopped::Absent { .. }))));
    assert!(!done);
}

#[tokio::test]
async fn a_connection_that_is_lost_at_once_and_again_lets_the_step_go_on_within_the_bound() {
    let debugger = closing_after(Duration::from_millis(10)).await;
    let asked = Instant::now();
    assert_eq!(call(&debugger).await.unwrap(), Action::Proceed);
    let waited = asked.elapsed();
    assert!(Duration::from_secs(10) < waited && waited < Duration::from_secs(16), "{waited:?}");
}

#[tokio::test]
async fn a_step_that_had_been_waiting_when_its_connection_was_lost_is_stopped() {
    let debugger = closing_after(Duration::from_millis(1_500)).await;
    assert!(matches!(call(&debugger).await, Err(Stopped::Lost { .. })));
}

#[tokio::test]
async fn a_service_that_comes_within_the_bound_is_asked_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let debugger = debugger(listener.local_addr().unwrap().port(), false);
    let asked = tokio::spawn(async move { call(&debugger).await });
    drop(listener.accept().await.unwrap());
    let again = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await;
    assert!(again.is_ok(), "the step is asked again");
    asked.abort();
}

#[tokio::test]
async fn a_service_that_cannot_be_trusted_is_no_absence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        }
    });
    let debugger = Debugger::new(Config { url, ..Config::new("a") }).unwrap();
    assert_refused(call(&debugger).await, "");
}

#[tokio::test]
async fn a_config_that_cannot_be_used_is_an_error_that_does_not_show_the_token() {
    let with_url = |url: &str| Debugger::new(Config { url: url.into(), ..Config::new("a") });
    for url in ["", "127.0.0.1:7117", "ftp://127.0.0.1", "not a url"] {
        assert!(matches!(with_url(url), Err(ConfigError::Url { .. })), "{url:?}");
    }
    let config = Config { token: Some("two\nlines".into()), ..Config::new("a") };
    let error = Debugger::new(config.clone()).unwrap_err();
    assert!(!format!("{error} {error:?} {config:?}").contains("lines"));
}
