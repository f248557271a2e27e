//! The authorities whose certificates are believed.

use std::path::{Path, PathBuf};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Where there are more authorities than the system's.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    /// A directory of certificates in PEM.
    pub directory: Option<PathBuf>,
    /// A file of them.
    pub file: Option<PathBuf>,
}

impl Roots {
    /// All of them, the system's included. What cannot be read is logged and left out. Takes a while.
    pub(crate) fn load(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        for error in &native.errors {
            tracing::warn!(%error, "a trusted authority of the system cannot be read");
        }
        roots.add_parsable_certificates(native.certs);
        let files = self.directory.iter().flat_map(|directory| files_in(directory));
        for path in files.chain(self.file.clone()) {
            match certificates(&path) {
                Ok(found) => {
                    roots.add_parsable_certificates(found);
                }
                Err(reason) => {
                    tracing::warn!(path = %path.display(), reason, "no trusted authority can be read there")
                }
            }
        }
        roots
    }
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    match std::fs::read_dir(directory) {
        Ok(entries) => entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect(),
        Err(error) => {
            tracing::warn!(path = %directory.display(), %error, "no trusted authorities can be read there");
            Vec::new()
        }
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    read.collect::<Result<_, _>>().map_err(|error| error.to_string())
}
