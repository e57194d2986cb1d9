//! Compiles the protos with protox, so that no `protoc` is needed on the machine.
//!
//! One compilation serves three readers: the generated messages, client and server; the encoded
//! descriptor set that reflection serves, comments included; and rustdoc, which shows the same comments.

use std::{env, fs, path::PathBuf};

const PROTOS: &[&str] = &["proto/agent_debugger/v1/debugger.proto"];
const PACKAGE: &str = ".agent_debugger.v1";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(PROTOS.iter().map(|path| path.trim_start_matches("proto/")))?;
    fs::write(out.join("descriptors.bin"), compiler.encode_file_descriptor_set())?;
    let descriptors = compiler.file_descriptor_set();

    // The messages, and a client that decodes everything it receives.
    // Pieces of files are handed on without a copy.
    tonic_prost_build::configure().build_server(false).bytes(".").compile_fds(copy(&descriptors)?)?;

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

/// A copy of the descriptor set: `compile_fds` consumes the one it is given.
fn copy<T: prost::Message + Default>(set: &T) -> Result<T, prost::DecodeError> {
    T::decode(set.encode_to_vec().as_slice())
}
