//! Parse, start, exit code.

use std::{io::Write, process::ExitCode};

use agent_debugger::{
    config::{Cli, Command},
    server::{Server, ServerError},
    telemetry,
};
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let args = match cli.command {
        Some(Command::Serve(args)) => *args,
        None => cli.serve,
    };
    telemetry::init_logs(args.log_format);
    let config = match args.into_config() {
        Ok(config) => config,
        Err(error) => return fail(2, &error),
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    let served = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(ServerError::Signal)?;
        let server = Server::bind(config).await?;
        // One line on stdout, for people and for programs that asked for port 0. Nobody may be reading it.
        let _ = writeln!(std::io::stdout(), "agent-debugger listening on {}", server.url());
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        };
        server.run(shutdown).await
    });
    // What outlived the drain does not outlive the process.
    runtime.shutdown_background();
    served.map_or_else(|error| fail(1, &error), |()| ExitCode::SUCCESS)
}

fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "agent-debugger: {error}");
    ExitCode::from(code)
}
