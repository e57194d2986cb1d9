//! The routes of breakpoints.

use axum::{Json, extract::Path};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    body::{self, Body, read},
    call::{AgentCall, Call},
    error::{ErrorBody, Failure},
};
use crate::{json, proto};

/// An agent's breakpoints, in the order of their making.
#[derive(Serialize, ToSchema)]
pub(crate) struct Breakpoints {
    breakpoints: Vec<json::Breakpoint>,
}

/// The breakpoint is gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deleted {
    /// Always `deleted`.
    status: &'static str,
}

/// Where a breakpoint would have hit.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tested {
    matched: u64,
    examined: u64,
    /// The newest 1,000, oldest first.
    seqs: Vec<u64>,
    /// Events that it could not judge, as it could not have live; left out where there are none.
    #[serde(skip_serializing_if = "is_zero")]
    unjudged: u64,
    /// Why it could not judge the newest of them.
    #[serde(skip_serializing_if = "String::is_empty")]
    problem: String,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Makes a breakpoint.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/breakpoints", request_body = body::Breakpoint,
    responses((status = 200, body = json::Breakpoint), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn create(
    AgentCall { service, caller, agent_id }: AgentCall,
    Body(bytes): Body,
) -> Result<Json<json::Breakpoint>, Failure> {
    let (breakpoint, _) = read::<body::Breakpoint>(&bytes)?.into_parts()?;
    let message = proto::CreateBreakpointRequest { agent_id, breakpoint: Some(breakpoint) };
    let created = service.create_breakpoint(caller, message)?;
    Ok(Json(json::breakpoint(created.breakpoint.unwrap_or_default())))
}

/// An agent's breakpoints.
#[utoipa::path(get, path = "/agent/{agent_id}/debug/breakpoints",
    responses((status = 200, body = Breakpoints), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn list(AgentCall { service, caller, agent_id }: AgentCall) -> Result<Json<Breakpoints>, Failure> {
    let message = proto::ListBreakpointsRequest { agent_id };
    let list = service.list_breakpoints(caller, &message)?;
    Ok(Json(Breakpoints { breakpoints: list.breakpoints.into_iter().map(json::breakpoint).collect() }))
}

/// Changes the fields of a breakpoint that the body names.
#[utoipa::path(patch, path = "/agent/{agent_id}/debug/breakpoints/{id}", request_body = body::Breakpoint,
    responses((status = 200, body = json::Breakpoint), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn update(
    Call { service, caller }: Call,
    Path((agent_id, id)): Path<(String, String)>,
    Body(bytes): Body,
) -> Result<Json<json::Breakpoint>, Failure> {
    let (breakpoint, paths) = read::<body::Breakpoint>(&bytes)?.into_parts()?;
    if paths.is_empty() {
        return Err(Failure::invalid("body must name a field to change"));
    }
    let breakpoint = Some(proto::Breakpoint { id, ..breakpoint });
    let update_mask = Some(prost_types::FieldMask { paths });
    let message = proto::UpdateBreakpointRequest { agent_id, breakpoint, update_mask };
    let updated = service.update_breakpoint(caller, message)?;
    Ok(Json(json::breakpoint(updated.breakpoint.unwrap_or_default())))
}

/// Forgets a breakpoint. What it holds stays held.
#[utoipa::path(delete, path = "/agent/{agent_id}/debug/breakpoints/{id}",
    responses((status = 200, body = Deleted), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn delete(
    Call { service, caller }: Call,
    Path((agent_id, id)): Path<(String, String)>,
) -> Result<Json<Deleted>, Failure> {
    service.delete_breakpoint(caller, &proto::DeleteBreakpointRequest { agent_id, id })?;
    Ok(Json(Deleted { status: "deleted" }))
}

/// Says where a breakpoint would have hit in what is recorded, without making it.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/breakpoints/test", request_body = body::Breakpoint,
    responses((status = 200, body = Tested), (status = "4XX", body = ErrorBody)))]
pub(crate) async fn test(
    AgentCall { service, caller, agent_id }: AgentCall,
    Body(bytes): Body,
) -> Result<Json<Tested>, Failure> {
    let (breakpoint, _) = read::<body::Breakpoint>(&bytes)?.into_parts()?;
    let message = proto::TestBreakpointRequest { agent_id, breakpoint: Some(breakpoint) };
    let tested = service.test_breakpoint(caller, message).await?;
    let proto::TestBreakpointResponse { matched, examined, seqs, unjudged, problem } = tested;
    Ok(Json(Tested { matched, examined, seqs, unjudged, problem }))
}
