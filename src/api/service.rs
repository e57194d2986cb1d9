//! The façade that every way in calls: who calls, whether they may, which agent; then the use case, and the audit log.
//!
//! It takes and returns the contract's messages and knows no transport: gRPC and HTTP are two encodings of these
//! calls. What a transport streams in an encoding of its own (events, files, pages) is returned as the domain has it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt};

use super::{
    convert::{breakpoint, names, payload::Checked, request, response, run},
    transfer::{self, STALL_LIMIT},
};
use crate::{
    agent::subscription::{Subscribe, Subscription},
    auth::{Scope, Scopes},
    debugger::{Debugger, Page, Traced},
    error::Error,
    event::{AgentId, RunId, Seq, Warnings},
    masking::Visibility,
    proto,
    session::Role,
};

/// Who calls: known to the guard, which puts it into the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) scopes: Scopes,
}

impl Caller {
    /// A caller that the guard did not see. It may do nothing.
    pub(crate) const UNKNOWN: Self = Self { peer: None, scopes: Scopes::NONE };

    /// Refuses what the caller's token does not allow.
    fn may(&self, scope: Scope) -> Result<(), Error> {
        if self.scopes.contain(scope) { Ok(()) } else { Err(Error::Scope(scope)) }
    }

    /// How much of a record it sees. A caller that may decide has to see what on; one that may only look does not see
    /// secrets.
    fn visibility(&self) -> Visibility {
        if self.scopes.contain(Scope::Control) { Visibility::Whole } else { Visibility::Masked }
    }

    /// The caller's name in records and logs.
    fn actor(&self) -> Arc<str> {
        self.peer.map_or_else(|| "unknown".into(), |peer| peer.to_string().into())
    }

    /// Opens a call on an agent, where the caller's token has the scope.
    fn call(self, scope: Scope, agent_id: &str) -> Result<Call, Error> {
        self.may(scope)?;
        Ok(Call { caller: self, agent: request::agent_id(agent_id)? })
    }
}

/// One call that is allowed, on one agent.
struct Call {
    caller: Caller,
    agent: AgentId,
}

impl Call {
    fn actor(&self) -> Arc<str> {
        self.caller.actor()
    }

    fn visibility(&self) -> Visibility {
        self.caller.visibility()
    }

    /// Writes down who steered which agent. Never a payload.
    fn audit(&self, action: &'static str, seq: Option<Seq>) {
        let (actor, agent, seq) = (self.actor(), self.agent.as_str(), seq.map(|seq| seq.0));
        tracing::info!(target: "agent_debugger::audit", action, %actor, agent, seq);
    }
}

/// The façade. Clones share one debugger.
#[derive(Clone)]
pub(crate) struct Service {
    debugger: Debugger,
    is_strict: bool,
}

impl Service {
    /// A strict one refuses steps with fields that no step has.
    pub(crate) fn new(debugger: Debugger, is_strict: bool) -> Self {
        Self { debugger, is_strict }
    }

    /// Whether a step with a field that no step has is refused, and not only warned about.
    pub(crate) fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// Records a step. It is recorded when this returns; the answer may be waited for.
    pub(crate) fn trace(
        &self,
        caller: Caller,
        deadline: Option<Duration>,
        request: proto::TraceRequest,
        checked: Checked,
        warnings: Warnings,
    ) -> Result<Traced, Error> {
        caller.may(Scope::Ingest)?;
        let request::TraceCall { agent, mut report, hold_timeout } = request::trace(request, checked)?;
        if !warnings.is_empty() {
            report.details.get_or_insert_default().warnings = warnings;
        }
        self.debugger.trace(&agent, report, hold_timeout, deadline)
    }

    pub(crate) fn step(&self, caller: Caller, request: proto::StepRequest) -> Result<proto::StepResponse, Error> {
        let call = caller.call(Scope::Control, &request.agent_id)?;
        let run = request::run_id(request.run_id.as_deref())?;
        let seq = request.seq.map(request::seq).transpose()?;
        let granularity = request::granularity(request.granularity)?;
        let moved = self.debugger.step(&call.agent, run.as_ref(), seq, granularity, &call.actor())?;
        call.audit("step", moved.released.first().copied());
        Ok(response::step(moved))
    }

    pub(crate) fn resume(
        &self,
        caller: Caller,
        request: proto::ContinueRequest,
    ) -> Result<proto::ContinueResponse, Error> {
        let call = caller.call(Scope::Control, &request.agent_id)?;
        let run = request::run_id(request.run_id.as_deref())?;
        let moved = self.debugger.resume(&call.agent, run.as_ref(), &call.actor())?;
        call.audit("continue", None);
        Ok(response::resume(moved))
    }

