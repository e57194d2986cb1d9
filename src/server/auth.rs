//! What the bearer token of a request allows, and what needs none.

use http::{HeaderValue, Method, header};

use super::headers::only;
use crate::auth::{Scopes, Tokens};

/// What a request may do, and whether a token of ours said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Admitted {
    pub(super) scopes: Scopes,
    /// Not so for what is open to callers without a token, where there are tokens.
    pub(super) is_authorised: bool,
}

/// What the bearer of the request's token may do; nothing where it has none that is known, and needs one.
pub(super) fn check<B>(tokens: &Tokens, request: &http::Request<B>) -> Option<Admitted> {
    if tokens.are_off() {
        return Some(Admitted { scopes: Scopes::ALL, is_authorised: true });
    }
    // Of two tokens neither counts.
    let value = only(request.headers(), &header::AUTHORIZATION).ok()?;
    let token = value.and_then(bearer);
    match token {
        Some(token) => tokens.scopes(token).map(|scopes| Admitted { scopes, is_authorised: true }),
        // What holds no data needs no token: health, and the page's shell.
        None => is_open(request).then_some(Admitted { scopes: Scopes::ALL, is_authorised: false }),
    }
}

fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token.trim_ascii())
}

/// The pages that people open.
pub(super) fn is_page(path: &str) -> bool {
    let agent = path.strip_prefix("/agent/").and_then(|rest| rest.strip_suffix("/debug"));
    path == "/" || agent.is_some_and(|agent| !agent.contains('/'))
}

/// What is shown without a token.
fn is_open<B>(request: &http::Request<B>) -> bool {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let shell = is_page(path) || path.starts_with("/assets/") || path == "/healthz" || path == "/readyz";
    (reads && shell) || path.starts_with("/grpc.health.v1.Health/")
}
