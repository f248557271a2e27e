//! The vault's own socket, on which what is in force is told with its secrets.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};

use tokio::net::UnixListener;

/// Nobody else's.
const PRIVATE: u32 = 0o600;
const PRIVATE_DIRECTORY: u32 = 0o700;

/// Listens on the socket, which only this user can open. One that an earlier process left is replaced.
///
/// # Errors
/// If it cannot be made, or something else is in its place.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty())
        && !directory.exists()
    {
        fs::create_dir_all(directory)?;
        fs::set_permissions(directory, fs::Permissions::from_mode(PRIVATE_DIRECTORY))?;
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::other("there is something else")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // The directory may be open to others, so the socket gets its name only when it is closed to them.
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = Path::new(&new);
    match fs::remove_file(new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(new)?;
    fs::set_permissions(new, fs::Permissions::from_mode(PRIVATE))?;
    fs::rename(new, path)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_private_and_replaces_an_old_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/active.sock");
        let first = listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, PRIVATE);
        drop(first);
        let _second = listen(&path).unwrap();
        tokio::net::UnixStream::connect(&path).await.unwrap();
        let taken = directory.path().join("file");
        fs::write(&taken, "kept").unwrap();
        assert!(listen(&taken).is_err());
        assert_eq!(fs::read_to_string(&taken).unwrap(), "kept");
    }
}
