//! `tail`: the record, what comes after it, and a stream that breaks.

use agent_debugger::proto::{self, EventType, TraceRequest, edit::Payload, release_request::Action};
use serde_json::Value;

use crate::support::{Process, Proxy, TestServer, cli, output, soon, step};

#[tokio::test]
async fn it_prints_the_record_and_then_follows() {
    let server = TestServer::start().await;
    server.log("a", "{\"n\":1}").await;
    server.log("a", "{\"n\":2}").await;
    let mut tail = Process::start(server.cli(&["tail", "a"]));
    assert!(tail.out.line().await.starts_with("#1 "));
    assert!(tail.out.line().await.ends_with("{\"n\":2}"));
    let call =
        TraceRequest { name: "search".into(), run_id: "r".into(), ..step("a", EventType::ToolCall, "{ \"q\" : 1 }") };
    server.trace(call).await;
    let line = tail.out.line().await;
    let words: Vec<_> = line.split_whitespace().collect();
    assert_eq!((words[0], &words[2..]), ("#3", &["[r]", "tool_call", "search", "{\"q\":1}"][..]));
    let end = TraceRequest { run_end: true, ..step("a", EventType::Log, "{}") };
    server.trace(end).await;
    assert!(tail.out.line().await.ends_with("(run end)"));
}

#[tokio::test]
async fn only_one_run_is_shown_where_one_is_named() {
    let server = TestServer::start().await;
    for run in ["x", "", "x"] {
        server.trace(TraceRequest { run_id: run.into(), ..step("a", EventType::Log, "{}") }).await;
    }
    assert_eq!(output(server.cli(&["tail", "a", "--run", "x", "--no-follow"])).await.out.len(), 2);
    assert_eq!(output(server.cli(&["tail", "a", "--run", "", "--no-follow"])).await.out.len(), 1);
    assert_eq!(output(server.cli(&["tail", "a", "--no-follow"])).await.out.len(), 3);
}

#[tokio::test]
async fn a_record_of_nobody_is_an_error_and_makes_nobody() {
    let server = TestServer::start().await;
    let ended = output(server.cli(&["tail", "typo", "--no-follow"])).await;
    assert_eq!((ended.status.code(), ended.err.len()), (Some(1), 1), "{ended:?}");
    assert!(server.status("typo").await.epoch.is_empty());
}

#[tokio::test]
async fn holds_and_decisions_are_told() {
    let server = TestServer::start().await;
    let mut tail = Process::start(server.cli(&["tail", "a"]));
    server.until("a", "the observer", |status| status.observers == 1).await;
    let _debugger = server.api().events(attach("a")).await.unwrap();
    let held = server.begin(TraceRequest { name: "book".into(), ..step("a", EventType::ToolCall, "{}") });
    assert_eq!(tail.out.until("held at").await, "held at #1 tool_call book: step");
    let abort = Action::Abort(proto::Abort { reason: "too dear".into() });
    let request = proto::ReleaseRequest { agent_id: "a".into(), seq: 1, action: Some(abort) };
    server.api().release(request).await.unwrap();
    let line = tail.out.line().await;
    assert!(line.starts_with("#1 released after") && line.ends_with(": abort too dear"), "{line}");
    soon("the answer", held).await.unwrap();
}

fn attach(agent: &str) -> proto::EventsRequest {
    proto::EventsRequest { agent_id: agent.into(), ..Default::default() }
}

