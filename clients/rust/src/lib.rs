//! Reports the steps of an AI agent to agent-debugger and obeys what is decided about them.
//!
//! A [`Debugger`] is one run's way to the service. [`Debugger::prompt`] and [`Debugger::tool`] stand around a model call
//! and a tool call: they report what is about to happen, wait while it is held, and then run it, run it with other
//! input, answer it without running it, fail it, or end the run, as it was decided. [`Debugger::step`] reports any other
//! step and returns the decision.
//!
//! ```no_run
//! use agent_debugger_client::{CallError, Debugger, proto::Effect};
//! use serde_json::{Value, json};
//!
//! # async fn ask_model(prompt: Value) -> Result<Value, std::io::Error> { Ok(prompt) }
//! # async fn search(input: Value) -> Result<Value, std::io::Error> { Ok(input) }
//! # async fn agent() -> Result<(), CallError<std::io::Error>> {
//! let debugger = Debugger::from_env("researcher").expect("AGENT_DEBUGGER_URL is a URL");
//! let prompt = json!({"model": "large-1", "messages": [{"role": "user", "content": "Who wrote this?"}]});
//! let reply = debugger.prompt(prompt, ask_model).await?;
//! let found = debugger.tool("search", Effect::Read, reply["input"].clone(), search).await?;
//! # let _ = debugger.end(&found).await;
//! # Ok(())
//! # }
//! ```
//!
//! # Without a debugger
//!
//! Where nothing listens, steps run as if this crate was not there, and one line on stderr says so. A *refusal* is
//! never taken for an absence: a step that the service refuses must not run, since the reason may be an input that was
//! chosen to be refused.
//!
//! | what the call met | what becomes of the step |
//! |---|---|
//! | nothing listens: connection refused, no such host, no route | it runs; with `AGENT_DEBUGGER_REQUIRED`, [`Stopped::Absent`] |
//! | an error for this step, or a step that cannot be sent at all | [`Stopped::Refused`] |
//! | ABORTED | [`Stopped::Aborted`]: the run ends |
//! | UNAVAILABLE | asked again with its `request_id` for 10 s, then as if nothing listened |
//! | the connection is lost | asked again in the same way; then [`Stopped::Lost`] if the step had been waiting, else as if nothing listened |
//! | RESOURCE_EXHAUSTED with the reason `AGENT_LIMIT` | as if nothing listened |
//!
//! # The wire
//!
//! [`proto`] has the messages and the client of the whole contract, for programs that debug rather than report.

mod call;
mod config;
mod debugger;
pub mod proto;
mod step;
mod stopped;
mod trouble;

pub use self::{
    call::CallError,
    config::{Config, ConfigError},
    debugger::Debugger,
    step::{Action, Step, Told},
    stopped::Stopped,
};
