//! The policy across restarts.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use super::{Policy, PolicyError, read::to_json, read_policy};

/// Mode of a file that was not there before.
const PRIVATE: u32 = 0o600;

/// Why there is no policy to begin with.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the policy in the environment: {0}")]
    Environment(PolicyError),
    #[error("cannot read {0}: {1}")]
    File(String, #[source] io::Error),
}

/// The policy to begin with: that of the file, or else that of the environment, or else deny everything.
pub fn load(file: Option<&Path>, environment: &str) -> Result<Policy, StoreError> {
    if let Some(path) = file {
        match fs::read(path) {
            Ok(text) if text.trim_ascii().is_empty() => {}
            Ok(text) => match read_policy(&text) {
                Ok(policy) => return Ok(policy),
                Err(error) => tracing::warn!(%error, file = %path.display(), "the policy file is not used"),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(StoreError::File(path.display().to_string(), error)),
        }
    }
    if environment.trim().is_empty() {
        return Ok(Policy::deny_all());
    }
    read_policy(environment.as_bytes()).map_err(StoreError::Environment)
}

/// Writes the policy so that the file has all of the old one or all of the new one, whatever happens meanwhile.
pub fn save(path: &Path, policy: &Policy) -> io::Result<()> {
    let mode = fs::metadata(path).map_or(PRIVATE, |meta| meta.permissions().mode() & 0o7777);
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let text = serde_json::to_string_pretty(&to_json(policy)).map_err(io::Error::other)?;
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(&fresh)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valid_file_beats_the_environment() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.json");
        let environment = r#"{"defaultAction":"allow"}"#;
        let allow = read_policy(environment.as_bytes()).unwrap();
        for unusable in [None, Some(""), Some(" \n"), Some("{"), Some("[]")] {
            if let Some(text) = unusable {
                fs::write(&path, text).unwrap();
            }
            assert_eq!(load(Some(&path), environment).unwrap(), allow, "{unusable:?}");
        }
        save(&path, &Policy::deny_all()).unwrap();
        assert_eq!(load(Some(&path), environment).unwrap(), Policy::deny_all());
        assert!(load(Some(dir.path()), environment).is_err());
        assert!(load(None, "nonsense").is_err());
        assert_eq!(load(None, " ").unwrap(), Policy::deny_all());
    }

    #[test]
    fn files_keep_their_mode_and_new_ones_are_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.json");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        save(&path, &Policy::deny_all()).unwrap();
        assert_eq!(mode(), PRIVATE);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        save(&path, &Policy::deny_all()).unwrap();
        assert_eq!(mode(), 0o640);
    }
}