    pub(crate) fn pause(&self, caller: Caller, request: proto::PauseRequest) -> Result<proto::PauseResponse, Error> {
        let call = caller.call(Scope::Control, &request.agent_id)?;
        let run = request::run_id(request.run_id.as_deref())?;
        let at = self.debugger.pause(&call.agent, run.as_ref())?.at;
        call.audit("pause", None);
        Ok(proto::PauseResponse { position: at.position, total: at.total })
    }

    pub(crate) fn release(
        &self,
        caller: Caller,
        request: proto::ReleaseRequest,
    ) -> Result<proto::ReleaseResponse, Error> {
        let call = caller.call(Scope::Control, &request.agent_id)?;
        let seq = request::seq(request.seq)?;
        let decision = request::decision(request.action)?;
        let at = self.debugger.release(&call.agent, seq, decision, &call.actor())?.at;
        call.audit("release", Some(seq));
        Ok(proto::ReleaseResponse { position: at.position, total: at.total })
    }

    pub(crate) fn clear(&self, caller: Caller, request: &proto::ClearRequest) -> Result<proto::ClearResponse, Error> {
        let call = caller.call(Scope::Control, &request.agent_id)?;
        let cleared = self.debugger.clear(&call.agent, &call.actor());
        call.audit("clear", None);
        let response = cleared.map(|(epoch, released)| proto::ClearResponse {
            epoch: epoch.to_string(),
            released: names::seqs(released),
        });
        Ok(response.unwrap_or_default())
    }

    pub(crate) fn status(
        &self,
        caller: Caller,
        request: &proto::StatusRequest,
    ) -> Result<proto::StatusResponse, Error> {
        let call = caller.call(Scope::View, &request.agent_id)?;
        Ok(response::status(&call.agent, self.debugger.status(&call.agent), call.visibility()))
    }

    /// A subscription, which each transport streams in its own encoding.
    pub(crate) fn subscribe(&self, caller: Caller, request: &proto::EventsRequest) -> Result<Subscription, Error> {
        let how = request::subscribe(request)?;
        let is_debugger = how.role == Role::Debugger;
        let call = caller.call(if is_debugger { Scope::Control } else { Scope::View }, &request.agent_id)?;
        let run = how.run.map(|run| self.named(&call, run));
        let how = Subscribe { visibility: call.visibility(), run, ..how };
        let subscription = self.debugger.subscribe(&call.agent, how)?;
        if is_debugger {
            call.audit("attach", None);
        }
        Ok(subscription)
    }

    /// A page of the record.
    pub(crate) fn page(&self, caller: Caller, request: &proto::ListEventsRequest) -> Result<Page, Error> {
        let call = caller.call(Scope::View, &request.agent_id)?;
        let run = request::run_id(request.run_id.as_deref())?.map(|run| self.named(&call, run));
        let from = request::page_token(&request.page_token)?;
        let size = request::page_size(request.page_size)?;
        self.debugger.page(&call.agent, run.as_ref(), from, size, call.visibility())
    }

    pub(crate) fn list_agents(
        &self,
        caller: Caller,
        request: &proto::ListAgentsRequest,
    ) -> Result<proto::ListAgentsResponse, Error> {
        caller.may(Scope::View)?;
        let size = request::page_size(request.page_size)?;
        // The token is the last id seen: agents that come and go move nothing.
        let (agents, more) = self.debugger.list(&request.page_token, size);
        let last = agents.last().filter(|_| more).map(|(id, _)| id.as_str().to_owned());
        let agents = agents.into_iter().map(|(id, status)| response::summary(&id, status)).collect();
        Ok(proto::ListAgentsResponse { agents, next_page_token: last.unwrap_or_default() })
    }

    pub(crate) fn create_breakpoint(
        &self,
        caller: Caller,
        request: proto::CreateBreakpointRequest,
    ) -> Result<proto::CreateBreakpointResponse, Error> {
        let call = caller.call(Scope::Control, &request.agent_id)?;
        let made = self.debugger.create_breakpoint(&call.agent, breakpoint::spec(request.breakpoint)?)?;
        call.audit("create breakpoint", None);
        Ok(proto::CreateBreakpointResponse { breakpoint: Some(breakpoint::breakpoint(&made, Visibility::Whole)) })
    }

    pub(crate) fn list_breakpoints(
        &self,
        caller: Caller,
        request: &proto::ListBreakpointsRequest,
    ) -> Result<proto::ListBreakpointsResponse, Error> {
        let call = caller.call(Scope::View, &request.agent_id)?;
        let breakpoints = self.debugger.breakpoints(&call.agent);
        let shown = |one: &_| breakpoint::breakpoint(one, call.visibility());
        let breakpoints = breakpoints.iter().map(shown).collect();
        Ok(proto::ListBreakpointsResponse { breakpoints })
    }

