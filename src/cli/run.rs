//! `run`: starts a program as an agent, and is in its place otherwise: its streams, its signals, its exit code. `fork`
//! starts the agent of its new run the same way.
//!
//! With `--break` this process is the agent's debugger until another one comes, so that the first step waits.

use std::{
    ffi::{OsStr, OsString},
    io,
    io::IsTerminal,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{ExitCode, ExitStatus},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use super::{
    Problem,
    args::{RunArgs, ServiceArgs},
    connect::{self, Api, Scope, Service},
    follow::{Follow, Update},
    random_id, say,
};
use crate::proto::{self, RunMode, events_response::Frame};

/// What a shell answers for a command that is not there, and for one that cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUNNABLE: u8 = 126;
/// What a shell adds to the signal that ended a command.
const SIGNALLED: i32 = 128;

pub(super) async fn run(args: RunArgs) -> Result<ExitCode, Problem> {
    let program = args.command.first().map(Path::new).unwrap_or(Path::new(""));
    let file_name = program.file_name().unwrap_or(OsStr::new("agent")).to_string_lossy().into_owned();
    let agent = args.agent.clone().unwrap_or(file_name);
    let run = args.run.clone().map_or_else(random_id, Ok)?;
    start(Program { service: &args.service, agent: &agent, run: &run, command: &args.command, hold: args.hold }).await
}

/// A program that is to be an agent.
pub(super) struct Program<'a> {
    pub(super) service: &'a ServiceArgs,
    pub(super) agent: &'a str,
    pub(super) run: &'a str,
    /// The program and its arguments.
    pub(super) command: &'a [OsString],
    /// Whether to hold it at its first step until a debugger comes.
    pub(super) hold: bool,
}

/// Starts a program and stays in its place until it ends.
pub(super) async fn start(program: Program<'_>) -> Result<ExitCode, Problem> {
    let Program { service, agent, run, command, hold } = program;
    let (program, arguments) =
        command.split_first().ok_or_else(|| Problem::Usage("a program must be given".to_owned()))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("AGENT_DEBUGGER_URL", &service.url)
        .env("AGENT_DEBUGGER_AGENT_ID", agent)
        .env("AGENT_DEBUGGER_RUN_ID", run);
    if let Some(token) = connect::token(service, Scope::Ingest)? {
        command.env("AGENT_DEBUGGER_TOKEN", token);
    }
    if let Some(file) = &service.tls_ca {
        command.env("AGENT_DEBUGGER_TLS_CA", file);
    }
    // Listened for before the program starts, so that no signal is lost to the time between.
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut placeholder = if hold { Some(Placeholder::attach(service, agent, run).await?) } else { None };
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            say(&format!("cannot run {}: {error}", Path::new(program).display()));
            let missing = error.kind() == io::ErrorKind::NotFound;
            return Ok(ExitCode::from(if missing { NOT_FOUND } else { NOT_RUNNABLE }));
        }
    };
    // A terminal sends Ctrl-C to the program as well; forwarding it would interrupt the program's own clean-up.
    let from_terminal = io::stdin().is_terminal();
    loop {
        tokio::select! {
            status = child.wait() => return Ok(exit_code(status?)),
            _ = interrupt.recv() => if !from_terminal { forward(&child, Signal::SIGINT) },
            _ = terminate.recv() => forward(&child, Signal::SIGTERM),
            () = leave(&mut placeholder) => placeholder = None,
        }
    }
}

/// Comes back when the placeholder has somebody to leave the agent to; never without one.
async fn leave(placeholder: &mut Option<Placeholder>) {
    match placeholder {
        Some(placeholder) => placeholder.relieved().await,
        None => std::future::pending().await,
    }
}

/// The debugger that holds the agent until another one comes.
struct Placeholder(Follow);

impl Placeholder {
    async fn attach(service: &ServiceArgs, agent: &str, run: &str) -> Result<Self, Problem> {
        let service = Service::new(service, Scope::Control)?;
        let request = proto::EventsRequest {
            agent_id: agent.to_owned(),
            // Of the record only this run's part, which is empty.
            run_id: Some(run.to_owned()),
            mode: proto::Mode::Debug.into(),
            ..Default::default()
        };
        let (api, mut follow) = Follow::open(&service, request).await?;
        let state = loop {
            match follow.next().await {
                Some(Update::Frame(frame)) => {
                    if let Frame::State(state) = *frame {
                        break state;
                    }
                }
                Some(Update::Over(status)) => return Err(status.into()),
                Some(Update::Lost(_) | Update::Back) => {}
                None => return Err(Problem::Failed("the stream ended".into())),
            }
        };
        if state.mode != i32::from(RunMode::Paused) {
            // Somebody debugs the agent already and lets it run: their other runs are left alone.
            pause(api, agent, run).await?;
        }
        say(&format!("{agent} (run {run}) will be held at its first step until a debugger comes:"));
        say_where_to_come(&service.url, agent);
        Ok(Self(follow))
    }

    async fn relieved(&mut self) {
        loop {
            match self.0.next().await {
                Some(Update::Frame(frame)) => match *frame {
                    Frame::State(state) if state.debuggers >= 2 => return,
                    _ => {}
                },
                Some(Update::Lost(why)) => say(&format!("the connection to the service broke ({why}); trying again")),
                Some(Update::Back) => say("connected again"),
                Some(Update::Over(status)) => say(status.message()),
                None => return,
            }
        }
    }
}

/// Tells how to become an agent's debugger.
pub(super) fn say_where_to_come(url: &str, agent: &str) {
    say(&format!("  agent-debugger attach --url {url} {agent}"));
    say(&format!("  {url}/agent/{}/debug", percent_encoded(agent)));
}

async fn pause(mut api: Api, agent: &str, run: &str) -> Result<(), Problem> {
    api.pause(proto::PauseRequest { agent_id: agent.to_owned(), run_id: Some(run.to_owned()) }).await?;
    Ok(())
}

/// Sends a signal on. A program that has just ended needs none.
fn forward(child: &Child, signal: Signal) {
    if let Some(pid) = child.id().and_then(|id| i32::try_from(id).ok()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
}

fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| SIGNALLED + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// An id as one segment of a path.
fn percent_encoded(id: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    id.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_an_exit_code_as_in_a_shell() {
        for (raw, code) in [(0, 0), (7 << 8, 7), (15, 143), (9, 137)] {
            assert_eq!(format!("{:?}", exit_code(ExitStatus::from_raw(raw))), format!("{:?}", ExitCode::from(code)));
        }
    }

    #[test]
    fn an_id_is_one_segment() {
        assert_eq!(percent_encoded("a b/ü.~"), "a%20b%2F%C3%BC.~");
    }

    #[test]
    fn run_ids_differ() {
        let ids = [random_id().expect("random"), random_id().expect("random")];
        assert!(ids[0] != ids[1] && ids[0].len() == 8, "{ids:?}");
    }
}
