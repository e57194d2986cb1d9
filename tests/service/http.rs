//! The documented HTTP contract, body by body.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::TestServer;

#[tokio::test]
async fn trace_answers_as_documented() {
    let server = TestServer::start().await;
    let answer = server.post("a", "trace", json!({"type": "prompt", "data": {"text": "hi"}})).await;
    let expected = json!({
        "status": "recorded", "total": 1, "seq": 1, "run_id": "", "node_id": "n1", "outcome": "not_held",
        "held_ms": 0, "decision": {"action": "proceed"},
    });
    assert_eq!(answer, expected);
    let unpaired = server.post("a", "trace", json!({"type": "tool_result"})).await;
    assert_eq!((&unpaired["node_id"], &unpaired["total"]), (&Value::Null, &json!(2)));
}

#[tokio::test]
async fn the_verbs_answer_as_documented() {
    let server = TestServer::start().await;
    server.log("a", json!({})).await;
    server.log("a", json!({})).await;
    assert_eq!(server.post("a", "step", Value::Null).await, json!({"status": "stepped", "pos": 1}));
    assert_eq!(server.post("a", "step", json!({})).await, json!({"status": "stepped", "pos": 2}));
    assert_eq!(server.post("a", "step", Value::Null).await, json!({"status": "stepped", "pos": 2}));
    assert_eq!(server.post("a", "continue", Value::Null).await, json!({"status": "continued", "pos": 2}));
    assert_eq!(server.post("a", "pause", Value::Null).await, json!({"status": "paused", "pos": 2}));
    assert_eq!(server.post("a", "clear", Value::Null).await, json!({"status": "cleared"}));
    assert_eq!(server.post("a", "step", Value::Null).await, json!({"status": "stepped", "pos": 0}));
}

#[tokio::test]
async fn status_answers_as_documented() {
    let server = TestServer::start().await;
    server.post("a", "trace", json!({"type": "prompt", "run_id": "r", "run_end": true})).await;
    let mut status = server.status("a").await;
    let epoch = status["epoch"].take();
    assert_eq!(epoch.as_str().map(str::len), Some(16));
    let expected = json!({
        "agent_id": "a", "total_events": 1, "position": 0, "has_listener": false, "mode": "detached",
        "debuggers": 0, "observers": 0, "held": [], "first_seq": 1, "last_seq": 1, "dropped_events": 0, "epoch": null,
        "runs": [{"run_id": "r", "mode": "detached", "finished": true, "events": 1, "held": 0}],
    });
    assert_eq!(status, expected);
}

#[tokio::test]
async fn an_agent_never_seen_answers_zeros_and_is_not_made() {
    let server = TestServer::start().await;
    let expected = json!({
        "agent_id": "ghost", "total_events": 0, "position": 0, "has_listener": false, "mode": "detached",
        "debuggers": 0, "observers": 0, "held": [], "first_seq": 0, "last_seq": 0, "dropped_events": 0, "epoch": "",
        "runs": [],
    });
    assert_eq!(server.status("ghost").await, expected);
    assert_eq!(server.post("ghost", "step", Value::Null).await, json!({"status": "stepped", "pos": 0}));
    assert_eq!(server.post("ghost", "continue", Value::Null).await, json!({"status": "continued", "pos": 0}));
    assert_eq!(server.post("ghost", "clear", Value::Null).await, json!({"status": "cleared"}));
    assert_eq!(server.get("ghost", "trace").await, json!({"events": [], "next_page_token": ""}));
    let (_, agents) = server.answer(server.http.get(format!("{}/agents", server.url))).await;
    assert_eq!(agents, json!({"agents": [], "next_page_token": ""}));
}

#[tokio::test]
async fn an_event_frame_gives_everything_back() {
    let server = TestServer::start().await;
    let sent = json!({
        "type": "tool_call", "data": {"b": 1, "a": [null, true]}, "run_id": "r", "node_id": "n", "parent_id": "p",
        "name": "read", "start_ts": 1_700_000_000.123, "end_ts": 1_700_000_001.5, "duration_ms": 1377.25,
        "token_count": 30, "input_tokens": 10, "output_tokens": 20, "model": "m", "latency_ms": 12,
        "replay_checkpoint": true, "checkpoint_id": "c", "metadata": {"k": 9_007_199_254_740_993_u64},
        "effect": "read", "match_key": "key", "run_end": true, "accepts": ["edit"], "hold": "never",
        "hold_timeout_ms": 5, "request_id": "q",
    });
    server.post("a", "trace", sent.clone()).await;
    let mut sse = server.sse("a", "?mode=observe").await;
    let frame = sse.event().await;
    let mut got = frame.data.clone();
    assert!(got["ts"].take().as_f64().unwrap() > 1.7e9);
    let mut expected = sent;
    for control in ["accepts", "hold", "hold_timeout_ms", "request_id"] {
        expected.as_object_mut().unwrap().remove(control);
    }
    expected["seq"] = json!(1);
    expected["ts"] = Value::Null;
    expected["origin"] = json!("live");
    assert_eq!(got, expected);
}

