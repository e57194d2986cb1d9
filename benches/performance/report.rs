//! The table and the plots of `docs/internals/performance.md`: what was measured, beside what, and whether the goal is
//! met.

use std::{fs, path::Path};

use crate::{
    audience::Stream,
    plot,
    samples::Samples,
    scenario::{
        fanout,
        growth::{Grows, SCALES},
        trace::KINDS,
    },
};

const BEGIN: &str = "<!-- figures: written by the benchmark -->";
const END: &str = "<!-- end of the figures -->";

/// What a figure is to be.
#[derive(Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// One line of a table: what it is, ours, what it is compared with, what both say together, and the goal.
struct Row {
    what: String,
    ours: String,
    beside: String,
    result: f64,
    unit: &'static str,
    goal: Option<Goal>,
}

impl Row {
    fn markdown(&self) -> String {
        let Self { what, ours, beside, unit, .. } = self;
        let digits = if self.result.abs() < 100.0 { 2 } else { 0 };
        let result = if unit.is_empty() { String::new() } else { format!("{}{unit}", number(self.result, digits)) };
        let (goal, met) = match self.goal {
            None => (String::new(), ""),
            Some(Goal::AtMost(goal)) => (format!("≤ {}{unit}", plain(goal)), reached(self.result <= goal)),
            Some(Goal::AtLeast(goal)) => (format!("≥ {}{unit}", plain(goal)), reached(self.result >= goal)),
        };
        format!("| {what} | {ours} | {beside} | {result} | {goal} | {met} |\n")
    }
}

fn reached(is: bool) -> &'static str {
    if is { "yes" } else { "**no**" }
}

fn plain(value: f64) -> String {
    if value.fract() == 0.0 { number(value, 0) } else { value.to_string() }
}

/// A number with separators between its thousands.
fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let (sign, whole) = if let Some(whole) = whole.strip_prefix('-') { ("-", whole) } else { ("", whole) };
    let groups: Vec<_> = whole.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group)).collect();
    format!("{sign}{}{rest}", groups.join(","))
}

