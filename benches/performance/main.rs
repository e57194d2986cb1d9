//! The benchmark: `cargo bench` measures agent-debugger beside bare servers made of the same libraries.
//!
//! Servers are processes of their own: the one that is measured, and this program again as those that it is compared
//! with. Load is raw bytes, written and counted by `load` and `audience`; a full client would cost more than what is
//! measured. `instructions` counts where a clock is too coarse, `samples` keeps what is not spoiled, `report` writes
//! `docs/internals/performance.md`.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop where it stands")]

mod audience;
mod beside;
mod http1;
mod http2;
mod instructions;
mod load;
mod machine;
mod payload;
mod plot;
mod process;
mod report;
mod run;
mod samples;
mod scenario;
mod soak;
mod stats;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use process::{Beside, Program};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures agent-debugger, and writes the figures of docs/internals/performance.md.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// The server to measure, instead of the one that was built with this.
    #[arg(long, global = true, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_agent-debugger"))]
    server: PathBuf,
    /// Measures the ends of each scale, once, in about a minute, and writes nothing.
    #[arg(long)]
    quick: bool,
    /// How often everything is measured.
    #[arg(long, default_value_t = 4, value_name = "N")]
    rounds: usize,
    /// Measures only what has this in its name, like `fan-out` or `memory`, and writes nothing.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Given by cargo.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum What {
    /// Counts the instructions of the hot paths and compares them with benches/instructions.json.
    Instructions {
        /// Writes the file anew instead.
        #[arg(long)]
        update: bool,
    },
    /// Lets agents and subscribers come and go, and fails where anything is left behind.
    Soak {
        /// For how long, in seconds.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Is one of the servers to compare with.
    #[command(hide = true)]
    Serve { beside: Beside },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let server = Program::Debugger(args.server, Vec::new());
    let passed = match args.what {
        Some(What::Serve { beside }) => {
            beside::serve(beside);
            true
        }
        Some(What::Instructions { update }) => instructions::compare(&server, update),
        Some(What::Soak { seconds }) => soak::run(&server, seconds),
        None => {
            run::run(server, args.quick, args.rounds, args.only);
            true
        }
    };
    if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
