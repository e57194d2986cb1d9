//! Who is let in: one guard for gRPC, HTTP, SSE and the page.
//!
//! A debugger is a remote control with secrets in its log, and a local port is reached by every web page. So, on
//! every protocol: a `Host` that is ours (a rebound DNS name is not), no request that another site's page makes, no
//! gRPC in the guise of a form, and, where there are tokens, one of them.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};
use tonic::Code;
use tonic_types::ErrorDetails;

use super::{
    auth::{self, Admitted, is_page},
    headers::{Doubled, RESOURCE_POLICY, only},
};
use crate::{
    api::{
        grpc::{
            path::{is_grpc, is_grpc_path},
            status::status,
        },
        http::error::Failure,
        service::Caller,
    },
    auth::Tokens,
    config::Config,
};

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What the guard goes by.
pub(super) struct Guard {
    tokens: Tokens,
    hosts: Vec<String>,
    origins: Vec<HeaderValue>,
    /// How our own origin begins.
    scheme: &'static str,
}

/// Why a request is refused.
pub(super) struct Refusal {
    code: Code,
    http: StatusCode,
    reason: &'static str,
    message: &'static str,
}

impl Guard {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            tokens: config.tokens.clone(),
            hosts: config.allowed_hosts.clone(),
            origins: config.allowed_origins.clone(),
            scheme: if config.tls.is_some() { "https://" } else { "http://" },
        }
    }

    /// Lets a request in and says what its caller may do.
    pub(super) fn admit<B>(&self, request: &http::Request<B>) -> Result<Admitted, Refusal> {
        let headers = request.headers();
        self.check_host(request.uri(), headers)?;
        self.check_origin(request)?;
        if is_grpc_path(request.uri().path()) && !is_grpc(headers) {
            return Err(Refusal {
                code: Code::InvalidArgument,
                http: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                reason: "CONTENT_TYPE",
                message: "gRPC wants content-type application/grpc",
            });
        }
        auth::check(&self.tokens, request).ok_or(Refusal {
            code: Code::Unauthenticated,
            http: StatusCode::UNAUTHORIZED,
            reason: "TOKEN",
            message: "a bearer token is required",
        })
    }

    /// The name under which the request says it reached us must be one of ours, wherever it says it.
    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let refused = || forbidden("HOST", "this host name is not allowed; see --allowed-host");
        let named = uri.authority().map(Authority::as_str);
        let header = only(headers, &header::HOST).map_err(|Doubled| refused())?;
        let header = header.map(|host| host.to_str().unwrap_or_default());
        let host = match (named, header) {
            (Some(named), Some(header)) if !named.eq_ignore_ascii_case(header) => None,
            (named, header) => named.or(header),
        };
        if host.is_some_and(|host| self.is_ours(host)) { Ok(()) } else { Err(refused()) }
    }

    /// Whether a `host[:port]` is localhost, a literal address, or allowed by name.
    fn is_ours(&self, host: &str) -> bool {
        // As nearly every program writes it: no need to take it apart.
        let port = host.strip_prefix("localhost").or_else(|| host.strip_prefix("127.0.0.1"));
        if port.is_some_and(|port| is_port(port.as_bytes())) {
            return true;
        }
        let Ok(authority) = host.parse::<Authority>() else { return false };
        let name = authority.host();
        // The library takes a name apart from its port, and checks neither what stands between them nor the port.
        if !host.strip_prefix(name).is_some_and(|port| is_port(port.as_bytes())) {
            return false;
        }
        if let Some(literal) = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return literal.parse::<std::net::Ipv6Addr>().is_ok();
        }
        // A name may be written out to the root.
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        name == "localhost" || name.parse::<std::net::Ipv4Addr>().is_ok() || self.hosts.contains(&name)
    }

    /// Refuses what a page of another site makes a browser send. Programs send none of these headers and pass.
    fn check_origin<B>(&self, request: &http::Request<B>) -> Result<(), Refusal> {
        let headers = request.headers();
        let refused = || forbidden("ORIGIN", "requests from other origins are not allowed; see --allow-origin");
        let doubled = |Doubled| refused();
        let origin = only(headers, &header::ORIGIN).map_err(doubled)?;
        let site = only(headers, &FETCH_SITE).map_err(doubled)?;
        if origin.is_some_and(|origin| self.origins.contains(origin)) {
            return Ok(());
        }
        // A link from a chat or an issue to one of our pages must work.
        let is =
            |name: &HeaderName, word: &str| only(headers, name).is_ok_and(|value| value.is_some_and(|it| it == word));
        let follows_a_link = || {
            request.method() == Method::GET
                && is(&FETCH_MODE, "navigate")
                && is(&FETCH_DEST, "document")
                && is_page(request.uri().path())
        };
        let is_own = origin.is_none_or(|origin| self.is_own_origin(origin, request));
        if is_own && (site.is_none_or(is_own_site) || follows_a_link()) { Ok(()) } else { Err(refused()) }
    }

    /// Whether an origin is the very address under which the request reached us.
    fn is_own_origin<B>(&self, origin: &HeaderValue, request: &http::Request<B>) -> bool {
        let host = request.uri().authority().map(|authority| authority.as_str());
        let host = host.or_else(|| request.headers().get(header::HOST)?.to_str().ok());
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix(self.scheme));
        host.zip(origin).is_some_and(|(host, origin)| host.eq_ignore_ascii_case(origin))
    }

    /// Whether an allowed origin asks if it may ask. It carries no token, and gets nothing but that answer.
    pub(super) fn is_preflight<B>(&self, request: &http::Request<B>, origin: Option<&HeaderValue>) -> bool {
        request.method() == Method::OPTIONS
            && origin.is_some_and(|origin| self.origins.contains(origin))
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
            && self.check_host(request.uri(), request.headers()).is_ok()
    }

    /// The headers that let an allowed origin's page read the answer.
    pub(super) fn allow_origin(&self, origin: Option<&HeaderValue>, response: &mut Response) {
        let Some(origin) = origin.filter(|origin| self.origins.contains(origin)) else { return };
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
}

