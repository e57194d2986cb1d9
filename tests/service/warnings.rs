//! A step with a field that no step has: recorded and told, or refused where that is asked for.

use agent_debugger::proto;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{TestServer, frame_until};

const BODY: &str = r#"{"type":"tool_call","name":"pay","args":{"amount":1.50},"data":{"n":1.50}}"#;

#[tokio::test]
async fn an_unknown_field_is_told_in_the_response_and_wherever_the_event_is_seen() {
    let server = TestServer::start().await;
    let (status, answer) = server.try_post("a", "trace", BODY).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let warnings = json!(["unknown field `args`"]);
    assert_eq!(answer["warnings"], warnings);
    // The router's own way, for an agent whose id has to be decoded.
    assert_eq!(server.try_post("%61b", "trace", BODY).await.1["warnings"], warnings);
    server.log("a", json!({})).await;

    let page = server.get("a", "trace").await;
    assert_eq!(page["events"][0]["warnings"], warnings);
    assert_eq!(page["events"][0]["data"].to_string(), r#"{"n":1.5}"#);
    assert!(page["events"][1].get("warnings").is_none(), "{page}");
    let mut sse = server.sse("a", "?mode=observe").await;
    let event = sse.event().await;
    assert_eq!(event.data["warnings"], warnings);
    assert!(event.raw.contains(r#""data":{"n":1.50}"#), "{}", event.raw);

    let mut client = server.grpc().await;
    let request = proto::ListEventsRequest { agent_id: "a".into(), ..Default::default() };
    let listed = client.list_events(request).await.unwrap().into_inner().events;
    let listed: Vec<_> = listed.into_iter().map(|recorded| recorded.event.unwrap().warnings).collect();
    assert_eq!(listed, [vec!["unknown field `args`".to_owned()], vec![]]);
    let request =
        proto::EventsRequest { agent_id: "a".into(), mode: proto::Mode::Observe.into(), ..Default::default() };
    let mut stream = client.events(request).await.unwrap().into_inner();
    let is_event = |frame: &_| matches!(frame, proto::events_response::Frame::Event(_));
    let Some(proto::events_response::Frame::Event(event)) = frame_until(&mut stream, is_event).await.frame else {
        panic!("an event")
    };
    assert_eq!(event.warnings, ["unknown field `args`"]);

    // A file keeps it.
    let file = server.http.get(format!("{}/agent/a/debug/export", server.url)).send().await.unwrap();
    let file = file.text().await.unwrap();
    assert_eq!(server.try_post("b", "import?run_id=r", file).await.0, StatusCode::OK);
    assert_eq!(server.get("b", "trace").await["events"][0]["warnings"], warnings);
}

#[tokio::test]
async fn an_unknown_field_is_refused_where_that_is_asked_for() {
    let names = |answer: &Value| answer["error"].as_str().is_some_and(|error| error.contains("unknown field `args`"));
    let server = TestServer::start().await;
    let (status, answer) = server.try_post("a", "trace?strict=true", BODY).await;
    assert!(status == StatusCode::BAD_REQUEST && names(&answer), "{answer}");
    assert_eq!(server.status("a").await["total_events"], 0);
    let known = r#"{"type":"log","data":{"args":1}}"#;
    assert_eq!(server.try_post("a", "trace?strict=true", known).await.0, StatusCode::OK);
    assert_eq!(server.try_post("a", "trace?strict=false", BODY).await.0, StatusCode::OK);
    let (status, answer) = server.try_post("a", "trace?strict=maybe", BODY).await;
    assert!(status == StatusCode::BAD_REQUEST && answer["error"].as_str().unwrap().contains("strict"), "{answer}");

    let strict = TestServer::with(&["--strict"]).await;
    let (status, answer) = strict.try_post("a", "trace", BODY).await;
    assert!(status == StatusCode::BAD_REQUEST && names(&answer), "{answer}");
    assert_eq!(strict.try_post("a", "trace?strict=false", BODY).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_unknown_field_hides_no_other_fault_and_changes_no_retry() {
    let server = TestServer::start().await;
    for (body, said) in [
        (r#"{"args":1,"type":"nonsense"}"#, "Unknown event type: nonsense"),
        (r#"{"args":1,"type":"log","run_id":7}"#, "run_id"),
        (r#"{"args":1,"type":"log","data":[]}"#, "data must be a JSON object"),
        (r#"{"args":1,"type":"log","type":"log"}"#, "duplicate field `type`"),
        (r#"{"args":1,"type":"log""#, "Invalid JSON body"),
        (r#"{"args":NaN,"type":"log"}"#, "Invalid JSON body"),
    ] {
        let (status, answer) = server.try_post("a", "trace", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert!(answer["error"].as_str().unwrap().starts_with(said), "{body}: {answer}");
    }
    let body = r#"{"type":"log","request_id":"once","args":1}"#;
    let (first, second) = (server.try_post("a", "trace", body).await.1, server.try_post("a", "trace", body).await.1);
    assert_eq!(first, second);
    assert_eq!(server.status("a").await["total_events"], 1);
}
