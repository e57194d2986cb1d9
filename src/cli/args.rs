//! The command line: the commands, and the flags of those that are clients.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use http::Uri;

use super::serve::ServeArgs;
use crate::proto::{Effect, EffectPolicy, OnDivergence, name::Named};

/// Where a service listens that was started without flags.
const DEFAULT_URL: &str = "http://127.0.0.1:7117";

/// The debugger for AI agents written in any language.
///
/// An agent reports each step over gRPC or HTTP; while somebody is debugging it, it is held at that step until it is
/// stepped, continued or stopped, from the page, the terminal, over HTTP or with grpcurl. Without a subcommand it
/// serves.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct Cli {
    /// What to do; serve, if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve gRPC, HTTP and the page on one port.
    Serve(Box<ServeArgs>),
    /// A client of a service that runs.
    #[command(flatten)]
    Client(Client),
    /// What a shell and `man` are told of the program.
    #[command(flatten)]
    Describe(Describe),
}

/// The commands that are clients of a service.
#[derive(Debug, Subcommand)]
pub enum Client {
    /// List the agents that the service knows.
    Agents(AgentsArgs),
    /// Print an agent's events, one a line, as they come. Only watches: the agent is not held.
    Tail(TailArgs),
    /// Start a program as an agent of the service.
    ///
    /// The program finds the service by AGENT_DEBUGGER_URL, AGENT_DEBUGGER_AGENT_ID, AGENT_DEBUGGER_RUN_ID and, where
    /// one is given, AGENT_DEBUGGER_TOKEN. Its exit code is this command's.
    Run(RunArgs),
    /// Debug an agent at a prompt, or by commands from a pipe: step, edit and answer what it is held at.
    Attach(AttachArgs),
    /// Make a run that retraces another one up to a step, and goes on live from there.
    ///
    /// Steps before it are answered from the record: nothing of them runs again. Prints the id of the new run, and on
    /// stderr what will come of it. With a program, starts it for that run as `run` does: its streams and its exit
    /// code are this command's, and the id is printed on stderr as well.
    Fork(Box<ForkArgs>),
    /// Compare two runs of an agent: figures side by side, and where they part.
    Compare(CompareArgs),
    /// Write a run as a file that can be imported anywhere.
    Export(ExportArgs),
    /// Read an exported run: to look at, to compare and to fork, but not to add to.
    Import(ImportArgs),
    /// Exit with 0 if the service takes work, and with 1 if it does not: for a container's health check.
    Health(HealthArgs),
}

