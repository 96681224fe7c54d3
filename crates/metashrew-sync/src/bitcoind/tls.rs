//! Whom to take for the node over https.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::settings::SettingsError;

/// Bytes that are read of a file of certificates: those of all authorities take a quarter of one MiB.
const MAX_PEM: u64 = 16 << 20;

/// Trusts the certificates in a file (PEM), or those that the machine trusts:
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
pub(super) fn config(authorities: Option<&Path>) -> Result<TlsConfig, SettingsError> {
    let certificates = match authorities {
        Some(path) => read(path)?,
        None => machines()?,
    };
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::from(certificates))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build())
}

/// Trusts the certificates that the machine trusts, for other requests over https.
///
/// # Errors
/// If the machine has none.
pub fn machine_tls() -> Result<TlsConfig, SettingsError> {
    config(None)
}

fn read(path: &Path) -> Result<Vec<Certificate<'static>>, SettingsError> {
    let error = |what: String| SettingsError::Authorities {
        path: path.to_owned(),
        what,
    };
    let mut pem = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_PEM).read_to_end(&mut pem))
        .map_err(|source| error(source.to_string()))?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(certificate) =
            item.map_err(|source| error(source.to_string()))?
        {
            certificates.push(certificate);
        }
    }
    if certificates.is_empty() {
        return Err(error("it holds no certificate in PEM form".to_owned()));
    }
    Ok(certificates)
}

fn machines() -> Result<Vec<Certificate<'static>>, SettingsError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.iter().map(ToString::to_string);
        return Err(SettingsError::NoAuthorities {
            why: why.collect::<Vec<_>>().join("; "),
        });
    }
    let owned = |der: &[u8]| Certificate::from_der(der).to_owned();
    Ok(found.certs.iter().map(|der| owned(der.as_ref())).collect())
}

/// Whether a request failed because the server's certificate is not to be trusted.
pub(super) fn is_untrusted(error: &ureq::Error) -> bool {
    let cause = match error {
        ureq::Error::Rustls(cause) => Some(cause),
        ureq::Error::Io(error) => error
            .get_ref()
            .and_then(|cause| cause.downcast_ref::<rustls::Error>()),
        _ => None,
    };
    matches!(cause, Some(rustls::Error::InvalidCertificate(_)))
}
