//! Compiles the protos with protox, so that no `protoc` is needed on the machine.
//!
//! One compilation serves three readers: the server half of the contract, over the messages of the client crate; the
//! encoded descriptor set that reflection serves, comments included; and the test that compares the client crate's
//! committed code with what the protos say. With `UPDATE_SNAPSHOTS` set that code is written here, and not by the test:
//! a contract that the rest does not fit yet must not stand in the way of its own messages.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

const PROTOS: &[&str] = &["proto/agent_debugger/v1/debugger.proto"];
const PACKAGE: &str = ".agent_debugger.v1";
/// The committed half of the contract: messages and client.
const CLIENT: &str = "clients/rust/src/generated/agent_debugger.v1.rs";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-env-changed=UPDATE_SNAPSHOTS");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(PROTOS.iter().map(|path| path.trim_start_matches("proto/")))?;
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();

    // The messages, and a client that decodes everything it receives.
    // Pieces of files are handed on without a copy.
    let client = out.join("client");
    fs::create_dir_all(&client)?;
    tonic_prost_build::configure().build_server(false).bytes(".").out_dir(&client).compile_fds(copy(&descriptors)?)?;
    if env::var_os("UPDATE_SNAPSHOTS").is_some() {
        update(&client.join("agent_debugger.v1.rs"), Path::new(CLIENT))?;
    }

    // The server, over the same messages but one: it sends event frames that were encoded once for all
    // their readers, and so takes a type that holds bytes where the client has a message.
    let server = out.join("server");
    fs::create_dir_all(&server)?;
    tonic_prost_build::configure()
        .build_client(false)
        .codec_path("crate::api::grpc::codec::MessageCodec")
        .out_dir(server)
        .extern_path(PACKAGE, "crate::proto")
        .extern_path(format!("{PACKAGE}.EventsResponse"), "crate::proto::EncodedFrame")
        .compile_fds(copy(&descriptors)?)?;
    Ok(())
}

/// Writes the committed code where it differs: what did not change is not compiled again.
fn update(generated: &Path, committed: &Path) -> io::Result<()> {
    let text = fs::read(generated)?;
    if fs::read(committed).is_ok_and(|before| before == text) {
        return Ok(());
    }
    fs::write(committed, text)
}

/// A copy of the descriptor set: `compile_fds` consumes the one it is given.
fn copy<T: prost::Message + Default>(set: &T) -> Result<T, prost::DecodeError> {
    T::decode(set.encode_to_vec().as_slice())
}
