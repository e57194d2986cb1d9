//! The routes of whole runs: fork, compare, export, import.

use axum::{
    Json,
    body::{Body as HttpBody, Bytes},
    extract::Query,
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use http_body_util::BodyDataStream;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    body::{Body, Fork, broken, read},
    call::AgentCall,
    error::{ErrorBody, Failure},
};
use crate::{api::transfer::STALL_LIMIT, error::Error, json::run as json, proto};

/// Which runs to compare.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Compared {
    /// A run; "" is the default run.
    left: String,
    /// Another.
    right: String,
}

/// Which run to write.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Exported {
    /// The run; absent or "" is the default run.
    run_id: Option<String>,
    /// Whether secrets are replaced; the file says so, and can then not be forked.
    mask: Option<bool>,
}

/// Where an import goes.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Target {
    /// The run; absent = as the file has it.
    run_id: Option<String>,
}

/// Makes a run that retraces another one up to a step, and goes on live from there.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/fork", request_body = Fork<'_>,
    responses((status = 200, body = json::Forked), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn fork(
    AgentCall { service, caller, agent_id }: AgentCall,
    Body(bytes): Body,
) -> Result<Json<json::Forked>, Failure> {
    let message = read::<Fork<'_>>(&bytes)?.into_request(agent_id)?;
    let forked = service.fork(caller, message).await?;
    Ok(Json(json::forked(forked)))
}

/// Aligns two runs and says what differs.
#[utoipa::path(get, path = "/agent/{agent_id}/debug/compare", params(Compared),
    responses((status = 200, body = json::Comparison), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn compare(
    AgentCall { service, caller, agent_id }: AgentCall,
    Query(Compared { left, right }): Query<Compared>,
) -> Result<Json<json::Comparison>, Failure> {
    let message = proto::CompareRequest { agent_id, left, right };
    let compared = service.compare(caller, message).await?;
    Ok(Json(json::comparison(compared)))
}

/// Writes a run as a file of JSON Lines.
#[utoipa::path(get, path = "/agent/{agent_id}/debug/export", params(Exported),
    responses((status = 200, content_type = "application/x-ndjson", body = String), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn export(
    AgentCall { service, caller, agent_id }: AgentCall,
    Query(query): Query<Exported>,
) -> Result<Response, Failure> {
    let run_id = query.run_id.unwrap_or_default();
    let name = file_name(&agent_id, &run_id);
    let message = proto::ExportRequest { agent_id, run_id, mask: query.mask.unwrap_or_default() };
    let pieces = service.export(caller, message).await?;
    let body = HttpBody::from_stream(pieces);
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, body).into_response())
}

/// A name for the file that every system takes.
fn file_name(agent_id: &str, run_id: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' };
    let name: String = [agent_id, run_id].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-");
    format!("{}.jsonl", name.chars().map(plain).take(100).collect::<String>())
}

/// Reads such a file as a new run.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/import", params(Target),
    request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = json::Imported), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn import(
    AgentCall { service, caller, agent_id }: AgentCall,
    Query(Target { run_id }): Query<Target>,
    body: HttpBody,
) -> Result<Json<json::Imported>, Failure> {
    let target = proto::ImportTarget { agent_id, run_id };
    let imported = service.import(caller, target, pieces(body)).await?;
    Ok(Json(json::imported(imported)))
}

/// The pieces of a body as they come, each within a bounded time.
fn pieces(body: HttpBody) -> impl Stream<Item = Result<Bytes, Failure>> + Send + Unpin {
    let pieces = stream::unfold(BodyDataStream::new(body), |mut body| async move {
        let piece = match tokio::time::timeout(STALL_LIMIT, body.next()).await {
            Err(_) => Err(Error::Stalled(STALL_LIMIT).into()),
            Ok(piece) => piece?.map_err(|error| broken(&error)),
        };
        Some((piece, body))
    });
    Box::pin(pieces)
}
