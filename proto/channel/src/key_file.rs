//! Reads the run's certificates and keys (PEM) from files that only their owner may read.
//!
//! The coordinator creates them, and the TLS library verifies a peer's certificate.
//!
//! **Invariant:** no key ever reaches a message: neither `Debug` nor an error prints bytes of one.

use std::fmt;
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::private_file::{PrivateFileError, check_private_directory, read_private_file};

/// Limit of a key file. Ours are under 2 KiB, and a chain from a site instead is under 16 KiB.
const MAX_KEY_FILE_BYTES: u64 = 64 << 10;

/// Why a key file is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    #[error("failed to trust the key file: {0}")]
    Private(#[from] PrivateFileError),
    #[error(
        "`{path}` has no {missing}\n\
         hint: if it is a copy, copy it again, whole; in the run's state directory itself, remove \
         the folder `keys`, and the next coordinator makes new ones"
    )]
    Missing { path: PathBuf, missing: &'static str },
    #[error("the certificate and key in `{path}` cannot be used: {reason}\nhint: copy it again")]
    Unusable { path: PathBuf, reason: String },
}

/// A certificate chain and its key.
pub struct Identity {
    /// The certificates, starting with that of this peer.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the first certificate.
    pub key: PrivateKeyDer<'static>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Identity({} certificates, key not shown)", self.chain.len())
    }
}

impl Identity {
    /// Reads a file with a certificate chain and its key.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        let bytes = read_private_pem(path)?;
        let chain = certificates(&bytes, path)?;
        // The parser's own error is dropped, because it may quote the line at which it failed.
        let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_quoted| {
            KeyFileError::Missing { path: path.into(), missing: "readable private key" }
        })?;
        Ok(Self { chain, key })
    }
}

/// Reads the certificate of the run's authority.
pub fn read_authority(path: &Path) -> Result<RootCertStore, KeyFileError> {
    let bytes = read_private_pem(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&bytes, path)? {
        roots.add(certificate).map_err(|error| KeyFileError::Unusable {
            path: path.into(),
            reason: error.to_string(),
        })?;
    }
    Ok(roots)
}

/// Reads a private file, and checks its folder too: anybody who may write there can put other keys
/// in their place.
fn read_private_pem(path: &Path) -> Result<Vec<u8>, KeyFileError> {
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        check_private_directory(folder)?;
    }
    Ok(read_private_file(path, MAX_KEY_FILE_BYTES)?)
}

fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, KeyFileError> {
    let missing = || KeyFileError::Missing { path: path.into(), missing: "readable certificate" };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(bytes)
        .collect::<Result<_, _>>()
        .map_err(|_quoted| missing())?;
    if chain.is_empty() { Err(missing()) } else { Ok(chain) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::super::private_file::{create_private_file, ensure_private_directory};
    use super::*;

    const HALF_A_KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nTOPSECRETTOPSECRET\n-----BEGIN\n!!!\n";

    fn keys(home: &Path) -> PathBuf {
        let folder = home.join("keys");
        ensure_private_directory(&folder).unwrap();
        folder
    }

    #[test]
    fn an_empty_or_broken_file_is_refused_without_quoting_it() {
        let home = tempfile::tempdir().unwrap();
        let folder = keys(home.path());
        for (name, bytes) in [("empty.pem", &b""[..]), ("broken.pem", HALF_A_KEY)] {
            let path = folder.join(name);
            create_private_file(&path, bytes).unwrap();
            let error = Identity::read(&path).unwrap_err();
            assert!(matches!(error, KeyFileError::Missing { .. }), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("TOPSECRET"));
            assert!(read_authority(&path).is_err());
        }
    }

    #[test]
    fn a_key_in_a_directory_open_to_others_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let folder = keys(home.path());
        let path = folder.join("worker.pem");
        create_private_file(&path, HALF_A_KEY).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let error = Identity::read(&path).unwrap_err();
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let home = tempfile::tempdir().unwrap();
        let path = keys(home.path()).join("viewer.pem");
        let error = Identity::read(&path).unwrap_err();
        assert!(error.to_string().contains("viewer.pem"), "{error}");
    }
}
