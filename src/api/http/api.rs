//! The unary routes: a body in, the service's own method, the documented body out.

use axum::{Json, extract::Query, response::IntoResponse};
use http::{Uri, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::{IntoParams, ToSchema};

use super::{
    body::{self, Body, Step, Target, read, read_or_default},
    call::{AgentCall, Call},
    error::Failure,
};
use crate::{
    api::{
        convert::{json as written, payload::Checked},
        service::{Caller, Service},
    },
    debugger,
    event::Warnings,
    json, proto,
};

type Answer<T> = Result<Json<T>, Failure>;

/// What became of a Trace.
// The documented shape of what `written::answer` writes.
#[derive(Serialize, ToSchema)]
pub(crate) struct TraceAnswer<'a> {
    /// Always `recorded`.
    status: &'static str,
    /// Events retained, as of the append.
    total: u64,
    seq: u64,
    run_id: &'a str,
    node_id: Option<&'a str>,
    /// Why it was answered: `not_held`, `stepped`, `continued`, `released`, …
    outcome: &'static str,
    #[schema(value_type = f64)]
    held_ms: Number,
    decision: json::Decision<'a>,
    /// What was odd about the body, such as fields that no step has; left out where nothing was.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [Box<str>],
}

/// How to take a step.
#[derive(Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TraceQuery {
    /// Whether a field that no step has is refused; default is what the server was started with.
    strict: Option<bool>,
}

/// What a verb did, and where the debugger stands after it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Moved {
    /// `stepped`, `continued`, `paused` or `released`.
    status: &'static str,
    /// How many retained events lie at or before the debugger's cursor.
    pos: u64,
}

/// The trace is gone.
#[derive(Serialize, ToSchema)]
pub(crate) struct Cleared {
    /// Always `cleared`.
    status: &'static str,
}

/// A page of agents, by id.
#[derive(Serialize, ToSchema)]
pub(crate) struct Agents {
    agents: Vec<json::Agent>,
    next_page_token: String,
}

/// A page of what is recorded, oldest first; each event as its frame, with `decision` where its hold ended.
// The documented shape of what `written::page` writes.
#[derive(ToSchema)]
#[allow(dead_code, reason = "only its schema is used")]
pub(crate) struct Events {
    #[schema(value_type = Vec<Object>)]
    events: Vec<json::Recorded<'static>>,
    next_page_token: String,
}

/// Which page of events.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventPage {
    /// Only this run.
    run_id: Option<String>,
    /// How many at most, 1 to 1,000; default 100.
    page_size: Option<i32>,
    /// The next_page_token of the page before.
    page_token: Option<String>,
}

/// Which page of agents.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgentPage {
    /// How many at most, 1 to 1,000; default 100.
    page_size: Option<i32>,
    /// The next_page_token of the page before.
    page_token: Option<String>,
}

