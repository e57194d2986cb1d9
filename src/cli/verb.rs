//! What each command of the prompt does: calls the service, waits for the effect, answers.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{
    attach::{Attached, Failure},
    command::{Break, Command, HELP},
    escape,
    output::Output,
    spec, text, tree,
};
use crate::{
    json,
    proto::{self, Breakpoint, name::Named as _},
};

/// The seqs that an answer names in words; more are counted.
const NAMED_SEQS: usize = 20;

impl Attached {
    pub(super) async fn run(&mut self, command: Command) -> Result<(), Failure> {
        let name = command.name();
        match command {
            Command::Step { reach, seq } => {
                let request = proto::StepRequest {
                    agent_id: self.agent.clone(),
                    // A number says which run is meant.
                    run_id: self.run.clone().filter(|_| seq.is_none()),
                    seq,
                    granularity: reach.into(),
                };
                let mut api = self.api.clone();
                let moved = self.ask(api.step(request)).await?;
                self.settle(&moved.released).await?;
                let fields = json!({"pos": moved.position, "total": moved.total, "released": moved.released});
                let nothing = if moved.released.is_empty() { "nothing was held; the next step will be" } else { "" };
                answer(&mut self.out, name, nothing, fields)
            }
            Command::Continue => {
                let (agent_id, run_id) = (self.agent.clone(), self.run.clone());
                let mut api = self.api.clone();
                let moved = self.ask(api.r#continue(proto::ContinueRequest { agent_id, run_id })).await?;
                self.settle(&moved.released).await?;
                let fields = json!({"pos": moved.position, "total": moved.total, "released": moved.released});
                answer(&mut self.out, name, "running", fields)
            }
            Command::Pause => {
                let (agent_id, run_id) = (self.agent.clone(), self.run.clone());
                let mut api = self.api.clone();
                let moved = self.ask(api.pause(proto::PauseRequest { agent_id, run_id })).await?;
                answer(
                    &mut self.out,
                    name,
                    "the next step will be held",
                    json!({"pos": moved.position, "total": moved.total}),
                )
            }
            Command::Release { seq, action } => {
                let seq = seq.or(self.view.held.first().map(|held| held.seq)).ok_or("nothing is held")?;
                let request = proto::ReleaseRequest { agent_id: self.agent.clone(), seq, action: Some(action) };
                let mut api = self.api.clone();
                let moved = self.ask(api.release(request)).await?;
                self.settle(&[seq]).await?;
                answer(&mut self.out, name, "", json!({"pos": moved.position, "total": moved.total, "released": [seq]}))
            }
            Command::Clear => {
                let mut api = self.api.clone();
                let agent_id = self.agent.clone();
                let cleared = self.ask(api.clear(proto::ClearRequest { agent_id })).await?;
                let epoch = Some(&cleared.epoch);
                self.until(super::attach::SETTLE_LIMIT, |view| view.cleared.as_ref() == epoch).await?;
                answer(&mut self.out, name, "", json!({"epoch": cleared.epoch, "released": cleared.released}))
            }
            Command::Wait { what, at_most } => {
                self.wait(what, at_most).await?;
                answer(&mut self.out, name, "", json!({}))
            }
            Command::Break(what) => self.breakpoints(what).await,
            Command::Status | Command::Runs | Command::Held => {
                let mut api = self.api.clone();
                let status = self.ask(api.status(proto::StatusRequest { agent_id: self.agent.clone() })).await?;
                self.status(&command, status)
            }
            Command::Print(seq) => {
                let event = self.view.event(seq).ok_or("no such event is in what was seen")?;
                let (words, fields) =
                    (text::in_full(&self.out, event), BTreeMap::from([("event", json::event(event))]));
                answer(&mut self.out, name, &words, fields)
            }
            Command::List(most) => {
                let events = self.view.events();
                let skipped = events.len().saturating_sub(most);
                let events: Vec<_> = events.skip(skipped).collect();
                let words: Vec<_> = events.iter().map(|event| text::event(&self.out, event)).collect();
                let fields = BTreeMap::from([("events", events.into_iter().map(json::event).collect::<Vec<_>>())]);
                answer(&mut self.out, name, &words.join("\n"), fields)
            }
            Command::Tree => {
                let nodes = tree::nodes(self.view.events());
                let words: Vec<_> = nodes.iter().map(tree::line).collect();
                let fields = |node: &tree::Node<'_>| {
                    json!({"node_id": node.id, "run_id": node.run, "depth": node.depth, "events": node.events,
                        "closed_by": node.closed, "seq": node.first.seq, "name": node.first.name})
                };
                let fields = json!({"nodes": nodes.iter().map(fields).collect::<Vec<_>>()});
                answer(&mut self.out, name, &words.join("\n"), fields)
            }
            Command::Help => answer(&mut self.out, name, HELP, json!({"help": HELP})),
            Command::Quit => Ok(()),
        }
    }

