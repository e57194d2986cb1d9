//! Flags and environment, made into a [`Config`] that is valid as a whole.

use std::{
    fmt, fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use bytesize::ByteSize;
use clap::{Args, Parser, Subcommand, ValueEnum};
use http::{HeaderValue, Uri};
use subtle::ConstantTimeEq;

use crate::cli::args::{Client, Describe};

/// Where it listens by default: this machine only.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7117);
/// The smallest byte limit: one event of the largest size must fit.
const MIN_BYTES: u64 = 8 * 1024 * 1024;
/// Tokens shorter than this are warned about: 256 bits in base64 are 43 characters.
const GOOD_TOKEN_BYTES: usize = 32;

/// The debugger for AI agents written in any language.
///
/// An agent reports each step over gRPC or HTTP; while somebody is debugging it, it is held at that step until it is
/// stepped, continued or stopped, from the page, the terminal, over HTTP or with grpcurl. Without a subcommand it
/// serves.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true, max_term_width = 100)]
pub struct Cli {
    /// What to do; serve, if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The flags of serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve gRPC, HTTP and the page on one port.
    Serve(Box<ServeArgs>),
    /// A client of a service that runs.
    #[command(flatten)]
    Client(Client),
    /// What a shell and `man` are told of the program.
    #[command(flatten)]
    Describe(Describe),
}

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
    #[arg(long, env = "AGENT_DEBUGGER_ALLOWED_HOST", value_name = "HOST", value_delimiter = ',')]
    pub allowed_host: Vec<String>,
    /// An origin whose pages may call this service, like `https://tools.example`; may be repeated.
    #[arg(long, env = "AGENT_DEBUGGER_ALLOW_ORIGIN", value_name = "ORIGIN", value_delimiter = ',', value_parser = parse_origin)]
    pub allow_origin: Vec<HeaderValue>,
    /// Listen on a public address without token and TLS. Anybody who reaches it reads and steers your agents.
    #[arg(long, env = "AGENT_DEBUGGER_INSECURE")]
    pub insecure: bool,
    /// How logs are written to stderr; RUST_LOG chooses which.
    #[arg(long, env = "AGENT_DEBUGGER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

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
pub struct ConfigError(String);

/// Everything that the service needs to know, checked.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) limits: Limits,
    pub(crate) tokens: Tokens,
    pub(crate) tls: Option<TlsFiles>,
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

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// Trace.
    Ingest,
    /// Look, without touching.
    View,
    /// Everything that steers an agent; attaching as a debugger does.
    Control,
}

/// The scopes of one caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scopes {
    ingest: bool,
    view: bool,
    control: bool,
}

impl Scopes {
    pub(crate) const ALL: Self = Self { ingest: true, view: true, control: true };
    pub(crate) const NONE: Self = Self { ingest: false, view: false, control: false };

    fn only(scope: Scope) -> Self {
        Self {
            ingest: scope == Scope::Ingest,
            view: matches!(scope, Scope::View | Scope::Control),
            control: scope == Scope::Control,
        }
    }

    pub(crate) fn contain(self, scope: Scope) -> bool {
        match scope {
            Scope::Ingest => self.ingest,
            Scope::View => self.view,
            Scope::Control => self.control,
        }
    }
}

/// The tokens that are let in; with none of them, everybody is.
#[derive(Clone, Default)]
pub(crate) struct Tokens(Vec<(Box<[u8]>, Scopes)>);

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.0.len())
    }
}

impl Tokens {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let text = match text.strip_prefix('@') {
            None => text.to_owned(),
            Some(path) => fs::read_to_string(path)
                .map_err(|error| ConfigError(format!("--token: cannot read {path}: {error}")))?,
        };
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let tokens: Vec<_> = lines
            .map(|line| match line.split_once(':') {
                Some(("ingest", token)) => (token, Scopes::only(Scope::Ingest)),
                Some(("view", token)) => (token, Scopes::only(Scope::View)),
                Some(("control", token)) => (token, Scopes::only(Scope::Control)),
                _ => (line, Scopes::ALL),
            })
            .collect();
        if tokens.is_empty() || tokens.iter().any(|(token, _)| token.is_empty()) {
            return Err(ConfigError("--token: a token is empty".into()));
        }
        if tokens.iter().any(|(token, _)| token.len() < GOOD_TOKEN_BYTES) {
            tracing::warn!("a token is shorter than {GOOD_TOKEN_BYTES} bytes: it can be guessed");
        }
        Ok(Self(tokens.into_iter().map(|(token, scopes)| (token.as_bytes().into(), scopes)).collect()))
    }

    /// Whether anybody is let in without a token.
    pub(crate) fn are_off(&self) -> bool {
        self.0.is_empty()
    }

    /// What the bearer of this token may do. Compares with every token in constant time.
    pub(crate) fn scopes(&self, token: &[u8]) -> Option<Scopes> {
        self.0.iter().fold(None, |found, (known, scopes)| match bool::from(known.ct_eq(token)) {
            true => Some(*scopes),
            false => found,
        })
    }
}

impl ServeArgs {
    /// Checks what the flags cannot check one by one.
    pub fn into_config(self) -> Result<Config, ConfigError> {
        let bytes = |flag: &str, size: ByteSize| match size.as_u64() {
            size if size < MIN_BYTES => Err(ConfigError(format!("{flag}: must be at least {}", ByteSize(MIN_BYTES)))),
            size => usize::try_from(size).map_err(|_| ConfigError(format!("{flag}: is too large"))),
        };
        let tokens = self.token.as_deref().map(Tokens::parse).transpose()?.unwrap_or_default();
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
            allowed_hosts: self.allowed_host.iter().map(|host| host.to_ascii_lowercase()).collect(),
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

/// Takes exactly an origin: scheme, host and perhaps a port.
fn parse_origin(text: &str) -> Result<HeaderValue, String> {
    let problem = || "must be an origin, like https://tools.example".to_owned();
    let uri: Uri = text.parse().map_err(|_| problem())?;
    let exact = matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
    let bare = uri.path() == "/" && uri.query().is_none() && !text.ends_with('/');
    match exact && bare {
        true => HeaderValue::from_str(text).map_err(|_| problem()),
        false => Err(problem()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn tokens_have_scopes() {
        let tokens = Tokens::parse("# comment\ningest:in\nview:see\ncontrol:act\nall\n").expect("tokens");
        let may = |token: &str| {
            let scopes = tokens.scopes(token.as_bytes())?;
            Some([Scope::Ingest, Scope::View, Scope::Control].map(|scope| scopes.contain(scope)))
        };
        assert_eq!(may("in"), Some([true, false, false]));
        assert_eq!(may("see"), Some([false, true, false]));
        assert_eq!(may("act"), Some([false, true, true]));
        assert_eq!(may("all"), Some([true, true, true]));
        assert_eq!(may("other"), None);
        assert!(Tokens::parse("").is_err());
        assert!(Tokens::parse("@/does/not/exist").is_err());
    }

    #[test]
    fn bad_values_name_their_flag() {
        for (args, flag) in [
            (&["--listen", "nonsense"][..], "--listen"),
            (&["--max-agents", "0"], "--max-agents"),
            (&["--max-bytes", "1KiB"], "--max-bytes"),
            (&["--hold-timeout", "soon"], "--hold-timeout"),
            (&["--allow-origin", "https://a.example/path"], "--allow-origin"),
            (&["--tls-cert", "c"], "--tls-key"),
        ] {
            let refused = config(args).expect_err("refused");
            assert!(refused.contains(flag), "{refused}");
        }
    }
}
