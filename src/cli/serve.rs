//! The flags of `serve` and their environment, made into a [`Config`] that is valid as a whole.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use bytesize::ByteSize;
use clap::Args;
use http::{HeaderValue, Uri, uri::Authority};

use crate::{
    auth::Tokens,
    config::{Config, ConfigError, Limits, LogFormat, TlsFiles},
};

/// Where it listens by default: this machine only.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7117);
/// The smallest byte limit: one event of the largest size must fit.
const MIN_BYTES: u64 = 8 * 1024 * 1024;
/// The flags of `serve`. Each has an environment variable; the flag wins.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Address and port; port 0 takes a free one, which the first line on stdout names.
    #[arg(long, env = "AGENT_DEBUGGER_LISTEN", value_name = "ADDR:PORT", default_value_t = DEFAULT_LISTEN, value_parser = parse_listen)]
    pub listen: SocketAddr,
    /// End every hold after this long, even with a debugger attached [default: never].
    #[arg(long, env = "AGENT_DEBUGGER_HOLD_TIMEOUT", value_name = "TIME", value_parser = humantime::parse_duration)]
    pub hold_timeout: Option<Duration>,
    /// How long an agent stays held after its last debugger has gone: a page reload takes a moment.
    #[arg(long, env = "AGENT_DEBUGGER_DETACH_GRACE", value_name = "TIME", default_value = "3s", value_parser = humantime::parse_duration)]
    pub detach_grace: Duration,
    /// Events kept per agent; the oldest go first.
    #[arg(long, env = "AGENT_DEBUGGER_MAX_EVENTS_PER_AGENT", value_name = "N", default_value_t = 10_000, value_parser = positive)]
    pub max_events_per_agent: usize,
    /// Bytes kept per agent, counted as JSON and 256 per event; the oldest go first.
    #[arg(long, env = "AGENT_DEBUGGER_MAX_BYTES_PER_AGENT", value_name = "SIZE", default_value = "64MiB")]
    pub max_bytes_per_agent: ByteSize,
    /// Bytes kept in all. Over it idle agents are forgotten, the least recently used first.
    #[arg(long, env = "AGENT_DEBUGGER_MAX_BYTES", value_name = "SIZE", default_value = "1GiB")]
    pub max_bytes: ByteSize,
    /// Agents kept in memory. Over it the least recently used idle one makes room.
    #[arg(long, env = "AGENT_DEBUGGER_MAX_AGENTS", value_name = "N", default_value_t = 1_000, value_parser = positive)]
    pub max_agents: usize,
    /// Steps held per agent at a time. Over it a step is recorded and passes.
    #[arg(long, env = "AGENT_DEBUGGER_MAX_HOLDS_PER_AGENT", value_name = "N", default_value_t = 256, value_parser = positive)]
    pub max_holds_per_agent: usize,
    /// Subscribers per agent.
    #[arg(long, env = "AGENT_DEBUGGER_MAX_SUBSCRIBERS_PER_AGENT", value_name = "N", default_value_t = 64, value_parser = positive)]
    pub max_subscribers_per_agent: usize,
    /// Connections at a time; three quarters of as many steps can be held in all, so that a step always gets in.
    #[arg(long, env = "AGENT_DEBUGGER_MAX_CONNECTIONS", value_name = "N", default_value_t = 512, value_parser = positive)]
    pub max_connections: usize,
    /// A bearer token that every call must bring; `@FILE` reads tokens from a file, one a line.
    ///
    /// `ingest:TOKEN`, `view:TOKEN` and `control:TOKEN` limit what a token may do (control includes view); a bare one
    /// may do everything. Prefer the environment or a file: arguments are seen by other users of the machine.
    #[arg(long, env = "AGENT_DEBUGGER_TOKEN", value_name = "TOKEN|@FILE", hide_env_values = true)]
    pub token: Option<String>,
    /// Certificate chain in PEM; with it the port speaks TLS only.
    #[arg(long, env = "AGENT_DEBUGGER_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key in PEM.
    #[arg(long, env = "AGENT_DEBUGGER_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Ask clients for a certificate signed by one of these, in PEM.
    #[arg(long, env = "AGENT_DEBUGGER_TLS_CLIENT_CA", value_name = "FILE", requires = "tls_cert")]
    pub tls_client_ca: Option<PathBuf>,
    /// A host name under which this service is reached, beside localhost and literal addresses; may be repeated.
    #[arg(long, env = "AGENT_DEBUGGER_ALLOWED_HOST", value_name = "HOST", value_delimiter = ',', value_parser = parse_host)]
    pub allowed_host: Vec<String>,
    /// An origin whose pages may call this service, like `https://tools.example`; may be repeated.
    #[arg(long, env = "AGENT_DEBUGGER_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = parse_origin)]
    pub allow_origin: Vec<HeaderValue>,
    /// Listen on a public address without token and TLS. Anybody who reaches it reads and steers your agents.
    #[arg(long, env = "AGENT_DEBUGGER_INSECURE")]
    pub insecure: bool,
    /// Refuse a step over HTTP with a field that no step has, instead of recording it with a warning.
    #[arg(long, env = "AGENT_DEBUGGER_STRICT")]
    pub strict: bool,
    /// How logs are written to stderr; RUST_LOG chooses which.
    #[arg(long, env = "AGENT_DEBUGGER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

