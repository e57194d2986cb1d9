//! What is measured, one thing a module. Each returns figures by name; the report knows what they are compared with.

pub(crate) mod fanout;
pub(crate) mod growth;
pub(crate) mod memory;
pub(crate) mod release;
pub(crate) mod replay;
pub(crate) mod trace;

use crate::process::Program;

/// What a scenario finds.
pub(crate) type Figures = Vec<(&'static str, f64)>;

/// How much is measured.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) server: Program,
    /// The same thing is measured so many times, each time after everything else.
    pub(crate) rounds: usize,
    /// How long one sample of a steady load takes, in milliseconds.
    pub(crate) sample_ms: u64,
    /// Whether only the ends of each scale are measured.
    pub(crate) quick: bool,
}

impl Plan {
    /// The server with more flags.
    pub(crate) fn with(&self, flags: &[&str]) -> Program {
        match &self.server {
            Program::Debugger(path, _) => {
                Program::Debugger(path.clone(), flags.iter().map(|flag| (*flag).to_owned()).collect())
            }
            other => other.clone(),
        }
    }
}

/// So many agents.
pub(crate) fn agents(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("agent-{number}")).collect()
}
