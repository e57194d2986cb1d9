//! The pages and what they need, out of the binary: nothing is fetched from anywhere else.
//!
//! A page is a shell without data: what it shows comes over the API, under the same guards as for everybody.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
};

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use include_dir::{Dir, include_dir};

use super::error::Failure;

static ASSETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates/assets");
const INDEX: &str = include_str!("../../../templates/index.html");
const DEBUGGER: &str = include_str!("../../../templates/debugger.html");

/// One tag for all: they change together, with the binary.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut hasher = DefaultHasher::new();
    hash_files(&ASSETS, &mut hasher);
    HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish())).unwrap_or(HeaderValue::from_static("\"\""))
});

fn hash_files(folder: &Dir<'_>, hasher: &mut DefaultHasher) {
    for file in folder.files() {
        file.path().hash(hasher);
        file.contents().hash(hasher);
    }
    for inner in folder.dirs() {
        hash_files(inner, hasher);
    }
}

pub(crate) async fn index() -> Response {
    page(INDEX)
}

pub(crate) async fn debugger(Path(agent_id): Path<String>) -> Result<Response, Failure> {
    let id = crate::api::convert::request::agent_id(&agent_id);
    id.map(|_| page(DEBUGGER)).map_err(|error| tonic::Status::from(error).into())
}

fn page(html: &'static str) -> Response {
    ([(header::CACHE_CONTROL, "no-cache")], Html(html)).into_response()
}

pub(crate) async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Result<Response, Failure> {
    let kind = match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => return Err(Failure::not_found()),
    };
    let file = ASSETS.get_file(&name).ok_or_else(Failure::not_found)?;
    let tag = TAG.clone();
    let head = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if headers.get(header::IF_NONE_MATCH) == Some(&tag) {
        return Ok((StatusCode::NOT_MODIFIED, head).into_response());
    }
    Ok((head, [(header::CONTENT_TYPE, kind)], file.contents()).into_response())
}
