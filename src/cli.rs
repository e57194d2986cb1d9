//! The terminal side: clients of the public contract, as any other program could be one.
//!
//! ```text
//!  agents  compare  file   fork ─▶ run   tail   attach ◀─ command ◀─ prompt     what somebody types
//!     │       │       │      │      │      │      │
//!     │       │       │      │      └──────┴──────┴─▶ follow                   the stream, reconnected
//!     └───────┴───────┴──────┴─▶ connect ◀──────────────┘                      one channel, the token, TLS
//!
//!  frames ─▶ proto::json | text ─▶ escape ─▶ output           what a terminal gets to see
//! ```
//!
//! Invariants: nothing here knows more of the service than its proto; whatever came from an agent is escaped before
//! it reaches a terminal; a client that goes away is a detach, so nothing here ends an agent.

mod agents;
pub mod args;
mod attach;
mod command;
mod compare;
mod completions;
mod connect;
mod escape;
mod file;
mod follow;
mod fork;
mod health;
mod output;
mod prompt;
mod run;
pub mod serve;
mod spec;
mod tail;
mod text;
mod tree;
mod verb;
mod view;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Command;
use tonic::Status;

use args::{Client, Describe};

/// Why a command ends early.
#[derive(Debug, thiserror::Error)]
enum Problem {
    /// The command line, or what it names, cannot be used.
    #[error("{0}")]
    Usage(String),
    #[error("cannot reach the service at {url}: {cause}")]
    Unreachable { url: String, cause: String },
    /// The service said no.
    #[error("{}", .0.message())]
    Refused(#[from] Status),
    #[error("{0}")]
    Failed(String),
    /// What was printed cannot be written.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}

/// Runs a client command to its end, and says how the process exits: 2 for usage, 1 for the rest that fails.
pub async fn run(client: Client) -> ExitCode {
    exit(match client {
        Client::Agents(args) => agents::run(args).await,
        Client::Tail(args) => tail::run(args).await,
        Client::Run(args) => run::run(args).await,
        Client::Attach(args) => attach::run(args).await,
        Client::Fork(args) => fork::run(*args).await,
        Client::Compare(args) => compare::run(args).await,
        Client::Export(args) => file::export(args).await,
        Client::Import(args) => file::import(args).await,
        Client::Health(args) => health::run(args).await,
    })
}

/// Prints or writes what describes the program, whose whole command line is given.
pub fn describe(command: Command, what: Describe) -> ExitCode {
    exit(match what {
        Describe::Completions { shell } => completions::script(command, shell),
        Describe::Man { dir: None } => completions::page(command),
        Describe::Man { dir: Some(dir) } => completions::pages(command, &dir),
    })
}

fn exit(ended: Result<ExitCode, Problem>) -> ExitCode {
    match ended {
        Ok(code) => code,
        // The reader has seen enough, like `| head`.
        Err(Problem::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(problem) => {
            say(&problem.to_string());
            ExitCode::from(if matches!(problem, Problem::Usage(_)) { 2 } else { 1 })
        }
    }
}

/// A line on stderr. Nobody may be reading it.
fn say(text: &str) {
    say_plainly(&format!("agent-debugger: {}", escape::text(text)));
}

/// The same, of text that was escaped and says itself where it comes from.
fn say_plainly(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Eight digits that nobody else has, as far as chance goes.
fn random_id() -> Result<String, Problem> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes).map_err(|error| Problem::Failed(format!("no random id: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