#[tokio::test]
async fn what_was_not_reported_is_null_and_the_times_are_filled_in() {
    let server = TestServer::start().await;
    server.post("a", "trace", json!({"type": "response", "data": null, "model": null, "start_ts": null})).await;
    let frame = server.sse("a", "?mode=observe").await.event().await.data;
    assert_eq!(frame["data"], json!({}));
    assert_eq!(frame["start_ts"], frame["ts"]);
    for absent in [
        "node_id",
        "parent_id",
        "name",
        "end_ts",
        "duration_ms",
        "token_count",
        "input_tokens",
        "output_tokens",
        "model",
        "latency_ms",
        "replay_checkpoint",
        "checkpoint_id",
        "metadata",
    ] {
        assert_eq!(frame.get(absent), Some(&Value::Null), "{absent}");
    }
    for control in ["total", "accepts", "hold", "hold_timeout_ms", "request_id"] {
        assert_eq!(frame.get(control), None, "{control}");
    }
}

#[tokio::test]
async fn data_comes_back_digit_for_digit_and_key_for_key() {
    let server = TestServer::start().await;
    let data = r#"{"z":12345678901234567890.123456789,"a":1.0,"e":1E+2,"n":-0,"u":"\u00e9 é \ud83d\ude00","a":2}"#;
    let (status, _) = server.try_post("a", "trace", format!("{{\"type\":\"log\",\"data\":{data}}}")).await;
    assert_eq!(status, StatusCode::OK);
    let pretty = "{\n  \"k\": \"line\\nbreak\"\r\n}";
    server.try_post("a", "trace", format!("{{\"type\":\"log\",\"data\":{pretty}}}")).await;
    let mut sse = server.sse("a", "?mode=observe").await;
    let raw = sse.event().await.raw;
    assert!(raw.contains(&format!("\"data\":{data},")), "{raw}");
    assert_eq!(sse.event().await.data["data"], json!({"k": "line\nbreak"}));
}

#[tokio::test]
async fn labels_are_also_looked_for_in_data() {
    let server = TestServer::start().await;
    for data in [
        json!({"node_id": "n", "parent_id": "p", "name": "x", "tool": "y"}),
        json!({"tool": "y", "function": "z"}),
        json!({"function": "z"}),
        json!({"function": {"name": "deep"}, "node_id": 5}),
    ] {
        server.log("a", data).await;
    }
    let mut sse = server.sse("a", "?mode=observe").await;
    let mut labels = Vec::new();
    for _ in 0..4 {
        let frame = sse.event().await.data;
        labels.push((frame["node_id"].clone(), frame["parent_id"].clone(), frame["name"].clone()));
    }
    let null = || Value::Null;
    let expected = [
        (json!("n"), json!("p"), json!("x")),
        (null(), null(), json!("y")),
        (null(), null(), json!("z")),
        (null(), null(), null()),
    ];
    assert_eq!(labels, expected);
}

