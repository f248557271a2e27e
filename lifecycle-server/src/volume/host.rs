//! Directories of the host, as far as the operator allows them.

use std::{
    fs::File,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use super::{
    error::{VolumeError, VolumeProblem},
    open::{self, Refusal},
};

/// Opens `path`, which must be one of `allowed` or lie below one. Missing directories are made.
pub(super) fn open(
    volume: &str,
    path: &Path,
    sub_path: Option<&str>,
    allowed: &[PathBuf],
) -> Result<OwnedFd, VolumeError> {
    let not_allowed = || {
        let text = format!("{} is not below a directory of storage.allowed_host_paths", path.display());
        VolumeError::new(volume, VolumeProblem::HostPathNotAllowed, text)
    };
    let longest =
        allowed.iter().filter(|root| path.starts_with(root)).max_by_key(|root| root.as_os_str().len());
    let root = longest.ok_or_else(not_allowed)?;
    let rest = path.strip_prefix(root).map_err(|_| not_allowed())?;
    let target = rest.join(sub_path.unwrap_or_default());
    // The allowed directory itself is the operator's: its own path may go through links.
    let opened = File::open(root).map_err(|error| {
        let text = format!("the allowed directory {} cannot be opened: {error}", root.display());
        VolumeError::new(volume, VolumeProblem::HostPathNotFound, text)
    })?;
    open::below(&opened, &target, true, true).map_err(|refusal| match refusal {
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
    })
}
