//! Everything that the service is told at its start, checked: [`crate::cli::serve`] makes it of flags.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::ValueEnum;
use http::HeaderValue;

use crate::auth::Tokens;

/// How logs are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A configuration that cannot be: says which flag, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(pub(crate) String);

/// Everything that the service needs to know, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: Limits,
    pub(crate) tokens: Tokens,
    pub(crate) tls: Option<TlsFiles>,
    /// Whether a step with a field that no step has is refused.
    pub(crate) is_strict: bool,
    pub(crate) allowed_hosts: Vec<String>,
    pub(crate) allowed_origins: Vec<HeaderValue>,
}

/// What bounds the sessions. Defaults are those of the flags.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) hold_timeout: Option<Duration>,
    pub(crate) detach_grace: Duration,
    pub(crate) max_events_per_agent: usize,
    pub(crate) max_bytes_per_agent: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_agents: usize,
    pub(crate) max_holds_per_agent: usize,
    /// In all; well below the connections, so that a step always gets in.
    pub(crate) max_holds: usize,
    pub(crate) max_subscribers_per_agent: usize,
    pub(crate) max_connections: usize,
}

/// Where the certificates are.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    pub(crate) client_ca: Option<PathBuf>,
}
