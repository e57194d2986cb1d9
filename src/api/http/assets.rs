//! The pages and what they need, out of the binary: nothing is fetched from anywhere else.
//!
//! A page is a shell without data: what it shows comes over the API, under the same guards as for everybody.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::LazyLock,
};

use axum::{
    extract::Path,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use include_dir::{Dir, include_dir};

use super::error::Failure;

static ASSETS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates/assets");
const INDEX: &str = include_str!("../../../templates/index.html");
const DEBUGGER: &str = include_str!("../../../templates/debugger.html");

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The page as it is sent to a browser that another site had open it; `core/arrival.js` reads the mark.
static ARRIVED: LazyLock<String> =
    LazyLock::new(|| DEBUGGER.replacen("<html lang=\"en\"", "<html lang=\"en\" data-arrival=\"cross-site\"", 1));

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

/// The page of an agent. One that another site opened is told so, and then observes: no page elsewhere pauses an agent.
pub(crate) async fn debugger(Path(agent_id): Path<String>, headers: HeaderMap) -> Result<Response, Failure> {
    crate::api::convert::request::agent_id(&agent_id).map_err(tonic::Status::from)?;
    let vary = (header::VARY, HeaderValue::from_name(FETCH_SITE));
    if is_from_elsewhere(&headers) {
        // Kept by no cache: the same address, typed, is another page.
        let head = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store")), vary];
        return Ok((head, Html(ARRIVED.as_str())).into_response());
    }
    Ok(([vary], page(DEBUGGER)).into_response())
}

/// Whether another site had the browser open the page. A browser that does not tell counts as a person who typed.
fn is_from_elsewhere(headers: &HeaderMap) -> bool {
    let is_own = |site: &HeaderValue| {
        site.as_bytes().eq_ignore_ascii_case(b"same-origin") || site.as_bytes().eq_ignore_ascii_case(b"none")
    };
    !headers.get_all(FETCH_SITE).into_iter().all(is_own)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_the_mark_of_its_arrival() {
        assert_eq!(ARRIVED.matches("data-arrival=\"cross-site\"").count(), 1);
    }
}
