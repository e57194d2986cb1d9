//! Subscribers are cursors: order, resume, gaps, clears, slow readers.

use agent_debugger::proto::{self, events_response::Frame};
use serde_json::{Value, json};

use crate::support::{Sse, TestServer, frame, frame_until};

async fn seqs(sse: &mut Sse, count: usize) -> Vec<u64> {
    let mut seqs = Vec::new();
    for _ in 0..count {
        seqs.push(sse.event().await.data["seq"].as_u64().unwrap());
    }
    seqs
}

async fn record(server: &TestServer, count: u64) {
    for number in 0..count {
        server.log("a", json!({"number": number})).await;
    }
}

#[tokio::test]
async fn a_stream_begins_with_the_position_and_the_whole_record_in_order() {
    let server = TestServer::start().await;
    record(&server, 300).await;
    server.post("a", "step", Value::Null).await;
    let mut sse = server.sse("a", "?mode=observe").await;
    assert_eq!(sse.next().await.data, json!({"type": "position", "pos": 1, "total": 300}));
    for seq in 1..=300_u64 {
        let frame = sse.next().await;
        assert_eq!((&frame.data["seq"], &frame.name), (&json!(seq), &None));
        assert!(frame.id.is_some_and(|id| id.ends_with(&format!(".{seq}"))));
    }
    let state = sse.next().await;
    assert_eq!(state.name.as_deref(), Some("state"));
    assert_eq!(
        state.data,
        json!({"type": "state", "mode": "detached", "held": [], "debuggers": 0, "observers": 1, "breakpoint_revision": 0})
    );
    record(&server, 1).await;
    assert_eq!(seqs(&mut sse, 1).await, [301]);
}

#[tokio::test]
async fn every_subscriber_sees_the_same_order_whoever_writes() {
    let server = TestServer::start().await;
    let (mut left, mut right) = (server.sse("a", "?mode=observe").await, server.sse("a", "?mode=observe").await);
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let (http, url) = (server.http.clone(), format!("{}/agent/a/debug/trace", server.url));
        writers.spawn(async move {
            for number in 0..25 {
                let body = json!({"type": "log", "data": {"writer": writer, "number": number}}).to_string();
                http.post(&url).body(body).send().await.unwrap();
            }
        });
    }
    writers.join_all().await;
    for seq in 1..=200_u64 {
        let (left, right) = (left.event().await, right.event().await);
        assert_eq!((&left.data["seq"], &left.raw, left.id), (&json!(seq), &right.raw, right.id));
    }
}

#[tokio::test]
async fn a_reconnect_gets_exactly_what_it_missed() {
    let server = TestServer::start().await;
    record(&server, 3).await;
    let mut sse = server.sse("a", "?mode=observe").await;
    seqs(&mut sse, 2).await;
    let last = sse.event().await.id.unwrap();
    drop(sse);
    record(&server, 2).await;
    for (query, header) in [("?mode=observe", Some(last.as_str())), (&*format!("?mode=observe&after={last}"), None)] {
        let mut sse = server.sse_after("a", query, header).await;
        assert_eq!(sse.next().await.data, json!({"type": "position", "pos": 0, "total": 5}));
        assert_eq!(seqs(&mut sse, 2).await, [4, 5]);
        assert_eq!(sse.next().await.kind(), "position", "nothing twice, and where it stands now");
        assert_eq!(sse.next().await.name.as_deref(), Some("state"));
    }
}

#[tokio::test]
async fn a_token_that_is_not_of_this_log_starts_over_with_a_clear() {
    let server = TestServer::start().await;
    record(&server, 2).await;
    let epoch = server.status("a").await["epoch"].as_str().unwrap().to_owned();
    for token in [format!("{epoch}.99"), "0123456789abcdef.1".into(), "not ours".into()] {
        let mut sse = server.sse_after("a", "?mode=observe", Some(&token)).await;
        assert_eq!(sse.next().await.data, json!({"type": "clear"}), "{token}");
        assert_eq!(sse.next().await.data, json!({"type": "position", "pos": 0, "total": 2}));
        assert_eq!(seqs(&mut sse, 2).await, [1, 2]);
    }
}

#[tokio::test]
async fn a_clear_is_told_and_starts_a_new_epoch() {
    let server = TestServer::start().await;
    record(&server, 2).await;
    let mut sse = server.sse("a", "?mode=observe").await;
    let before = sse.event().await.id.unwrap();
    sse.until(|frame| frame.name.as_deref() == Some("state")).await;
    server.post("a", "clear", Value::Null).await;
    let clear = sse.documented().await;
    assert_eq!(clear.data, json!({"type": "clear"}));
    assert_eq!(sse.documented().await.data, json!({"type": "position", "pos": 0, "total": 0}));
    record(&server, 1).await;
    let after = sse.event().await;
    assert_eq!(after.data["seq"], 3, "a number is never used twice");
    let epoch = |id: &str| id.split('.').next().unwrap().to_owned();
    assert_ne!(epoch(&before), epoch(&after.id.unwrap()));
    let mut again = server.sse_after("a", "?mode=observe", clear.id.as_deref()).await;
    assert_eq!(again.next().await.kind(), "position", "who saw the clear is not told again");
}

