//! The certificates trusted without the authority.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use super::{Environment, files::Root, system};
use crate::process::find_in_path;

/// Python's collection, in a directory of its packages.
const CERTIFI: &str = "certifi/cacert.pem";

/// Directories of packages in one of libraries.
const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];

/// Those of Python's certifi if it is there, else the system's.
pub(super) fn trusted(root: &Root, env: &Environment) -> Vec<u8> {
    let places = certifi(root, env).into_iter().chain(system::BUNDLES.map(PathBuf::from));
    places.filter_map(|place| root.read(place).ok()).next().unwrap_or_default()
}

/// Where `python3` would find it, in that order. Asking it takes as long as it takes to start.
fn certifi(root: &Root, env: &Environment) -> Vec<PathBuf> {
    let Some(program) = find_in_path("python3", env) else { return Vec::new() };
    let named = env.get(OsStr::new("PYTHONPATH")).into_iter().flat_map(std::env::split_paths);
    let mut places: Vec<PathBuf> = named.filter(|place| place.is_absolute()).collect();
    // A virtual environment has a link to the program it was made with, and packages before that one's.
    let real = fs::canonicalize(&program).ok();
    let prefixes: Vec<PathBuf> = [Some(program), real]
        .into_iter()
        .flatten()
        .filter_map(|program| Some(program.parent()?.parent()?.to_owned()))
        .collect();
    let home = env.get(OsStr::new("HOME")).map(|home| Path::new(home).join(".local"));
    let above = home.into_iter().chain(prefixes.iter().flat_map(|at| [at.clone(), at.join("local")]));
    for above in above {
        let libraries = above.join("lib");
        let versions = root.names(&libraries).into_iter().filter(|name| is_python(name));
        places.extend(versions.flat_map(|name| PACKAGES.map(|of| libraries.join(&name).join(of))));
    }
    places.into_iter().map(|place| place.join(CERTIFI)).collect()
}

fn is_python(name: &Path) -> bool {
    name.as_os_str().as_encoded_bytes().starts_with(b"python3")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn those_of_python_come_before_the_system_s() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        let write = |path: &str, text: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), text).unwrap();
        };
        write("etc/ssl/certs/ca-certificates.crt", "system");
        write("venv/bin/python3", "");
        fs::set_permissions(at("venv/bin/python3"), fs::Permissions::from_mode(0o755)).unwrap();
        let env = Environment::from([("PATH".into(), at("venv/bin").into())]);
        // The programs of `PATH` are those of this machine.
        let root = Root::open(Path::new("/")).unwrap();
        assert_eq!(trusted(&Root::open(directory.path()).unwrap(), &env), b"system");
        write("venv/lib/python3.12/site-packages/certifi/cacert.pem", "certifi");
        assert_eq!(trusted(&root, &env), b"certifi");
        let none = Environment::from([("PATH".into(), "/none".into())]);
        assert_eq!(trusted(&Root::open(directory.path()).unwrap(), &none), b"system");
    }
}
