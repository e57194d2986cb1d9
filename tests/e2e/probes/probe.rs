//! Reports one tool call with the client crate and prints what its agent was told.

use std::{env, error::Error};

use agent_debugger_client::{
    Action, Debugger, Step, Stopped,
    proto::{EventType, Verb},
};
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let kind = env::args().nth(1).unwrap_or_default();
    let step = match kind.as_str() {
        "sizeable" => tool_call(&json!({"text": "x".repeat(34 * MIB / 10)})),
        "large" => tool_call(&json!({"text": "x".repeat(36 * MIB / 10)})),
        "huge" => tool_call(&json!({"text": "x".repeat(5 * MIB)})),
        "deep" => tool_call(&(0..69).fold(json!({}), |data, _| json!({"deeper": data}))),
        // A Value cannot hold it.
        "nan" => Step::json(EventType::ToolCall, "{\"amount\":NaN}"),
        "list" => tool_call(&json!([1])),
        "foreign" => Step::json(EventType::ToolCall, "\u{0}"),
        _ => tool_call(&json!({"amount": 1})),
    };
    let name = match kind.as_str() {
        "long_name" => "x".repeat(201),
        "huge_name" => "x".repeat(5 * MIB),
        _ => "pay".into(),
    };
    let step = step.name(name).accepts(&[Verb::Edit, Verb::Fulfil, Verb::Fail, Verb::Abort]);
    let told = match Debugger::from_env("probe")?.step(step).await {
        Ok(told) => json!({"told": match told.action {
            Action::Proceed => "proceed",
            Action::Edit { .. } => "edit",
            Action::Fulfil { .. } => "fulfil",
            Action::Fail { .. } => "fail",
        }}),
        Err(Stopped::Aborted { reason }) => json!({"told": "aborted", "why": reason}),
        Err(stopped) => json!({"told": "refused", "why": stopped.to_string()}),
    };
    println!("{told}");
    Ok(())
}

fn tool_call(data: &Value) -> Step {
    Step::new(EventType::ToolCall, data)
}
