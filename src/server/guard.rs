//! Who is let in: one guard for gRPC, HTTP, SSE and the page.
//!
//! A debugger is a remote control with secrets in its log, and a local port is reached by every web page. So, on
//! every protocol: a `Host` that is ours (a rebound DNS name is not), no request that another site's page makes, no
//! gRPC in the guise of a form, and, where there are tokens, one of them.

use std::sync::LazyLock;

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tonic::Code;
use tonic_types::ErrorDetails;

use crate::{
    api::{grpc::status::status, http::error::Failure, service::Caller},
    auth::{Scopes, Tokens},
    config::Config,
};

/// Nothing from elsewhere, nothing inline, nobody's frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];

type Request = http::Request<Incoming>;

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
    pub(super) fn admit(&self, request: &Request) -> Result<Scopes, Refusal> {
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
        self.check_token(request)
    }

    /// Every name under which the request says it reached us must be one of ours.
    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let named = uri.authority().map(|authority| authority.as_str());
        let hosts = headers.get_all(header::HOST).into_iter().map(|host| host.to_str().unwrap_or_default());
        let mut is_named = false;
        let is_ours = named.into_iter().chain(hosts).all(|host| {
            is_named = true;
            self.is_ours(host)
        });
        if is_named && is_ours {
            Ok(())
        } else {
            Err(forbidden("HOST", "this host name is not allowed; see --allowed-host"))
        }
    }

    /// Whether a `host[:port]` is localhost, a literal address, or allowed by name.
    fn is_ours(&self, host: &str) -> bool {
        // As nearly every program writes it: no need to take it apart.
        let port = host.strip_prefix("localhost").or_else(|| host.strip_prefix("127.0.0.1"));
        if port.is_some_and(|port| is_port(port.as_bytes())) {
            return true;
        }
        let Ok(authority) = host.parse::<http::uri::Authority>() else { return false };
        let name = authority.host().trim_end_matches('.').to_ascii_lowercase();
        let literal = name.trim_start_matches('[').trim_end_matches(']');
        let is_literal = literal.parse::<std::net::IpAddr>().is_ok();
        !host.contains('@') && (name == "localhost" || is_literal || self.hosts.contains(&name))
    }

    /// Refuses what a page of another site makes a browser send. Programs send none of these headers and pass.
    fn check_origin(&self, request: &Request) -> Result<(), Refusal> {
        let headers = request.headers();
        let mut origins = headers.get_all(header::ORIGIN).into_iter().peekable();
        let has_origin = origins.peek().is_some();
        let mut foreign = origins.filter(|origin| !self.origins.contains(origin)).peekable();
        if has_origin && foreign.peek().is_none() {
            return Ok(());
        }
        let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        // A link from a chat or an issue to one of our pages must work.
        let follows_a_link = request.method() == Method::GET
            && headers.get(FETCH_MODE).is_some_and(|mode| mode == "navigate")
            && headers.get(FETCH_DEST).is_some_and(|dest| dest == "document")
            && is_page(request.uri().path());
        let cross_site = matches!(site, Some(b"cross-site" | b"same-site")) && !follows_a_link;
        if cross_site || foreign.any(|origin| !self.is_own_origin(origin, request)) {
            Err(forbidden("ORIGIN", "requests from other origins are not allowed; see --allow-origin"))
        } else {
            Ok(())
        }
    }

    /// Whether an origin is the very address under which the request reached us.
    fn is_own_origin(&self, origin: &HeaderValue, request: &Request) -> bool {
        let host = request.uri().authority().map(|authority| authority.as_str());
        let host = host.or_else(|| request.headers().get(header::HOST)?.to_str().ok());
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix(self.scheme));
        host.zip(origin).is_some_and(|(host, origin)| host.eq_ignore_ascii_case(origin))
    }

    fn check_token(&self, request: &Request) -> Result<Scopes, Refusal> {
        if self.tokens.are_off() {
            return Ok(Scopes::ALL);
        }
        let token = request.headers().get(header::AUTHORIZATION).and_then(|value| {
            let (scheme, token) = value.as_bytes().split_at_checked(7)?;
            scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
        });
        match token.and_then(|token| self.tokens.scopes(token)) {
            Some(scopes) => Ok(scopes),
            // What holds no data needs no token: health, and the page's shell.
            None if token.is_none() && is_open(request) => Ok(Scopes::ALL),
            None => Err(Refusal {
                code: Code::Unauthenticated,
                http: StatusCode::UNAUTHORIZED,
                reason: "TOKEN",
                message: "a bearer token is required",
            }),
        }
    }

    /// Whether an allowed origin asks if it may ask. It carries no token, and gets nothing but that answer.
    pub(super) fn is_preflight(&self, request: &Request, origin: Option<&HeaderValue>) -> bool {
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

/// Adds what every answer to a browser carries.
pub(super) fn secure(response: &mut Response) {
    static READY_MADE: LazyLock<HeaderMap> = LazyLock::new(|| {
        // Room for what the answer itself has to say, so that the copy does not grow.
        let mut headers = HeaderMap::with_capacity(HEADERS.len() * 2);
        headers.extend(HEADERS);
        headers
    });
    let own = std::mem::replace(response.headers_mut(), READY_MADE.clone());
    let mut last = None;
    for (name, value) in own {
        // Only the first of several values names its header.
        last = name.or(last);
        if let Some(name) = last.clone().filter(|name| !READY_MADE.contains_key(name)) {
            response.headers_mut().append(name, value);
        }
    }
}

/// An answer in JSON that carries all of that.
pub(super) fn secure_json(json: Vec<u8>) -> http::Response<Full<Bytes>> {
    static READY_MADE: LazyLock<HeaderMap> = LazyLock::new(|| {
        let kind = (header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        HEADERS.into_iter().chain([kind]).collect()
    });
    let mut response = http::Response::new(Full::from(json));
    *response.headers_mut() = READY_MADE.clone();
    response
}

/// What a preflight is answered.
pub(super) fn preflight_response() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PATCH, DELETE"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "authorization, content-type, last-event-id"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ];
    (StatusCode::NO_CONTENT, headers, Body::empty()).into_response()
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

/// Nothing, or a colon and digits.
fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => matches!(digits.len(), 1..=5) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn forbidden(reason: &'static str, message: &'static str) -> Refusal {
    Refusal { code: Code::PermissionDenied, http: StatusCode::FORBIDDEN, reason, message }
}

/// Whether a request speaks gRPC.
pub(crate) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// `/package.Service/…`, as tonic routes it: no route of the gateway has a dot in its first segment.
fn is_grpc_path(path: &str) -> bool {
    let path = path.as_bytes().strip_prefix(b"/").unwrap_or_default();
    let service = path.iter().position(|byte| *byte == b'/').map(|end| &path[..end]);
    service.is_some_and(|service| service.contains(&b'.'))
}

/// The pages that people open.
fn is_page(path: &str) -> bool {
    let agent = path.strip_prefix("/agent/").and_then(|rest| rest.strip_suffix("/debug"));
    path == "/" || agent.is_some_and(|agent| !agent.contains('/'))
}

/// What is shown without a token.
fn is_open(request: &Request) -> bool {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let shell = is_page(path) || path.starts_with("/assets/") || path == "/healthz" || path == "/readyz";
    (reads && shell) || path.starts_with("/grpc.health.v1.Health/")
}
