//! One script over gRPC, over HTTP, and mixed: equal results.

use agent_debugger::proto::{self, events_response::Frame};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tonic::{Streaming, transport::Channel};

use crate::support::{Sse, TestServer, frame, held_seqs, soon};

type Client = proto::debugger_service_client::DebuggerServiceClient<Channel>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Via {
    Grpc,
    Http,
}

/// A stream of frames, each as one line that both transports agree on.
enum Watch {
    Grpc(Box<Streaming<proto::EventsResponse>>),
    Http(Box<Sse>),
}

/// The caller's side of one transport.
struct Side<'a> {
    via: Via,
    server: &'a TestServer,
    grpc: Client,
}

fn name(text: &str, prefix: &str) -> String {
    text.strip_prefix(prefix).unwrap().to_lowercase()
}

fn decision(decision: Option<proto::Decision>) -> Value {
    use proto::decision::Action;
    match decision.unwrap().action.unwrap() {
        Action::Proceed(_) => json!({"action": "proceed"}),
        Action::Fulfil(fulfil) => match fulfil.payload {
            Some(proto::fulfil::Payload::DataJson(text)) => {
                json!({"action": "fulfil", "data": serde_json::from_str::<Value>(&text).unwrap()})
            }
            _ => panic!("the form in which the event came"),
        },
        other => panic!("not in this script: {other:?}"),
    }
}

