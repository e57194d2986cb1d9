//! The flags of the client commands.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Uri;

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
}

/// Where the service is, and how to be let in.
#[derive(Debug, Clone, Args)]
pub struct ServiceArgs {
    /// Where the service is.
    #[arg(long, env = "AGENT_DEBUGGER_URL", value_name = "URL", default_value = "http://127.0.0.1:7117", value_parser = parse_url)]
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
    pub command: Vec<std::ffi::OsString>,
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

fn parse_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    let problem = || "must be like http://127.0.0.1:7117 or https://debugger.example".to_owned();
    let uri: Uri = url.parse().map_err(|_| problem())?;
    let plain = uri.path() == "/" && uri.query().is_none();
    match matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() && plain {
        true => Ok(url.to_owned()),
        false => Err(problem()),
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
}
