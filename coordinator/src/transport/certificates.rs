//! The run's own authority, its certificates, and the folder that holds them.
//!
//! ```text
//!   <state>/keys/           0700
//!     ca.pem                the authority's certificate; its key is not kept
//!     server.pem            the coordinator's certificate and key
//!     worker.pem operator.pem viewer.pem
//! ```
//!
//! A restarted coordinator uses the keys that it finds, so that workers that still run can
//! reconnect.
//!
//! **Invariant:** the folder appears whole, by one rename, or not at all; and because the
//! authority's key is never written, nobody can make a further certificate of this run, not even
//! its owner.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use thresher_channel::key_file::{Identity, KeyFileError, read_authority};
use thresher_channel::private_file::{
    PrivateFileError, check_private_directory, create_private_file, sync_directory,
};
use thresher_channel::{CA_FILE, KEYS_DIRECTORY, Role, SERVER_NAME};
use tokio_rustls::rustls::RootCertStore;
use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

const SERVER_FILE: &str = "server.pem";

/// The role is in the certificate as a URI, so that no host name can be mistaken for one.
const ROLE_URI_PREFIX: &str = "thresher:role:";

/// Number of names to try for the temporary folder; each existing one was left by a crash of an
/// earlier start.
const MAX_FOLDER_ATTEMPTS: u32 = 1000;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    #[error(transparent)]
    Read(#[from] KeyFileError),
    #[error("failed to trust the folder of the run's keys: {0}")]
    Private(#[from] PrivateFileError),
    #[error(
        "the folder of the run's keys `{keys}` has no `{file}`\n\
         hint: remove the folder; the next coordinator makes new keys, which workers and people on \
         other nodes need then",
        keys = keys.display()
    )]
    Incomplete { keys: PathBuf, file: &'static str },
    #[error("failed to make the run's certificates: {0}")]
    Generate(#[from] rcgen::Error),
    #[error("failed to make the folder of the run's keys at `{path}`: {source}")]
    Folder { path: PathBuf, source: io::Error },
}

/// The keys that the coordinator needs.
#[derive(Debug)]
pub struct ServerKeys {
    /// The coordinator's certificate and key.
    pub identity: Identity,
    /// The certificate of the run's authority.
    pub authority: RootCertStore,
}

/// Uses the keys of this state directory, or creates them if there are none.
pub fn load_or_create(state: &Path) -> Result<ServerKeys, CertificateError> {
    let keys = state.join(KEYS_DIRECTORY);
    match check_private_directory(&keys) {
        Ok(()) => {}
        Err(error) if error.is_not_found() => create(state, &keys)?,
        Err(error) => return Err(error.into()),
    }
    for file in [SERVER_FILE, CA_FILE] {
        if !keys.join(file).try_exists().unwrap_or(true) {
            return Err(CertificateError::Incomplete { keys, file });
        }
    }
    let identity = Identity::read(&keys.join(SERVER_FILE))?;
    let authority = read_authority(&keys.join(CA_FILE))?;
    Ok(ServerKeys { identity, authority })
}

/// Returns the role in a certificate, whose chain the TLS library has verified before.
pub fn role_in_certificate(certificate: &[u8]) -> Option<Role> {
    let certificate = CertificateDer::from(certificate);
    let certificate = EndEntityCert::try_from(&certificate).ok()?;
    let mut roles = certificate.valid_uri_names().filter_map(|uri| {
        let word = uri.strip_prefix(ROLE_URI_PREFIX)?;
        Role::ALL.iter().copied().find(|role| role.name() == word)
    });
    match (roles.next(), roles.next()) {
        (Some(role), None) => Some(role),
        (None, _) | (Some(_), Some(_)) => None,
    }
}

/// Creates all files in a temporary folder, then moves it into place.
fn create(state: &Path, keys: &Path) -> Result<(), CertificateError> {
    let folder = new_folder(state)?;
    for (name, pem) in generate()? {
        create_private_file(&folder.join(name), pem.as_bytes())?;
    }
    sync_directory(&folder)?;
    match fs::rename(&folder, keys) {
        Ok(()) => Ok(sync_directory(state)?),
        // Another start was faster, and its keys are the run's. Ours were never used.
        Err(error)
            if matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists) =>
        {
            fs::remove_dir_all(&folder)
                .map_err(|source| CertificateError::Folder { path: folder, source })
        }
        Err(source) => Err(CertificateError::Folder { path: keys.into(), source }),
    }
}

fn new_folder(state: &Path) -> Result<PathBuf, CertificateError> {
    let mut attempt = 0;
    loop {
        let path = state.join(format!(".{KEYS_DIRECTORY}.{}.{attempt}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error)
                if error.kind() == ErrorKind::AlreadyExists && attempt < MAX_FOLDER_ATTEMPTS =>
            {
                attempt += 1;
            }
            Err(source) => return Err(CertificateError::Folder { path, source }),
        }
    }
}

/// Returns every file of the folder. The authority's key exists only within this function.
fn generate() -> Result<Vec<(&'static str, String)>, CertificateError> {
    let authority = CertifiedIssuer::self_signed(authority_params(), KeyPair::generate()?)?;
    let mut files = vec![(CA_FILE, authority.pem())];
    let mut sign = |name: &'static str, params: CertificateParams| -> Result<(), rcgen::Error> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;
        files.push((name, certificate.pem() + &key.serialize_pem()));
        Ok(())
    };
    let server_name = SanType::DnsName(Ia5String::try_from(SERVER_NAME)?);
    sign(
        SERVER_FILE,
        leaf_params("coordinator", server_name, ExtendedKeyUsagePurpose::ServerAuth),
    )?;
    for &role in Role::ALL {
        let uri = SanType::URI(Ia5String::try_from(format!("{ROLE_URI_PREFIX}{role}"))?);
        let params = leaf_params(role.name(), uri, ExtendedKeyUsagePurpose::ClientAuth);
        sign(role.key_file_name(), params)?;
    }
    Ok(files)
}