    /// A hold in full, and how its event diverges, where that was seen.
    fn held_in_full(&self, held: &proto::Held) -> Vec<String> {
        let mut lines = vec![text::held_in_full(held)];
        lines.extend(self.view.event(Some(held.seq)).into_iter().flat_map(|event| text::divergence(&self.out, event)));
        lines
    }

    fn status(&mut self, asked: &Command, mut status: proto::StatusResponse) -> Result<(), Failure> {
        if let Some(run) = &self.run {
            status.held.retain(|held| held.run_id == *run);
            status.runs.retain(|known| known.run_id == *run);
        }
        let held: Vec<_> = status.held.iter().flat_map(|held| self.held_in_full(held)).collect();
        let runs: Vec<_> = status.runs.iter().map(run_line).collect();
        match asked {
            Command::Held => {
                let words = if held.is_empty() { "nothing is held".into() } else { held.join("\n") };
                answer(&mut self.out, "held", &words, json!({"held": json::status(status).held}))
            }
            Command::Runs => {
                let words = if runs.is_empty() { "no run is known".into() } else { runs.join("\n") };
                answer(&mut self.out, "runs", &words, json!({"runs": json::status(status).runs}))
            }
            _ => {
                let mut words = vec![format!(
                    "{}: {}, {} events ({} dropped), position {}, {} debuggers, {} observers",
                    escape::text(&status.agent_id),
                    proto::RunMode::json_name(status.mode),
                    status.total_events,
                    status.dropped_events,
                    status.position,
                    status.debuggers,
                    status.observers
                )];
                words.extend(held);
                answer(&mut self.out, "status", &words.join("\n"), json!({"status": json::status(status)}))
            }
        }
    }

    async fn breakpoints(&mut self, what: Break) -> Result<(), Failure> {
        let agent_id = self.agent.clone();
        let mut api = self.api.clone();
        match what {
            Break::List => {
                let known = self.known_breakpoints().await?;
                let words: Vec<_> = known.iter().map(breakpoint_line).collect();
                let words = if words.is_empty() { "no breakpoints".into() } else { words.join("\n") };
                answer(
                    &mut self.out,
                    "break",
                    &words,
                    json!({"breakpoints": known.into_iter().map(json::breakpoint).collect::<Vec<_>>()}),
                )
            }
            Break::Make(breakpoint) => {
                let request = proto::CreateBreakpointRequest { agent_id, breakpoint: Some(self.own(breakpoint)) };
                let made = self.ask(api.create_breakpoint(request)).await?.breakpoint.unwrap_or_default();
                answer(&mut self.out, "break", &breakpoint_line(&made), json!({"breakpoint": json::breakpoint(made)}))
            }
            Break::Enable(ids, enabled) => {
                for id in ids {
                    let request = proto::UpdateBreakpointRequest {
                        agent_id: agent_id.clone(),
                        breakpoint: Some(Breakpoint { id, enabled: Some(enabled), ..Default::default() }),
                        update_mask: Some(prost_types::FieldMask { paths: vec!["enabled".into()] }),
                    };
                    let now = self.ask(api.update_breakpoint(request)).await?.breakpoint.unwrap_or_default();
                    answer(
                        &mut self.out,
                        "break",
                        &breakpoint_line(&now),
                        json!({"breakpoint": json::breakpoint(now)}),
                    )?;
                }
                Ok(())
            }
            Break::Delete(ids) => {
                for id in ids {
                    let request = proto::DeleteBreakpointRequest { agent_id: agent_id.clone(), id: id.clone() };
                    self.ask(api.delete_breakpoint(request)).await?;
                    answer(&mut self.out, "break", &format!("{} is gone", escape::text(&id)), json!({"deleted": id}))?;
                }
                Ok(())
            }
            Break::Test(breakpoint) => {
                let breakpoint = self.own(breakpoint);
                self.test_breakpoint(breakpoint).await
            }
            Break::TestKnown(id) => {
                let known = self.known_breakpoints().await?;
                let found = known.into_iter().find(|breakpoint| breakpoint.id == id);
                let known = found.ok_or_else(|| format!("no breakpoint is named {id}"))?;
                // What the service says of it is no part of what it asks.
                let asked = Breakpoint { id: String::new(), hits: 0, problem: String::new(), ..known };
                self.test_breakpoint(asked).await
            }
        }
    }

