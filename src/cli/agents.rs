//! `agents`: who is known to the service, as a table or as JSON.

use std::process::ExitCode;

use super::{
    Problem,
    args::AgentsArgs,
    connect::{Scope, Service},
    escape,
    output::{Ink, Output},
    text,
};
use crate::{
    json,
    proto::{self, name::Named as _},
};

/// Agents asked for at a time: the most that a page holds.
const PAGE: i32 = 1_000;
const TITLES: [&str; 7] = ["AGENT", "MODE", "EVENTS", "HELD", "DEBUGGERS", "OBSERVERS", "LAST EVENT"];

pub(super) async fn run(args: AgentsArgs) -> Result<ExitCode, Problem> {
    let mut api = Service::new(&args.service, Scope::View)?.connect().await?;
    let mut out = Output::stdout(args.json);
    let mut agents = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = api.list_agents(proto::ListAgentsRequest { page_size: PAGE, page_token }).await?.into_inner();
        agents.extend(page.agents);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    if args.json {
        agents.into_iter().try_for_each(|agent| out.json(&json::agent(agent)))?;
        return Ok(ExitCode::SUCCESS);
    }
    let rows: Vec<_> = agents.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = TITLES.iter().enumerate().map(|(column, title)| width(column).max(title.len())).collect();
    let title = line(&TITLES.map(str::to_owned), &widths);
    let title = out.paint.ink(Ink::Strong, title);
    out.line(&title)?;
    rows.iter().try_for_each(|row| out.line(&line(row, &widths)))?;
    Ok(ExitCode::SUCCESS)
}

fn row(agent: &proto::AgentSummary) -> [String; 7] {
    [
        escape::text(&agent.agent_id).into_owned(),
        proto::RunMode::json_name(agent.mode),
        agent.total_events.to_string(),
        agent.held.to_string(),
        agent.debuggers.to_string(),
        agent.observers.to_string(),
        agent.last_event_time.as_ref().map_or_else(|| "-".into(), text::timestamp),
    ]
}

/// Text to the left of its column, numbers to the right.
fn line(row: &[String; 7], widths: &[usize]) -> String {
    let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| match column {
        2..=5 => format!("{cell:>width$}"),
        _ => format!("{cell:<width$}"),
    });
    cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
}
