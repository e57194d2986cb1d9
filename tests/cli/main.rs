//! The terminal side as people and scripts use it: the real binary, in pipes, against a real service.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it stands")]

mod agents;
mod attach;
mod compare;
mod control;
mod describe;
mod file;
mod fork;
mod run;
mod support;
mod tail;
