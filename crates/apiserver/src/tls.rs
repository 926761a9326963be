//! The server's own certificate authority, and a certificate from it at every start.
//!
//! The authority lives in a folder (`ca.crt`, `ca.key`, mode 0600) and is what clients trust. The server's certificate
//! is never stored: it is made anew at each start, for the names it is to serve, so that it neither expires unnoticed
//! nor keeps an old name. **Refused:** half an authority (a key without its certificate), since making a new one would
//! silently lock all clients out.

use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

const AUTHORITY_NAME: &str = "Podium certificate authority";
const AUTHORITY_YEARS: i64 = 20;
const SERVER_DAYS: i64 = 825;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("the file {path} cannot be used")]
    File {
        /// Which.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// One of the two files is missing.
    #[error(
        "the certificate authority is incomplete: {missing} is missing; restore it, or remove {other} to make a new \
             authority, which all clients must then be given"
    )]
    Incomplete {
        /// The file that is missing.
        missing: PathBuf,
        /// The file that is there.
        other: PathBuf,
    },
    /// What a file holds is no certificate or key.
    #[error("the file {path} holds no usable certificate or key")]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// A certificate cannot be made.
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    /// The TLS library refuses certificate or key.
    #[error("the certificate is refused")]
    Refused(#[from] rustls::Error),
}

/// What a server proves itself with.
pub struct ServerIdentity {
    /// Its certificate, and those that lead to the authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// The authority's certificate, which clients trust.
    pub authority_pem: String,
}

impl ServerIdentity {
    /// Loads the authority from `folder`, or makes it there, and issues a certificate for `names` (host names and IP
    /// addresses).
    ///
    /// # Errors
    /// When files cannot be read or written, or hold something else.
    pub fn load_or_create(folder: &Path, names: &[String], now: Timestamp) -> Result<Self, TlsError> {
        let (certificate, key) = authority(folder, now)?;
        let issuer = Issuer::new(authority_params(now), key);
        let server_key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "podium");
        params.not_before = moment(now, -1).into();
        params.not_after = moment(now, SERVER_DAYS).into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issued = params.signed_by(&server_key, &issuer)?;
        Ok(Self {
            chain: vec![issued.der().clone()],
            key: PrivatePkcs8KeyDer::from(server_key.serialize_der()).into(),
            authority_pem: certificate,
        })
    }

    /// The configuration of a TLS server: TLS 1.2 and 1.3, no client certificates, HTTP/1.1.
    ///
    /// # Errors
    /// When certificate and key do not fit.
    pub fn server_config(&self) -> Result<rustls::ServerConfig, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(self.chain.clone(), self.key.clone_key())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

/// Names and addresses under which a server that listens on `address` is reached from its own machine.
pub fn local_names(address: IpAddr) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !address.is_unspecified() && !names.contains(&address.to_string()) {
        names.push(address.to_string());
    }
    names
}

/// The authority's parameters. Names and key identifier come from here at every start, so they never change.
fn authority_params(now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, AUTHORITY_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = moment(now, -1).into();
    params.not_after = moment(now, AUTHORITY_YEARS * 365).into();
    params
}

/// The authority's certificate as PEM, and its key.
fn authority(folder: &Path, now: Timestamp) -> Result<(String, KeyPair), TlsError> {
    let certificate_path = folder.join("ca.crt");
    let key_path = folder.join("ca.key");
    let certificate = read(&certificate_path)?;
    let key = read(&key_path)?;
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|_| TlsError::Damaged {
                path: certificate_path,
            })?;
            let key = KeyPair::from_pem(&key).map_err(|_| TlsError::Damaged { path: key_path })?;
            Ok((certificate, key))
        }
        (None, None) => {
            std::fs::create_dir_all(folder).map_err(|source| TlsError::File {
                path: folder.to_owned(),
                source,
            })?;
            let key = KeyPair::generate()?;
            let certificate = authority_params(now).self_signed(&key)?.pem();
            // The key first: a certificate without key would be an authority that nobody can use.
            write(&key_path, &key.serialize_pem())?;
            write(&certificate_path, &certificate)?;
            Ok((certificate, key))
        }
        (Some(_), None) => Err(TlsError::Incomplete {
            missing: key_path,
            other: certificate_path,
        }),
        (None, Some(_)) => Err(TlsError::Incomplete {
            missing: certificate_path,
            other: key_path,
        }),
    }
}

fn read(path: &Path) -> Result<Option<String>, TlsError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TlsError::File {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Writes a file that only its owner can read: whole, or not at all.
fn write(path: &Path, content: &str) -> Result<(), TlsError> {
    let cannot = |source| TlsError::File {
        path: path.to_owned(),
        source,
    };
    let beside = path.with_extension("new");
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot(error)),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .map_err(cannot)?;
    file.write_all(content.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(cannot)?;
    std::fs::rename(&beside, path).map_err(cannot)
}

/// The time some days from now, as certificates have it; far beyond all calendars it stays where it is.
fn moment(now: Timestamp, days: i64) -> SystemTime {
    let moved = now
        .checked_add(SignedDuration::from_hours(days * 24))
        .unwrap_or(now);
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(moved.as_second()).unwrap_or(0))
}
