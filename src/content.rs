//! What is inside a payload: when two are the same, what differs, and which of it is secret.
//!
//! Payloads are kept as the text in which they came. Here that text is read where something depends on its meaning:
//! retracing and comparing runs, and masking a file that is given away.

pub(crate) mod difference;
pub(crate) mod digest;
pub(crate) mod mask;
pub(crate) mod path;
pub(crate) mod tree;

/// How deep arrays and objects nest. Looks at brackets alone: whether it is JSON is for the parser to say.
pub(crate) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'\\' => drop(bytes.next()),
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    deepest
}
