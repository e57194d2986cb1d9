//! What holds after any sequence of commands.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    Change, Hold, Role,
    breakpoint::Spec,
    condition::template::Template,
    control::Granularity,
    fixtures::{Driver, everything, moment, report, run_id, spec},
    fork,
};
use crate::event::{Decision, EventType, Report, Seq};

#[derive(Clone, Debug)]
enum Command {
    Trace { kind: EventType, run: usize, request: Option<u8> },
    Step { run: Option<usize>, granularity: Granularity },
    StepSeq(u64),
    Resume { run: Option<usize> },
    Pause { run: Option<usize> },
    Release { nth: usize, abort: bool },
    GiveUp { nth: usize },
    Clear,
    Attach { pause: bool },
    Observe,
    Leave(bool),
    GraceOver,
    Trim,
    Break { kind: EventType, gate: bool, once: bool, all_stop: bool, logs: bool },
    Unbreak,
    Fork { nth: usize, model: bool },
}

const RUNS: [&str; 4] = ["", "a", "b", FORK];
/// The run that is made by forking.
const FORK: &str = "f";

fn command() -> impl Strategy<Value = Command> {
    let run = || proptest::option::of(0..RUNS.len());
    let kind = || {
        prop_oneof![
            Just(EventType::Prompt),
            Just(EventType::Response),
            Just(EventType::ToolCall),
            Just(EventType::ToolResult),
            Just(EventType::Error),
            Just(EventType::Log),
        ]
    };
    prop_oneof![
        8 => (kind(), 0..RUNS.len(), proptest::option::of(0..4_u8))
            .prop_map(|(kind, run, request)| Command::Trace { kind, run, request }),
        4 => (run(), prop_oneof![Just(Granularity::Into), Just(Granularity::Over), Just(Granularity::Out)])
            .prop_map(|(run, granularity)| Command::Step { run, granularity }),
        1 => (0..30_u64).prop_map(Command::StepSeq),
        2 => run().prop_map(|run| Command::Resume { run }),
        2 => run().prop_map(|run| Command::Pause { run }),
        2 => (0..8_usize, any::<bool>()).prop_map(|(nth, abort)| Command::Release { nth, abort }),
        1 => (0..8_usize).prop_map(|nth| Command::GiveUp { nth }),
        1 => Just(Command::Clear),
        3 => any::<bool>().prop_map(|pause| Command::Attach { pause }),
        1 => Just(Command::Observe),
        2 => any::<bool>().prop_map(Command::Leave),
        2 => Just(Command::GraceOver),
        2 => Just(Command::Trim),
        1 => (kind(), any::<[bool; 4]>())
            .prop_map(|(kind, [gate, once, all_stop, logs])| Command::Break { kind, gate, once, all_stop, logs }),
        1 => Just(Command::Unbreak),
        2 => (0..20_usize, any::<bool>()).prop_map(|(nth, model)| Command::Fork { nth, model }),
    ]
}

/// What the world outside of a session remembers of it.
#[derive(Default)]
struct World {
    waiting: BTreeSet<u64>,
    told: BTreeMap<u64, usize>,
    traced: u64,
    /// The number used last: breakpoints that log use some, too.
    last: u64,
}

