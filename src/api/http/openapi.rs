//! The HTTP contract as OpenAPI 3.1, made from the handlers and bodies themselves.

mod complete;

use std::sync::LazyLock;

use axum::{Json, response::IntoResponse};
use utoipa::OpenApi;

use super::{api, breakpoints, runs, sse};
use complete::Complete;

#[derive(OpenApi)]
#[openapi(
    modifiers(&Complete),
    info(
        title = "agent-debugger",
        description = "The debugger for AI agents written in any language. gRPC is the contract; this is its mapping."
    ),
    paths(
        api::trace,
        api::step,
        api::resume,
        api::pause,
        api::release,
        api::clear,
        api::status,
        api::list_events,
        api::list_agents,
        sse::events,
        breakpoints::create,
        breakpoints::list,
        breakpoints::update,
        breakpoints::delete,
        breakpoints::test,
        runs::fork,
        runs::compare,
        runs::export,
        runs::import,
    ),
    components(schemas(
        crate::json::Event<'static>,
        crate::json::DecisionMade<'static>,
        crate::json::run::RunForked,
        crate::json::State,
    ))
)]
struct Document;

static DOCUMENT: LazyLock<utoipa::openapi::OpenApi> = LazyLock::new(Document::openapi);

/// `GET /openapi.json`.
pub(crate) async fn document() -> impl IntoResponse {
    Json(&*DOCUMENT)
}
