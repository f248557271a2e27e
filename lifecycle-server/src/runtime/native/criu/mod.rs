//! The memory of a stopped sandbox: saved and restored by CRIU, the one tool for that.
//!
//! | part | what it does |
//! |---|---|
//! | here | finding CRIU and what stands in its way |
//! | `wire`, `session` | talking to it |
//! | `images` | what it leaves on disk |
//! | `save`, `restore` | the two halves of the work; the processes themselves are the launcher's |

mod images;
mod restore;
mod save;
mod session;
mod wire;

use std::{
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt, fchown},
    },
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

pub(super) use images::Memory;
pub(super) use restore::{restore, settle};
pub(super) use save::{Saved, save};

use super::sys;
use crate::runtime::MemoryStop;

/// Where the set-up puts CRIU with the libraries it was built for, apart from the host's own.
const HOME: &str = "/usr/local/lib/sandkeep/criu";
/// Older ones fail on current kernels.
const OLDEST: (u32, u32) = (4, 2);
/// How long the program may take to name its version.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_millis(5);

/// A CRIU that works here.
pub(crate) struct Tool {
    version: String,
    home: OwnedFd,
    /// What CRIU finds out about the kernel, kept while this server runs: finding it out takes longer than the rest.
    save_cache: OwnedFd,
    restore_cache: OwnedFd,
}

/// The tool, or why there is none.
pub(crate) enum Found {
    Tool(Tool),
    Nothing { version: Option<String>, reason: String },
}

impl Found {
    pub(crate) fn probe(oci_runtime: bool) -> Self {
        let nothing = |version: Option<String>, reason: String| Self::Nothing { version, reason };
        if oci_runtime {
            return nothing(None, "only sandboxes without an OCI runtime can be saved".to_owned());
        }
        let home = Path::new(HOME);
        let Some(version) = ask_version(home) else {
            return nothing(
                None,
                format!("CRIU is not installed in {HOME}, and without it only files outlast a stop"),
            );
        };
        if parse(&version).is_none_or(|found| found < OLDEST) {
            let text = format!("CRIU {version} is too old: {}.{} is needed", OLDEST.0, OLDEST.1);
            return nothing(Some(version), text);
        }
        match Tool::open(home, version.clone()) {
            Ok(tool) => Self::Tool(tool),
            Err(error) => nothing(Some(version), format!("CRIU cannot be used: {error}")),
        }
    }

    pub(crate) fn report(&self) -> MemoryStop {
        match self {
            Self::Tool(tool) => MemoryStop { version: Some(tool.version.clone()), reason: None },
            Self::Nothing { version, reason } => {
                MemoryStop { version: version.clone(), reason: Some(reason.clone()) }
            }
        }
    }
}

impl Tool {
    fn open(home: &Path, version: String) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let home = openat(CWD, home, flags, Mode::empty())?;
        // The one that restores has only a sandbox's rights, of whichever sandbox comes first.
        let (save_cache, restore_cache) = (cache(c"0700")?, cache(c"0777")?);
        Ok(Self { version, home, save_cache, restore_cache })
    }

    /// After a first restoring nobody else may change what it has found out.
    fn seal_cache(&self) -> io::Result<()> {
        let cache = File::from(self.restore_cache.try_clone()?);
        if cache.metadata()?.mode() & 0o022 == 0 {
            return Ok(());
        }
        cache.set_permissions(fs::Permissions::from_mode(0o755))?;
        let kept =
            openat(&cache, "criu.kdat", OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
        fchown(&kept, Some(0), Some(0))?;
        File::from(kept).set_permissions(fs::Permissions::from_mode(0o644))
    }

    /// A detached copy of its directory, to be the root of a process.
    fn tree(&self) -> io::Result<OwnedFd> {
        sys::clone_read_only(self.home.as_fd())
    }
}

/// A file system in memory, which is the only kind CRIU trusts with what it finds out.
fn cache(mode: &std::ffi::CStr) -> io::Result<OwnedFd> {
    let context = sys::FsContext::new(c"tmpfs")?;
    let mount = context.string(c"size", c"1m")?.string(c"mode", mode)?.mount()?;
    Ok(openat(&mount, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

fn ask_version(home: &Path) -> Option<String> {
    let mut command = Command::new(home.join("ld.so"));
    command.arg("--library-path").arg(home.join("lib")).arg(home.join("criu")).arg("--version");
    version(&output(command)?)
}

/// What a program prints, if it ends well and in time.
fn output(mut command: Command) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let since = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if since.elapsed() < PROBE_TIMEOUT => std::thread::sleep(PROBE_PAUSE),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    status.success().then_some(text)
}

fn version(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix("Version:")).map(|version| version.trim().to_owned())
}

/// Major and minor number.
fn parse(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_the_program_prints() {
        assert_eq!(version("Version: 4.2.1\nGitID: v4.2.1\n").as_deref(), Some("4.2.1"));
        assert_eq!(version("usage: criu"), None);
        assert_eq!(parse("4.2.1"), Some((4, 2)));
        assert!(parse("3.17.1").is_some_and(|old| old < OLDEST));
        assert!(parse("4.10").is_some_and(|new| new > OLDEST));
        assert_eq!(parse("new"), None);
    }

    #[test]
    fn a_program_that_fails_or_is_missing_has_no_output() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            output(command)
        };
        assert_eq!(shell("echo Version: 1").as_deref(), Some("Version: 1\n"));
        assert_eq!(shell("echo Version: 1; exit 1"), None);
        assert_eq!(output(Command::new("/nonexistent")), None);
    }

    #[test]
    fn what_is_missing_is_said() {
        let Found::Nothing { reason, .. } = Found::probe(true) else { panic!("an OCI runtime") };
        assert!(reason.contains("OCI runtime"), "{reason}");
    }
}
