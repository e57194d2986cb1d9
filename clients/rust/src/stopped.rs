//! Why a step must not run.

use tonic::{Code, Status};

/// Why a step must not run, or why the run must end.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Stopped {
    /// The run was aborted; no further step of it must run.
    #[error("the run was aborted: {reason}")]
    Aborted {
        /// What was given as the reason.
        reason: String,
    },
    /// The service refused this step, or it could not be sent as it is.
    #[error("the debugger refused the step: {message}")]
    Refused {
        /// The gRPC code of the refusal.
        code: Code,
        /// What is wrong with the step.
        message: String,
    },
    /// The step was held when the connection was lost, and no answer came within the bound.
    #[error("the step was held, and the connection to the debugger was lost: {message}")]
    Lost {
        /// What became of the connection.
        message: String,
    },
    /// No debugger listens, and one is required.
    #[error("a debugger is required (AGENT_DEBUGGER_REQUIRED), and there is none: {message}")]
    Absent {
        /// How that was found.
        message: String,
    },
}

impl Stopped {
    pub(crate) fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    pub(crate) fn of(status: &Status) -> Self {
        if status.code() == Code::Aborted {
            return Self::Aborted { reason: status.message().into() };
        }
        Self::refused(status.code(), status.message())
    }
}
