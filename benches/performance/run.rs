//! The whole run: every scenario, round after round, so that whatever else the machine does falls on all alike.

use crate::{
    audience::Stream,
    instructions::{self, Case, Work},
    machine,
    process::Program,
    report,
    samples::Samples,
    scenario::{
        Plan, fanout,
        growth::{self, SCALES},
        memory, release, replay,
        trace::{self, KINDS},
    },
};

/// Measures everything, prints the tables and, unless it was a quick run, writes them down.
pub(crate) fn run(server: Program, quick: bool, rounds: usize, only: Option<String>) {
    machine::allow_many_files();
    let plan = if quick {
        Plan { server, rounds: 1, sample_ms: 200, quick }
    } else {
        Plan { server, rounds, sample_ms: 500, quick }
    };
    let whole = !quick && only.is_none();
    let mut samples = Samples::of(only);
    count(&plan, &mut samples);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for number in 1..=plan.rounds {
        eprintln!("\nround {number} of {}", plan.rounds);
        runtime.block_on(round(&plan, &mut samples));
    }
    let figures = report::provenance(&samples, &machine::description(), profile()) + &report::tables(&samples);
    println!("{figures}");
    if whole {
        report::write(&samples, &figures);
    }
}

/// The profile that this was built with, after the folder that it lies in.
fn profile() -> &'static str {
    match env!("CARGO_BIN_EXE_agent-debugger").rsplit('/').nth(1) {
        Some("release") | None => "release",
        Some("debug") => "dev",
        Some(other) => other,
    }
}

/// Instructions do not need rounds: they repeat.
fn count(plan: &Plan, samples: &mut Samples) {
    if !instructions::available() {
        eprintln!("valgrind is not installed: instructions are not counted");
        return;
    }
    let kinds = KINDS.into_iter().filter(|kind| !plan.quick || kind.bytes == 300);
    for kind in kinds {
        for (side, program) in [("ours", plan.server.clone()), ("beside", kind.beside())] {
            let work = Work::Calls(kind.calls(&["agent".to_owned()]));
            let name = format!("instructions/{}/{side}", kind.name);
            if !samples.wants(&name) {
                continue;
            }
            let counted = instructions::count(&[Case { name: name.clone(), program, work, times: [200, 1_200] }]);
            samples.add(&name, counted[0]);
        }
    }
}

async fn round(plan: &Plan, samples: &mut Samples) {
    for (width, full) in [("full", true), ("one", false)] {
        for kind in KINDS.into_iter().filter(|kind| !plan.quick || kind.bytes == 300) {
            for (side, beside) in [("ours", false), ("beside", true)] {
                let name = format!("trace/{width}/{side}/{}", kind.name);
                samples.take(&name, || trace::sample(plan, kind, beside, full)).await;
            }
        }
    }
    for size in fanout::SIZES.into_iter().filter(|size| !plan.quick || matches!(size, 1 | 100)) {
        for how in [Stream::Sse, Stream::Grpc, Stream::Bare] {
            let name = format!("fan-out/lock-step/{} {size}", how.name());
            samples.take(&name, || fanout::lock_step(plan, how, size)).await;
        }
        for how in Stream::BOTH {
            samples.take(&format!("fan-out/burst/{} {size}", how.name()), || fanout::burst(plan, how, size)).await;
        }
    }
    for how in Stream::BOTH {
        samples.take(&format!("fan-out/live/{} 100", how.name()), || fanout::live(plan, how, 100)).await;
        samples.take(&format!("replay/{}", how.name()), || replay::sample(plan, how)).await;
    }
    for (how, name) in [(Stream::Sse, "HTTP"), (Stream::Grpc, "gRPC")] {
        for observers in [0, 100] {
            samples.take(&format!("release/{name} {observers}"), || release::sample(plan, how, observers)).await;
        }
    }
    for (what, name, scale) in SCALES {
        let ends = [scale[0], scale[scale.len() - 1]];
        for much in scale.iter().filter(|much| !plan.quick || ends.contains(much)) {
            samples.take(&format!("growth/{name} {much}"), || growth::sample(plan, what, *much)).await;
        }
    }
    // What things weigh does not depend on what else the machine does.
    if samples.median("memory/payload").is_none() {
        samples.take("memory", || memory::sample(plan)).await;
    }
    for _ in 0..5 {
        samples.take("start", || memory::start(plan)).await;
    }
}
