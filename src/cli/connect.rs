//! The channel to the service: its url, the token that every call brings, TLS.

use std::{error::Error, fs, time::Duration};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};

use super::{Problem, args::ServiceArgs};
pub(super) use crate::auth::Scope;
use crate::{auth, proto::debugger_service_client::DebuggerServiceClient};

/// A client of the contract.
pub(super) type Api = DebuggerServiceClient<InterceptedService<Channel, Bearer>>;

/// Who does not answer within this is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A service that does not answer a ping within these is gone, and the stream is opened again.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);
/// A decision may hold an event's data before and after, and a page of the record 3.5 MiB.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// Puts the token into every call.
#[derive(Clone)]
pub(super) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// A service that can be connected to.
#[derive(Clone)]
pub(super) struct Service {
    pub(super) url: String,
    endpoint: Endpoint,
    bearer: Bearer,
}

impl Service {
    /// Reads the token and the certificates. Does not connect yet. `scope` is what the token is for.
    pub(super) fn new(args: &ServiceArgs, scope: Scope) -> Result<Self, Problem> {
        let endpoint = Endpoint::from_shared(args.url.clone())
            .map_err(|error| Problem::Usage(format!("--url: {error}")))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let endpoint = if args.url.starts_with("https://") {
            endpoint.tls_config(tls(args)?).map_err(|error| Problem::Usage(format!("--tls-ca: {error}")))?
        } else {
            endpoint
        };
        let token = token(args, scope)?.map(|token| {
            let mut value: MetadataValue<Ascii> = format!("Bearer {token}")
                .parse()
                .map_err(|_| Problem::Usage("--token: holds what a header cannot".into()))?;
            value.set_sensitive(true);
            Ok::<_, Problem>(value)
        });
        Ok(Self { url: args.url.clone(), endpoint, bearer: Bearer(token.transpose()?) })
    }

    pub(super) async fn channel(&self) -> Result<Channel, Problem> {
        self.endpoint.connect().await.map_err(|error| self.unreachable(&error))
    }

    pub(super) async fn connect(&self) -> Result<Api, Problem> {
        let channel = self.channel().await?;
        let api = DebuggerServiceClient::with_interceptor(channel, self.bearer.clone());
        Ok(api.max_decoding_message_size(MAX_MESSAGE_BYTES))
    }

    pub(super) fn unreachable(&self, error: &dyn Error) -> Problem {
        // The last cause is the one that says something: "connection refused" and not "transport error".
        let mut cause = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        Problem::Unreachable { url: self.url.clone(), cause: cause.to_string() }
    }
}

fn tls(args: &ServiceArgs) -> Result<ClientTlsConfig, Problem> {
    let Some(path) = &args.tls_ca else { return Ok(ClientTlsConfig::new().with_native_roots()) };
    let unreadable = |error| Problem::Usage(format!("--tls-ca: cannot read {}: {error}", path.display()));
    Ok(ClientTlsConfig::new().ca_certificate(Certificate::from_pem(fs::read(path).map_err(unreadable)?)))
}

/// The token to bring: of a file with several the one that fits `scope` best.
pub(super) fn token(args: &ServiceArgs, scope: Scope) -> Result<Option<String>, Problem> {
    let Some(given) = &args.token else { return Ok(None) };
    let text = auth::read(given).map_err(|problem| Problem::Usage(format!("--token: {problem}")))?;
    let found = pick(&text, scope).ok_or_else(|| Problem::Usage("--token: is empty".into()))?;
    Ok(Some(found.to_owned()))
}

/// The token of a text that fits best.
fn pick(text: &str, wanted: Scope) -> Option<&str> {
    let rank = |scope: Option<Scope>| match scope {
        Some(scope) if scope == wanted => 0,
        None => 1,
        // A token for control may look, too.
        Some(Scope::Control) if wanted == Scope::View => 2,
        Some(_) => 3,
    };
    auth::lines(text)
        .filter(|(_, token)| !token.is_empty())
        .min_by_key(|(scope, _)| rank(*scope))
        .map(|(_, token)| token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_tokens_the_one_for_the_purpose_is_taken() {
        let file = "# of the service\ningest:in\nview:see\ncontrol:act\n";
        assert_eq!(pick(file, Scope::Ingest), Some("in"));
        assert_eq!(pick(file, Scope::View), Some("see"));
        assert_eq!(pick(file, Scope::Control), Some("act"));
        assert_eq!(pick("ingest:in\nall\n", Scope::Control), Some("all"));
        assert_eq!(pick("ingest:in\ncontrol:act", Scope::View), Some("act"));
        assert_eq!(pick("plain", Scope::Control), Some("plain"));
        assert_eq!(pick("# nothing\n\n", Scope::Control), None);
    }
}
