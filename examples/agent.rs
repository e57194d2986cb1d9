//! A small agent over gRPC: it counts the calls of this project's contract, and can be debugged at every step.
//!
//! ```sh
//! cargo run --example agent
//! ```
//!
//! With `agent-debugger` running and its page open at <http://127.0.0.1:7117/agent/rust-example/debug>, the agent
//! waits at each step for you. Without it the agent says so once and runs to its end. `AGENT_DEBUGGER_URL`,
//! `AGENT_DEBUGGER_AGENT_ID`, `AGENT_DEBUGGER_RUN_ID` and `AGENT_DEBUGGER_TOKEN` configure it.
//!
//! The module `debugger` at the end is the part to copy.

use std::{error::Error, fs, path::Path};

use agent_debugger::proto::{EventType, Verb};
use debugger::{Aborted, Action, Debugger, Step};
use serde_json::{Value, json};

const QUESTION: &str = "How many calls does this project's contract have?";
/// What this agent obeys before a step; the debugger offers nothing else.
const BEFORE: &[Verb] = &[Verb::Edit, Verb::Fulfil, Verb::Fail, Verb::Abort];
/// What it obeys after one.
const AFTER: &[Verb] = &[Verb::Edit, Verb::Fail, Verb::Abort];

const MODEL_CALL: (EventType, EventType) = (EventType::Prompt, EventType::Response);
const TOOL_CALL: (EventType, EventType) = (EventType::ToolCall, EventType::ToolResult);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut debugger = Debugger::from_env("rust-example")?;
    let result = match run(&mut debugger).await {
        Ok(result) => result,
        Err(Aborted(reason)) => json!({"status": "aborted", "reason": reason}),
    };
    if !debugger.ended {
        // The run did not get as far as an answer. Its last event says that it is over; an aborted run answers
        // every later step with that abort again, which is no news.
        let end = Step { run_end: true, never_held: true, ..Step::new(EventType::Log, &result) };
        let _ = debugger.step(end).await;
    }
    println!("{result}");
    Ok(())
}

async fn run(debugger: &mut Debugger) -> Result<Value, Aborted> {
    let mut messages = vec![json!({"role": "user", "content": QUESTION})];
    loop {
        let prompt = json!({"model": "scripted-1", "messages": messages});
        let mut reply = traced(debugger, MODEL_CALL, "", prompt, think).await?;
        let Some(tool) = reply["call"].as_str() else {
            let failed = reply.get("error").is_some();
            reply["status"] = if failed { "failed" } else { "done" }.into();
            return Ok(reply);
        };
        let input = reply["input"].clone();
        let content = traced(debugger, TOOL_CALL, tool, input, |input| call(tool, input)).await?;
        messages.push(json!({"role": "tool", "tool": tool, "content": content}));
    }
}

/// One step of the agent: report it and obey, do it, report what came of it and obey again.
async fn traced(
    debugger: &mut Debugger,
    (opening, closing): (EventType, EventType),
    name: &str,
    mut input: Value,
    work: impl FnOnce(&Value) -> Result<Value, Box<dyn Error>>,
) -> Result<Value, Aborted> {
    let told = debugger.step(Step { name, accepts: BEFORE, ..Step::new(opening, &input) }).await?;
    let output = match told.action {
        Action::Fail { message } => Err(message.into()),
        Action::Fulfil { data } => Ok(data),
        Action::Edit { data, model } => {
            input = data.unwrap_or(input);
            if !model.is_empty() {
                input["model"] = model.into();
            }
            work(&input)
        }
        Action::Proceed => work(&input),
    };
    let node_id = told.node_id.as_str();
    match output {
        Err(error) => {
            let failed = json!({"error": error.to_string()});
            let step = Step { name, node_id, accepts: &[Verb::Abort], ..Step::new(EventType::Error, &failed) };
            debugger.step(step).await?;
            Ok(failed)
        }
        Ok(output) => {
            let run_end = output.get("answer").is_some();
            let step = Step { name, node_id, accepts: AFTER, run_end, ..Step::new(closing, &output) };
            Ok(match debugger.step(step).await?.action {
                Action::Edit { data: Some(data), .. } => data,
                Action::Fail { message } => json!({"error": message}),
                _ => output,
            })
        }
    }
}

/// The "model": it decides by rule, from the messages alone, so that every run is the same.
fn think(prompt: &Value) -> Result<Value, Box<dyn Error>> {
    let model = &prompt["model"];
    let last = prompt["messages"].as_array().and_then(|all| all.last()).ok_or("a prompt needs a message")?;
    let content = &last["content"];
    if last["role"] == "user" {
        return Ok(json!({"model": model, "call": "read_file", "input": {"path": "Cargo.toml"}}));
    }
    if let Some(error) = content["error"].as_str() {
        return Ok(json!({"model": model, "answer": format!("I could not find out: {error}")}));
    }
    if last["tool"] == "read_file" {
        let text = content["text"].as_str().ok_or("the file has no text")?;
        let name = text.lines().find_map(|line| line.strip_prefix("name = ")).ok_or("the file names no project")?;
        let path = format!("proto/{}/v1/debugger.proto", name.trim_matches('"').replace('-', "_"));
        return Ok(json!({"model": model, "call": "count_lines", "input": {"path": path, "start": "rpc "}}));
    }
    Ok(json!({"model": model, "answer": format!("The contract has {} calls.", content["count"])}))
}

