//! What takes time, on a clock that is turned by hand.

use std::{sync::Arc, time::Duration};

use clap::Parser;

use super::Debugger;
use crate::{
    agent::subscription::{Subscribe, Subscription},
    cli::args::Cli,
    event::{AgentId, Answer, EventType, Outcome, Report},
    masking::Visibility,
    session::{
        Role,
        fixtures::{report, spec},
    },
    telemetry::Metrics,
};

/// A debugger with the limits of these flags.
pub(crate) fn debugger(flags: &[&str]) -> Debugger {
    let flags = ["agent-debugger"].iter().chain(flags);
    let config = Cli::try_parse_from(flags).expect("flags").serve.into_config().expect("a configuration");
    Debugger::new(config.limits, Arc::new(Metrics::new()))
}

pub(crate) fn agent() -> AgentId {
    AgentId::parse("agent").expect("valid")
}

pub(crate) fn subscribe(debugger: &Debugger, role: Role) -> Subscription {
    let how = Subscribe { role, run: None, visibility: Visibility::Whole, resume: None, pause_on_attach: true };
    debugger.subscribe(&agent(), how).expect("room")
}

fn asking(id: Option<&str>) -> Report {
    Report { request_id: id.map(Into::into), ..report(EventType::Prompt, "") }
}

async fn trace(debugger: &Debugger, id: Option<&str>, timeout: Option<Duration>) -> Answer {
    debugger.trace(&agent(), asking(id), timeout, None).expect("recorded").answer().await.expect("an answer")
}

fn held(debugger: &Debugger) -> usize {
    debugger.status(&agent()).snapshot.held.len()
}

#[tokio::test(start_paused = true)]
async fn a_hold_outlives_its_caller_by_ten_seconds_and_no_more() {
    let debugger = debugger(&[]);
    let _attached = subscribe(&debugger, Role::Debugger);
    let short = Some(Duration::from_secs(5));
    for _ in 0..100 {
        assert_eq!(trace(&debugger, Some("r"), short).await.outcome, Outcome::StillHeld);
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert_eq!(held(&debugger), 1, "for as long as it is asked for");
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(held(&debugger), 0);
    assert_eq!(
        trace(&debugger, Some("r"), short).await.outcome,
        Outcome::TimedOut,
        "and says so to whoever comes late"
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_request_id_a_hold_ends_with_its_time() {
    let debugger = debugger(&[]);
    let _attached = subscribe(&debugger, Role::Debugger);
    let answer = trace(&debugger, None, Some(Duration::from_secs(60))).await;
    assert_eq!((answer.outcome, answer.held_for.as_secs()), (Outcome::TimedOut, 60));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_leaves_the_answer_time_to_arrive() {
    let debugger = debugger(&[]);
    let _attached = subscribe(&debugger, Role::Debugger);
    for (deadline_ms, held_ms) in [(100, 90), (1_000, 900), (60_000, 59_500)] {
        let deadline = Some(Duration::from_millis(deadline_ms));
        let answer = debugger
            .trace(&agent(), asking(None), None, deadline)
            .expect("recorded")
            .answer()
            .await
            .expect("an answer");
        assert_eq!(answer.held_for.as_millis(), held_ms);
    }
}

#[tokio::test(start_paused = true)]
async fn the_grace_begins_anew_each_time_that_the_last_debugger_leaves() {
    let debugger = debugger(&["--detach-grace", "3s"]);
    let first = subscribe(&debugger, Role::Debugger);
    let waiting = tokio::spawn({
        let debugger = debugger.clone();
        async move { trace(&debugger, None, None).await }
    });
    tokio::time::sleep(Duration::from_millis(1)).await;
    drop(first);
    tokio::time::sleep(Duration::from_secs(2)).await;
    drop(subscribe(&debugger, Role::Debugger));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(held(&debugger), 1, "four seconds after the first, two after the second");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(waiting.await.expect("told").outcome, Outcome::Detached);
}

#[tokio::test(start_paused = true)]
async fn a_gate_keeps_its_own_time() {
    let debugger = debugger(&["--hold-timeout", "1h"]);
    let gate = crate::session::breakpoint::Spec {
        gate: true,
        timeout: Some(Duration::from_secs(90)),
        proceeds: true,
        ..spec()
    };
    debugger.create_breakpoint(&agent(), gate).expect("room");
    let answer = trace(&debugger, None, None).await;
    assert_eq!((answer.outcome, answer.held_for.as_secs()), (Outcome::TimedOut, 90));
}
