//! What must not be in a layer: the map in `src/lib.rs`, held.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    // Beside the code there is data.
    files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}

fn layer(names: &[&str]) -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let of_layer = |path: &PathBuf| {
        let inside = path.strip_prefix(&root).unwrap().to_str().unwrap();
        names.iter().any(|name| inside == format!("{name}.rs") || inside.starts_with(&format!("{name}/")))
    };
    let files: Vec<_> = sources(&root).into_iter().filter(of_layer).collect();
    assert!(!files.is_empty(), "{names:?} is where the map says");
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// Whether a word stands in a line as a word of its own.
fn names(line: &str, word: &str) -> bool {
    let is_part = |sign: char| sign.is_alphanumeric() || sign == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

fn assert_absent(layers: &[&str], words: &[&str]) {
    for (path, text) in layer(layers) {
        for word in words {
            let found = text.lines().find(|line| !line.trim_start().starts_with("//") && names(line, word));
            assert!(found.is_none(), "{} knows {word}: {}", path.display(), found.unwrap_or_default());
        }
    }
}

#[test]
fn a_word_is_found_wherever_it_stands() {
    for line in ["use crate::{proto, store::Log};", "proto::Event {", "crate::proto"] {
        assert!(names(line, "proto"), "{line}");
    }
    assert!(!names("protocol", "proto") && !names("a_proto", "proto"));
}

#[test]
fn nothing_below_the_conversion_knows_a_transport() {
    let below =
        ["agent", "auth", "compare", "content", "debugger", "error", "event", "export", "masking", "session", "store"];
    assert_absent(&below, &["tonic", "axum", "prost", "http", "proto"]);
    for (file, used) in uses().iter().filter(|(file, _)| below.contains(&file[0].as_str())) {
        let above = used.iter().find(|used| ["api", "cli", "json", "proto", "server"].contains(&used[0].as_str()));
        assert!(above.is_none(), "{} uses {}", file.join("/"), above.map(|above| above.join("/")).unwrap_or_default());
    }
}

#[test]
fn no_way_in_knows_the_server_that_serves_it() {
    for (file, used) in uses().iter().filter(|(file, _)| file[0] == "api") {
        assert!(!used.iter().any(|used| used[0] == "server"), "{} uses the server", file.join("/"));
    }
}

#[test]
fn the_facade_knows_no_transport() {
    assert_absent(&["api/service", "api/transfer"], &["tonic", "axum", "http", "server"]);
}

#[test]
fn the_session_has_no_clock_no_lock_no_channel_and_no_task() {
    let words =
        ["tokio", "Instant", "SystemTime", "Mutex", "RwLock", "AtomicU64", "AtomicUsize", "mpsc", "async", "std::io"];
    assert_absent(&["session", "event"], &words);
}

#[test]
fn the_store_knows_no_session() {
    assert_absent(&["store/memory"], &["session", "debugger"]);
}

#[test]
fn the_terminal_side_knows_the_contract_and_nothing_else_of_the_service() {
    let parts = ["agent", "api", "debugger", "event", "masking", "server", "session", "store"];
    for part in parts {
        assert_absent(&["cli"], &[&format!("crate::{part}")]);
    }
}

/// The module that a file is, by the segments of its path.
fn module(path: &Path) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let inside = path.strip_prefix(root).unwrap().with_extension("");
    inside.iter().map(|part| part.to_str().unwrap().to_owned()).filter(|part| part != "lib").collect()
}

/// The paths of every `use` tree in a text, each as its segments; and the paths from the crate's root outside of one.
fn paths(text: &str) -> Vec<Vec<String>> {
    fn expand(prefix: &[String], tree: &str, into: &mut Vec<Vec<String>>) {
        let tree = tree.trim();
        let Some(open) = tree.find('{') else {
            let own = tree.split(" as ").next().unwrap_or_default();
            let own = own.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
            into.push(prefix.iter().cloned().chain(own).collect());
            return;
        };
        let head = tree[..open].split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty());
        let prefix: Vec<_> = prefix.iter().cloned().chain(head).collect();
        let (mut depth, mut start) = (0, open + 1);
        for (at, letter) in tree.char_indices().skip_while(|(at, _)| *at <= open) {
            match letter {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    expand(&prefix, &tree[start..at], into);
                    start = at + 1;
                }
                _ => {}
            }
        }
    }
    let code: String = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .fold(String::new(), |code, line| code + line + "\n");
    // What tests use is no part of the program.
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let mut found = Vec::new();
    for statement in code.split(';') {
        if let Some(at) = statement.find("use ").filter(|at| {
            statement[..*at]
                .lines()
                .next_back()
                .is_none_or(|before| matches!(before.trim(), "" | "pub(crate)" | "pub(super)" | "pub"))
        }) {
            expand(&[], &statement[at + 4..], &mut found);
        }
        for (at, _) in statement.match_indices("crate::") {
            let path =
                statement[at..].split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':');
            expand(&[], path.into_iter().next().unwrap_or_default(), &mut found);
        }
    }
    found
}

/// The files that each file uses, by module. A module and the file of a module above it are one: the latter is the face
/// of its folder.
fn uses() -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let modules: BTreeSet<_> = files.iter().map(|path| module(path)).collect();
    let mut uses = BTreeMap::new();
    for path in &files {
        let own = module(path);
        let mut targets = BTreeSet::new();
        for used in paths(&fs::read_to_string(path).unwrap()) {
            let mut place = own.clone();
            let mut rest = &used[..];
            while let Some((first, more)) = rest.split_first() {
                match first.as_str() {
                    "crate" => place.clear(),
                    "super" => drop(place.pop()),
                    "self" => {}
                    _ => break,
                }
                rest = more;
            }
            place.extend(rest.iter().cloned());
            let target = (0..=place.len()).rev().map(|length| &place[..length]).find(|place| modules.contains(*place));
            let is_for_tests =
                |target: &[String]| target.last().is_some_and(|last| last == "fixtures" || last == "tests");
            if let Some(target) =
                target.filter(|target| !own.starts_with(target) && !target.is_empty() && !is_for_tests(target))
            {
                targets.insert(target.to_vec());
            }
        }
        let is_for_tests =
            own.iter().any(|part| ["tests", "fixtures", "properties", "conformance"].contains(&part.as_str()));
        if !own.is_empty() && !is_for_tests {
            uses.insert(own, targets);
        }
    }
    uses
}

#[test]
fn no_two_files_need_each_other() {
    let uses = uses();
    let by_name = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    assert!(uses[&by_name("session/fork")].contains(&by_name("event")), "uses are found");
    // A file that is reached from itself is in a circle.
    let reached = |from: &Vec<String>| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            next.extend(uses[file].iter().filter(|used| reached.insert((*used).clone())));
        }
        reached
    };
    let circles: Vec<_> = uses.keys().filter(|file| reached(file).contains(*file)).map(|file| file.join("/")).collect();
    assert!(circles.is_empty(), "in circles: {circles:?}");
}

#[test]
fn every_file_has_a_head_that_says_what_it_is_for() {
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{}", path.display());
    }
}
