//! The one table from our errors to gRPC: a code, and the details that clients read.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{error::Error, session::Refusal};

/// The domain of every `ErrorInfo`.
pub(crate) const DOMAIN: &str = "agent-debugger";

/// A status with `ErrorInfo`; `reason` is a constant that programs may match on.
pub(crate) fn status(
    code: Code,
    reason: &'static str,
    message: impl Into<String>,
    mut details: ErrorDetails,
) -> Status {
    details.set_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let none = ErrorDetails::new();
        match error {
            Error::Invalid { field, problem } => status(
                Code::InvalidArgument,
                "INVALID_FIELD",
                message,
                ErrorDetails::with_bad_request_violation(field, problem),
            ),
            Error::Scope(_) => status(Code::PermissionDenied, "SCOPE", message, none),
            Error::Refused(refusal) => refused(refusal, message),
            Error::TooManyAgents(_) => status(
                Code::ResourceExhausted,
                "AGENT_LIMIT",
                &message,
                ErrorDetails::with_quota_failure_violation("agents", &message),
            ),
            Error::TooManySubscribers(_) => status(
                Code::ResourceExhausted,
                "TOO_MANY_SUBSCRIBERS",
                &message,
                ErrorDetails::with_quota_failure_violation("subscribers", &message),
            ),
            Error::TooManyImports(_) => status(
                Code::ResourceExhausted,
                "TOO_MANY_IMPORTS",
                &message,
                ErrorDetails::with_quota_failure_violation("imports", &message),
            ),
            Error::TooManyExports(_) => status(
                Code::ResourceExhausted,
                "TOO_MANY_EXPORTS",
                &message,
                ErrorDetails::with_quota_failure_violation("exports", &message),
            ),
            Error::TooManyComparisons(_) => status(
                Code::ResourceExhausted,
                "TOO_MANY_COMPARISONS",
                &message,
                ErrorDetails::with_quota_failure_violation("comparisons", &message),
            ),
            Error::Stalled(_) => status(Code::DeadlineExceeded, "STALLED", message, none),
            Error::NotRetained => status(Code::OutOfRange, "NOT_RETAINED", message, none),
            Error::TooExpensive(_) => status(
                Code::ResourceExhausted,
                "TOO_EXPENSIVE",
                &message,
                ErrorDetails::with_quota_failure_violation("condition", &message),
            ),
            Error::File(damage) => {
                let place = format!("line {}", damage.line);
                let details = ErrorDetails::with_bad_request_violation(place, &*damage.problem);
                status(Code::InvalidArgument, "INVALID_FILE", message, details)
            }
            Error::NoRoom(_) => status(
                Code::ResourceExhausted,
                "NO_ROOM",
                &message,
                ErrorDetails::with_quota_failure_violation("events", &message),
            ),
            Error::Stopped(_) => status(Code::Aborted, "STOPPED", message, none),
            Error::ShuttingDown => status(
                Code::Unavailable,
                "SHUTTING_DOWN",
                message,
                ErrorDetails::with_retry_info(Some(Duration::from_secs(1))),
            ),
        }
    }
}

fn refused(refusal: Refusal, message: String) -> Status {
    let none = ErrorDetails::new();
    match refusal {
        Refusal::NotHeld(_) => status(Code::FailedPrecondition, "NOT_HELD", message, none),
        Refusal::NotAccepted { .. } => status(Code::FailedPrecondition, "NOT_ACCEPTED", message, none),
        Refusal::NotApplicable { .. } => status(Code::FailedPrecondition, "NOT_APPLICABLE", message, none),
        Refusal::Gate(_) => status(Code::FailedPrecondition, "GATE", message, none),
        Refusal::NoBreakpoint(_) => status(Code::NotFound, "NO_BREAKPOINT", message, none),
        Refusal::NoRun(_) => status(Code::NotFound, "NO_RUN", message, none),
        Refusal::NoEvent(_) | Refusal::OtherRun { .. } => status(Code::NotFound, "NO_EVENT", message, none),
        Refusal::Trimmed(_) => status(Code::OutOfRange, "NOT_RETAINED", message, none),
        Refusal::NotForkable { .. } | Refusal::NothingToRetrace => {
            status(Code::FailedPrecondition, "NOT_FORKABLE", message, none)
        }
        Refusal::Masked(_) => status(Code::FailedPrecondition, "MASKED", message, none),
        Refusal::Imported(_) => status(Code::FailedPrecondition, "IMPORTED", message, none),
        Refusal::RunExists(_) => status(Code::AlreadyExists, "RUN_EXISTS", message, none),
        Refusal::NothingToChange(_) => {
            let details = ErrorDetails::with_bad_request_violation("data", &message);
            status(Code::InvalidArgument, "INVALID_FIELD", format!("data: {message}"), details)
        }
        Refusal::TooManyBreakpoints(_) => status(
            Code::ResourceExhausted,
            "TOO_MANY_BREAKPOINTS",
            &message,
            ErrorDetails::with_quota_failure_violation("breakpoints", &message),
        ),
        Refusal::TooManyRunModes(_) => status(
            Code::ResourceExhausted,
            "TOO_MANY_RUN_MODES",
            &message,
            ErrorDetails::with_quota_failure_violation("runs", &message),
        ),
        Refusal::TooManyAborts(_) => status(
            Code::ResourceExhausted,
            "TOO_MANY_ABORTS",
            &message,
            ErrorDetails::with_quota_failure_violation("runs", &message),
        ),
        Refusal::OtherBody => {
            let problem = "was used before with another body";
            status(
                Code::InvalidArgument,
                "INVALID_FIELD",
                message,
                ErrorDetails::with_bad_request_violation("request_id", problem),
            )
        }
    }
}