#[tokio::test]
async fn every_bad_body_is_a_400_that_names_the_field() {
    let server = TestServer::start().await;
    let long = "x".repeat(201);
    let deep = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    for (body, error) in [
        ("", "Invalid JSON body"),
        ("{", "Invalid JSON body"),
        ("nonsense", "Invalid JSON body"),
        ("{\"type\":\"log\",}", "Invalid JSON body"),
        ("[]", "body must be a JSON object"),
        ("\"log\"", "body must be a JSON object"),
        ("{\"type\":\"garbage\"}", "Unknown event type: garbage"),
        ("{\"type\":\"PROMPT\"}", "Unknown event type: PROMPT"),
        ("{\"type\":\"unspecified\"}", "Unknown event type: unspecified"),
        ("{}", "Unknown event type: unknown"),
        ("{\"type\":null}", "Unknown event type: unknown"),
        ("{\"type\":5}", "type"),
        ("{\"type\":\"log\",\"data\":[]}", "data must be a JSON object"),
        ("{\"type\":\"log\",\"data\":\"x\"}", "data must be a JSON object"),
        ("{\"type\":\"log\",\"metadata\":1}", "metadata must be a JSON object"),
        ("{\"type\":\"log\",\"token_count\":-1}", "token_count"),
        ("{\"type\":\"log\",\"input_tokens\":1.5}", "input_tokens"),
        ("{\"type\":\"log\",\"start_ts\":\"now\"}", "start_ts"),
        ("{\"type\":\"log\",\"end_ts\":1e300}", "end_ts"),
        ("{\"type\":\"log\",\"duration_ms\":1e300}", "duration_ms"),
        ("{\"type\":\"log\",\"hold_timeout_ms\":-1}", "hold_timeout_ms"),
        ("{\"type\":\"log\",\"replay_checkpoint\":\"yes\"}", "replay_checkpoint"),
        ("{\"type\":\"log\",\"accepts\":[\"dance\"]}", "accepts"),
        ("{\"type\":\"log\",\"accepts\":\"edit\"}", "accepts"),
        ("{\"type\":\"log\",\"hold\":\"maybe\"}", "hold"),
        ("{\"type\":\"log\",\"effect\":\"huge\"}", "effect"),
        (&format!("{{\"type\":\"log\",\"run_id\":\"{long}\"}}"), "run_id"),
        (&format!("{{\"type\":\"log\",\"node_id\":\"{long}\"}}"), "node_id"),
        ("{\"type\":\"log\",\"name\":\"a\\u0000b\"}", "name"),
        (&format!("{{\"type\":\"log\",\"data\":{{\"d\":{deep}}}}}"), "data"),
    ] {
        let (status, answer) = server.try_post("a", "trace", body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}: {answer}");
        let said = answer["error"].as_str().unwrap();
        assert!(said.starts_with(error), "{body}: {said}");
        assert_eq!((&answer["status"], &answer["detail"]), (&json!(400), &answer["error"]));
    }
    assert_eq!(server.status("a").await["total_events"], 0);
    for (verb, body) in [("step", "[1]"), ("step", "{\"seq\":0}"), ("continue", "{\"run_id\":5}"), ("release", "{}")] {
        let (status, answer) = server.try_post("a", verb, body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{verb} {body}: {answer}");
    }
}

#[tokio::test]
async fn agent_ids_are_bounded_and_may_be_anything_else() {
    let server = TestServer::start().await;
    let long = "x".repeat(201);
    for id in ["a%2Fb", "%00", "a%0Ab", "%2E", "%2E%2E", "a%7F", &long, "%FF"] {
        let (status, answer) = server.try_post(id, "trace", "{\"type\":\"log\"}").await;
        assert!(matches!(status.as_u16(), 400 | 404), "{id}: {status} {answer}");
    }
    for id in ["%D0%B0%D0%B3%D0%B5%D0%BD%D1%82", "a%20b", "%3Cscript%3E", "...", "a%25b"] {
        server.post(id, "trace", json!({"type": "log"})).await;
    }
    let (_, agents) = server.answer(server.http.get(format!("{}/agents?page_size=2", server.url))).await;
    let ids: Vec<_> = agents["agents"].as_array().unwrap().iter().map(|agent| agent["agent_id"].clone()).collect();
    assert_eq!(ids, ["...", "<script>"]);
    let next = agents["next_page_token"].as_str().unwrap();
    let url = format!("{}/agents", server.url);
    let (_, rest) = server.answer(server.http.get(url).query(&[("page_token", next)])).await;
    assert_eq!(rest["agents"].as_array().unwrap().len(), 3);
    assert_eq!(rest["next_page_token"], "");
}

#[tokio::test]
async fn errors_of_the_transport_have_the_same_shape() {
    let server = TestServer::start().await;
    let url = |path: &str| format!("{}{path}", server.url);
    for (request, expected) in [
        (server.http.get(url("/nothing/here")), 404),
        (server.http.delete(url("/agents")), 405),
        (server.http.get(url("/agents?page_size=many")), 400),
        (server.http.get(url("/agents?page_size=-1")), 400),
        (server.http.get(url("/agent/a/debug/events?mode=steer")), 400),
        (server.http.get(url("/agent/a/debug/events?after=nonsense")), 400),
        (server.http.post(url("/agent/a/debug/trace")).body(vec![b' '; 5 * 1024 * 1024]), 413),
    ] {
        let (status, answer) = server.answer(request).await;
        assert_eq!(status.as_u16(), expected, "{answer}");
        assert!(answer["error"].is_string() && answer["title"].is_string(), "{answer}");
        assert_eq!(answer["status"], expected);
    }
    for (path, field) in [
        ("/agents?page_size=many", "page_size"),
        ("/agent/a/debug/events?pause_on_attach=1", "pause_on_attach"),
        ("/agent/%FF/debug/status", "agent_id"),
    ] {
        let (status, answer) = server.answer(server.http.get(url(path))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(answer["error"].as_str().unwrap().contains(field), "{path}: {answer}");
    }
    let request = server.http.get(url("/nothing")).header("accept", "application/problem+json");
    assert_eq!(request.send().await.unwrap().headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn the_record_is_read_page_by_page_with_its_decisions() {
    let server = TestServer::start().await;
    let debugger = server.attach("a").await;
    let held = server.held("a", json!({"type": "tool_call", "run_id": "r"})).await;
    server.post("a", "step", Value::Null).await;
    held.answer().await;
    drop(debugger);
    for _ in 0..4 {
        server.log("a", json!({})).await;
    }
    let first = server.get("a", "trace?page_size=2").await;
    let events = first["events"].as_array().unwrap();
    assert_eq!((events.len(), &events[0]["seq"], &events[0]["decision"]["outcome"]), (2, &json!(1), &json!("stepped")));
    assert_eq!(events[1]["decision"], Value::Null);
    let token = first["next_page_token"].as_str().unwrap();
    let rest = server.get("a", &format!("trace?page_token={token}")).await;
    let seqs: Vec<_> = rest["events"].as_array().unwrap().iter().map(|event| event["seq"].clone()).collect();
    assert_eq!(seqs, [3, 4, 5]);
    assert_eq!(rest["next_page_token"], "");
    assert_eq!(server.get("a", "trace?run_id=r").await["events"].as_array().unwrap().len(), 1);
    server.post("a", "clear", Value::Null).await;
    let url = format!("{}/agent/a/debug/trace?page_token={token}", server.url);
    let (status, _) = server.answer(server.http.get(url)).await;
    assert_eq!(status, StatusCode::GONE);
}

#[tokio::test]
async fn the_page_is_html_under_a_strict_policy() {
    let server = TestServer::start().await;
    for path in ["/", "/agent/some%20agent/debug"] {
        let response = server.http.get(format!("{}{path}", server.url)).send().await.unwrap();
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
        let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let html = response.text().await.unwrap();
        let title = html.split("<title>").nth(1).unwrap().split("</title>").next().unwrap();
        assert!(title.contains("Agent Debugger"), "{title}");
    }
}

#[tokio::test]
async fn operators_are_answered() {
    let server = TestServer::start().await;
    server.log("a", json!({"secret": "payload-text"})).await;
    let (_, health) = server.answer(server.http.get(format!("{}/healthz", server.url))).await;
    let (_, ready) = server.answer(server.http.get(format!("{}/readyz", server.url))).await;
    assert_eq!((health, ready), (json!("ok\n"), json!("ready\n")));
    let (_, metrics) = server.answer(server.http.get(format!("{}/metrics", server.url))).await;
    let metrics = metrics.as_str().unwrap();
    for line in ["agent_debugger_traces_total 1", "agent_debugger_agents 1", "agent_debugger_held 0"] {
        assert!(metrics.lines().any(|got| got == line), "{line} in {metrics}");
    }
    assert!(metrics.contains("agent_debugger_rpc_seconds_count{rpc=\"Trace\"} 1"), "{metrics}");
    assert!(!metrics.contains("payload-text"));
}

/// The contract as OpenAPI has it. `UPDATE_SNAPSHOTS=1 cargo test` writes it anew; read the difference.
#[tokio::test]
async fn the_openapi_document_is_the_one_in_the_repository() {
    let server = TestServer::start().await;
    let (_, document) = server.answer(server.http.get(format!("{}/openapi.json", server.url))).await;
    assert_eq!(document["openapi"], "3.1.0");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/service/openapi.json");
    let text = serde_json::to_string_pretty(&document).unwrap() + "\n";
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert!(std::fs::read_to_string(path).unwrap() == text, "the HTTP contract changed: see {path}");
}