fn run(driver: &mut Driver, world: &mut World, command: &Command) -> Result<(), TestCaseError> {
    let actor = "tester".into();
    let now = moment(driver.now + 1);
    let run = |index: &Option<usize>| index.map(|index| run_id(RUNS[index]));
    let nth = |driver: &Driver, nth: usize| driver.held().get(nth).copied().map(Seq);
    let before = driver.answers.len();
    let held_before: BTreeSet<_> = driver.held().into_iter().collect();
    match command {
        Command::Trace { kind, run, request } => {
            let request_id: Option<crate::event::SmallStr> = request.map(|id| format!("{id}").into());
            if let Some(id) = &request_id
                && driver.session.known(id, 7).expect("one body").is_some()
            {
                return Ok(());
            }
            let seq = driver.trace(Report { request_id, accepts: everything(), ..report(*kind, RUNS[*run]) });
            world.traced += 1;
            prop_assert_eq!(seq.0, world.last + 1, "numbers are used once, and none is left out");
            world.last = driver.session.bounds().map_or(seq.0, |(_, last)| last.0);
            if driver.session.hold(seq).is_some() {
                world.waiting.insert(seq.0);
            }
        }
        Command::Step { run: index, granularity } => {
            let named = run(index);
            let of_run = |hold: &&Hold| named.as_ref().is_none_or(|run| hold.event.run_id == *run);
            let oldest = driver.session.holds().filter(|hold| hold.gate.is_none()).find(of_run);
            let oldest = oldest.map(|hold| hold.event.seq);
            let released =
                driver.run(|session| session.step(named.as_ref(), None, *granularity, &actor, now).expect("few runs"));
            prop_assert_eq!(released, Vec::from_iter(oldest), "exactly the oldest");
        }
        Command::StepSeq(seq) => {
            let held = driver.session.hold(Seq(*seq)).is_some_and(|hold| hold.gate.is_none());
            match driver.session.step(None, Some(Seq(*seq)), Granularity::Into, &actor, now) {
                Ok(changes) => {
                    prop_assert!(held);
                    driver.run(|_| changes);
                }
                Err(_) => prop_assert!(!held),
            }
        }
        Command::Resume { run: index } => {
            let named = run(index);
            driver.run(|session| session.resume(named.as_ref(), &actor, now));
            let let_go =
                |hold: &Hold| hold.gate.is_none() && named.as_ref().is_none_or(|run| hold.event.run_id == *run);
            prop_assert!(!driver.session.holds().any(let_go));
            prop_assert_eq!(driver.pos().0, driver.pos().1);
        }
        Command::Pause { run: index } => {
            let named = run(index);
            driver.run(|session| session.pause(named.as_ref()));
        }
        Command::Release { nth: index, abort } => {
            let Some(seq) = nth(driver, *index) else { return Ok(()) };
            let decision = if *abort { Decision::Abort { reason: "".into() } } else { Decision::Proceed };
            let released =
                driver.run(|session| session.release(seq, decision, &actor, now).expect("held, and obedient"));
            prop_assert!(released.contains(&seq));
        }
        Command::GiveUp { nth: index } => {
            let Some(seq) = nth(driver, *index) else { return Ok(()) };
            let outcome = crate::event::Outcome::TimedOut;
            driver.run(|session| Vec::from_iter(session.give_up(seq, outcome, now)));
        }
        Command::Clear => {
            driver.run(|session| session.clear("next".into(), &actor, now));
            driver.events.clear();
            prop_assert_eq!(driver.pos(), (0, 0));
        }
        Command::Attach { pause } => drop(driver.run(|session| session.join(Role::Debugger, *pause))),
        Command::Observe => drop(driver.run(|session| session.join(Role::Observer, true))),
        Command::Leave(debugger) => {
            let role = if *debugger { Role::Debugger } else { Role::Observer };
            driver.run(|_| vec![Change::Left(role)]);
        }
        Command::GraceOver => drop(driver.run(|session| session.detach(now))),
        Command::Break { kind, gate, once, all_stop, logs } => {
            let log = logs.then(|| Template::compile("{event.seq}").expect("compiles"));
            let spec = Spec { types: vec![*kind], gate: *gate, once: *once, all_stop: *all_stop, log, ..spec() };
            if let Ok(breakpoint) = driver.session.create_breakpoint(spec.into()) {
                driver.run(|_| vec![Change::Breakpoint(breakpoint)]);
            }
        }
        Command::Unbreak => {
            let first = driver.session.breakpoints().next().map(|breakpoint| breakpoint.id);
            driver.run(|_| first.map(Change::BreakpointGone).into_iter().collect());
        }
        Command::Fork { nth, model } => {
            let Some(point) = driver.events.get(*nth).cloned() else { return Ok(()) };
            let of_run = driver.events.iter().filter(|event| event.run_id == point.run_id);
            let history =
                of_run.map(|event| (event.clone(), driver.decided.get(&event.seq).cloned())).collect::<Vec<_>>();
            let spec = fork::Spec { model: model.then(|| "m".into()), ..fork::tests::spec(point.seq.0) };
            if driver.session.run_view(&run_id(FORK)).is_none()
                && let Ok(plan) = fork::plan::Plan::build(&history, spec)
            {
                fork::tests::forked(driver, FORK, std::sync::Arc::new(plan));
                prop_assert!(driver.session.forks > 0);
            }
        }
        Command::Trim => {
            if !driver.events.is_empty() {
                driver.trim();
            }
        }
    }
    for answer in &driver.answers[before..] {
        *world.told.entry(answer.seq.0).or_default() += 1;
        if world.waiting.remove(&answer.seq.0) {
            prop_assert!(held_before.contains(&answer.seq.0), "what is released was held");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_sequence_of_commands_keeps_the_promises(commands in proptest::collection::vec(command(), 1..80)) {
        let mut driver = Driver::new();
        let mut world = World::default();
        for command in &commands {
            run(&mut driver, &mut world, command)?;
            let (position, total) = driver.pos();
            prop_assert!(position <= total, "position {position} of {total}");
            prop_assert_eq!(total, driver.events.len() as u64, "the session counts what the log keeps");
            prop_assert!(driver.session.counts_its_runs(), "{command:?}: {:?}", driver.session);
            prop_assert!(driver.session.mode().is_some() || driver.session.holds().all(|hold| hold.gate.is_some()), "held while detached");
            prop_assert_eq!(&BTreeSet::from_iter(driver.held()), &world.waiting, "who waits is who was not told");
        }
        driver.run(|session| session.end_all(crate::event::Outcome::Shutdown, &"tester".into(), moment(99)));
        for answer in &driver.answers {
            world.waiting.remove(&answer.seq.0);
        }
        prop_assert!(world.waiting.is_empty());
        prop_assert_eq!(driver.answers.len() as u64, world.traced, "each Trace is answered once");
        let told: BTreeSet<_> = driver.answers.iter().map(|answer| answer.seq.0).collect();
        prop_assert_eq!(told.len() as u64, world.traced);
    }
}
