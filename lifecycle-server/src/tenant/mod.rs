//! Tenants: who a key belongs to, according to a file or to another service.

mod file;
mod http;

use std::{path::PathBuf, sync::Arc};

use sha2::{Digest, Sha256};

use crate::{
    config::{TenantProvider, TenantsConfig},
    sandbox::{Owner, Quota, Scope},
};

/// Keys longer than this are nobody's.
const MAX_KEY: usize = 1024;

/// One tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant {
    /// What the tenant's objects are marked with.
    pub namespace: Arc<str>,
    pub quota: Quota,
}

/// Why a key leads to no tenant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    #[error("this key belongs to no tenant")]
    Unknown,
    /// Nobody can say now; the text is for the log.
    #[error("the tenants cannot be looked up: {0}")]
    Unavailable(String),
}

/// Why tenants cannot be told apart. No text of a file is repeated: it holds keys.
#[derive(Debug, thiserror::Error)]
pub enum TenantsError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{path} is larger than any list of tenants")]
    TooLarge { path: PathBuf },
    #[error("{path}, line {line}: {problem}")]
    Syntax { path: PathBuf, line: usize, problem: String },
    #[error("{path}: tenants[{index}]: {problem}")]
    Tenant { path: PathBuf, index: usize, problem: String },
    #[error("tenants.endpoint is not an address that can be asked: {0}")]
    Endpoint(String),
}

/// Finds the tenant of a key. Cheap to clone; background work ends with the last clone.
#[derive(Clone)]
pub struct Tenants(Arc<Provider>);

enum Provider {
    File(file::FileProvider),
    Http(Box<http::HttpProvider>),
}

/// Keys are kept and compared as digests only: equal lengths tell nothing, and no key can leak.
type KeyDigest = [u8; 32];

impl Tenants {
    /// # Errors
    /// When the file cannot be used now; later it may come and go.
    pub fn open(config: &TenantsConfig) -> Result<Self, TenantsError> {
        Ok(Self(Arc::new(match config.provider {
            TenantProvider::File => {
                Provider::File(file::FileProvider::open(config.path.clone(), config.quota.quota())?)
            }
            TenantProvider::Http => Provider::Http(Box::new(http::HttpProvider::new(config)?)),
        })))
    }

    pub async fn find(&self, key: &[u8]) -> Result<Arc<Tenant>, LookupError> {
        if key.len() > MAX_KEY {
            return Err(LookupError::Unknown);
        }
        let digest = digest(key);
        match &*self.0 {
            Provider::File(provider) => provider.find(&digest).ok_or(LookupError::Unknown),
            Provider::Http(provider) => provider.find(key, digest).await,
        }
    }
}

impl Tenant {
    pub fn scope(&self) -> Scope {
        Scope::Tenant(self.namespace.clone())
    }

    pub fn owner(&self) -> Owner {
        Owner { tenant: self.namespace.clone(), quota: self.quota }
    }
}

fn digest(key: &[u8]) -> KeyDigest {
    Sha256::digest(key).into()
}

/// A namespace marks every object of its tenant, so it has to be a name and nothing else.
fn is_namespace(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&name.len())
        && name.bytes().all(|byte| plain(byte) || byte == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_labels() {
        for name in ["a", "team-1", "0"] {
            assert!(is_namespace(name), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a.b", "a b", "ä", &"a".repeat(64)] {
            assert!(!is_namespace(name), "{name}");
        }
    }
}
