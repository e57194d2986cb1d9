//! What a call that failed says about the debugger: it is absent, it refused, or it cannot be told yet.

use std::{
    error::Error,
    io::{self, ErrorKind},
};

use tonic::{Code, ConnectError, Status};
use tonic_types::StatusExt;

use crate::stopped::Stopped;

/// The reason of a refusal that is none of the step's: the service has no room for another agent.
const AGENT_LIMIT: &str = "AGENT_LIMIT";

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Nothing listens there, and so the step was not sent.
    Absent(String),
    /// The service has no room for this agent.
    NoRoom(String),
    /// It answered, or the step cannot be sent: asking again does not help.
    Stopped(Stopped),
    /// It may be back in a moment: UNAVAILABLE, or a connection that was lost.
    Away(String),
}

impl Trouble {
    pub(crate) fn of(status: Status) -> Self {
        let message = status.message().to_owned();
        if let Some(source) = status.source() {
            return Self::of_transport(source);
        }
        if status.code() == Code::Unavailable {
            return Self::Away(message);
        }
        // The client says this of a channel that lost its connection; a status of the service has headers with it.
        if status.code() == Code::Unknown && status.metadata().is_empty() {
            return Self::Away(message);
        }
        let no_room = status.code() == Code::ResourceExhausted
            && status.get_details_error_info().is_some_and(|info| info.reason == AGENT_LIMIT);
        if no_room {
            return Self::NoRoom(message);
        }
        Self::Stopped(Stopped::of(&status))
    }

    /// A failure below gRPC. Only what is known to mean that nothing listens counts as that.
    fn of_transport(error: &(dyn Error + 'static)) -> Self {
        let chain = || std::iter::successors(Some(error), |&error| error.source());
        let message = chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        if !chain().any(|error| error.is::<ConnectError>()) {
            return Self::Away(message);
        }
        let kinds = || chain().filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
        // The resolver's error has no kind of its own, and the words before it are its only mark.
        if kinds().any(is_absence) || chain().any(|error| error.to_string() == "dns error") {
            return Self::Absent(message);
        }
        // TLS that fails is a service that is not the one that was meant, or that does not want this client.
        if kinds().any(|kind| kind == ErrorKind::InvalidData) {
            return Self::Stopped(Stopped::refused(Code::Unauthenticated, message));
        }
        Self::Away(message)
    }
}

fn is_absence(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::AddrNotAvailable
            | ErrorKind::TimedOut
    )
}
