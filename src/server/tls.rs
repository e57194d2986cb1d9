//! TLS for both HTTP versions on one port: gRPC asks for `h2`, a browser may ask for `http/1.1`.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use super::ServerError;
use crate::config::TlsFiles;

/// Reads the files; every error names the flag and the file.
pub(super) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, ServerError> {
    let chain = certificates("--tls-cert", &files.cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| problem("--tls-key", &files.key, error))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| ServerError::Tls(error.to_string()))?;
    let builder = match &files.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for certificate in certificates("--tls-client-ca", path)? {
                roots.add(certificate).map_err(|error| problem("--tls-client-ca", path, error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| problem("--tls-client-ca", path, error))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| problem("--tls-key", &files.key, error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(flag: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let chain = CertificateDer::pem_file_iter(path).map_err(|error| problem(flag, path, error))?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(|error| problem(flag, path, error))?;
    if chain.is_empty() { Err(problem(flag, path, "holds no certificate")) } else { Ok(chain) }
}

fn problem(flag: &str, path: &Path, error: impl std::fmt::Display) -> ServerError {
    ServerError::Tls(format!("{flag}: {}: {error}", path.display()))
}
