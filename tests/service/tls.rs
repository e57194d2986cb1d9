//! TLS on the one port: HTTP/2 for gRPC, HTTP/1.1 for whoever asks for it.

use std::path::{Path, PathBuf};

use agent_debugger::proto::{self, debugger_service_client::DebuggerServiceClient};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::support::{TestServer, soon, trace_request};

struct Pki {
    folder: PathBuf,
    ca: String,
    client: Identity,
}

/// A certificate authority with one server and one client, in files.
fn pki(name: &str) -> Pki {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let issue = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        (certificate.pem(), key.serialize_pem())
    };
    let (cert, key) = issue("localhost");
    let client = issue("client");
    std::fs::write(folder.join("cert.pem"), cert).unwrap();
    std::fs::write(folder.join("key.pem"), key).unwrap();
    std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
    Pki { folder, ca: ca.pem(), client: Identity::from_pem(client.0, client.1) }
}

impl Pki {
    fn flags(&self) -> Vec<String> {
        let file = |name: &str| self.folder.join(name).to_str().unwrap().to_owned();
        vec!["--tls-cert".into(), file("cert.pem"), "--tls-key".into(), file("key.pem")]
    }

    fn client_tls(&self) -> ClientTlsConfig {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca)).domain_name("localhost")
    }
}

async fn server(flags: &[String]) -> TestServer {
    TestServer::with(&flags.iter().map(String::as_str).collect::<Vec<_>>()).await
}

async fn trace(server: &TestServer, tls: ClientTlsConfig) -> Result<(), String> {
    let endpoint = Endpoint::new(server.url.clone()).unwrap().tls_config(tls).unwrap();
    let channel = endpoint.connect().await.map_err(|error| format!("{error:?}"))?;
    let request = trace_request("a", proto::EventType::Log, "{}");
    DebuggerServiceClient::new(channel).trace(request).await.map(drop).map_err(|status| status.to_string())
}

#[tokio::test]
async fn both_http_versions_are_served_over_tls() {
    let pki = pki("alpn");
    let server = server(&pki.flags()).await;
    assert!(server.url.starts_with("https://"));
    trace(&server, pki.client_tls()).await.unwrap();

    // HTTP/1.1, as a browser may ask for it.
    let mut roots = rustls::RootCertStore::empty();
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    roots.add(CertificateDer::from_pem_slice(pki.ca.as_bytes()).unwrap()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let tcp = TcpStream::connect(server.address()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let mut tls = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    tls.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    soon("the answer", tls.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
}

#[tokio::test]
async fn a_client_without_the_asked_for_certificate_is_not_let_in() {
    let pki = pki("mutual");
    let mut flags = pki.flags();
    flags.extend(["--tls-client-ca".into(), pki.folder.join("ca.pem").to_str().unwrap().to_owned()]);
    let server = server(&flags).await;
    assert!(trace(&server, pki.client_tls()).await.is_err());
    trace(&server, pki.client_tls().identity(pki.client.clone())).await.unwrap();
}

#[tokio::test]
async fn a_file_that_is_no_certificate_is_named() {
    use agent_debugger::{cli::args::Cli, server::Server};
    use clap::Parser;
    let pki = pki("broken");
    let broken = pki.folder.join("broken.pem");
    std::fs::write(&broken, "nothing").unwrap();
    let path = broken.to_str().unwrap();
    let key = pki.folder.join("key.pem");
    let flags = ["agent-debugger", "--listen", "127.0.0.1:0", "--tls-cert", path, "--tls-key", key.to_str().unwrap()];
    let config = Cli::try_parse_from(flags).unwrap().serve.into_config().unwrap();
    let Err(error) = Server::bind(config).await else { panic!("refused") };
    assert!(error.to_string().contains("--tls-cert") && error.to_string().contains("broken.pem"), "{error}");
}
