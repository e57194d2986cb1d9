//! Files go back as they came, and nothing but a whole file goes in.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    read::{Damage, Read, Reader, Room},
    write::Writer,
};
use crate::{
    content::{
        mask::Masked,
        payload::{Encoding, Payload},
    },
    event::{
        Ancestry, Decision, Details, Divergence, Event, EventType, HoldEnded, Moment, Origin, Outcome, Replay, Report,
        Seq, Span, Timestamp,
    },
    masking::Visibility,
    session::{
        Change, Imported, RunView, Session,
        fixtures::{Driver, everything, report, run_id},
    },
    store::{Entry, Offset, Record},
};

const ROOM: Room = Room { events: 1_000, bytes: 1 << 20 };

fn view(run: &str, imported: Option<Imported>) -> RunView {
    let ancestry = imported.as_ref().and_then(|file| file.ancestry.clone());
    RunView {
        run_id: run_id(run),
        mode: None,
        finished: false,
        events: 0,
        held: 0,
        ancestry,
        imported: imported.map(Arc::new),
    }
}

fn records(entries: Vec<Entry>) -> Vec<Record> {
    let record = |entry| Record { offset: Offset(1), epoch: "e".into(), entry };
    entries.into_iter().map(record).collect()
}

fn payload(json: &str, encoding: Encoding) -> Payload {
    Payload { json: json.into(), encoding }
}

