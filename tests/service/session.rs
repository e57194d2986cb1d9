//! One debugging session by script, over gRPC and over HTTP: stop at a tool, edit its input, step over the sub-agent
//! that it calls, answer the next tool by hand, stop at the third identical call, end the run.
//!
//! `tests/fixtures/session.json` is what the record must tell afterwards. The page and the terminal are held to the
//! same file by their own suites.

use agent_debugger::proto::{self, release_request::Action};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::support::{TestServer, held_seqs, soon};

type Client = proto::debugger_service_client::DebuggerServiceClient<Channel>;

/// Reports a step over HTTP and returns the decision.
async fn report(http: &reqwest::Client, url: &str, body: Value) -> Value {
    let mut body = body;
    body["run_id"] = json!("trip");
    body["accepts"] = json!(["edit", "fulfil", "fail", "abort"]);
    let answer = http.post(url).body(body.to_string()).send().await.unwrap();
    answer.json::<Value>().await.unwrap()["decision"].clone()
}

/// The agent: it plans, delegates to a sub-agent, books, and then polls until somebody stops it.
async fn agent(server: &TestServer) -> Vec<Value> {
    let (http, url) = (server.http.clone(), format!("{}/agent/traveller/debug/trace", server.url));
    let mut told = Vec::new();
    let research = json!({"node_id": "research", "name": "research"});
    let sub = json!({"node_id": "sub", "parent_id": "research"});
    let search = json!({"node_id": "search", "parent_id": "sub", "name": "search"});
    for (kind, at, data) in [
        ("prompt", json!({}), json!({"text": "Plan a trip"})),
        ("tool_call", research.clone(), json!({"city": "Lisbon", "days": 2})),
        ("prompt", sub.clone(), json!({"text": "What to see?"})),
        ("tool_call", search.clone(), json!({"q": "Lisbon"})),
        ("tool_result", search, json!({"hits": 3})),
        ("response", sub, json!({"text": "The tower"})),
        ("tool_result", research, json!({"see": ["the tower"]})),
        ("tool_call", json!({"node_id": "book", "name": "book"}), json!({"hotel": "Tejo"})),
    ] {
        let mut body = at;
        (body["type"], body["data"]) = (json!(kind), data);
        told.push(report(&http, &url, body).await);
    }
    loop {
        let call = json!({"type": "tool_call", "name": "poll", "data": {"id": 7}});
        let decision = report(&http, &url, call).await;
        let over = decision["action"] == "abort";
        told.push(decision);
        if over {
            return told;
        }
        report(&http, &url, json!({"type": "tool_result", "name": "poll", "data": {"ready": false}})).await;
    }
}

/// The debugger, over one transport.
enum Debugger {
    Http,
    Grpc(Box<Client>),
}

impl Debugger {
    async fn step(&mut self, server: &TestServer, granularity: &str) {
        match self {
            Self::Http => drop(server.post("traveller", "step", json!({"granularity": granularity})).await),
            Self::Grpc(client) => {
                let name = format!("STEP_GRANULARITY_{}", granularity.to_uppercase());
                let granularity = proto::StepGranularity::from_str_name(&name).unwrap().into();
                let step = proto::StepRequest { agent_id: "traveller".into(), granularity, ..Default::default() };
                client.step(step).await.unwrap();
            }
        }
    }

