//! Directories of the host, as far as the operator allows them.

use std::{
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use super::{
    Volume,
    error::{VolumeError, VolumeProblem},
    open::{self, Refusal},
};

/// Opens `path`, which must be one of `allowed` or lie below one; for a tenant one of its name in there. Missing
/// directories are made.
pub(super) fn open(wanted: &Volume, path: &Path, allowed: &[PathBuf]) -> Result<OwnedFd, VolumeError> {
    let (volume, sub_path) = (wanted.name.as_str(), wanted.sub_path.as_deref());
    let not_allowed = || {
        let whose = wanted.tenant.as_ref().map_or("a directory", |_| "the tenant's own directory in one");
        let text = format!("{} is not below {whose} of storage.allowed_host_paths", path.display());
        VolumeError::new(volume, VolumeProblem::HostPathNotAllowed, text)
    };
    let longest =
        allowed.iter().filter(|root| path.starts_with(root)).max_by_key(|root| root.as_os_str().len());
    let root = longest.ok_or_else(not_allowed)?;
    let rest = path.strip_prefix(root).map_err(|_| not_allowed())?;
    let rest = match &wanted.tenant {
        Some(tenant) => rest.strip_prefix(tenant).map_err(|_| not_allowed())?,
        None => rest,
    };
    let target = rest.join(sub_path.unwrap_or_default());
    // The allowed directory itself is the operator's: its own path may go through links.
    let opened = File::open(root).map_err(|error| {
        let text = format!("the allowed directory {} cannot be opened: {error}", root.display());
        VolumeError::new(volume, VolumeProblem::HostPathNotFound, text)
    })?;
    let explain = |refusal| match refusal {
        Refusal::Leaves => not_allowed(),
        Refusal::CreateFailed(error) => VolumeError::new(
            volume,
            VolumeProblem::HostPathCreateFailed,
            format!("{} could not be made: {error}", path.display()),
        ),
        Refusal::Failed(error) => VolumeError::new(
            volume,
            VolumeProblem::HostPathNotFound,
            format!("{} cannot be opened: {error}", path.display()),
        ),
    };
    match &wanted.tenant {
        None => open::below(&opened, &target, true, true).map_err(explain),
        Some(tenant) => {
            // What a tenant writes there must not lead it to its neighbours.
            let own = open::below(&opened, Path::new(tenant), true, false).map_err(explain)?;
            open::below(&own, &target, true, true).map_err(explain)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;
    use crate::volume::Source;

    #[test]
    fn a_tenant_stays_in_the_directory_of_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().to_owned();
        let mount = |tenant: Option<&str>, path: &str| {
            let path = root.join(path);
            let wanted = Volume {
                name: "v".to_owned(),
                mount_path: "/v".to_owned(),
                read_only: false,
                sub_path: None,
                source: Source::Host { path: path.clone() },
                tenant: tenant.map(str::to_owned),
            };
            open(&wanted, &path, std::slice::from_ref(&root)).map(drop).map_err(|error| error.problem)
        };
        assert_eq!(mount(Some("a"), "a/own"), Ok(()));
        assert_eq!(mount(Some("a"), "a"), Ok(()));
        symlink("../b", root.join("a/over")).unwrap();
        fs::create_dir(root.join("b")).unwrap();
        for path in ["", "b", "b/x", "ab", "a/over", "a/over/x"] {
            assert_eq!(mount(Some("a"), path), Err(VolumeProblem::HostPathNotAllowed), "{path}");
        }
        assert_eq!((mount(None, "b/x"), mount(None, "a/over")), (Ok(()), Ok(())));
    }
}
