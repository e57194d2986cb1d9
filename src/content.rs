//! What is inside a payload: when two are the same, what differs, and which of it is secret.
//!
//! Payloads are kept as the text in which they came. Here that text is read where something depends on its meaning:
//! retracing and comparing runs, and masking a file that is given away.

pub(crate) mod difference;
pub(crate) mod digest;
pub(crate) mod mask;
pub(crate) mod path;
pub(crate) mod payload;
pub(crate) mod scan;
pub(crate) mod tree;
