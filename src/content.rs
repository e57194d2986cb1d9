//! What is inside a payload: when two are the same, what differs, and which of it is secret.
//!
//! Payloads are kept as the text in which they came. Here that text is read where something depends on its meaning:
//! retracing and comparing runs, and masking a file that is given away.

pub(crate) mod difference;
pub(crate) mod digest;
pub(crate) mod mask;
pub(crate) mod path;
pub(crate) mod tree;

use memchr::memchr2;

/// How deep arrays and objects nest. Looks at brackets alone: whether it is JSON is for the parser to say.
pub(crate) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut rest) = (0_usize, 0, text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => rest = after_string(after),
            _ => {}
        }
    }
    deepest
}

/// What follows a string, from behind its opening quote on. Nearly all of a payload is strings: they are skipped.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(at) = memchr2(b'"', b'\\', rest) {
        let (mark, after) = (rest[at], &rest[at + 1..]);
        if mark == b'"' {
            return after;
        }
        // Whatever is escaped ends nothing.
        rest = after.get(1..).unwrap_or_default();
    }
    &[]
}