/// A run that has everything in it that a line can have.
fn everything_there_is() -> Vec<Entry> {
    let mut driver = Driver::new();
    let details = Details {
        end: Some(Timestamp(-1)),
        duration: Some(Span(1_500_001)),
        token_count: Some(u64::MAX),
        input_tokens: Some(0),
        output_tokens: Some(7),
        model: Some("m \"q\" é".into()),
        latency: Some(Span(-5)),
        replay_checkpoint: Some(false),
        checkpoint_id: Some("c".into()),
        metadata: Some(payload(r#"{"k":1.50}"#, Encoding::Struct)),
        match_key: Some("key".into()),
        warnings: Box::new(["unknown field `a\"é`".into()]),
    };
    let exact = r#"{"n":12345678901234567890123,"dup":1,"dup":2,"u":"\u0041\u0000","f":1.10 }"#;
    let event = Report {
        data: payload(exact, Encoding::Json),
        details: Some(Box::new(details)),
        effect: crate::event::Effect::Mutating,
        accepts: everything(),
        node_id: Some("node".into()),
        parent_id: Some("above".into()),
        name: Some("name".into()),
        request_id: Some("not of the file".into()),
        ..report(EventType::ToolCall, "r")
    };
    driver.trace(event);
    for kind in EventType::ALL {
        driver.trace(report(kind, "r"));
    }
    driver.trace(Report { run_end: true, ..report(EventType::Log, "r") });
    let mut events: Vec<Event> =
        driver.events.drain(..).map(|event| Arc::try_unwrap(event).expect("nobody else has it")).collect();
    let divergence = Divergence {
        reason: "because".into(),
        nearest: Some(Seq(3)),
        fields: vec![crate::content::difference::Field::label("model", Some("a"), None).expect("differs")],
    };
    events[1].origin = Origin::Recorded;
    events[1].replay = Some(Box::new(Replay { source: Some(Seq(1)), divergence: None }));
    events[2].replay = Some(Box::new(Replay { source: None, divergence: Some(divergence) }));
    let data = || Some(payload(r#"{"x":[1,{"y":null}]}"#, Encoding::Struct));
    let decisions = [
        Decision::Proceed,
        Decision::Edit { data: data(), model: Some("m".into()) },
        Decision::Fulfil { data: data() },
        Decision::Fail { message: "no\nway".into(), data: data() },
        Decision::Abort { reason: "enough".into() },
    ];
    let ended: Vec<_> = decisions
        .into_iter()
        .zip(&events)
        .map(|(decision, event)| HoldEnded {
            outcome: Outcome::Released,
            held_for: std::time::Duration::from_nanos(1_234_567),
            actor: "127.0.0.1:1".into(),
            before: Some(event.data.clone()),
            ..crate::session::hold::decided(event, decision)
        })
        .collect();
    let events = events.into_iter().map(|event| Entry::Event(Arc::new(event)));
    events.chain(ended.into_iter().map(|ended| Entry::HoldEnded(Arc::new(ended)))).collect()
}

/// A file of so many events of 100 bytes.
pub(crate) fn writer(events: usize) -> Writer {
    let mut driver = Driver::new();
    for _ in 0..events {
        let json = format!(r#"{{"text":"{}"}}"#, "x".repeat(100));
        driver.trace(Report { data: payload(&json, Encoding::Json), ..report(EventType::Log, "r") });
    }
    Writer::new(view("r", None), records(driver.events.into_iter().map(Entry::Event).collect()), Visibility::Whole)
}

fn write(run: RunView, entries: Vec<Entry>, visibility: Visibility) -> Vec<u8> {
    Writer::new(run, records(entries), visibility).flatten().collect()
}

fn read(file: &[u8], room: Room) -> Result<Read, Damage> {
    let mut reader = Reader::new(room);
    // In small pieces, so that lines are put together.
    for piece in file.chunks(37) {
        reader.push(piece)?;
    }
    reader.finish()
}

/// Reads a file, takes it in as another run, and gives what is recorded of it then.
fn take_in(file: &[u8]) -> (RunView, Vec<Entry>) {
    let read = read(file, ROOM).expect("a whole file");
    let session = Session::new("epoch".into(), 1);
    let changes = session.import(&run_id("other"), Arc::new(read.file.clone()), read.lines, Moment::default());
    let entries = changes.into_iter().filter_map(|change| match change {
        Change::Recorded(recorded) => Some(Entry::Event(recorded.event)),
        Change::Decided(ended) => Some(Entry::HoldEnded(ended)),
        _ => None,
    });
    (view("other", Some(read.file)), entries.collect())
}

fn sample() -> Vec<u8> {
    let from = Ancestry { run_id: run_id("source"), seq: Some(Seq(9)), ordinal: 4 };
    write(RunView { ancestry: Some(from), ..view("r", None) }, everything_there_is(), Visibility::Whole)
}

#[test]
fn what_was_read_is_written_byte_for_byte() {
    let first = sample();
    let (run, entries) = take_in(&first);
    let second = write(run, entries, Visibility::Whole);
    assert_eq!(String::from_utf8_lossy(&second), String::from_utf8_lossy(&first));
    // Numbers stay as they were spelled.
    assert!(String::from_utf8_lossy(&first).contains(r#""n":12345678901234567890123,"dup":1,"dup":2"#));
    assert!(!String::from_utf8_lossy(&first).contains("not of the file"));
}

#[test]
fn a_run_without_events_is_no_file() {
    let file = write(view("", None), Vec::new(), Visibility::Whole);
    assert_eq!(read(&file, ROOM).expect_err("nothing would show it").to_string(), "line 1: events must be at least 1");
}

#[test]
fn a_masked_file_says_so_and_says_it_again() {
    let mut driver = Driver::new();
    let data = payload(r#"{"api_key":"k","text":"Bearer abcdefghijklmnopqrst"}"#, Encoding::Json);
    driver.trace(Report { data, ..report(EventType::Prompt, "r") });
    let entries = |driver: &Driver| driver.events.iter().cloned().map(Entry::Event).collect::<Vec<_>>();
    let masked = write(view("r", None), entries(&driver), Visibility::Masked);
    let text = String::from_utf8(masked.clone()).expect("text");
    assert!(!text.contains("\"k\"") && !text.contains("abcdefgh"), "{text}");
    let (run, entries) = take_in(&masked);
    let expected = Masked::from([("api_key".into(), 1), ("authorization".into(), 1)]);
    assert_eq!(run.imported.as_ref().and_then(|file| file.masked.clone()), Some(expected));
    assert_eq!(write(run, entries, Visibility::Whole), masked);
}

#[test]
fn damaged_files_are_refused_with_the_line() {
    let file = String::from_utf8(sample()).expect("text");
    let lines: Vec<&str> = file.split_inclusive('\n').collect();
    let refused = |file: String| read(file.as_bytes(), ROOM).expect_err(&file);
    // Cut short anywhere.
    for end in 0..lines.len() {
        let problem = refused(lines[..end].concat());
        assert_eq!(problem.line, end as u64 + 1, "{problem}");
    }
    assert!(refused(file.trim_end().to_owned()).problem.contains("cut short"));
    for at in 0..lines.len() {
        let mut without = lines.clone();
        without.remove(at);
        refused(without.concat());
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        refused(twice.concat());
    }
    for (from, to, line, says) in [
        ("agent-debugger/run", "another/format", 1, "format"),
        ("\"version\":1", "\"version\":2", 1, "version"),
        ("\"events\":8", "\"events\":9", 15, "9 events"),
        ("\"ordinal\":2,", "\"ordinal\":5,", 3, "ordinal must be 2"),
        ("\"type\":\"log\"", "\"type\":\"dream\"", 8, "type must be one of"),
        ("\"name\":\"name\"", "\"name\":\"na\\nme\"", 2, "name must not contain control"),
        ("\"origin\":\"live\"", "\"origin\":\"live\",\"seq\":1", 2, "unknown field"),
        ("{\"k\":1.50}", "[1]", 2, "metadata must be a JSON object"),
        ("because", "becauze", 15, "sha256"),
    ] {
        let problem = refused(file.replacen(from, to, 1));
        assert!(problem.line == line && problem.problem.contains(says), "{from}: {problem}");
    }
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(refused(file.replacen("{\"k\":1.50}", &deep, 1)).line, 2);
    assert_eq!(refused(format!("{file}\n")).line, 16);
    assert_eq!(refused("\u{0}\u{1}binary".to_owned()).line, 1);
}

#[test]
fn what_is_kept_is_bounded_by_the_room() {
    let file = sample();
    let refused = |room| read(&file, room).expect_err("too large");
    let problem = refused(Room { events: 7, ..ROOM });
    assert!(problem.too_large && problem.line == 1 && problem.problem.contains("7 events"), "{problem}");
    assert!(refused(Room { bytes: 100, ..ROOM }).too_large);
    // A manifest that lies about it is found out on the way.
    let text = String::from_utf8(file.clone()).expect("text");
    let lying = text.replacen("\"events\":8", "\"events\":2", 1);
    let problem = read(lying.as_bytes(), Room { events: 3, ..ROOM }).expect_err("it lies");
    assert!(!problem.too_large && problem.line == 4, "{problem}");
    let bytes = text.split("\"bytes\":").nth(1).and_then(|rest| rest.split(',').next()).expect("a number");
    let lying = text.replacen(&format!("\"bytes\":{bytes}"), "\"bytes\":1", 1);
    let problem = read(lying.as_bytes(), ROOM).expect_err("it lies");
    assert!(!problem.too_large && problem.line == 2, "{problem}");
    let mut reader = Reader::new(ROOM);
    let piece = vec![b'x'; 1 << 20];
    let endless = (0..10).find_map(|_| reader.push(&piece).err()).expect("a line has an end");
    assert!(endless.problem.contains("bytes"), "{endless}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Nothing but the file itself goes in, and nothing panics.
    #[test]
    fn a_changed_byte_is_found(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut file = sample();
        let at = at.index(file.len());
        let changed = file[at] != byte;
        file[at] = byte;
        // Space after the closing line's object is the one thing that the hash does not cover.
        let is_space = byte.is_ascii_whitespace() && at + 1 >= file.len();
        prop_assert_eq!(read(&file, ROOM).is_err(), changed && !is_space);
    }
}