fn authority_params() -> CertificateParams {
    let mut params = named_params("authority of this run");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// Restricts the purpose, so that a role's key cannot act as the coordinator, or the other way
/// round.
fn leaf_params(
    name: &str,
    subject: SanType,
    purpose: ExtendedKeyUsagePurpose,
) -> CertificateParams {
    let mut params = named_params(name);
    params.subject_alt_names = vec![subject];
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![purpose];
    params.use_authority_key_identifier_extension = true;
    params
}

/// The validity stays as wide as the library sets it: the keys are removed with the state
/// directory, and a node whose clock is wrong must not be locked out of the run.
fn named_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, format!("thresher {name}"));
    params
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
        fs::read_dir(folder)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read(path).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_folder_holds_five_private_files_and_no_key_of_the_authority() {
        let state = tempfile::tempdir().unwrap();
        load_or_create(state.path()).unwrap();
        let folder = state.path().join(KEYS_DIRECTORY);
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
        let files = contents(&folder);
        let names: Vec<_> = files.keys().map(String::as_str).collect();
        assert_eq!(names, ["ca.pem", "operator.pem", "server.pem", "viewer.pem", "worker.pem"]);
        for (name, bytes) in &files {
            let mode = fs::metadata(folder.join(name)).unwrap().mode() & 0o7777;
            assert_eq!(mode, 0o600, "{name}");
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(text.contains("PRIVATE KEY"), name != CA_FILE, "{name}");
        }
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1, "no other file is left");
    }

    #[test]
    fn a_restart_uses_the_keys_it_finds() {
        let state = tempfile::tempdir().unwrap();
        load_or_create(state.path()).unwrap();
        let folder = state.path().join(KEYS_DIRECTORY);
        let before = contents(&folder);
        load_or_create(state.path()).unwrap();
        assert_eq!(contents(&folder), before);
    }

    #[test]
    fn the_slower_of_two_starts_uses_the_keys_of_the_faster() {
        let state = tempfile::tempdir().unwrap();
        load_or_create(state.path()).unwrap();
        let folder = state.path().join(KEYS_DIRECTORY);
        let before = contents(&folder);
        create(state.path(), &folder).unwrap();
        assert_eq!(contents(&folder), before);
        assert_eq!(fs::read_dir(state.path()).unwrap().count(), 1, "the slower cleans up");
    }

    #[test]
    fn a_folder_left_by_a_crashed_start_does_not_prevent_a_start() {
        let state = tempfile::tempdir().unwrap();
        let left = new_folder(state.path()).unwrap();
        load_or_create(state.path()).unwrap();
        assert!(left.is_dir());
    }

    #[test]
    fn lowered_modes_are_refused_and_the_message_says_what_to_do() {
        let state = tempfile::tempdir().unwrap();
        load_or_create(state.path()).unwrap();
        let folder = state.path().join(KEYS_DIRECTORY);
        let server = folder.join(SERVER_FILE);
        fs::set_permissions(&server, fs::Permissions::from_mode(0o644)).unwrap();
        let error = load_or_create(state.path()).unwrap_err().to_string();
        assert!(error.contains("mode 0644") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&server, fs::Permissions::from_mode(0o600)).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let error = load_or_create(state.path()).unwrap_err().to_string();
        assert!(error.contains("mode 0755") && error.contains("chmod 700"), "{error}");
    }

    #[test]
    fn the_hint_for_a_missing_file_works() {
        for file in [SERVER_FILE, CA_FILE] {
            let state = tempfile::tempdir().unwrap();
            load_or_create(state.path()).unwrap();
            let keys = state.path().join(KEYS_DIRECTORY);
            fs::remove_file(keys.join(file)).unwrap();
            let error = load_or_create(state.path()).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains("hint: remove the folder"), "{error}");
            fs::remove_dir_all(&keys).unwrap();
            load_or_create(state.path()).unwrap();
        }
    }

    #[test]
    fn a_certificate_names_its_role_and_the_coordinators_names_none() {
        let state = tempfile::tempdir().unwrap();
        let keys = load_or_create(state.path()).unwrap();
        let folder = state.path().join(KEYS_DIRECTORY);
        for &role in Role::ALL {
            let identity = Identity::read(&folder.join(role.key_file_name())).unwrap();
            assert_eq!(role_in_certificate(&identity.chain[0]), Some(role));
        }
        assert_eq!(role_in_certificate(&keys.identity.chain[0]), None);
        assert_eq!(role_in_certificate(b"no certificate"), None);
    }

    #[test]
    fn debug_output_shows_no_key() {
        let state = tempfile::tempdir().unwrap();
        let keys = load_or_create(state.path()).unwrap();
        assert!(format!("{:?}", keys.identity).contains("key not shown"));
    }
}