impl Refusal {
    /// The refusal as an answer, written down.
    pub(super) fn into_response(self, grpc: bool, caller: Option<&Caller>) -> Response {
        let peer = caller.and_then(|caller| caller.peer).map(tracing::field::display);
        tracing::warn!(reason = self.reason, peer, "refused a request");
        if grpc && self.http != StatusCode::UNSUPPORTED_MEDIA_TYPE {
            return status(self.code, self.reason, self.message, ErrorDetails::new()).into_http();
        }
        let mut response = Failure::new(self.http, self.reason, self.message).into_response();
        if self.http == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Nothing, or a colon and the number of a port.
fn is_port(text: &[u8]) -> bool {
    let number = |digits: &[u8]| digits.iter().fold(0, |number: u32, digit| number * 10 + u32::from(digit - b'0'));
    match text {
        [] => true,
        [b':', digits @ ..] => {
            matches!(digits.len(), 1..=5)
                && digits.iter().all(u8::is_ascii_digit)
                && number(digits) <= u32::from(u16::MAX)
        }
        _ => false,
    }
}

/// Whether a page of ours asks, or a person: what a browser says of neither comes from another site.
fn is_own_site(site: &HeaderValue) -> bool {
    let site = site.as_bytes();
    site.eq_ignore_ascii_case(b"same-origin") || site.eq_ignore_ascii_case(b"none")
}

/// The refusal of a request that the budget of bytes in flight has no room for.
pub(super) const EXHAUSTED: Refusal = Refusal {
    code: Code::ResourceExhausted,
    http: StatusCode::TOO_MANY_REQUESTS,
    reason: "BYTES_IN_FLIGHT",
    message: "too many bytes are in flight: fewer or smaller calls at a time",
};

/// The refusal of a request that does not steer, on one of the last connections.
pub(super) const RESERVED: Refusal = Refusal {
    code: Code::Unavailable,
    http: StatusCode::SERVICE_UNAVAILABLE,
    reason: "CONNECTION_LIMIT",
    message: "the last connections are kept for callers that steer: try again",
};

fn forbidden(reason: &'static str, message: &'static str) -> Refusal {
    Refusal { code: Code::PermissionDenied, http: StatusCode::FORBIDDEN, reason, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> Guard {
        Guard { tokens: Tokens::default(), hosts: vec!["debugger.test".into()], origins: Vec::new(), scheme: "http://" }
    }

    #[test]
    fn a_host_is_ours_only_as_a_whole() {
        let guard = guard();
        for host in [
            "localhost",
            "LocalHost.:80",
            "127.0.0.1:65535",
            "192.0.2.7",
            "[::1]",
            "[::1]:7117",
            "[::ffff:127.0.0.1]",
            "debugger.test",
            "DEBUGGER.test.:1",
        ] {
            assert!(guard.is_ours(host), "{host}");
        }
        for host in [
            "",
            ".",
            "localhost..",
            "localhost:",
            "localhost:abc",
            "localhost:80:80",
            "localhost:+80",
            "localhost:65536",
            "localhost:123456",
            "localhost.evil.test",
            "localhost@evil.test",
            "evil.test@localhost",
            "[::1].evil.test",
            "[::1]evil.test",
            "[::1]:",
            "[::1]:x",
            "[[::1]]",
            "[127.0.0.1]",
            "[localhost]",
            "[]",
            "[::1",
            "::1",
            "127.0.0.1.evil.test",
            "127.1",
            "0x7f.0.0.1",
            "127.0.0.1..",
            "debugger.test..",
            "debugger.test:http",
            "localhost/",
            "local host",
            "localhost,evil.test",
        ] {
            assert!(!guard.is_ours(host), "{host}");
        }
    }

    #[test]
    fn a_header_that_stands_twice_is_refused() {
        let guard = guard();
        let admitted = |headers: &[(&str, &str)]| {
            let mut request = http::Request::get("/agents");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            guard.admit(&request.body(()).expect("request")).is_ok()
        };
        assert!(admitted(&[("host", "localhost")]));
        assert!(!admitted(&[]) && !admitted(&[("host", "localhost"), ("host", "localhost")]));
        for site in ["same-origin", "Same-Origin", "none"] {
            assert!(admitted(&[("host", "localhost"), ("sec-fetch-site", site)]), "{site}");
        }
        for site in ["cross-site", "CROSS-SITE", "Same-Site", "", "other", "none, cross-site"] {
            assert!(!admitted(&[("host", "localhost"), ("sec-fetch-site", site)]), "{site}");
        }
        let own = ("origin", "http://localhost");
        assert!(admitted(&[("host", "localhost"), own]));
        assert!(!admitted(&[("host", "localhost"), own, own]));
        let none = ("sec-fetch-site", "none");
        assert!(!admitted(&[("host", "localhost"), none, none]));
    }
}
