//! The certificate authority of this sandbox, and the certificates made with it.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};

/// Certificates kept; when more names were asked for, all are made anew as they are needed.
const CACHE: usize = 1024;

/// The subject of the authority; fixed, as it is made again from its key alone.
const NAME: &str = "Sandkeep egress sidecar";

/// Nobody outside trusts this authority and its key dies with the sandbox: the dates only have to hold as long.
const FIRST_YEAR: i32 = 2020;
const LAST_YEAR: i32 = 2045;

const CERTIFICATE_FILE: &str = "ca-cert.pem";
const KEY_FILE: &str = "ca-key.pem";
const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// Why there is no authority.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("{path}: {error}")]
    File { path: String, error: io::Error },
    #[error("{0}")]
    Certificate(#[from] rcgen::Error),
    #[error("{0}")]
    Key(#[from] rustls::Error),
}

/// Signs certificates for whatever host a client asks for.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    /// All certificates have the same key: making keys costs more than signing.
    key: KeyPair,
    signing_key: Arc<dyn rustls::sign::SigningKey>,
    cache: Mutex<HashMap<String, Arc<CertifiedKey>>>,
}

impl Authority {
    /// A new one, in memory only.
    ///
    /// # Errors
    /// If the system's random numbers fail.
    pub fn generate() -> Result<Self, CaError> {
        Self::with_key(KeyPair::generate()?)
    }

    /// The one kept in this directory, made if there is none. A start does not wait until it is on the disk: when a
    /// machine fails that soon, there is another one at the next start.
    ///
    /// # Errors
    /// If it cannot be read, made or written.
    pub fn load_or_generate(directory: &Path) -> Result<Self, CaError> {
        let path = directory.join(KEY_FILE);
        let whole = |pem: String| {
            let key = KeyPair::from_pem(&pem).inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "not a whole key: there is another authority now");
            });
            key.ok()
        };
        let key = match read(&path)?.and_then(whole) {
            Some(key) => key,
            None => {
                let key = KeyPair::generate()?;
                write_whole(&path, &key.serialize_pem(), PRIVATE)?;
                key
            }
        };
        let authority = Self::with_key(key)?;
        // The same key does not give the same bytes: what the sandbox trusts by its bytes stays as it is.
        let path = directory.join(CERTIFICATE_FILE);
        if !read(&path)?.is_some_and(|pem| authority.is_certified_by(&pem)) {
            authority.write_certificate(&path)?;
        }
        Ok(authority)
    }

    /// Whether this is a certificate of the same key.
    fn is_certified_by(&self, pem: &str) -> bool {
        let key = self.issuer.key().public_key_raw();
        CertificateDer::from_pem_slice(pem.as_bytes())
            .is_ok_and(|certificate| memchr::memmem::find(&certificate, key).is_some())
    }

    /// Writes the certificate for those who are to trust it.
    ///
    /// # Errors
    /// If that fails.
    pub fn write_certificate(&self, path: &Path) -> Result<(), CaError> {
        write_whole(path, &self.pem, PUBLIC)
    }

    fn with_key(ca_key: KeyPair) -> Result<Self, CaError> {
        let params = authority_params();
        let certificate = params.self_signed(&ca_key)?;
        let key = KeyPair::generate()?;
        let der = PrivateKeyDer::try_from(key.serialize_der())
            .map_err(|text| rustls::Error::General(text.into()))?;
        Ok(Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, ca_key),
            signing_key: ring::sign::any_supported_type(&der)?,
            key,
            cache: Mutex::default(),
        })
    }

    /// A certificate for a host name or an address.
    pub(super) fn certificate_for(&self, host: &str) -> Result<Arc<CertifiedKey>, CaError> {
        if let Some(found) = self.cache().get(host) {
            return Ok(found.clone());
        }
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name = DistinguishedName::new();
        // Longer names do not fit there; clients look at the alternative names only.
        if host.len() <= 64 {
            params.distinguished_name.push(DnType::CommonName, host);
        }
        (params.not_before, params.not_after) =
            (date_time_ymd(FIRST_YEAR, 1, 1), date_time_ymd(LAST_YEAR, 1, 1));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&self.key, &self.issuer)?;
        let chain = vec![leaf.der().clone()];
        let certified = Arc::new(CertifiedKey::new(chain, self.signing_key.clone()));
        let mut cache = self.cache();
        if cache.len() >= CACHE {
            cache.clear();
        }
        cache.insert(host.to_owned(), certified.clone());
        Ok(certified)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<CertifiedKey>>> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = (date_time_ymd(FIRST_YEAR, 1, 1), date_time_ymd(LAST_YEAR, 1, 1));
    params
}

