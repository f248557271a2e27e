//! Tenants from a TOML file that may change while the server runs.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use serde::Deserialize;
use tokio_util::task::AbortOnDropHandle;

use super::{KeyDigest, Tenant, TenantsError, digest, is_namespace};
use crate::{
    config::{QuotaTable, quantity::QuantityError},
    sandbox::Quota,
};

/// Pause between two looks at the file.
const POLL: Duration = Duration::from_secs(2);
/// A file larger than this is not a list of tenants.
const MAX_FILE: u64 = 16 << 20;

type Keys = HashMap<KeyDigest, Arc<Tenant>>;

pub(super) struct FileProvider {
    keys: Arc<RwLock<Arc<Keys>>>,
    _watch: AbortOnDropHandle<()>,
}

impl FileProvider {
    /// Reads the file and looks after it from now on. `default` is for tenants that name no quota.
    pub(super) fn open(path: PathBuf, default: Quota) -> Result<Self, TenantsError> {
        let mut stamp = stamp(&path);
        let keys = Arc::new(RwLock::new(Arc::new(read(&path, default)?)));
        let watched = keys.clone();
        let watch = tokio::spawn(async move {
            loop {
                tokio::time::sleep(POLL).await;
                let (path, last) = (path.clone(), stamp);
                // The disk may be slow, and a list may be long.
                let look = tokio::task::spawn_blocking(move || look(&path, last, default));
                let Ok((now, change)) = look.await else { continue };
                stamp = now;
                if let Some(keys) = change {
                    *watched.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                }
            }
        });
        Ok(Self { keys, _watch: AbortOnDropHandle::new(watch) })
    }

    pub(super) fn find(&self, key: &KeyDigest) -> Option<Arc<Tenant>> {
        self.keys.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }
}

/// What tells one state of the file from another; absent without a file.
type Stamp = Option<(u64, u64, i64, i64)>;

fn stamp(path: &Path) -> Stamp {
    let known = std::fs::metadata(path).ok()?;
    Some((known.ino(), known.len(), known.mtime(), known.mtime_nsec()))
}

/// A changed file replaces all keys, a deleted one takes them away, a broken one changes nothing.
fn look(path: &Path, last: Stamp, default: Quota) -> (Stamp, Option<Keys>) {
    let now = stamp(path);
    if now == last {
        return (now, None);
    }
    if now.is_none() {
        tracing::warn!(path = %path.display(), "the file of tenants is gone; no key is valid now");
        return (now, Some(Keys::new()));
    }
    match read(path, default) {
        Ok(keys) => {
            tracing::info!(path = %path.display(), keys = keys.len(), "tenants read again");
            (now, Some(keys))
        }
        Err(error) => {
            tracing::error!(%error, "the changed file of tenants cannot be used; what it said before stays valid");
            (now, None)
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    tenants: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    namespace: String,
    api_keys: Vec<String>,
    quota: Option<QuotaTable>,
}

fn read(path: &Path, default: Quota) -> Result<Keys, TenantsError> {
    let failed = |source| TenantsError::Read { path: path.to_owned(), source };
    if std::fs::metadata(path).map_err(failed)?.len() > MAX_FILE {
        return Err(TenantsError::TooLarge { path: path.to_owned() });
    }
    parse(&std::fs::read_to_string(path).map_err(failed)?, path, default)
}

fn parse(text: &str, path: &Path, default: Quota) -> Result<Keys, TenantsError> {
    let document: Document = toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let (line, problem) = (before.matches('\n').count() + 1, error.message().to_owned());
        TenantsError::Syntax { path: path.to_owned(), line, problem }
    })?;
    let mut keys = Keys::new();
    for (index, entry) in document.tenants.into_iter().enumerate() {
        let tenant = |problem| TenantsError::Tenant { path: path.to_owned(), index, problem };
        add(&mut keys, entry, default).map_err(tenant)?;
    }
    Ok(keys)
}

