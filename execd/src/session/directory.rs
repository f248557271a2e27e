//! The directory something starts in.

use std::{
    fs, io,
    os::unix::fs::lchown,
    path::{Path, PathBuf},
};

use super::SessionError;
use crate::{
    command::{env::Environment, expand},
    reason::reason,
    settings::Settings,
};

/// The directory asked for, made when missing, or the sandbox's.
pub(crate) fn start_directory(
    asked: Option<&str>,
    env: &Environment,
    settings: &Settings,
) -> Result<PathBuf, SessionError> {
    let Some(asked) = asked.filter(|cwd| !cwd.is_empty()) else {
        return Ok(settings.cwd.clone());
    };
    let path = expanded(asked, env, settings, &settings.cwd)?;
    make(&path, settings).map_err(|error| refused(&path, &error))?;
    if path.is_dir() { Ok(path) } else { not_a_directory(&path) }
}

/// The directory asked for, which must exist; a relative one counts from `base`.
pub(super) fn existing_directory(
    asked: &str,
    env: &Environment,
    settings: &Settings,
    base: &Path,
) -> Result<PathBuf, SessionError> {
    let path = expanded(asked, env, settings, base)?;
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(path),
        Ok(_) => not_a_directory(&path),
        Err(error) => Err(refused(&path, &error)),
    }
}

fn refused(path: &Path, error: &io::Error) -> SessionError {
    SessionError::Invalid(format!("cwd {}: {}", path.display(), reason(error)))
}

fn not_a_directory<T>(path: &Path) -> Result<T, SessionError> {
    Err(SessionError::Invalid(format!("cwd {} is not a directory", path.display())))
}

fn expanded(
    asked: &str,
    env: &Environment,
    settings: &Settings,
    base: &Path,
) -> Result<PathBuf, SessionError> {
    if asked.contains('\0') {
        return Err(SessionError::Invalid("cwd contains a NUL byte".to_owned()));
    }
    let expanded = expand::directory(asked, env, settings.home())
        .map_err(|name| SessionError::Invalid(format!("cwd {asked:?}: variable {name} is not defined")))?;
    Ok(base.join(expanded))
}

/// Makes what is missing of a path; it then belongs to the user that commands run as.
fn make(path: &Path, settings: &Settings) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|part| part.symlink_metadata().is_err()).collect();
    fs::create_dir_all(path)?;
    if let Some(identity) = &settings.identity {
        for part in missing {
            lchown(part, Some(identity.uid), Some(identity.gid))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(cwd: &Path) -> Settings {
        let env = Environment::from([("HOME".into(), cwd.into()), ("SUB".into(), "deep".into())]);
        Settings {
            access_token: None,
            env_file: None,
            identity: None,
            cwd: cwd.into(),
            env,
            owner: Default::default(),
        }
    }

    #[test]
    fn a_missing_directory_is_made() {
        let root = tempfile::tempdir().unwrap();
        let settings = settings(root.path());
        let path = start_directory(Some("~/a/$SUB"), &settings.env, &settings).unwrap();
        assert_eq!(path, root.path().join("a/deep"));
        assert!(path.is_dir());
        assert_eq!(start_directory(Some("rel"), &settings.env, &settings).unwrap(), root.path().join("rel"));
        assert_eq!(start_directory(None, &settings.env, &settings).unwrap(), root.path());
    }

    #[test]
    fn what_cannot_be_a_directory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let settings = settings(root.path());
        fs::write(root.path().join("file"), "").unwrap();
        let refusal = |cwd| start_directory(Some(cwd), &settings.env, &settings).unwrap_err().to_string();
        assert!(refusal("file").contains("file"));
        assert!(refusal("file/below").contains("file/below"));
        assert!(refusal("$NONE").contains("NONE"));
        assert!(refusal("a\0b").contains("NUL"));
        let missing = existing_directory("gone", &settings.env, &settings, root.path());
        assert!(missing.unwrap_err().to_string().contains("gone"));
    }
}