/// All tables.
pub(crate) fn tables(samples: &Samples) -> String {
    let of = |name: String| samples.median(&name);
    let mut text = String::new();
    let table = |text: &mut String, title: &str, head: [&str; 3], rows: Vec<Row>| {
        let [ours, beside, result] = head;
        *text += &format!(
            "\n### {title}\n\n| | {ours} | {beside} | {result} | goal | reached |\n|---|---|---|---|---|---|\n"
        );
        text.extend(rows.iter().map(Row::markdown));
    };

    let mut rows = Vec::new();
    for kind in KINDS {
        let name = |side: &str| format!("instructions/{}/{side}", kind.name);
        let Some((ours, beside)) = of(name("ours")).zip(of(name("beside"))) else { continue };
        let goal = match kind.name {
            "gRPC, JSON text, 300 B" => Some(Goal::AtMost(1.2)),
            "HTTP, 300 B" => Some(Goal::AtMost(1.3)),
            _ => None,
        };
        let (shown, result) = ((number(ours, 0), number(beside, 0)), ours / beside);
        rows.push(Row { what: kind.name.into(), ours: shown.0, beside: shown.1, result, unit: "×", goal });
    }
    if rows.is_empty() {
        text += "\n### Instructions per Trace\n\nNot counted: valgrind is not installed on this machine.\n"
    } else {
        table(
            &mut text,
            "Instructions per Trace, no debugger attached, one at a time",
            ["agent-debugger", "bare tonic, bare axum", "ratio"],
            rows,
        )
    }

    for (width, title) in [("full", "Traces with both cores busy"), ("one", "Traces one at a time")] {
        let mut rows = Vec::new();
        for kind in KINDS {
            let get = |side: &str, what: &str| of(format!("trace/{width}/{side}/{}/{what}", kind.name));
            let cell = |side| {
                let (rate, p50, p99, cpu) =
                    (get(side, "rate")?, get(side, "p50")?, get(side, "p99")?, get(side, "cpu")?);
                let (rate, p50, p99, cpu) = (number(rate, 0), number(p50, 0), number(p99, 0), number(cpu, 1));
                Some(format!("{rate}/s, p50 {p50} µs, p99 {p99} µs, CPU {cpu} µs"))
            };
            let Some((ours, beside)) = cell("ours").zip(cell("beside")) else { continue };
            let result = get("ours", "cpu").zip(get("beside", "cpu")).map_or(f64::NAN, |(ours, beside)| ours / beside);
            rows.push(Row { what: kind.name.into(), ours, beside, result, unit: "×", goal: None });
        }
        table(&mut text, title, ["agent-debugger", "bare tonic, bare axum", "CPU ratio"], rows);
    }

    let mut rows = Vec::new();
    for size in fanout::SIZES {
        for how in Stream::BOTH {
            let get = |how: Stream, what: &str| of(format!("fan-out/lock-step/{} {size}/{what}", how.name()));
            let Some((rate, cpu)) = get(how, "rate").zip(get(how, "cpu")) else { continue };
            let (floor_rate, floor) = get(Stream::Bare, "rate").zip(get(Stream::Bare, "cpu")).unwrap_or_default();
            rows.push(Row {
                what: format!("{} to {size}", how.name()),
                ours: format!("{}/s, CPU {} µs", number(rate, 0), number(cpu, 1)),
                beside: format!("{}/s, CPU {} µs", number(floor_rate, 0), number(floor, 1)),
                result: cpu / floor,
                unit: "×",
                goal: (how == Stream::Sse && size == 100).then_some(Goal::AtMost(1.8)),
            });
        }
    }
    table(
        &mut text,
        "Fan-out in lock-step, per event delivered",
        ["agent-debugger", "one bare write", "CPU ratio"],
        rows,
    );

    let mut rows = Vec::new();
    for size in fanout::SIZES {
        for how in Stream::BOTH {
            let get = |what: &str| of(format!("fan-out/burst/{} {size}/{what}", how.name()));
            let Some((rate, cpu)) = get("rate").zip(get("cpu")) else { continue };
            rows.push(Row {
                what: format!("{} to {size}, all there already", how.name()),
                ours: format!("CPU {} µs", number(cpu, 2)),
                beside: String::new(),
                result: rate / 1e6,
                unit: " M/s",
                goal: match (how, size) {
                    (Stream::Sse, 100) => Some(Goal::AtLeast(3.1)),
                    (Stream::Grpc, 100) => Some(Goal::AtLeast(1.5)),
                    _ => None,
                },
            });
        }
    }
    for how in Stream::BOTH {
        let Some(rate) = of(format!("fan-out/live/{} 100/rate", how.name())) else { continue };
        let what = format!("{} to 100, while agents report", how.name());
        let (ours, beside) = (String::new(), String::new());
        rows.push(Row { what, ours, beside, result: rate / 1e6, unit: " M/s", goal: None });
    }
    table(&mut text, "Fan-out in a burst", ["per event delivered", "", "events delivered"], rows);

    let mut rows = Vec::new();
    for (how, goal) in [(Stream::Sse, 3.0), (Stream::Grpc, 4.0)] {
        let get = |what: &str| of(format!("replay/{}/{what}", how.name()));
        let Some((ours, beside)) = get("ms").zip(get("bare ms")) else { continue };
        rows.push(Row {
            what: format!("{} of 10,000 events", how.name()),
            ours: format!("{} ms", number(ours, 1)),
            beside: format!("{} ms", number(beside, 1)),
            result: ours / beside,
            unit: "×",
            goal: Some(Goal::AtMost(goal)),
        });
    }
    table(&mut text, "Replay", ["agent-debugger", "a bare write of the same bytes", "ratio"], rows);

    let mut rows = Vec::new();
    for name in ["HTTP", "gRPC"] {
        for observers in [0, 100] {
            let get = |what: &str| of(format!("release/{name} {observers}/{what}"));
            let Some(((p50, p99), beside)) = get("p50").zip(get("p99")).zip(get("bare p50")) else { continue };
            rows.push(Row {
                what: format!("{name}, {observers} observers"),
                ours: format!("p50 {} µs, p99 {} µs", number(p50, 0), number(p99, 0)),
                beside: format!("p50 {} µs", number(beside, 0)),
                result: p50 / beside,
                unit: "×",
                goal: (observers == 0).then_some(Goal::AtMost(2.0)),
            });
        }
    }
    table(
        &mut text,
        "From a step to the held agent's answer",
        ["agent-debugger", "one bare round trip", "ratio"],
        rows,
    );

    let mut rows = Vec::new();
    for (what, name, scale) in SCALES {
        for much in scale {
            let get = |much: usize| of(format!("growth/{name} {much}/cpu"));
            let Some((cpu, empty)) = get(*much).zip(get(scale[0])) else { continue };
            rows.push(Row {
                what: format!("{} {name}", number(*much as f64, 0)),
                ours: format!("{} µs", number(cpu, 1)),
                beside: format!("{} µs", number(empty, 1)),
                result: cpu / empty,
                unit: "×",
                goal: (*much == scale[scale.len() - 1] && what != Grows::Breakpoints).then_some(Goal::AtMost(1.1)),
            });
        }
    }
    table(&mut text, "CPU per Trace as things grow", ["agent-debugger", "the empty server", "ratio"], rows);

    let payload = of("memory/payload".into()).unwrap_or(f64::NAN);
    let mut rows = Vec::new();
    let mut weigh = |what: &str, figure: Option<f64>, unit, goal| {
        let Some(result) = figure else { return };
        let (ours, beside) = (String::new(), String::new());
        rows.push(Row { what: what.into(), ours, beside, result, unit, goal });
    };
    weigh("idle", of("memory/idle MB".into()), " MB", Some(Goal::AtMost(8.0)));
    let beyond = of("memory/per event".into()).map(|bytes| bytes - payload);
    weigh("per event of 300 B, beyond its payload", beyond, " B", Some(Goal::AtMost(250.0)));
    weigh("per agent", of("memory/per agent".into()), " B", Some(Goal::AtMost(1_536.0)));
    weigh("per subscriber over SSE", of("memory/per SSE subscriber".into()), " B", None);
    weigh("per subscriber over gRPC", of("memory/per gRPC subscriber".into()), " B", None);
    weigh("start to first answer", of("start/ms".into()), " ms", Some(Goal::AtMost(15.0)));
    table(&mut text, "Memory and start", ["", "", "agent-debugger"], rows);
    text
}