#[tokio::test]
async fn what_was_trimmed_before_a_reconnect_is_a_gap() {
    let server = TestServer::with(&["--max-events-per-agent", "5"]).await;
    record(&server, 2).await;
    let mut sse = server.sse("a", "?mode=observe").await;
    let last = sse.event().await.id.unwrap();
    drop(sse);
    record(&server, 8).await;
    let mut sse = server.sse_after("a", "?mode=observe", Some(&last)).await;
    assert_eq!(sse.next().await.kind(), "position");
    let gap = sse.next().await;
    assert_eq!((gap.name.as_deref(), gap.data), (Some("gap"), json!({"type": "gap", "from": 2, "to": 5})));
    assert_eq!(seqs(&mut sse, 5).await, [6, 7, 8, 9, 10]);
    let status = server.status("a").await;
    assert_eq!(
        (&status["dropped_events"], &status["first_seq"], &status["last_seq"]),
        (&json!(5), &json!(6), &json!(10))
    );
}

#[tokio::test]
async fn the_position_follows_steps_and_trimming() {
    let server = TestServer::with(&["--max-events-per-agent", "3"]).await;
    let mut sse = server.sse("a", "?mode=observe").await;
    assert_eq!(sse.next().await.data, json!({"type": "position", "pos": 0, "total": 0}));
    record(&server, 3).await;
    seqs(&mut sse, 3).await;
    server.post("a", "continue", Value::Null).await;
    let position = sse.until(|frame| frame.data["type"] == "position").await;
    assert_eq!(position.data, json!({"type": "position", "pos": 3, "total": 3}));
    record(&server, 1).await;
    let position = sse.until(|frame| frame.data["type"] == "position").await;
    assert_eq!(position.data, json!({"type": "position", "pos": 2, "total": 3}));
}

#[tokio::test]
async fn asking_for_the_head_of_a_stream_holds_nobody() {
    let server = TestServer::start().await;
    let head = server.http.head(format!("{}/agent/a/debug/events", server.url)).send().await.unwrap();
    assert_eq!(head.headers()["content-type"], "text/event-stream");
    assert_eq!(server.status("a").await["epoch"], "", "and makes no agent");
}

#[tokio::test]
async fn one_run_can_be_followed_alone() {
    let server = TestServer::start().await;
    for run in ["x", "y", "x"] {
        server.post("a", "trace", json!({"type": "log", "run_id": run})).await;
    }
    let mut sse = server.sse("a", "?mode=observe&run_id=x").await;
    assert_eq!(seqs(&mut sse, 2).await, [1, 3]);
}

/// A reader that stalls costs the others nothing, and is told what it lost.
#[tokio::test]
async fn a_stalled_reader_holds_up_nobody_and_gets_a_gap() {
    let server = TestServer::with(&["--max-events-per-agent", "20"]).await;
    let mut stalled = server.sse("a", "?mode=observe").await;
    let mut live = server.sse("a", "?mode=observe").await;
    assert_eq!(stalled.next().await.kind(), "position");
    let big = "x".repeat(1_000_000);
    for seq in 1..=60_u64 {
        server.log("a", json!({"big": big})).await;
        assert_eq!(live.event().await.data["seq"], seq, "the others get each event as it happens");
    }
    let mut expected = 1;
    let mut gaps = 0;
    while expected <= 60 {
        let frame = stalled.next().await;
        if frame.name.as_deref() == Some("gap") {
            assert_eq!(frame.data["from"], expected, "a gap begins where the reader stood");
            expected = frame.data["to"].as_u64().unwrap() + 1;
            gaps += 1;
        } else if frame.is_event() {
            assert_eq!(frame.data["seq"], expected);
            expected += 1;
        }
    }
    assert!(gaps >= 1, "60 MB do not fit between a reader and the log");
}

#[tokio::test]
async fn grpc_streams_resume_as_sse_does() {
    let server = TestServer::start().await;
    record(&server, 3).await;
    let observe = |resume_token: &str| proto::EventsRequest {
        agent_id: "a".into(),
        mode: proto::Mode::Observe.into(),
        resume_token: resume_token.into(),
        ..Default::default()
    };
    let mut client = server.grpc().await;
    let mut stream = client.events(observe("")).await.unwrap().into_inner();
    let first = frame(&mut stream).await;
    assert_eq!(first.frame, Some(Frame::Position(proto::Position { position: 0, total: 3 })));
    let event = frame(&mut stream).await;
    assert!(matches!(&event.frame, Some(Frame::Event(event)) if event.seq == 1));
    let mut resumed = client.events(observe(&event.resume_token)).await.unwrap().into_inner();
    frame(&mut resumed).await;
    assert!(matches!(frame(&mut resumed).await.frame, Some(Frame::Event(event)) if event.seq == 2));
    // A snapshot's token is where the stream stands: what came before it is not sent again.
    let state = frame_until(&mut stream, |frame| matches!(frame, Frame::State(_))).await;
    record(&server, 1).await;
    let mut resumed = client.events(observe(&state.resume_token)).await.unwrap().into_inner();
    frame(&mut resumed).await;
    assert!(matches!(frame(&mut resumed).await.frame, Some(Frame::Event(event)) if event.seq == 4));
    let mut unknown = client.events(observe("0123456789abcdef.7")).await.unwrap().into_inner();
    assert!(matches!(frame(&mut unknown).await.frame, Some(Frame::Cleared(_))));
}
