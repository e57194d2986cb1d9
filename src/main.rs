//! Parse, start, exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
    sync::mpsc,
    thread,
    time::Duration,
};

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

/// How long a printed line may wait for its reader.
const PRINT_LIMIT: Duration = Duration::from_secs(1);

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
        Err(error) => {
            telemetry::flush_logs();
            return fail(2, &error);
        }
    };
    // What outlived the drain does not outlive the process.
    runtime.shutdown_background();
    let code = served.map_or_else(|error| fail(1, &error), |()| ExitCode::SUCCESS);
    telemetry::flush_logs();
    code
}

async fn serve(config: Config) -> Result<(), ServerError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ServerError::Signal)?;
    let server = Server::bind(config).await?;
    // One line on stdout, for people and for programs that asked for port 0.
    print(io::stdout(), format!("agent-debugger listening on {}\n", server.url()));
    let shutdown = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = tokio::signal::ctrl_c() => {} }
    };
    server.run(shutdown).await
}

fn fail(code: u8, error: &dyn std::error::Error) -> ExitCode {
    print(io::stderr(), format!("agent-debugger: {error}\n"));
    ExitCode::from(code)
}

/// Prints a line where it may not be read: a full pipe takes no more than a moment, a closed one nothing.
fn print(mut to: impl Write + Send + 'static, line: String) {
    let (done, is_done) = mpsc::sync_channel(1);
    let print = move || {
        let _ = to.write_all(line.as_bytes()).and_then(|()| to.flush());
        let _ = done.send(());
    };
    if thread::Builder::new().name("print".into()).spawn(print).is_ok() {
        let _ = is_done.recv_timeout(PRINT_LIMIT);
    }
}
