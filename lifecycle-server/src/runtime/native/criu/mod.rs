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
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt, fchown},
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{CWD, Mode, OFlags, openat};

pub(super) use images::Memory;
pub(super) use restore::{restore, settle};
pub(super) use save::{Saved, save};

use super::sys;
use crate::runtime::MemoryStop;

/// Older ones fail on current kernels.
const OLDEST: (u32, u32) = (4, 2);
/// How long the program may take to name its version, and to look at the kernel.
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

/// Found out beside the start of the server: trying out the kernel takes longer than the rest of that.
#[derive(Clone, Default)]
pub(crate) struct Probe(Arc<OnceLock<Found>>);

impl Probe {
    /// The thread ends within the bounds of two programs.
    pub(crate) fn begin(home: PathBuf, oci_runtime: bool) -> Self {
        let probe = Self::default();
        let found = probe.0.clone();
        let work = move || drop(found.set(Found::probe(&home, oci_runtime)));
        if let Err(error) = thread::Builder::new().name("criu-probe".to_owned()).spawn(work) {
            let reason = format!("CRIU cannot be tried out: {error}");
            let _ = probe.0.set(Found::Nothing { version: None, reason });
        }
        probe
    }

    /// Waits for it where it is not known yet.
    pub(crate) async fn found(&self) -> &Found {
        if self.0.get().is_none() {
            let found = self.0.clone();
            let _ = tokio::task::spawn_blocking(move || {
                found.wait();
            })
            .await;
        }
        self.0.wait()
    }
}

impl Found {
    fn probe(home: &Path, oci_runtime: bool) -> Self {
        let nothing = |version: Option<String>, reason: String| Self::Nothing { version, reason };
        if oci_runtime {
            return nothing(None, "only sandboxes without an OCI runtime can be saved".to_owned());
        }
        let Some(version) = ask_version(home) else {
            let place = home.display();
            let text = format!("CRIU is not installed in {place}, and without it only files outlast a stop");
            return nothing(None, text);
        };
        if parse(&version).is_none_or(|found| found < OLDEST) {
            let text = format!("CRIU {version} is too old: {}.{} is needed", OLDEST.0, OLDEST.1);
            return nothing(Some(version), text);
        }
        if let Err(problem) = check_kernel(home) {
            let text = format!("CRIU {version} cannot work on this host: {problem}");
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

/// CRIU through its own loader, as it runs to save.
fn command(home: &Path) -> Command {
    let mut command = Command::new(home.join("ld.so"));
    command.arg("--inhibit-cache").arg("--library-path").arg(home.join("lib")).arg(home.join("criu"));
    command.env_clear();
    command
}

fn ask_version(home: &Path) -> Option<String> {
    let mut command = command(home);
    command.arg("--version");
    let output = output(command).ok().filter(|output| output.status.success())?;
    version(&String::from_utf8_lossy(&output.stdout))
}

/// Whether the kernel has what CRIU needs, or the first thing it misses.
fn check_kernel(home: &Path) -> Result<(), String> {
    // Of its own: what is found out here, outside every sandbox, need not hold inside.
    let cache = cache(c"0700").map_err(|error| error.to_string())?;
    let place = format!("/proc/{}/fd/{}", std::process::id(), cache.as_raw_fd());
    let mut command = command(home);
    command.args(["--no-default-config", "--libdir"]).arg(home.join("plugins")).arg("check");
    command.env("XDG_RUNTIME_DIR", place).current_dir("/");
    let output = output(command).map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = session::complaint(&String::from_utf8_lossy(&output.stderr));
    Err(complaint.unwrap_or_else(|| format!("criu check ended with {}", output.status)))
}

/// What a program prints until it ends, in time.
fn output(mut command: Command) -> io::Result<Output> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let since = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(_)) => return child.wait_with_output(),
            Ok(None) if since.elapsed() < PROBE_TIMEOUT => thread::sleep(PROBE_PAUSE),
            other => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(other.err().unwrap_or_else(|| io::ErrorKind::TimedOut.into()));
            }
        }
    }
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
    fn what_stands_in_the_way_is_said() {
        let home = tempfile::tempdir().unwrap();
        let said = |loader: Option<&str>| {
            if let Some(script) = loader {
                // A program that this process itself had open to write might still be so in a child of another test.
                let write = "printf %s \"$1\" >\"$2\" && chmod 755 \"$2\"";
                let path = home.path().join("ld.so");
                let done = Command::new("sh").args(["-c", write, "sh", script]).arg(path).status().unwrap();
                assert!(done.success());
            }
            Found::probe(home.path(), false).report()
        };
        assert!(Found::probe(home.path(), true).report().reason.unwrap().contains("OCI runtime"));
        assert!(said(None).reason.unwrap().contains("is not installed"));
        assert!(said(Some("#!/bin/sh\necho Version: 9; exit 1\n")).reason.unwrap().contains("not installed"));
        let old = said(Some("#!/bin/sh\necho Version: 3.17.1\n"));
        assert_eq!(old.version.as_deref(), Some("3.17.1"));
        assert!(old.reason.unwrap().contains("too old"));
        let poor = "#!/bin/sh\ncase \"$*\" in *--version) echo Version: 4.2;; *check) echo 'Error (criu/x.c:1): no \
                    such call' >&2; exit 1;; esac\n";
        let poor = said(Some(poor));
        assert_eq!(poor.version.as_deref(), Some("4.2"));
        assert!(poor.reason.unwrap().ends_with(": no such call"));
    }
}
