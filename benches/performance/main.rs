//! The benchmark: `cargo bench` measures agent-debugger beside bare servers made of the same libraries.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop where it stands")]

mod audience;
mod beside;
mod http1;
mod http2;
mod instructions;
mod load;
mod machine;
mod payload;
mod process;
mod stats;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use process::{Beside, Program};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Measures agent-debugger.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: Option<What>,
    /// The server to measure, instead of the one that was built with this.
    #[arg(long, global = true, value_name = "FILE", default_value = env!("CARGO_BIN_EXE_agent-debugger"))]
    server: PathBuf,
    /// Given by cargo.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum What {
    /// Counts the instructions of the hot paths.
    Instructions,
    /// Is one of the servers to compare with.
    #[command(hide = true)]
    Serve { beside: Beside },
}

fn main() {
    let args = Args::parse();
    let server = Program::Debugger(args.server, Vec::new());
    match args.what {
        Some(What::Serve { beside }) => beside::serve(beside),
        Some(What::Instructions) => {
            let mut cases = Vec::new();
            for form in [Some(payload::Form::Json), Some(payload::Form::Struct), None] {
                for bytes in [300, 4096] {
                    let work = instructions::Work::Calls(instructions::trace_calls(form, bytes));
                    for program in [server.clone(), instructions::beside(form)] {
                        cases.push(instructions::Case {
                            name: format!(
                                "{:?} {bytes} {}",
                                form,
                                if matches!(program, Program::Beside(_)) { "bare" } else { "ours" }
                            ),
                            program,
                            work: work.clone(),
                            times: [200, 1200],
                        });
                    }
                }
            }
            instructions::count(&cases);
            instructions::count(&instructions::hot_paths(&server));
        }
        None => {}
    }
}
