//! What must not be in a layer: the map in `src/lib.rs`, held.

use std::{
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
    let below = ["compare", "content", "debugger", "event", "export", "session", "sight", "store", "subscription"];
    assert_absent(&below, &["tonic", "axum", "prost", "http", "proto", "convert", "grpc", "gateway", "server"]);
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
    let parts = ["convert", "debugger", "event", "gateway", "grpc", "server", "session", "store", "subscription"];
    for part in parts {
        assert_absent(&["cli"], &[&format!("crate::{part}")]);
    }
}

#[test]
fn every_file_has_a_head_that_says_what_it_is_for() {
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{}", path.display());
    }
}