    async fn verb(&mut self, server: &TestServer, verb: &str) {
        let agent_id = String::from("traveller");
        match (self, verb) {
            (Self::Http, _) => drop(server.post("traveller", verb, Value::Null).await),
            (Self::Grpc(client), "continue") => {
                drop(client.r#continue(proto::ContinueRequest { agent_id, run_id: None }).await.unwrap());
            }
            (Self::Grpc(client), _) => {
                drop(client.pause(proto::PauseRequest { agent_id, run_id: None }).await.unwrap())
            }
        }
    }

    async fn release(&mut self, server: &TestServer, seq: u64, action: &str, text: &str) {
        match self {
            Self::Http => {
                let (key, value) = match action {
                    "abort" => ("reason", json!(text).to_string()),
                    _ => ("data", text.to_owned()),
                };
                let body = format!("{{\"seq\":{seq},\"action\":\"{action}\",\"{key}\":{value}}}");
                let (status, answer) = server.try_post("traveller", "release", body).await;
                assert!(status.is_success(), "{answer}");
            }
            Self::Grpc(client) => {
                let text = text.to_owned();
                let action = match action {
                    "edit" => Action::Edit(proto::Edit {
                        payload: Some(proto::edit::Payload::DataJson(text)),
                        ..Default::default()
                    }),
                    "fulfil" => Action::Fulfil(proto::Fulfil { payload: Some(proto::fulfil::Payload::DataJson(text)) }),
                    _ => Action::Abort(proto::Abort { reason: text }),
                };
                let request = proto::ReleaseRequest { agent_id: "traveller".into(), seq, action: Some(action) };
                client.release(request).await.unwrap();
            }
        }
    }

    async fn break_at(&mut self, server: &TestServer, name: &str, condition: &str) {
        match self {
            Self::Http => {
                let body = json!({"types": ["tool_call"], "name": name, "condition": condition});
                server.post("traveller", "breakpoints", body).await;
            }
            Self::Grpc(client) => {
                let breakpoint = proto::Breakpoint {
                    types: vec![proto::EventType::ToolCall.into()],
                    name: name.into(),
                    condition: condition.into(),
                    ..Default::default()
                };
                let agent_id = "traveller".into();
                let request = proto::CreateBreakpointRequest { agent_id, breakpoint: Some(breakpoint) };
                client.create_breakpoint(request).await.unwrap();
            }
        }
    }
}

async fn session(mut debugger: Debugger, server: &TestServer) {
    let _attached = server.attach("traveller").await;
    debugger.break_at(server, "research", "").await;
    debugger.verb(server, "continue").await;
    let stands = async |seq: u64| {
        server.until("traveller", &format!("a hold at {seq}"), |status| held_seqs(status) == [seq]).await
    };
    let script = async {
        let status = stands(2).await;
        assert_eq!(status["held"][0]["breakpoint_ids"], json!(["b1"]));
        debugger.verb(server, "pause").await;
        debugger.release(server, 2, "edit", r#"{"city":"Lisbon","days":9007199254740993}"#).await;
        stands(3).await;
        debugger.step(server, "over").await;
        stands(6).await;
        debugger.step(server, "out").await;
        stands(7).await;
        debugger.step(server, "into").await;
        stands(8).await;
        debugger.release(server, 8, "fulfil", r#"{"booked":true}"#).await;
        stands(9).await;
        debugger.break_at(server, "", "repeats >= 3").await;
        debugger.verb(server, "continue").await;
        stands(13).await;
        debugger.release(server, 13, "abort", "it polls for ever").await;
    };
    let (told, ()) = soon("the session", async { tokio::join!(agent(server), script) }).await;
    assert_eq!(told[1], json!({"action": "edit", "data": {"city": "Lisbon", "days": 9_007_199_254_740_993_u64}}));
    assert_eq!(told[7], json!({"action": "fulfil", "data": {"booked": true}}));
    assert_eq!(told.last(), Some(&json!({"action": "abort", "reason": "it polls for ever"})));

    let expected: Value = serde_json::from_str(include_str!("../fixtures/session.json")).unwrap();
    let page = server.get("traveller", "trace").await;
    let record: Vec<_> = page["events"].as_array().unwrap().iter().map(line).collect();
    assert_eq!(Value::Array(record), expected);
}

/// An event as the fixture has it.
fn line(event: &Value) -> Value {
    let ended = event["decision"].as_object().map(|ended| {
        format!("{} {}", ended["outcome"].as_str().unwrap(), ended["decision"]["action"].as_str().unwrap())
    });
    json!([event["seq"], event["type"], event["name"], ended])
}

#[tokio::test]
async fn a_session_over_http_leaves_the_record_of_the_fixture() {
    let server = TestServer::start().await;
    session(Debugger::Http, &server).await;
}

#[tokio::test]
async fn a_session_over_grpc_leaves_the_record_of_the_fixture() {
    let server = TestServer::start().await;
    let client = server.grpc().await;
    session(Debugger::Grpc(Box::new(client)), &server).await;
}