    pub(crate) fn update_breakpoint(
        &self,
        caller: Caller,
        request: proto::UpdateBreakpointRequest,
    ) -> Result<proto::UpdateBreakpointResponse, Error> {
        let call = caller.call(Scope::Control, &request.agent_id)?;
        let change = request.breakpoint.unwrap_or_default();
        let id = breakpoint::id(&change.id)?;
        let fields = request.update_mask.unwrap_or_default().paths;
        let merge = |now: &_| breakpoint::merged(now, change, &fields);
        let updated = self.debugger.update_breakpoint(&call.agent, id, merge)?;
        call.audit("update breakpoint", None);
        Ok(proto::UpdateBreakpointResponse { breakpoint: Some(breakpoint::breakpoint(&updated, Visibility::Whole)) })
    }

    pub(crate) fn delete_breakpoint(
        &self,
        caller: Caller,
        request: &proto::DeleteBreakpointRequest,
    ) -> Result<proto::DeleteBreakpointResponse, Error> {
        let call = caller.call(Scope::Control, &request.agent_id)?;
        self.debugger.delete_breakpoint(&call.agent, breakpoint::id(&request.id)?)?;
        call.audit("delete breakpoint", None);
        Ok(proto::DeleteBreakpointResponse {})
    }

    pub(crate) async fn test_breakpoint(
        &self,
        caller: Caller,
        request: proto::TestBreakpointRequest,
    ) -> Result<proto::TestBreakpointResponse, Error> {
        let call = caller.call(Scope::View, &request.agent_id)?;
        let spec = breakpoint::spec(request.breakpoint)?;
        let visibility = call.visibility();
        let tested = self.blocking(move |debugger| debugger.test_breakpoint(&call.agent, spec, visibility)).await?;
        Ok(breakpoint::tested(tested))
    }

    pub(crate) async fn fork(&self, caller: Caller, request: proto::ForkRequest) -> Result<proto::ForkResponse, Error> {
        let call = caller.call(Scope::Control, &request.agent_id)?;
        let spec = run::fork(request)?;
        call.audit("fork", Some(spec.seq));
        let forked = self.blocking(move |debugger| debugger.fork(&call.agent, spec, &call.actor())).await?;
        let run_id = forked.run_id.as_str().to_owned();
        Ok(proto::ForkResponse { run_id, plan: Some(run::plan(&forked.plan, Visibility::Whole)) })
    }

    pub(crate) async fn compare(
        &self,
        caller: Caller,
        request: proto::CompareRequest,
    ) -> Result<proto::CompareResponse, Error> {
        let call = caller.call(Scope::View, &request.agent_id)?;
        let left = self.named(&call, run::run("left", &request.left)?);
        let right = self.named(&call, run::run("right", &request.right)?);
        let visibility = call.visibility();
        let compared = self.blocking(move |debugger| debugger.compare(&call.agent, &left, &right, visibility)).await?;
        Ok(run::comparison(compared))
    }

    /// A run as a file, in pieces that each transport sends in its own way.
    pub(crate) async fn export(
        &self,
        caller: Caller,
        request: proto::ExportRequest,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + use<>, Error> {
        let call = caller.call(Scope::View, &request.agent_id)?;
        let run = self.named(&call, run::run("run_id", &request.run_id)?);
        let visibility = if request.mask { Visibility::Masked } else { call.visibility() };
        call.audit("export", None);
        let (writer, place) = self.blocking(move |debugger| debugger.export(&call.agent, &run, visibility)).await?;
        Ok(transfer::written(writer, place, STALL_LIMIT))
    }

    /// Reads a file as a new run, piece by piece, as its transport brings them.
    pub(crate) async fn import<E: From<Error>>(
        &self,
        caller: Caller,
        target: proto::ImportTarget,
        mut chunks: impl Stream<Item = Result<Bytes, E>> + Send + Unpin,
    ) -> Result<proto::ImportResponse, E> {
        let call = caller.call(Scope::Control, &target.agent_id)?;
        let run = request::run_id(target.run_id.as_deref())?;
        let (mut reader, _place) = self.debugger.reader(&call.agent, run.as_ref())?;
        let mut named = run.is_some();
        while let Some(chunk) = chunks.next().await {
            let pushed = reader.push(&chunk?);
            // A run that there is already is refused before the rest of its file comes.
            if let Some(run) = reader.run_id().filter(|_| !named) {
                self.debugger.vacant(&call.agent, run)?;
                named = true;
            }
            pushed.map_err(Error::from)?;
        }
        let read = reader.finish().map_err(Error::from)?;
        call.audit("import", None);
        let taken = self.blocking(move |debugger| debugger.import(&call.agent, run, read)).await?;
        Ok(run::imported(taken))
    }

    /// The run that a caller means: one that sees ids masked names it by the masked id.
    fn named(&self, call: &Call, run: RunId) -> RunId {
        self.debugger.run_named(&call.agent, run, call.visibility())
    }

    /// Runs what takes a while for a large record on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Debugger) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let debugger = self.debugger.clone();
        let done = tokio::task::spawn_blocking(move || work(&debugger)).await;
        done.map_err(|_| Error::ShuttingDown)?
    }
}
