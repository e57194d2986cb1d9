//! The headers of every HTTP response, those that answer another origin's preflight, and those of requests that may
//! stand only once.

use std::sync::LazyLock;

use axum::{
    body::{Body, Bytes},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::Full;

/// Nothing from elsewhere, nothing inline, no frame.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
pub(super) const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (OPENER_POLICY, HeaderValue::from_static("same-origin")),
    (RESOURCE_POLICY, HeaderValue::from_static("same-origin")),
];

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

/// What stands twice where it may stand once.
pub(super) struct Doubled;

/// The value of a header that may stand once: two of them are a mistake, or a trick on whichever reader takes the other.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Doubled> {
    let first = headers.get(name);
    // As nearly all requests are: nothing stands twice.
    if headers.len() == headers.keys_len() || headers.get_all(name).iter().nth(1).is_none() {
        Ok(first)
    } else {
        Err(Doubled)
    }
}