/// The text of a file, `None` if there is none.
fn read(path: &Path) -> Result<Option<String>, CaError> {
    match fs::read(path) {
        // What is no text is no key either.
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(CaError::File { path: path.display().to_string(), error }),
    }
}

/// Writes a file that everybody sees in full or not at all.
fn write_whole(path: &Path, text: &str, mode: u32) -> Result<(), CaError> {
    let failed = |error| CaError::File { path: path.display().to_string(), error };
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let new = Path::new(&name);
    // What an earlier one left half-written, or a link somebody has put there.
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(new).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    fs::rename(new, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustls::{
        RootCertStore,
        client::WebPkiServerVerifier,
        pki_types::{ServerName, UnixTime},
    };

    use super::*;

    /// Checks a certificate as a client would that trusts only this authority.
    fn check(trusted: &Authority, leaf: &CertifiedKey, name: &str) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.pem.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        use rustls::client::danger::ServerCertVerifier;
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier.verify_server_cert(&leaf.cert[0], &leaf.cert[1..], &name, &[], UnixTime::now()).map(|_| ())
    }

    #[test]
    fn certificates_are_good_for_their_host_only() {
        let authority = Authority::generate().unwrap();
        for host in ["a.example", "192.0.2.1", "2001:db8::1"] {
            let leaf = authority.certificate_for(host).unwrap();
            assert_eq!(check(&authority, &leaf, host), Ok(()), "{host}");
            assert!(check(&authority, &leaf, "b.example").is_err());
            assert!(Arc::ptr_eq(&leaf, &authority.certificate_for(host).unwrap()));
        }
        let other = Authority::generate().unwrap();
        assert!(check(&other, &authority.certificate_for("a.example").unwrap(), "a.example").is_err());
    }

    #[test]
    fn an_authority_that_was_kept_is_the_same_one() {
        let directory = tempfile::tempdir().unwrap();
        let first = Authority::load_or_generate(directory.path()).unwrap();
        let pem = fs::read_to_string(directory.path().join(CERTIFICATE_FILE)).unwrap();
        assert_eq!(pem, first.pem);
        let second = Authority::load_or_generate(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(directory.path().join(CERTIFICATE_FILE)).unwrap(), pem);
        let leaf = second.certificate_for("a.example").unwrap();
        assert_eq!(check(&first, &leaf, "a.example"), Ok(()));
        let mode = |name| fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(KEY_FILE), mode(CERTIFICATE_FILE)), (PRIVATE, PUBLIC));
    }

    #[test]
    fn one_that_a_crash_has_left_in_pieces_is_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name| directory.path().join(name);
        let first = Authority::load_or_generate(directory.path()).unwrap();
        fs::write(at(CERTIFICATE_FILE), "").unwrap();
        let again = Authority::load_or_generate(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(at(CERTIFICATE_FILE)).unwrap(), again.pem);
        let leaf = again.certificate_for("a.example").unwrap();
        assert_eq!(check(&first, &leaf, "a.example"), Ok(()));

        fs::write(at(KEY_FILE), b"\0\xff").unwrap();
        let other = Authority::load_or_generate(directory.path()).unwrap();
        assert_eq!(fs::read_to_string(at(CERTIFICATE_FILE)).unwrap(), other.pem);
        assert!(check(&first, &other.certificate_for("a.example").unwrap(), "a.example").is_err());
    }

    #[test]
    fn the_cache_is_bounded() {
        let authority = Authority::generate().unwrap();
        for number in 0..CACHE + 10 {
            authority.certificate_for(&format!("h{number}.example")).unwrap();
        }
        assert!(authority.cache().len() <= CACHE);
    }
}
