//! A small agent over gRPC: it counts the calls of this project's contract, and can be debugged at every step.
//!
//! ```sh
//! cargo run --example agent
//! ```
//!
//! With `agent-debugger` running and its page open at <http://127.0.0.1:7117/agent/rust-example/debug>, the agent
//! waits at each step for you. Without it the agent says so once and runs to its end. `AGENT_DEBUGGER_URL`,
//! `AGENT_DEBUGGER_AGENT_ID`, `AGENT_DEBUGGER_RUN_ID`, `AGENT_DEBUGGER_TOKEN` and `AGENT_DEBUGGER_REQUIRED` configure it.
//!
//! It takes nothing but the crate `agent-debugger-client`, in `clients/rust`.

use std::{error::Error, fs, path::Path};

use agent_debugger_client::{CallError, Debugger, Stopped, proto::Effect};
use serde_json::{Value, json};

const QUESTION: &str = "How many calls does this project's contract have?";

/// What a model call or a tool call of this agent may come to.
type Outcome = Result<Value, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let debugger = Debugger::from_env("rust-example")?;
    let result = match run(&debugger).await {
        Ok(reply) => json!({"status": "done", "model": reply["model"], "answer": reply["answer"]}),
        Err(CallError::Stopped(Stopped::Aborted { reason })) => json!({"status": "aborted", "reason": reason}),
        Err(error) => json!({"status": "failed", "error": error.to_string()}),
    };
    // Its last event says that the run is over, and what came of it. What stops this one has stopped the run.
    let _ = debugger.end(&result).await;
    println!("{result}");
    Ok(())
}

/// Asks the model and calls the tools that it names, until it answers.
async fn run(debugger: &Debugger) -> Result<Value, CallError<Box<dyn Error>>> {
    let mut messages = vec![json!({"role": "user", "content": QUESTION})];
    loop {
        let prompt = json!({"model": "scripted-1", "messages": messages});
        let reply = debugger.prompt(prompt, async |prompt| think(&prompt)).await?;
        let Some(tool) = reply["call"].as_str() else { return Ok(reply) };
        let input = reply["input"].clone();
        let content = match debugger.tool(tool, Effect::Read, input, async |input| call(tool, &input)).await {
            Ok(output) => output,
            // What stops a step stops the run; a tool that failed is the model's business.
            Err(CallError::Stopped(stopped)) => return Err(stopped.into()),
            Err(error) => json!({"error": error.to_string()}),
        };
        messages.push(json!({"role": "tool", "tool": tool, "content": content}));
    }
}

/// The "model": it decides by rule, from the messages alone, so that every run is the same.
fn think(prompt: &Value) -> Outcome {
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
fn call(tool: &str, input: &Value) -> Outcome {
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
