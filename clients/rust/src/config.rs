//! Where the debugger is, and who reports to it.

use std::{env, fmt};

use tonic::metadata::{Ascii, MetadataValue};

/// Where the service listens unless something else is said.
const DEFAULT_URL: &str = "http://127.0.0.1:7117";

/// Where the debugger is, and who reports to it.
#[derive(Clone)]
pub struct Config {
    /// The service, `http://` or `https://`.
    pub url: String,
    /// The agent: 1 to 200 bytes without control characters and `/`.
    pub agent_id: String,
    /// This execution of the agent; "" is the default run.
    pub run_id: String,
    /// The bearer token, where the service asks for one.
    pub token: Option<String>,
    /// Whether steps must not run where no debugger listens.
    pub required: bool,
}

/// Why a [`Config`] cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The address is none.
    #[error("url: {url:?} is not a URL of http or https")]
    Url {
        /// What was found.
        url: String,
    },
    /// The token cannot be sent in a header. It is not shown.
    #[error("token: it has characters other than visible ASCII")]
    Token,
}

impl Config {
    /// The debugger of this machine, without a token.
    pub fn new(agent_id: impl Into<String>) -> Self {
        Self { url: DEFAULT_URL.into(), agent_id: agent_id.into(), run_id: String::new(), token: None, required: false }
    }

    /// What `AGENT_DEBUGGER_URL`, `AGENT_DEBUGGER_AGENT_ID`, `AGENT_DEBUGGER_RUN_ID`, `AGENT_DEBUGGER_TOKEN` and
    /// `AGENT_DEBUGGER_REQUIRED` say; a variable that is empty counts as absent. `AGENT_DEBUGGER_REQUIRED` is set by
    /// anything but `0`.
    pub fn from_env(default_agent_id: &str) -> Self {
        let set = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            url: set("AGENT_DEBUGGER_URL").unwrap_or_else(|| DEFAULT_URL.into()),
            agent_id: set("AGENT_DEBUGGER_AGENT_ID").unwrap_or_else(|| default_agent_id.into()),
            run_id: set("AGENT_DEBUGGER_RUN_ID").unwrap_or_default(),
            token: set("AGENT_DEBUGGER_TOKEN"),
            required: set("AGENT_DEBUGGER_REQUIRED").is_some_and(|value| value != "0"),
        }
    }

    /// The `authorization` header, marked as one that is not to be shown.
    pub(crate) fn authorization(&self) -> Result<Option<MetadataValue<Ascii>>, ConfigError> {
        let Some(token) = &self.token else { return Ok(None) };
        let mut header: MetadataValue<Ascii> = format!("Bearer {token}").parse().map_err(|_| ConfigError::Token)?;
        header.set_sensitive(true);
        Ok(Some(header))
    }
}

impl fmt::Debug for Config {
    /// Everything but the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url)
            .field("agent_id", &self.agent_id)
            .field("run_id", &self.run_id)
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}