#[tokio::test]
async fn json_lines_are_the_frames_of_http() {
    let server = TestServer::start().await;
    server.log("a", "{\"big\":12345678901234567890123,\"price\":1.10,\"z\":0,\"a\":[ ]}").await;
    let debugger = server.api().events(attach("a")).await.unwrap();
    let full = TraceRequest {
        node_id: "n".into(),
        parent_id: "p".into(),
        name: "s".into(),
        model: "m".into(),
        token_count: Some(7),
        replay_checkpoint: Some(true),
        duration: Some(prost_types::Duration { seconds: 1, nanos: 500_000 }),
        metadata_form: Some(proto::trace_request::MetadataForm::MetadataJson("{\"k\":1}".into())),
        effect: proto::Effect::Read.into(),
        ..step("a", EventType::ToolCall, "{\"x\":1}")
    };
    let held = server.begin(full);
    server.until("a", "the hold", |status| status.held.len() == 1).await;
    let edit = proto::Edit { payload: Some(Payload::DataJson("{\"x\":2}".into())), model: "m2".into() };
    let request = proto::ReleaseRequest { agent_id: "a".into(), seq: 2, action: Some(Action::Edit(edit)) };
    server.api().release(request).await.unwrap();
    soon("the answer", held).await.unwrap();
    drop(debugger);
    server.until("a", "the detach", |status| status.mode == i32::from(proto::RunMode::Detached)).await;

    let lines = output(server.cli(&["tail", "a", "--json", "--no-follow"])).await.out;
    assert!(lines[1].contains("{\"big\":12345678901234567890123,\"price\":1.10,\"z\":0,\"a\":[ ]}"), "{lines:#?}");
    let ours: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    server.until("a", "the first observer to leave", |status| status.observers == 0).await;
    let url = format!("{}/agent/a/debug/events?mode=observe", server.url);
    let mut stream = soon("the stream", reqwest::get(url)).await.unwrap();
    let mut text = String::new();
    while !text.contains("event: state") {
        text.push_str(std::str::from_utf8(&soon("frames", stream.chunk()).await.unwrap().unwrap()).unwrap());
    }
    let theirs: Vec<Value> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    // Position, two events, a decision, and the snapshot of the moment: one observer each.
    assert_eq!(ours, theirs);
    assert_eq!((&ours[3]["type"], &ours[4]["type"], ours.len()), (&"decision".into(), &"state".into(), 5));
}

#[tokio::test]
async fn it_goes_on_where_a_broken_connection_left_it() {
    let server = TestServer::start().await;
    let proxy = Proxy::to(&server).await;
    server.log("a", "{}").await;
    let mut tail = Process::start(cli(&proxy.url, &["tail", "a"]));
    assert!(tail.out.line().await.starts_with("#1 "));
    for seq in [2, 4, 6] {
        proxy.cut();
        assert!(tail.err.line().await.contains("broke"));
        server.log("a", "{}").await;
        proxy.mend(&server);
        assert!(tail.err.line().await.contains("connected again"));
        server.log("a", "{}").await;
        // Neither lost nor doubled.
        assert!(tail.out.line().await.starts_with(&format!("#{seq} ")));
        assert!(tail.out.line().await.starts_with(&format!("#{} ", seq + 1)));
    }
}

#[tokio::test]
async fn it_says_when_the_service_has_forgotten() {
    let server = TestServer::start().await;
    let proxy = Proxy::to(&server).await;
    server.log("a", "{\"old\":1}").await;
    let mut tail = Process::start(cli(&proxy.url, &["tail", "a"]));
    assert!(tail.out.line().await.contains("old"));
    proxy.cut();
    let other = TestServer::start().await;
    other.log("a", "{\"new\":1}").await;
    proxy.mend(&other);
    assert_eq!(tail.out.line().await, "the trace begins anew");
    assert!(tail.out.line().await.contains("new"));
}

#[tokio::test]
async fn an_agent_cannot_steer_the_terminal() {
    let server = TestServer::start().await;
    let nasty = "\u{1b}[2J\u{9b}31m\u{202e}\u{2066}";
    let request = TraceRequest {
        // A name has no control characters, but may have all others.
        name: "\u{202e}name".into(),
        ..step("\u{202e}a", EventType::Log, &serde_json::json!({ nasty: nasty }).to_string())
    };
    server.trace(request).await;
    for args in
        [&["tail", "\u{202e}a", "--no-follow"][..], &["tail", "\u{202e}a", "--no-follow", "--json"], &["agents"]]
    {
        let shown = output(server.cli(args)).await.out.join("");
        assert!(shown.contains("202e"), "{shown}");
        let bad = shown.chars().find(|it| it.is_control() || ('\u{202a}'..='\u{2069}').contains(it));
        assert_eq!(bad, None, "{args:?}: {shown}");
    }
}

#[tokio::test]
async fn a_closed_pipe_ends_it_quietly() {
    let server = TestServer::start().await;
    server.log("a", "{}").await;
    let mut tail = Process::start(server.cli(&["tail", "a"]));
    tail.out.line().await;
    let (mut child, mut err) = tail.close_out();
    server.log("a", "{}").await;
    assert_eq!(soon("the exit", child.wait()).await.unwrap().code(), Some(0));
    assert_eq!(err.rest().await, Vec::<String>::new());
}