/// Runs a tool on files of the repository.
fn call(tool: &str, input: &Value) -> Result<Value, Box<dyn Error>> {
    let path = input["path"].as_str().ok_or("no path")?;
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .map_err(|error| format!("{path}: {error}"))?;
    match tool {
        "read_file" => Ok(json!({"text": text})),
        "count_lines" => {
            let start = input["start"].as_str().ok_or("no start")?;
            Ok(json!({"count": text.lines().filter(|line| line.trim_start().starts_with(start)).count()}))
        }
        _ => Err(format!("no tool is named {tool}").into()),
    }
}

/// Reports an agent's steps to agent-debugger and returns what to do. Copy it into your own agent.
mod debugger {
    use std::{env, error::Error};

    use agent_debugger::proto::{
        Decision, EventType, HoldPolicy, TraceRequest, Verb, debugger_service_client::DebuggerServiceClient, decision,
        edit, fulfil, trace_request,
    };
    use serde_json::Value;
    use tonic::{
        Code, Request,
        transport::{Channel, Endpoint},
    };

    /// Somebody decided that the run ends here, and why.
    pub(crate) struct Aborted(pub(crate) String);

    /// What to do with a step, and the node to name on the event that closes it.
    pub(crate) struct Told {
        pub(crate) action: Action,
        pub(crate) node_id: String,
    }

    pub(crate) enum Action {
        Proceed,
        Edit { data: Option<Value>, model: String },
        Fulfil { data: Value },
        Fail { message: String },
    }

    pub(crate) struct Step<'a> {
        pub(crate) kind: EventType,
        pub(crate) data: &'a Value,
        pub(crate) name: &'a str,
        pub(crate) node_id: &'a str,
        pub(crate) accepts: &'a [Verb],
        pub(crate) run_end: bool,
        pub(crate) never_held: bool,
    }

    impl<'a> Step<'a> {
        pub(crate) fn new(kind: EventType, data: &'a Value) -> Self {
            Self { kind, data, name: "", node_id: "", accepts: &[], run_end: false, never_held: false }
        }
    }

    pub(crate) struct Debugger {
        /// Whether an event with `run_end` was reported.
        pub(crate) ended: bool,
        agent_id: String,
        run_id: String,
        token: Option<String>,
        client: DebuggerServiceClient<Channel>,
        complained: bool,
    }

    impl Debugger {
        /// Connects when the first step is reported.
        pub(crate) fn from_env(default_agent_id: &str) -> Result<Self, Box<dyn Error>> {
            let var = |name| env::var(name).ok().filter(|value| !value.is_empty());
            let url = var("AGENT_DEBUGGER_URL").unwrap_or_else(|| "http://127.0.0.1:7117".into());
            Ok(Self {
                ended: false,
                agent_id: var("AGENT_DEBUGGER_AGENT_ID").unwrap_or_else(|| default_agent_id.into()),
                run_id: var("AGENT_DEBUGGER_RUN_ID").unwrap_or_default(),
                token: var("AGENT_DEBUGGER_TOKEN"),
                client: DebuggerServiceClient::new(Endpoint::from_shared(url)?.connect_lazy()),
                complained: false,
            })
        }

        /// Reports one step, waits while it is held, and returns the decision.
        pub(crate) async fn step(&mut self, step: Step<'_>) -> Result<Told, Aborted> {
            self.ended |= step.run_end;
            let mut request = Request::new(TraceRequest {
                agent_id: self.agent_id.clone(),
                run_id: self.run_id.clone(),
                r#type: step.kind.into(),
                payload: Some(trace_request::Payload::DataJson(step.data.to_string())),
                name: step.name.into(),
                node_id: step.node_id.into(),
                model: step.data["model"].as_str().unwrap_or_default().into(),
                accepts: step.accepts.iter().map(|&verb| verb.into()).collect(),
                run_end: step.run_end,
                hold: if step.never_held { HoldPolicy::Never } else { HoldPolicy::Auto }.into(),
                ..TraceRequest::default()
            });
            if let Some(token) = self.token.as_deref().and_then(|token| format!("Bearer {token}").parse().ok()) {
                request.metadata_mut().insert("authorization", token);
            }
            // No deadline: the step may be held for as long as somebody looks at it.
            match self.client.trace(request).await {
                Ok(answer) => {
                    let answer = answer.into_inner();
                    Ok(Told { action: obey(answer.decision)?, node_id: answer.node_id })
                }
                // A stop for agents that do not say that they accept one.
                Err(status) if status.code() == Code::Aborted => Err(Aborted(status.message().into())),
                // Everything else fails open: a debugger that is away or broken must not stop the agent.
                Err(status) => {
                    if !self.complained {
                        eprintln!("going on without the debugger: {status}");
                        self.complained = true;
                    }
                    Ok(Told { action: Action::Proceed, node_id: String::new() })
                }
            }
        }
    }

    fn obey(decision: Option<Decision>) -> Result<Action, Aborted> {
        use decision::Action as Wire;
        Ok(match decision.and_then(|decision| decision.action) {
            None | Some(Wire::Proceed(_)) => Action::Proceed,
            Some(Wire::Edit(edit)) => {
                let data = match edit.payload {
                    Some(edit::Payload::DataJson(json)) => serde_json::from_str(&json).ok(),
                    _ => None,
                };
                Action::Edit { data, model: edit.model }
            }
            Some(Wire::Fulfil(fulfil)) => {
                let data = match fulfil.payload {
                    Some(fulfil::Payload::DataJson(json)) => serde_json::from_str(&json).unwrap_or_default(),
                    _ => Value::Null,
                };
                Action::Fulfil { data }
            }
            Some(Wire::Fail(fail)) => Action::Fail { message: fail.message },
            Some(Wire::Abort(abort)) => return Err(Aborted(abort.reason)),
        })
    }
}