impl ServeArgs {
    /// Checks what the flags cannot check one by one.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let bytes = |flag: &str, size: ByteSize| match size.as_u64() {
            size if size < MIN_BYTES => Err(ConfigError(format!("{flag}: must be at least {}", ByteSize(MIN_BYTES)))),
            size => usize::try_from(size).map_err(|_| ConfigError(format!("{flag}: is too large"))),
        };
        let tokens = self
            .token
            .as_deref()
            .map(Tokens::parse)
            .transpose()
            .map_err(|problem| ConfigError(format!("--token: {problem}")))?;
        let tokens = tokens.unwrap_or_default();
        let tls =
            self.tls_cert.zip(self.tls_key).map(|(cert, key)| TlsFiles { cert, key, client_ca: self.tls_client_ca });
        if !self.listen.ip().is_loopback() && !self.insecure && (tokens.are_off() || tls.is_none()) {
            return Err(ConfigError(format!(
                "--listen: {} is a public address: give --token and --tls-cert with --tls-key, or say --insecure",
                self.listen
            )));
        }
        let limits = Limits {
            hold_timeout: self.hold_timeout,
            detach_grace: self.detach_grace,
            max_events_per_agent: self.max_events_per_agent,
            max_bytes_per_agent: bytes("--max-bytes-per-agent", self.max_bytes_per_agent)?,
            max_bytes: bytes("--max-bytes", self.max_bytes)?,
            max_agents: self.max_agents,
            max_holds_per_agent: self.max_holds_per_agent,
            max_holds: (self.max_connections / 4 * 3).max(1),
            max_subscribers_per_agent: self.max_subscribers_per_agent,
            max_connections: self.max_connections,
        };
        Ok(Config {
            listen: self.listen,
            limits,
            tokens,
            tls,
            is_strict: self.strict,
            allowed_hosts: self.allowed_host,
            allowed_origins: self.allow_origin,
        })
    }
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let full = match text.strip_prefix(':').or_else(|| text.strip_prefix("localhost:")) {
        Some(port) => format!("{}:{port}", DEFAULT_LISTEN.ip()),
        None => text.to_owned(),
    };
    full.parse().map_err(|_| "must be an address and a port, like 127.0.0.1:7117 or [::1]:7117".into())
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("must be a whole number above 0".into()),
    }
}

/// Takes exactly the name of a host, which is compared with no port and no dot at its end.
fn parse_host(text: &str) -> Result<String, String> {
    let is_name = text.parse::<Authority>().is_ok_and(|authority| authority.host() == text);
    let name = text.strip_suffix('.').unwrap_or(text);
    if is_name && !name.is_empty() && !name.starts_with('[') {
        Ok(name.to_ascii_lowercase())
    } else {
        Err("must be the name of a host without a port, like debugger.example".into())
    }
}

/// Takes exactly an origin: scheme, host and perhaps a port.
fn parse_origin(text: &str) -> Result<HeaderValue, String> {
    let problem = || "must be an origin, like https://tools.example".to_owned();
    let uri: Uri = text.parse().map_err(|_| problem())?;
    let exact = matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
    let bare = uri.path() == "/" && uri.query().is_none() && !text.ends_with('/');
    if exact && bare { HeaderValue::from_str(text).map_err(|_| problem()) } else { Err(problem()) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::Cli;

    fn config(args: &[&str]) -> Result<Config, String> {
        let cli = Cli::try_parse_from([&["agent-debugger"], args].concat()).map_err(|error| error.to_string())?;
        cli.serve.into_config().map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_public_address_needs_token_and_tls_or_an_explicit_word() {
        let refused = config(&["--listen", "0.0.0.0:7117"]).expect_err("public");
        assert!(refused.contains("--listen") && refused.contains("--insecure"), "{refused}");
        assert!(config(&["--listen", "0.0.0.0:7117", "--token", "t"]).is_err());
        assert!(config(&["--listen", "0.0.0.0:7117", "--insecure"]).is_ok());
        assert!(config(&["--listen", "[::1]:0"]).is_ok());
        let full = ["--listen", "0.0.0.0:0", "--token", "t", "--tls-cert", "c", "--tls-key", "k"];
        assert!(config(&full).is_ok());
    }

    #[test]
    fn bad_values_name_their_flag() {
        for (args, flag) in [
            (&["--listen", "nonsense"][..], "--listen"),
            (&["--max-agents", "0"], "--max-agents"),
            (&["--max-bytes", "1KiB"], "--max-bytes"),
            (&["--hold-timeout", "soon"], "--hold-timeout"),
            (&["--allow-origin", "https://a.example/path"], "--allow-origin"),
            (&["--allowed-host", "debugger.example:80"], "--allowed-host"),
            (&["--allowed-host", "https://debugger.example"], "--allowed-host"),
            (&["--tls-cert", "c"], "--tls-key"),
        ] {
            let refused = config(args).expect_err("refused");
            assert!(refused.contains(flag), "{refused}");
        }
    }
}
