//! `compare`: two runs side by side, in figures and event by event.

use std::{collections::HashMap, process::ExitCode};

use super::{
    Problem,
    args::CompareArgs,
    connect::{Api, Scope, Service},
    escape,
    output::{Ink, Output},
    say, text,
};
use crate::{
    json,
    proto::{self, ComparedRow, EventType, RowKind, RunFigures, name::Named as _},
};

/// Events asked for at a time: the most that a page holds.
const PAGE: i32 = 1_000;
/// What an exit code says of a comparison, where it is asked to.
const DIFFERENT: u8 = 1;
const FAILED: u8 = 2;

pub(super) async fn run(args: CompareArgs) -> Result<ExitCode, Problem> {
    match compare(&args).await {
        Ok(true) if args.exit_code => Ok(ExitCode::from(DIFFERENT)),
        Ok(_) => Ok(ExitCode::SUCCESS),
        Err(problem @ (Problem::Output(_) | Problem::Usage(_))) => Err(problem),
        Err(problem) if args.exit_code => {
            say(&problem.to_string());
            Ok(ExitCode::from(FAILED))
        }
        Err(problem) => Err(problem),
    }
}

/// Prints the comparison, and says whether the runs differ.
async fn compare(args: &CompareArgs) -> Result<bool, Problem> {
    let mut api = Service::new(&args.service, Scope::View)?.connect().await?;
    let (agent_id, left, right) = (args.agent.clone(), args.left.clone(), args.right.clone());
    let compared = api.compare(proto::CompareRequest { agent_id, left, right }).await?.into_inner();
    let differ = compared.first_divergence.is_some();
    let mut out = Output::stdout(args.json);
    if args.json {
        out.json(&json::run::comparison(compared))?;
        return Ok(differ);
    }
    let mut labels = labels(&mut api, &args.agent, &args.left).await?;
    if args.left != args.right {
        labels.extend(self::labels(&mut api, &args.agent, &args.right).await?);
    }
    figures(&mut out, &compared)?;
    out.line("")?;
    let line = totals(&compared);
    out.line(&line)?;
    for (index, row) in compared.rows.iter().enumerate() {
        if compared.first_divergence.is_some_and(|first| usize::try_from(first) == Ok(index)) {
            let line = out.paint.ink(Ink::Strong, "the runs part here:");
            out.line(&line)?;
        }
        self::row(&mut out, row, &labels)?;
    }
    if compared.fields_omitted {
        let line = out.paint.ink(Ink::Faint, "(fields were left out: there are too many)");
        out.line(&line)?;
    }
    Ok(differ)
}

/// What the events of a run are: `tool_call search`, by number.
async fn labels(api: &mut Api, agent: &str, run: &str) -> Result<HashMap<u64, String>, Problem> {
    let mut labels = HashMap::new();
    let mut page_token = String::new();
    loop {
        let request = proto::ListEventsRequest {
            agent_id: agent.to_owned(),
            run_id: Some(run.to_owned()),
            page_size: PAGE,
            page_token,
        };
        let page = api.list_events(request).await?.into_inner();
        for event in page.events.into_iter().filter_map(|recorded| recorded.event) {
            let name = if event.name.is_empty() { String::new() } else { format!(" {}", escape::text(&event.name)) };
            labels.insert(event.seq, format!("{}{name}", EventType::json_name(event.r#type)));
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(labels);
        }
    }
}

/// Both runs in figures, one a line.
fn figures(out: &mut Output, compared: &proto::CompareResponse) -> Result<(), Problem> {
    let none = RunFigures::default();
    let (left, right) = (compared.left.as_ref().unwrap_or(&none), compared.right.as_ref().unwrap_or(&none));
    let count = |title, get: fn(&RunFigures) -> u64| (title, get(left).to_string(), get(right).to_string());
    let time = |run: &RunFigures| text::span(&run.elapsed.unwrap_or_default());
    let models = |run: &RunFigures| {
        let models: Vec<_> = run.models.iter().map(|model| escape::text(model)).collect();
        if models.is_empty() { "-".to_owned() } else { models.join(", ") }
    };
    let lines = [
        ("", text::run_name(&left.run_id), text::run_name(&right.run_id)),
        count("events", |run| run.events),
        count("prompts", |run| run.prompts),
        count("tool calls", |run| run.tool_calls),
        count("errors", |run| run.errors),
        count("tokens", |run| run.tokens),
        count("  in", |run| run.input_tokens),
        count("  out", |run| run.output_tokens),
        ("time", time(left), time(right)),
        ("models", models(left), models(right)),
    ];
    let width = lines.iter().map(|(_, left, _)| left.chars().count()).max().unwrap_or(0);
    for (title, left, right) in lines {
        let line = format!("{title:<10}  {left:<width$}  {right}");
        let line = line.trim_end();
        // The runs' names are the head of the table.
        let line = if title.is_empty() { out.paint.ink(Ink::Strong, line) } else { line.to_owned() };
        out.line(&line)?;
    }
    Ok(())
}

/// `10 equal, 2 changed, 1 only left, 3 only right`
fn totals(compared: &proto::CompareResponse) -> String {
    match compared.first_divergence {
        None => format!("the same: {} equal", compared.equal),
        Some(_) => format!(
            "{} equal, {} changed, {} only left, {} only right",
            compared.equal, compared.changed, compared.only_left, compared.only_right
        ),
    }
}

fn row(out: &mut Output, row: &ComparedRow, labels: &HashMap<u64, String>) -> Result<(), Problem> {
    let label = |seq: &u64| match labels.get(seq) {
        // It may have been trimmed since.
        None => format!("#{seq}"),
        Some(label) => format!("#{seq} {label}"),
    };
    let lone = |out: &mut Output, ink, sign: &str, seqs: &[u64]| {
        seqs.iter().try_for_each(|seq| {
            let line = out.paint.ink(ink, format!("{sign} {}", label(seq)));
            out.line(&line)
        })
    };
    match row.kind() {
        RowKind::Left => lone(out, Ink::Bad, "-", &row.left_seqs),
        RowKind::Right => lone(out, Ink::Closing, "+", &row.right_seqs),
        RowKind::Equal => {
            let count = row.left_seqs.len();
            let line = match (&row.left_seqs[..], &row.right_seqs[..]) {
                ([left], [right]) => format!("= {} | #{right}", label(left)),
                (left, right) => format!("= {} | {}  {count} equal", range(left), range(right)),
            };
            let line = out.paint.ink(Ink::Faint, line);
            out.line(&line)
        }
        RowKind::Changed => {
            for (left, right) in row.left_seqs.iter().zip(&row.right_seqs) {
                let line = out.paint.ink(Ink::Held, format!("~ {} | {}", label(left), label(right)));
                out.line(&line)?;
            }
            text::fields(out, &row.fields, "    ").iter().try_for_each(|line| out.line(line))
        }
        RowKind::Unspecified => Ok(()),
    }
}

/// `#1 to #9`
fn range(seqs: &[u64]) -> String {
    match (seqs.first(), seqs.last()) {
        (Some(first), Some(last)) if first != last => format!("#{first} to #{last}"),
        (Some(only), _) => format!("#{only}"),
        _ => "-".into(),
    }
}
