//! Reporting a step: until there is an answer, or it is clear that there will be none.

use std::{
    io::{self, Write as _},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prost::Message;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tonic::{
    Code, Request,
    metadata::{Ascii, MetadataValue},
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use crate::{
    config::{Config, ConfigError},
    proto::{
        EventType, Outcome, TraceRequest, TraceResponse, debugger_service_client::DebuggerServiceClient, trace_request,
    },
    step::{Step, Told},
    stopped::Stopped,
    trouble::Trouble,
};

/// How long to wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a service that is away is asked again.
const AWAY: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(200);
/// A step that got no answer for this long was held: others are answered in milliseconds.
const HELD_AFTER: Duration = Duration::from_secs(1);
/// How long one call waits while the step is held; then it asks again. A lost connection is noticed a little later.
const POLL: Duration = Duration::from_secs(20);
/// The same after a connection was lost: whether the service is back is to be known soon.
const POLL_WHEN_AWAY: Duration = Duration::from_secs(2);
/// How long an answer may take beyond that.
const MARGIN: Duration = Duration::from_secs(10);
const MARGIN_WHEN_AWAY: Duration = Duration::from_secs(3);
/// The largest message that the service takes. A larger one is refused here, since the service would not read it to
/// its end, and that looks like a lost connection.
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// The largest payload that it takes.
const MAX_DATA_BYTES: usize = 3_670_016;
/// Room for the largest payload in the largest answer.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// One run's way to the debugger. Clones share it.
#[derive(Clone, Debug)]
pub struct Debugger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Config,
    authorization: Option<MetadataValue<Ascii>>,
    client: DebuggerServiceClient<Channel>,
    /// Whether stderr was told that there is no debugger.
    warned: AtomicBool,
    /// Whether an event with `run_end` was reported.
    ended: AtomicBool,
}

impl Debugger {
    /// The debugger that the environment names ([`Config::from_env`]). It connects at the first step.
    pub fn from_env(default_agent_id: &str) -> Result<Self, ConfigError> {
        Self::new(Config::from_env(default_agent_id))
    }

    /// The debugger that `config` names. It connects at the first step; make it within a tokio runtime.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let invalid = || ConfigError::Url { url: config.url.clone() };
        let mut endpoint = Endpoint::from_shared(config.url.clone()).map_err(|_| invalid())?;
        match endpoint.uri().scheme_str() {
            Some("http") => {}
            Some("https") => {
                let tls = ClientTlsConfig::new().with_native_roots();
                endpoint = endpoint.tls_config(tls).map_err(|_| invalid())?;
            }
            _ => return Err(invalid()),
        }
        let channel = endpoint.connect_timeout(CONNECT_TIMEOUT).connect_lazy();
        Ok(Self {
            shared: Arc::new(Shared {
                authorization: config.authorization()?,
                client: DebuggerServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER_BYTES),
                warned: AtomicBool::new(false),
                ended: AtomicBool::new(false),
                config,
            }),
        })
    }

    /// Reports one step, waits while it is held, and returns the decision.
    ///
    /// # Errors
    ///
    /// The step must not run: see [`Stopped`].
    pub async fn step(&self, step: Step) -> Result<Told, Stopped> {
        let mut request = step.request;
        let fill = |field: &mut String, value: &str| {
            if field.is_empty() {
                value.clone_into(field);
            }
        };
        fill(&mut request.agent_id, &self.shared.config.agent_id);
        fill(&mut request.run_id, &self.shared.config.run_id);
        if request.request_id.is_empty() {
            request.request_id = new_id()?;
        }
        check_size(&request)?;
        let run_end = request.run_end;
        let answer = self.ask(request).await?;
        if run_end {
            self.shared.ended.store(true, Ordering::Relaxed);
        }
        answer.map_or_else(|| Ok(Told::proceed()), Told::by)
    }

    /// Reports what came of the run as its last event, unless one was reported already. It is not held.
    ///
    /// # Errors
    ///
    /// The event was refused. An abort is no error here: an aborted run answers every later step with it.
    pub async fn end(&self, result: &Value) -> Result<(), Stopped> {
        if self.shared.ended.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.step(Step::new(EventType::Log, result).run_end().never_held()).await {
            Ok(_) | Err(Stopped::Aborted { .. }) => Ok(()),
            Err(stopped) => Err(stopped),
        }
    }

    /// Asks until there is an answer; nothing where no debugger is there.
    async fn ask(&self, mut request: TraceRequest) -> Result<Option<TraceResponse>, Stopped> {
        // Whether the step is known to have been held, and until when a service that is away is waited for.
        let (mut held, mut away_until) = (false, None);
        loop {
            let asked = Instant::now();
            let message = match self.trace(&mut request, away_until.is_some()).await {
                Ok(answer) if answer.outcome() == Outcome::StillHeld => {
                    (held, away_until) = (true, None);
                    continue;
                }
                Ok(answer) => return Ok(Some(answer)),
                Err(Trouble::Stopped(stopped)) => return Err(stopped),
                Err(Trouble::NoRoom(message)) => return self.absent(message),
                // A service that was there a moment ago may be starting again.
                Err(Trouble::Absent(message)) if !held && away_until.is_none() => return self.absent(message),
                Err(Trouble::Absent(message) | Trouble::Away(message)) => message,
            };
            held |= asked.elapsed() > HELD_AFTER;
            let now = Instant::now();
            if now >= *away_until.get_or_insert(now + AWAY) {
                return if held { Err(Stopped::Lost { message }) } else { self.absent(message) };
            }
            sleep(PAUSE).await;
        }
    }

    async fn trace(&self, request: &mut TraceRequest, away: bool) -> Result<TraceResponse, Trouble> {
        let (poll, margin) = if away { (POLL_WHEN_AWAY, MARGIN_WHEN_AWAY) } else { (POLL, MARGIN) };
        let mut sent = request.clone();
        if sent.hold_timeout.is_none() {
            sent.hold_timeout = prost_types::Duration::try_from(poll).ok();
        }
        let mut call = Request::new(sent);
        if let Some(authorization) = &self.shared.authorization {
            call.metadata_mut().insert("authorization", authorization.clone());
        }
        match timeout(poll + margin, self.shared.client.clone().trace(call)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(Trouble::of(status)),
            Err(_) => Err(Trouble::Away("no answer".into())),
        }
    }

    fn absent(&self, message: String) -> Result<Option<TraceResponse>, Stopped> {
        if self.shared.config.required {
            return Err(Stopped::Absent { message });
        }
        if !self.shared.warned.swap(true, Ordering::Relaxed) {
            // The agent may have closed its stderr: a warning that cannot be written must not end it.
            let _ = writeln!(io::stderr(), "going on without the debugger: {message}");
        }
        Ok(None)
    }
}

fn check_size(request: &TraceRequest) -> Result<(), Stopped> {
    let data = match &request.payload {
        Some(trace_request::Payload::DataJson(text)) => text.len(),
        Some(trace_request::Payload::Data(data)) => data.encoded_len(),
        None => 0,
    };
    let too_large = |field: &str, bytes: usize, limit: usize| {
        let message = format!("{field}: {bytes} bytes, at most {limit} are taken");
        Err(Stopped::refused(Code::ResourceExhausted, message))
    };
    if data > MAX_DATA_BYTES {
        return too_large("data", data, MAX_DATA_BYTES);
    }
    let whole = request.encoded_len();
    if whole > MAX_REQUEST_BYTES { too_large("the step", whole, MAX_REQUEST_BYTES) } else { Ok(()) }
}

/// A name that no other request has: 128 random bits.
fn new_id() -> Result<String, Stopped> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits)
        .map_err(|error| Stopped::refused(Code::Internal, format!("request_id: no random bits: {error}")))?;
    Ok(bits.iter().map(|byte| format!("{byte:02x}")).collect())
}