/// The commands that describe the program itself, and need no service.
#[derive(Debug, Subcommand)]
pub enum Describe {
    /// Print the script with which a shell completes commands and flags.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page of agent-debugger; with --dir, write one page for it and one for each command.
    Man {
        /// The directory to write the pages to; it is created if it does not exist.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// Where the service is, and how to be let in.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// Where the service is.
    #[arg(long, env = "AGENT_DEBUGGER_URL", value_name = "URL", default_value = DEFAULT_URL, value_parser = parse_url)]
    pub url: String,
    /// The bearer token; `@FILE` reads it from a file, which may be that of the service.
    #[arg(long, env = "AGENT_DEBUGGER_TOKEN", value_name = "TOKEN|@FILE", hide_env_values = true)]
    pub token: Option<String>,
    /// Trust certificates signed by these, in PEM [default: those of the system].
    #[arg(long, env = "AGENT_DEBUGGER_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
}

/// The flags of `agents`.
#[derive(Debug, Clone, Args)]
pub struct AgentsArgs {
    /// Print one JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// The flags of `tail`.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// The agent.
    pub agent: String,
    /// Only the events of this run.
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Print each frame as one JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// End when what is recorded has been printed.
    #[arg(long)]
    pub no_follow: bool,
    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// The flags of `run`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// The agent's id [default: the file name of the command].
    #[arg(long, env = "AGENT_DEBUGGER_AGENT_ID", value_name = "ID")]
    pub agent: Option<String>,
    /// The run's id [default: a new one].
    #[arg(long, env = "AGENT_DEBUGGER_RUN_ID", value_name = "ID")]
    pub run: Option<String>,
    /// Hold the agent at its first step until a debugger comes.
    #[arg(long = "break")]
    pub hold: bool,
    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// The flags of `attach`.
#[derive(Debug, Clone, Args)]
pub struct AttachArgs {
    /// The agent.
    pub agent: String,
    /// Show and steer only this run.
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Print every event, hold, answer and error as one JSON object a line.
    #[arg(long)]
    pub json: bool,
    /// Do not pause the agent by attaching.
    #[arg(long)]
    pub no_pause: bool,
    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// The flags of `fork`.
#[derive(Debug, Clone, Args)]
pub struct ForkArgs {
    /// The agent.
    pub agent: String,
    /// The event to fork at.
    #[arg(long, value_name = "SEQ")]
    pub at: u64,
    /// The run to fork [default: that of the event].
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// The model that the step, and every later prompt, is to ask.
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// The step's new data, a JSON object; `@FILE` reads it from a file.
    #[arg(long, value_name = "JSON|@FILE")]
    pub edit: Option<String>,
    /// What becomes of live tool calls with an effect (pure, read, idempotent, mutating, unknown): run, ask or block
    /// [default: pure and read run, the others ask].
    #[arg(long = "effect", value_name = "EFFECT=POLICY", value_parser = parse_effect)]
    pub effects: Vec<(Effect, EffectPolicy)>,
    /// What becomes of a step that the record does not have: hold, fail or live [default: hold].
    #[arg(long, value_name = "WHAT", value_parser = parse_on_divergence)]
    pub on_divergence: Option<OnDivergence>,
    /// A JSON path into the data that does not count when steps are matched, like `$.sent_at` or `$..id`.
    #[arg(long, value_name = "PATH")]
    pub ignore: Vec<String>,
    /// Print what HTTP answers, as one JSON object on a line.
    #[arg(long)]
    pub json: bool,
    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
    /// The program to start for the new run, and its arguments.
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// The flags of `compare`.
#[derive(Debug, Clone, Args)]
pub struct CompareArgs {
    /// The agent.
    pub agent: String,
    /// A run; "" is the default run.
    pub left: String,
    /// The run to compare it with.
    pub right: String,
    /// Print what HTTP answers, as one JSON object on a line.
    #[arg(long)]
    pub json: bool,
    /// Exit with 1 if the runs differ, and with 2 if they could not be compared.
    #[arg(long)]
    pub exit_code: bool,
    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// The flags of `export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// The agent.
    pub agent: String,
    /// The run [default: the default run].
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    pub run: String,
    /// Replace secrets. The file says so, and can then be looked at but not forked.
    #[arg(long)]
    pub mask: bool,
    /// Where to write; the file is there whole or not at all [default: stdout]. It is data, as it was recorded: what an
    /// agent put into it to steer a terminal is not marked there, as it is in all that is shown.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// The flags of `import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The agent; one that was never seen is made.
    pub agent: String,
    /// The file; `-` is stdin.
    pub file: PathBuf,
    /// The id that the run is to have [default: as the file has it].
    #[arg(long, value_name = "ID")]
    pub run: Option<String>,
    /// Print what HTTP answers, as one JSON object on a line.
    #[arg(long)]
    pub json: bool,
    /// The service.
    #[command(flatten)]
    pub service: ServiceArgs,
}

/// The flags of `health`. Readiness is asked without a token.
#[derive(Debug, Clone, Args)]
pub struct HealthArgs {
    /// Where the service is.
    #[arg(long, env = "AGENT_DEBUGGER_URL", value_name = "URL", default_value = DEFAULT_URL, value_parser = parse_url)]
    pub url: String,
    /// Trust certificates signed by these, in PEM [default: those of the system].
    #[arg(long, env = "AGENT_DEBUGGER_TLS_CA", value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
}

fn parse_effect(text: &str) -> Result<(Effect, EffectPolicy), String> {
    let problem =
        || "must be like mutating=run: pure, read, idempotent, mutating or unknown; run, ask or block".to_owned();
    let (effect, policy) = text.split_once('=').ok_or_else(problem)?;
    let effect = match effect {
        "unknown" => Some(Effect::Unspecified),
        known => Effect::from_json_name(known),
    };
    effect.zip(EffectPolicy::from_json_name(policy)).ok_or_else(problem)
}

fn parse_on_divergence(text: &str) -> Result<OnDivergence, String> {
    OnDivergence::from_json_name(text).ok_or_else(|| "must be hold, fail or live".to_owned())
}

fn parse_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let problem = || "must be like http://127.0.0.1:7117 or https://debugger.example".to_owned();
    let uri: Uri = url.parse().map_err(|_| problem())?;
    let plain = uri.path() == "/" && uri.query().is_none();
    if matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && plain {
        Ok(url.to_owned())
    } else {
        Err(problem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_a_scheme_a_host_and_perhaps_a_port() {
        for good in ["http://localhost:7117", "https://debugger.example/", "http://[::1]:1"] {
            assert_eq!(parse_url(good).as_deref(), Ok(good.trim_end_matches('/')));
        }
        for bad in ["localhost:7117", "ftp://a", "http://a/agent/x", "http://a?x=1", "", "http://"] {
            assert!(parse_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_effect_goes_with_a_policy() {
        assert_eq!(parse_effect("mutating=run"), Ok((Effect::Mutating, EffectPolicy::Run)));
        assert_eq!(parse_effect("unknown=block"), Ok((Effect::Unspecified, EffectPolicy::Block)));
        for bad in ["mutating", "mutating=", "=run", "write=run", "pure=unspecified", "unspecified=run", "pure=Run"] {
            assert!(parse_effect(bad).is_err(), "{bad}");
        }
    }
}