/// What was measured where and when, in a line.
pub(crate) fn provenance(samples: &Samples, machine: &str, profile: &str) -> String {
    let (kept, dropped) = (samples.kept, samples.dropped);
    let (steal, spread) = (samples.most_steal * 100.0, samples.spread("/cpu") * 100.0);
    let spread = if spread.is_nan() {
        String::new()
    } else {
        format!(" The middle half of the samples of CPU time lies within {spread:.0} %.")
    };
    format!(
        "\n{machine}, profile `{profile}`. Medians of interleaved rounds: {kept} samples kept, {dropped} dropped \
         because more than 6 % of the CPU was stolen (at most {steal:.1} % in those kept).{spread}\n"
    )
}

/// Writes the figures between the marks of `docs/internals/performance.md`, and the plots that it shows.
pub(crate) fn write(samples: &Samples, figures: &str) {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let page = docs.join("internals/performance.md");
    let old = fs::read_to_string(&page).unwrap();
    let (before, rest) = old.split_once(BEGIN).expect("the page has a place for the figures");
    let (_, after) = rest.split_once(END).expect("the place for the figures ends");
    fs::write(&page, format!("{before}{BEGIN}\n{figures}\n{END}{after}")).unwrap();

    let line = |kind: &str, how: Stream| {
        let at = |size: usize| samples.median(&format!("fan-out/{kind}/{} {size}/rate", how.name()));
        let points = fanout::SIZES.into_iter().filter_map(|size| Some((size as f64, at(size)?)));
        (format!("{}, {kind}", how.name()), points.collect())
    };
    let mut lines: Vec<plot::Line> =
        ["burst", "lock-step"].into_iter().flat_map(|kind| Stream::BOTH.map(|how| line(kind, how))).collect();
    lines.push(line("lock-step", Stream::Bare));
    let svg = plot::lines("Events delivered", "subscribers", "events per second", &lines);
    fs::write(docs.join("images/performance-fan-out.svg"), svg).unwrap();

    let grown = SCALES.into_iter().map(|(_, name, scale)| {
        let at = |much: usize| samples.median(&format!("growth/{name} {much}/cpu"));
        let empty = at(scale[0]).unwrap_or(f64::NAN);
        (name.to_owned(), scale.iter().filter_map(|much| Some((*much as f64, at(*much)? / empty))).collect())
    });
    let grown: Vec<plot::Line> = grown.collect();
    let svg = plot::lines("CPU per Trace as things grow", "how much there is", "of the empty server's", &grown);
    fs::write(docs.join("images/performance-growth.svg"), svg).unwrap();
}