    /// A breakpoint of a session that looks at one run is of that run, unless it says otherwise.
    fn own(&self, breakpoint: Breakpoint) -> Breakpoint {
        Breakpoint { run_id: breakpoint.run_id.or_else(|| self.run.clone()), ..breakpoint }
    }

    async fn known_breakpoints(&mut self) -> Result<Vec<Breakpoint>, Failure> {
        let mut api = self.api.clone();
        let request = proto::ListBreakpointsRequest { agent_id: self.agent.clone() };
        Ok(self.ask(api.list_breakpoints(request)).await?.breakpoints)
    }

    async fn test_breakpoint(&mut self, breakpoint: Breakpoint) -> Result<(), Failure> {
        let mut api = self.api.clone();
        let request = proto::TestBreakpointRequest { agent_id: self.agent.clone(), breakpoint: Some(breakpoint) };
        let tested = self.ask(api.test_breakpoint(request)).await?;
        let (matched, examined, seqs) = (tested.matched, tested.examined, &tested.seqs);
        let mut words = format!("would have hit {matched} of {examined}");
        for seq in seqs.iter().take(NAMED_SEQS) {
            words.push_str(&format!(" #{seq}"));
        }
        if seqs.len() > NAMED_SEQS {
            words.push_str(" …");
        }
        let mut fields = json!({"matched": matched, "examined": examined, "seqs": seqs});
        if tested.unjudged > 0 {
            let problem = escape::text(&tested.problem);
            words.push_str(&format!("; could not judge {}: it {problem}", tested.unjudged));
            fields["unjudged"] = tested.unjudged.into();
            fields["problem"] = tested.problem.as_str().into();
        }
        answer(&mut self.out, "break", &words, fields)
    }
}

/// What a command answers as JSON. Payloads go through as they are, digit for digit.
#[derive(Serialize)]
struct Answer<'a, T> {
    r#type: &'static str,
    command: &'a str,
    #[serde(flatten)]
    fields: T,
}

/// Answers in words, if there are any, or in JSON. Words were escaped where they came from an agent.
fn answer(out: &mut Output, command: &str, words: &str, fields: impl Serialize) -> Result<(), Failure> {
    match (out.json, words) {
        (true, _) => out.json(&Answer { r#type: "answer", command, fields })?,
        (false, "") => {}
        (false, words) => out.line(words)?,
    }
    Ok(())
}

fn run_line(run: &proto::Run) -> String {
    let id = text::run_name(&run.run_id);
    let state = if run.finished { "finished".into() } else { proto::RunMode::json_name(run.mode) };
    let mut line = format!("{id}: {state}, {} events, {} held", run.events, run.held);
    if let Some(source) = &run.forked_from {
        line.push_str(&format!("; {}", text::lineage(source)));
    }
    if run.imported {
        line.push_str(if run.masked { "; imported, masked" } else { "; imported" });
    }
    line
}

/// `b1: tool_call:read_* once; 3 hits`
fn breakpoint_line(breakpoint: &Breakpoint) -> String {
    let hits = if breakpoint.hits == 1 { "1 hit".into() } else { format!("{} hits", breakpoint.hits) };
    let problem = match breakpoint.problem.as_str() {
        "" => String::new(),
        problem => format!("; problem: {}", escape::text(problem)),
    };
    format!("{}: {}; {hits}{problem}", escape::text(&breakpoint.id), escape::text(&spec::write(breakpoint)))
}