fn add(keys: &mut Keys, entry: Entry, default: Quota) -> Result<(), String> {
    if entry.name.trim().is_empty() {
        return Err("name: must not be empty".to_owned());
    }
    if !is_namespace(&entry.namespace) {
        return Err(format!("namespace: {:?} is not a lower-case label", entry.namespace));
    }
    if entry.api_keys.is_empty() {
        return Err("api_keys: must not be empty".to_owned());
    }
    let quota = match &entry.quota {
        Some(table) => {
            table.check().map_err(|(key, problem): (_, QuantityError)| format!("quota.{key}: {problem}"))?;
            table.quota()
        }
        None => default,
    };
    let tenant = Arc::new(Tenant { namespace: entry.namespace.into(), quota });
    for (number, key) in entry.api_keys.iter().enumerate() {
        if key.trim().is_empty() {
            return Err(format!("api_keys[{number}]: must not be empty"));
        }
        if keys.insert(digest(key.as_bytes()), tenant.clone()).is_some() {
            return Err(format!("api_keys[{number}]: is given twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Keys, String> {
        parse(text, Path::new("t.toml"), Quota { sandboxes: Some(3), ..Quota::default() })
            .map_err(|error| error.to_string())
    }

    const TWO: &str = "[[tenants]]\nname = \"A\"\nnamespace = \"a\"\napi_keys = [\"ka\", \"ka2\"]\n[[tenants]]\nname = \
                       \"B\"\nnamespace = \"b\"\napi_keys = [\"kb\"]\nquota = { cpu = \"1500m\", memory = \"1Gi\" }\n";

    #[test]
    fn keys_lead_to_tenants() {
        let keys = parsed(TWO).unwrap();
        assert_eq!(&*keys[&digest(b"ka2")].namespace, "a");
        assert_eq!(keys[&digest(b"ka")].quota.sandboxes, Some(3));
        let quota = keys[&digest(b"kb")].quota;
        assert_eq!(
            (quota.cpu_millis, quota.memory_bytes, quota.sandboxes),
            (Some(1500), Some(1 << 30), None)
        );
        assert!(!keys.contains_key(&digest(b"kc")));
        assert!(parsed("").unwrap().is_empty());
    }

    #[test]
    fn mistakes_are_named_without_the_keys() {
        for (text, place) in [
            ("[[tenants]]\nname = \"A\"\nnamespace = \"a\"\napi_keys = [\"very-secret\"\nx = 1", "line 5"),
            ("[[tenants]]\nname = \"A\"\nnamespace = \"A B\"\napi_keys = [\"very-secret\"]", "namespace"),
            ("[[tenants]]\nname = \"A\"\nnamespace = \"a\"\napi_keys = []", "api_keys"),
            (
                "[[tenants]]\nname = \"A\"\nnamespace = \"a\"\napi_keys = [\"very-secret\", \"very-secret\"]",
                "api_keys[1]",
            ),
            ("[[tenants]]\nname = \" \"\nnamespace = \"a\"\napi_keys = [\"very-secret\"]", "name"),
            (
                "[[tenants]]\nname = \"A\"\nnamespace = \"a\"\napi_keys = [\"very-secret\"]\nquota = { cpu = \"x\" }",
                "quota.cpu",
            ),
            ("[[tenant]]\nname = \"A\"", "line 1"),
        ] {
            let error = parsed(text).map(drop).unwrap_err();
            assert!(error.contains(place) && !error.contains("very-secret"), "{text}: {error}");
        }
    }

    #[test]
    fn a_broken_file_changes_nothing_and_a_deleted_one_takes_all_keys_away() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tenants.toml");
        std::fs::write(&path, TWO).unwrap();
        let (known, first) = look(&path, None, Quota::default());
        assert_eq!(first.unwrap().len(), 3);
        let (known, unchanged) = look(&path, known, Quota::default());
        assert!(unchanged.is_none());
        std::fs::write(&path, "[[tenants]").unwrap();
        let (known, broken) = look(&path, known, Quota::default());
        assert!(broken.is_none());
        std::fs::remove_file(&path).unwrap();
        let (_, gone) = look(&path, known, Quota::default());
        assert!(gone.unwrap().is_empty());
    }
}
