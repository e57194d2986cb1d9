//! Errors over HTTP: `{"error": …}` with the members of RFC 9457 beside it.

use axum::{
    Json,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use utoipa::ToSchema;

use crate::error::Error;

/// A refused request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    error: String,
    /// The line and the column of a body that is no JSON.
    place: Option<(usize, usize)>,
    /// A constant that programs may match on.
    reason: String,
}

/// What an error answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct ErrorBody {
    /// What is wrong with which thing.
    error: String,
    /// Always `about:blank`: the status says what kind of problem it is.
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// The same as `error`.
    detail: String,
    /// A constant that programs may match on.
    reason: String,
    /// Where a body stops to be JSON, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// In that line, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, reason: &str, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), place: None, reason: reason.into() }
    }

    /// The same, with its place in the body.
    pub(crate) fn at(self, line: usize, column: usize) -> Self {
        Self { place: Some((line, column)), ..self }
    }

    pub(crate) fn invalid(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_FIELD", error)
    }

    pub(crate) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", "there is nothing at this path")
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "this path does not take this method")
    }
}

/// One table from a gRPC status to HTTP.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let code = match status.code() {
            Code::Ok => StatusCode::OK,
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => StatusCode::CONFLICT,
            Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Code::OutOfRange => StatusCode::GONE,
            Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Code::Unauthenticated => StatusCode::UNAUTHORIZED,
            Code::PermissionDenied => StatusCode::FORBIDDEN,
            Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Code::Cancelled | Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
        Self::new(code, &reason, status.message())
    }
}

/// By way of the contract's own table, so that both transports say the same.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Status::from(error).into()
    }
}

impl IntoResponse for Failure {
    /// Only marks the response; [`render`] writes it once it knows what the client accepts.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes every error in one shape: ours, and those with which axum refuses a request by itself.
pub(crate) async fn render(response: Response, wants_problem: bool) -> Response {
    if response.status().is_success() {
        return response;
    }
    let known = response.extensions().get::<Failure>().cloned();
    if known.is_none() && !is_bare_error(&response) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let failure = match known {
        Some(failure) => failure,
        // What axum says of a path or a query names the field.
        None => bare(parts.status, &to_bytes(body, MAX_SAID_BYTES).await.unwrap_or_default()),
    };
    let body = ErrorBody {
        error: failure.error.clone(),
        r#type: "about:blank",
        title: failure.status.canonical_reason().unwrap_or("Error"),
        status: failure.status.as_u16(),
        detail: failure.error,
        reason: failure.reason,
        line: failure.place.map(|(line, _)| line),
        column: failure.place.map(|(_, column)| column),
    };
    let kind = if wants_problem { "application/problem+json" } else { "application/json" };
    // What the layers below said of the answer (challenges, allowed methods, security headers) stays.
    parts.status = failure.status;
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Response::from_parts(parts, Json(body).into_response().into_body())
}

/// Whether a client asks for errors as problems of RFC 9457.
pub(crate) fn accepts_problem(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|value| value.split(',')).any(|kind| kind.trim().starts_with("application/problem+json"))
}

/// An error of a library below us, in text or without a body.
fn is_bare_error(response: &Response<Body>) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    response.status().as_u16() >= 400 && kind.is_none_or(|kind| kind.starts_with("text/plain"))
}

/// The longest text of a library's own error that is passed on.
const MAX_SAID_BYTES: usize = 1_024;

fn bare(status: StatusCode, said: &[u8]) -> Failure {
    let said = std::str::from_utf8(said).unwrap_or_default();
    let (reason, error) = match status {
        StatusCode::PAYLOAD_TOO_LARGE => ("TOO_LARGE", "body must be at most 4 MiB"),
        StatusCode::BAD_REQUEST if !said.is_empty() => ("INVALID_FIELD", said),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("CONTENT_TYPE", "content-type is not supported here"),
        _ => ("ERROR", status.canonical_reason().unwrap_or("the request was refused")),
    };
    Failure::new(status, reason, error)
}
