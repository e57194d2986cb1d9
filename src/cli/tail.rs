//! `tail`: an agent's record and what comes after it, one line an event.

use std::process::ExitCode;

use super::{
    Problem,
    args::TailArgs,
    connect::{Scope, Service},
    escape,
    follow::{Follow, Update},
    output::{Ink, Output},
    say, text,
    view::View,
};
use crate::{
    json,
    proto::{self, events_response::Frame},
};

pub(super) async fn run(args: TailArgs) -> Result<ExitCode, Problem> {
    let service = Service::new(&args.service, Scope::View)?;
    if args.no_follow {
        // Following waits for an agent that was never seen, and makes it known. Looking at a record does not.
        let status = proto::StatusRequest { agent_id: args.agent.clone() };
        if service.connect().await?.status(status).await?.get_ref().epoch.is_empty() {
            return Err(Problem::Failed(format!("no agent {} is known", args.agent)));
        }
    }
    let request = proto::EventsRequest {
        agent_id: args.agent,
        run_id: args.run.clone(),
        mode: proto::Mode::Observe.into(),
        ..Default::default()
    };
    let (_, mut follow) = Follow::open(&service, request).await?;
    let mut out = Output::stdout(args.json);
    let mut view = View::passing(args.run);
    while let Some(update) = follow.next().await {
        match update {
            Update::Frame(frame) => show(&mut out, &mut view, &frame)?,
            Update::Lost(why) => say(&format!("the connection to {} broke ({why}); trying again", service.url)),
            Update::Back => say("connected again"),
            Update::Over(status) => return Err(status.into()),
        }
        // The first snapshot comes after everything that is recorded.
        if args.no_follow && view.is_live() {
            break;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a frame, and in words what it says of holds.
pub(super) fn show(out: &mut Output, view: &mut View, frame: &Frame) -> Result<(), Problem> {
    let new = view.take(frame);
    if out.json {
        let line = json::frame(frame).map_err(|error| Problem::Failed(error.to_string()))?;
        return out.line(&escape::json(&line));
    }
    if let Some(line) = text::frame(out, frame) {
        out.line(&line)?;
    }
    for held in new {
        let line = out.paint.ink(Ink::Held, text::held(&held));
        out.line(&line)?;
    }
    Ok(())
}