impl Side<'_> {
    /// A Trace in a task of its own: what it was told, without the time.
    fn trace(&self, kind: &'static str, run: &str, data: &str, tool: Option<&str>) -> JoinHandle<Value> {
        let (run, data) = (run.to_owned(), data.to_owned());
        let tool = tool.map(str::to_owned);
        match self.via {
            Via::Grpc => {
                let mut client = self.grpc.clone();
                let request = proto::TraceRequest {
                    agent_id: "p".into(),
                    run_id: run,
                    r#type: proto::EventType::from_str_name(&format!("EVENT_TYPE_{}", kind.to_uppercase()))
                        .unwrap()
                        .into(),
                    payload: Some(proto::trace_request::Payload::DataJson(data)),
                    name: tool.unwrap_or_default(),
                    accepts: vec![proto::Verb::Fulfil.into()],
                    ..Default::default()
                };
                tokio::spawn(async move {
                    let answer = client.trace(request).await.unwrap().into_inner();
                    json!({
                        "seq": answer.seq, "total": answer.total, "run_id": answer.run_id,
                        "node_id": Some(&answer.node_id).filter(|id| !id.is_empty()),
                        "outcome": name(answer.outcome().as_str_name(), "OUTCOME_"),
                        "decision": decision(answer.decision),
                    })
                })
            }
            Via::Http => {
                let data: Value = serde_json::from_str(&data).unwrap();
                let body = json!({"type": kind, "run_id": run, "data": data, "name": tool, "accepts": ["fulfil"]});
                let request =
                    self.server.http.post(format!("{}/agent/p/debug/trace", self.server.url)).body(body.to_string());
                tokio::spawn(async move {
                    let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
                    let fields = answer.as_object_mut().unwrap();
                    assert_eq!(fields.remove("status"), Some(json!("recorded")));
                    assert!(fields.remove("held_ms").unwrap().is_number());
                    answer
                })
            }
        }
    }

    async fn verb(&mut self, verb: &str) -> u64 {
        let agent_id = String::from("p");
        match (self.via, verb) {
            (Via::Http, _) => self.server.post("p", verb, Value::Null).await["pos"].as_u64().unwrap_or_default(),
            (Via::Grpc, "step") => {
                let request = proto::StepRequest { agent_id, ..Default::default() };
                self.grpc.step(request).await.unwrap().into_inner().position
            }
            (Via::Grpc, "continue") => {
                let request = proto::ContinueRequest { agent_id, run_id: None };
                self.grpc.r#continue(request).await.unwrap().into_inner().position
            }
            (Via::Grpc, "pause") => {
                self.grpc.pause(proto::PauseRequest { agent_id, run_id: None }).await.unwrap().into_inner().position
            }
            (Via::Grpc, "clear") => {
                self.grpc.clear(proto::ClearRequest { agent_id }).await.unwrap();
                0
            }
            _ => panic!("{verb}"),
        }
    }

    async fn fulfil(&mut self, seq: u64, data: &str) -> u64 {
        match self.via {
            Via::Http => {
                let data: Value = serde_json::from_str(data).unwrap();
                let body = json!({"seq": seq, "action": "fulfil", "data": data});
                self.server.post("p", "release", body).await["pos"].as_u64().unwrap()
            }
            Via::Grpc => {
                let payload = Some(proto::fulfil::Payload::DataJson(data.into()));
                let action = Some(proto::release_request::Action::Fulfil(proto::Fulfil { payload }));
                let request = proto::ReleaseRequest { agent_id: "p".into(), seq, action };
                self.grpc.release(request).await.unwrap().into_inner().position
            }
        }
    }

    async fn status(&mut self) -> Value {
        match self.via {
            Via::Http => {
                let status = self.server.status("p").await;
                json!({
                    "total_events": status["total_events"], "position": status["position"],
                    "has_listener": status["has_listener"], "mode": status["mode"], "debuggers": status["debuggers"],
                    "held": status["held"].as_array().unwrap().iter().map(|held| json!([
                        held["seq"], held["run_id"], held["type"], held["name"].as_str().unwrap_or_default(),
                        held["reason"], held["accepts"],
                    ])).collect::<Vec<_>>(),
                    "first_seq": status["first_seq"], "last_seq": status["last_seq"],
                    "runs": status["runs"].as_array().unwrap().iter().map(|run| json!([
                        run["run_id"], run["mode"], run["finished"], run["events"], run["held"],
                    ])).collect::<Vec<_>>(),
                })
            }
            Via::Grpc => {
                let status =
                    self.grpc.status(proto::StatusRequest { agent_id: "p".into() }).await.unwrap().into_inner();
                let mode = |mode: proto::RunMode| name(mode.as_str_name(), "RUN_MODE_");
                json!({
                    "total_events": status.total_events, "position": status.position,
                    "has_listener": status.has_listener, "mode": mode(status.mode()), "debuggers": status.debuggers,
                    "held": status.held.iter().map(|held| json!([
                        held.seq, held.run_id, name(held.r#type().as_str_name(), "EVENT_TYPE_"), held.name,
                        name(held.reason().as_str_name(), "HOLD_REASON_"),
                        held.accepts().map(|verb| name(verb.as_str_name(), "VERB_")).collect::<Vec<_>>(),
                    ])).collect::<Vec<_>>(),
                    "first_seq": status.first_seq, "last_seq": status.last_seq,
                    "runs": status.runs.iter().map(|run| json!([
                        run.run_id, mode(run.mode()), run.finished, run.events, run.held,
                    ])).collect::<Vec<_>>(),
                })
            }
        }
    }

    async fn watch(&mut self) -> Watch {
        match self.via {
            Via::Http => Watch::Http(Box::new(self.server.sse("p", "").await)),
            Via::Grpc => {
                let request = proto::EventsRequest { agent_id: "p".into(), ..Default::default() };
                Watch::Grpc(Box::new(self.grpc.events(request).await.unwrap().into_inner()))
            }
        }
    }
}

