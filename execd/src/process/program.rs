//! A program to be started.

use std::{
    collections::BTreeMap,
    ffi::{CString, OsStr, OsString},
    io,
    os::{
        fd::{AsRawFd, BorrowedFd},
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

use super::{
    Child, Identity, StartError,
    clone::{Plan, Step},
    table,
};

/// Where bare names are looked up when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program, its arguments and surroundings.
#[derive(Debug, Clone)]
pub struct Program {
    /// Arguments, the first being the program: with a slash a path (relative to `cwd`), else a name looked up in
    /// the absolute entries of the environment's `PATH`.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: BTreeMap<OsString, OsString>,
    pub cwd: PathBuf,
    /// `None` is execd's own identity.
    pub identity: Option<Identity>,
}

impl Program {
    /// Starts it as leader of its own session, with these descriptors as 0, 1 and 2, and `extra` as 3. All other
    /// descriptors of execd are closed in it.
    pub fn start(
        &self,
        stdio: [BorrowedFd<'_>; 3],
        extra: Option<BorrowedFd<'_>>,
    ) -> Result<Child, StartError> {
        let name = || self.argv.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let fail = |step, cause| {
            let subject = if step == Step::Directory { self.cwd.display().to_string() } else { name() };
            StartError::new(step, subject, cause)
        };
        let argv = c_strings(self.argv.iter().map(|argument| argument.as_bytes().to_vec()))
            .map_err(|cause| fail(Step::Execute, cause))?;
        let env =
            c_strings(self.env.iter().map(|(key, value)| [key.as_bytes(), b"=", value.as_bytes()].concat()))
                .map_err(|cause| fail(Step::Execute, cause))?;
        let cwd = c_string(self.cwd.as_os_str()).map_err(|cause| fail(Step::Directory, cause))?;
        let candidates = self.candidates().map_err(|cause| fail(Step::Execute, cause))?;
        let plan = Plan {
            candidates: &candidates,
            argv: &argv,
            env: &env,
            cwd: &cwd,
            identity: self.identity.as_ref(),
            stdio: stdio.map(|descriptor| descriptor.as_raw_fd()),
            extra: extra.map(|descriptor| descriptor.as_raw_fd()),
        };
        let (pid, pidfd) = table::start(&plan).map_err(|(step, cause)| fail(step, cause))?;
        Child::new(pid, pidfd).map_err(|cause| fail(Step::Clone, cause))
    }

    fn candidates(&self) -> io::Result<Vec<CString>> {
        let Some(name) = self.argv.first().filter(|name| !name.is_empty()) else {
            return Err(io::ErrorKind::NotFound.into());
        };
        if name.as_bytes().contains(&b'/') {
            return Ok(vec![c_string(name)?]);
        }
        search_path(&self.env).map(|directory| c_string(directory.join(name).as_os_str())).collect()
    }
}

/// The first executable file of this name in the absolute entries of the environment's `PATH`.
#[must_use]
pub fn find_in_path(name: &str, env: &BTreeMap<OsString, OsString>) -> Option<PathBuf> {
    search_path(env).map(|directory| directory.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn search_path(env: &BTreeMap<OsString, OsString>) -> impl Iterator<Item = PathBuf> {
    let path = env.get(OsStr::new("PATH")).map_or(OsStr::new(DEFAULT_PATH), OsString::as_os_str);
    path.as_bytes()
        .split(|&byte| byte == b':')
        .filter(|entry| entry.starts_with(b"/"))
        .map(|entry| PathBuf::from(OsString::from_vec(entry.to_vec())))
}

fn c_strings(strings: impl Iterator<Item = Vec<u8>>) -> io::Result<Vec<CString>> {
    strings.map(|string| CString::new(string).map_err(|_| io::ErrorKind::InvalidInput.into())).collect()
}

fn c_string(string: &OsStr) -> io::Result<CString> {
    CString::new(string.as_bytes()).map_err(|_| io::ErrorKind::InvalidInput.into())
}
