//! Parse, start, exit code.

use std::{io::Write, process::ExitCode};

use agent_debugger::{
    cli::{
        self,
        args::{Cli, Command},
    },
    config::Config,
    server::{Server, ServerError},
    telemetry,
};
use clap::{CommandFactory, Parser};
use tokio::signal::unix::{SignalKind, signal};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let command = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    let args = match command.command {
        Some(Command::Client(client)) => return runtime.block_on(cli::run(client)),
        Some(Command::Describe(what)) => return cli::describe(Cli::command(), what),
        Some(Command::Serve(args)) => *args,
        None => command.serve,
    };
    telemetry::init_logs(args.log_format);
    let served = match args.into_config() {
        Ok(config) => runtime.block_on(serve(config)),
        Err(error) => return fail(2, &error),
    };
    // What outlived the drain does not outlive the process.
    runtime.shutdown_background();
    served.map_or_else(|error| fail(1, &error), |()| ExitCode::SUCCESS)
}

async fn serve(config: Config) -> Result<(), ServerError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServerError::Signal)?;
    let server = Server::bind(config).await?;
    // One line on stdout, for people and for programs that asked for port 0. Nobody may be reading it.
    let _ = writeln!(std::io::stdout(), "agent-debugger listening on {}", server.url());
    let shutdown = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
    };
    server.run(shutdown).await
}

fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "agent-debugger: {error}");
    ExitCode::from(code)
}
