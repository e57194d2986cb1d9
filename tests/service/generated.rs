//! The client crate's committed code is what the protos say.

use std::fs;

#[test]
fn the_client_is_generated_from_the_contract() {
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/rust/src/generated/agent_debugger.v1.rs");
    let generated = concat!(env!("OUT_DIR"), "/client/agent_debugger.v1.rs");
    let same = fs::read(committed).unwrap() == fs::read(generated).unwrap();
    assert!(
        same,
        "{committed} is not what the protos say: run `UPDATE_SNAPSHOTS=1 cargo build`, and read the difference"
    );
}
