//! A run as a file: JSON Lines that another server, or a script of ten lines, can read.
//!
//! `docs/reference/export-format.md` describes it and `docs/reference/export-format.schema.json` checks it. What is
//! written is relative to the run: no agent, no epoch, no seqs. A run that was read and is written again gives the same
//! bytes.

mod format;
pub(crate) mod read;
pub(crate) mod write;

#[cfg(test)]
pub(crate) mod tests;