/// Records one step and, while somebody is debugging the agent, waits until it is released.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/trace", params(TraceQuery), request_body = body::Trace<'_>,
    responses((status = 200, body = TraceAnswer<'_>), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn trace(
    AgentCall { service, caller, agent_id }: AgentCall,
    request: axum::extract::Request,
) -> Result<impl IntoResponse, Failure> {
    let (parts, body) = request.into_parts();
    let json = record(&service, caller, agent_id, is_strict(&parts.uri), body).await?;
    Ok(([(CONTENT_TYPE, "application/json")], json))
}

/// The same for a request that the router has not seen, as nearly all are: the answer in JSON, see [`TraceAnswer`].
pub(crate) async fn record(
    service: &Service,
    caller: Caller,
    agent_id: String,
    is_strict: Result<Option<bool>, Failure>,
    body: impl body::Unread,
) -> Result<Vec<u8>, Failure> {
    let is_strict = is_strict?.unwrap_or(service.is_strict());
    let (traced, warnings) = begin(service, caller, agent_id, &body::whole(body).await?, is_strict)?;
    let answer = traced.answer().await?;
    let mut json = Vec::with_capacity(256);
    written::answer(&mut json, &answer, &warnings);
    Ok(json)
}

/// Whether the caller wants unknown fields refused, where it says so.
pub(crate) fn is_strict(uri: &Uri) -> Result<Option<bool>, Failure> {
    if uri.query().is_none() {
        return Ok(None);
    }
    let query = Query::<TraceQuery>::try_from_uri(uri).map_err(|error| Failure::invalid(error.body_text()))?;
    Ok(query.0.strict)
}

/// Reads a body and records its step: neither is kept for as long as that is held.
fn begin(
    service: &Service,
    caller: Caller,
    agent_id: String,
    bytes: &[u8],
    is_strict: bool,
) -> Result<(debugger::Traced, Warnings), Failure> {
    let (message, warnings) = body::read_trace(bytes, agent_id, is_strict)?;
    let traced = service.trace(caller, None, message, Checked::Yes, warnings.clone())?;
    Ok((traced, warnings))
}

/// Releases exactly one held step and moves the position on by one.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/step", request_body = Option<Step>,
    responses((status = 200, body = Moved), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn step(AgentCall { service, caller, agent_id }: AgentCall, Body(bytes): Body) -> Answer<Moved> {
    let message = read_or_default::<Step>(&bytes)?.into_request(agent_id)?;
    let stepped = service.step(caller, message)?;
    Ok(Json(Moved { status: "stepped", pos: stepped.position }))
}

/// Releases every held step and lets later ones pass.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/continue", request_body = Option<Target>,
    responses((status = 200, body = Moved), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn resume(AgentCall { service, caller, agent_id }: AgentCall, Body(bytes): Body) -> Answer<Moved> {
    let Target { run_id } = read_or_default(&bytes)?;
    let continued = service.resume(caller, proto::ContinueRequest { agent_id, run_id })?;
    Ok(Json(Moved { status: "continued", pos: continued.position }))
}

/// Holds the next step.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/pause", request_body = Option<Target>,
    responses((status = 200, body = Moved), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn pause(AgentCall { service, caller, agent_id }: AgentCall, Body(bytes): Body) -> Answer<Moved> {
    let Target { run_id } = read_or_default(&bytes)?;
    let paused = service.pause(caller, proto::PauseRequest { agent_id, run_id })?;
    Ok(Json(Moved { status: "paused", pos: paused.position }))
}

/// Releases one held step with a decision that its agent obeys.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/release", request_body = body::Release<'_>,
    responses((status = 200, body = Moved), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn release(AgentCall { service, caller, agent_id }: AgentCall, Body(bytes): Body) -> Answer<Moved> {
    let message = read::<body::Release<'_>>(&bytes)?.into_request(agent_id)?;
    let released = service.release(caller, message)?;
    Ok(Json(Moved { status: "released", pos: released.position }))
}

/// Drops the trace and releases every held step.
#[utoipa::path(post, path = "/agent/{agent_id}/debug/clear",
    responses((status = 200, body = Cleared), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn clear(AgentCall { service, caller, agent_id }: AgentCall) -> Answer<Cleared> {
    service.clear(caller, &proto::ClearRequest { agent_id })?;
    Ok(Json(Cleared { status: "cleared" }))
}

/// Where an agent stands; zeros for one never seen.
#[utoipa::path(get, path = "/agent/{agent_id}/debug/status",
    responses((status = 200, body = json::StatusBody), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn status(AgentCall { service, caller, agent_id }: AgentCall) -> Answer<json::StatusBody> {
    let status = service.status(caller, &proto::StatusRequest { agent_id })?;
    Ok(Json(json::status(status)))
}

/// A page of what is recorded.
#[utoipa::path(get, path = "/agent/{agent_id}/debug/trace", params(EventPage),
    responses((status = 200, body = Events), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn list_events(
    AgentCall { service, caller, agent_id }: AgentCall,
    Query(query): Query<EventPage>,
) -> Result<impl IntoResponse, Failure> {
    let message = proto::ListEventsRequest {
        agent_id,
        run_id: query.run_id,
        page_size: query.page_size.unwrap_or_default(),
        page_token: query.page_token.unwrap_or_default(),
    };
    let page = service.page(caller, &message)?;
    let mut json = Vec::new();
    written::page(&mut json, &page);
    Ok(([(CONTENT_TYPE, "application/json")], json))
}

/// The agents known now.
#[utoipa::path(get, path = "/agents", params(AgentPage),
    responses((status = 200, body = Agents), (status = "4XX", body = super::error::ErrorBody)))]
pub(crate) async fn list_agents(Call { service, caller }: Call, Query(query): Query<AgentPage>) -> Answer<Agents> {
    let message = proto::ListAgentsRequest {
        page_size: query.page_size.unwrap_or_default(),
        page_token: query.page_token.unwrap_or_default(),
    };
    let list = service.list_agents(caller, &message)?;
    Ok(Json(Agents {
        agents: list.agents.into_iter().map(json::agent).collect(),
        next_page_token: list.next_page_token,
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        api::convert,
        content::payload::{Encoding, Payload},
        event::{Answer as Told, Decision, Outcome, Seq},
        session::fixtures,
    };

    #[test]
    fn what_is_written_by_hand_is_what_the_documented_shape_serializes_to() {
        let data = || Some(Payload { json: r#"{"n":1.50}"#.into(), encoding: Encoding::Json });
        let decisions = [
            Decision::Proceed,
            Decision::Edit { data: data(), model: Some("m\"".into()) },
            Decision::Edit { data: None, model: None },
            Decision::Fulfil { data: data() },
            Decision::Fail { message: "é\n".into(), data: None },
            Decision::Abort { reason: "no".into() },
        ];
        let mut event = fixtures::event(Seq(7), "{}");
        let mut warnings = Warnings::default();
        for (node, held_for) in [(None, 0), (Some("n\"7"), 1_500_000), (Some("n7"), 2_000_001)] {
            event.node_id = node.map(Into::into);
            warnings = warnings.into_iter().chain(["unknown field `a\"`".into()]).collect();
            for decision in decisions.clone() {
                let answer = Told {
                    decision,
                    outcome: Outcome::StillHeld,
                    held_for: Duration::from_nanos(held_for),
                    ..Told::passed(&event, 3)
                };
                let shape = TraceAnswer {
                    status: "recorded",
                    total: 3,
                    seq: 7,
                    run_id: "",
                    node_id: node,
                    outcome: "still_held",
                    held_ms: json::milliseconds(&convert::to_duration(answer.held_for)),
                    decision: convert::json::decision_json(&answer.decision),
                    warnings: &warnings,
                };
                let mut written = Vec::new();
                written::answer(&mut written, &answer, &warnings);
                assert_eq!(String::from_utf8(written).expect("text"), serde_json::to_string(&shape).expect("json"));
            }
        }
    }
}