impl Watch {
    /// The next frame that is no state: states are snapshots, of which any may be left out.
    async fn next(&mut self) -> Value {
        loop {
            let next = match self {
                Self::Http(sse) => {
                    let data = sse.next().await.data;
                    match data["type"].as_str().unwrap() {
                        "state" => continue,
                        "position" => json!(["position", data["pos"], data["total"]]),
                        "clear" => json!(["clear"]),
                        "decision" => json!(["decision", data["seq"], data["outcome"], data["decision"]]),
                        kind => json!([
                            "event",
                            data["seq"],
                            kind,
                            data["run_id"],
                            data["node_id"],
                            data["name"],
                            data["data"]
                        ]),
                    }
                }
                Self::Grpc(stream) => match frame(stream).await.frame.unwrap() {
                    Frame::State(_) => continue,
                    Frame::Position(at) => json!(["position", at.position, at.total]),
                    Frame::Cleared(_) => json!(["clear"]),
                    Frame::Gap(gap) => panic!("nothing was trimmed: {gap:?}"),
                    Frame::Forked(forked) => panic!("nobody forked: {forked:?}"),
                    Frame::Decision(made) => {
                        let outcome = name(made.outcome().as_str_name(), "OUTCOME_");
                        json!(["decision", made.seq, outcome, decision(made.decision)])
                    }
                    Frame::Event(event) => {
                        let kind = name(event.r#type().as_str_name(), "EVENT_TYPE_");
                        let given = |text: String| Some(text).filter(|text| !text.is_empty());
                        let Some(proto::event::Payload::DataJson(data)) = event.payload else { panic!("as it came") };
                        let data: Value = serde_json::from_str(&data).unwrap();
                        json!(["event", event.seq, kind, event.run_id, given(event.node_id), given(event.name), data])
                    }
                },
            };
            return next;
        }
    }

    async fn take(&mut self, count: usize, script: &mut Vec<Value>) {
        for _ in 0..count {
            script.push(self.next().await);
        }
    }
}

/// The agent on one transport, the debugger on another: everything that both of them see, in order.
async fn script(agent: Via, debugger: Via) -> Vec<Value> {
    let server = TestServer::start().await;
    let grpc = server.grpc().await;
    let agent = Side { via: agent, server: &server, grpc: grpc.clone() };
    let mut debugger = Side { via: debugger, server: &server, grpc };
    let mut seen = Vec::new();

    let first = agent.trace("log", "", r#"{"n":1}"#, None).await.unwrap();
    seen.extend([first, debugger.status().await]);
    let mut watch = debugger.watch().await;
    watch.take(2, &mut seen).await;

    let call = agent.trace("tool_call", "r", r#"{"path":"/tmp"}"#, Some("read"));
    watch.take(1, &mut seen).await;
    seen.push(debugger.status().await);
    seen.push(json!(debugger.verb("step").await));
    seen.push(soon("step", call).await.unwrap());
    watch.take(2, &mut seen).await;

    let result = agent.trace("tool_result", "r", r#"{"text":"x"}"#, None);
    watch.take(1, &mut seen).await;
    seen.push(json!(debugger.verb("continue").await));
    seen.push(soon("continue", result).await.unwrap());
    watch.take(2, &mut seen).await;
    seen.push(agent.trace("prompt", "r", "{}", None).await.unwrap());
    watch.take(1, &mut seen).await;

    seen.push(json!(debugger.verb("pause").await));
    let held = agent.trace("tool_call", "", "{}", Some("write"));
    watch.take(1, &mut seen).await;
    let seq = held_seqs(&server.status("p").await)[0];
    seen.push(debugger.status().await);
    seen.push(json!(debugger.fulfil(seq, r#"{"by":"hand"}"#).await));
    seen.push(soon("fulfil", held).await.unwrap());
    watch.take(2, &mut seen).await;

    let held = agent.trace("error", "", r#"{"message":"x"}"#, None);
    watch.take(1, &mut seen).await;
    seen.push(json!(debugger.verb("clear").await));
    seen.push(soon("clear", held).await.unwrap());
    watch.take(2, &mut seen).await;
    seen.push(debugger.status().await);
    seen
}

#[tokio::test]
async fn one_script_has_equal_results_over_both_transports_and_mixed() {
    let over_grpc = script(Via::Grpc, Via::Grpc).await;
    assert!(over_grpc.len() > 25, "the script ran: {over_grpc:#?}");
    for (agent, debugger) in [(Via::Http, Via::Http), (Via::Grpc, Via::Http), (Via::Http, Via::Grpc)] {
        let mixed = script(agent, debugger).await;
        for (number, (left, right)) in over_grpc.iter().zip(&mixed).enumerate() {
            assert_eq!(left, right, "line {number}, agent {agent:?}, debugger {debugger:?}");
        }
        assert_eq!(over_grpc.len(), mixed.len());
    }
}
