//! Starting sandboxes through an OCI runtime binary (`runc`, `runsc`) instead of directly.
//!
//! Everything around the process stays the native runtime's: network, cgroups, file system, limits, recovery. The
//! binary gets a bundle whose document is the same one the direct launcher follows.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
};

use rustix::{
    io::fcntl_dupfd_cloexec,
    mount::{MountPropagationFlags, mount_change},
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    RuntimeError,
    native::{NativeConfig, Process, blocking, sys},
};

/// Descriptor on which execd announces that it listens.
const READY_FD: i32 = 3;
/// Copies of descriptors are made from here on, clear of those a child gets by number.
const FIRST_COPY: i32 = 10;
/// Where a sandbox's root is mounted while its container is created: in a mount namespace of that moment, at a path
/// that the sandbox's user namespace may walk (the state directory is closed to it).
pub(crate) const ROOT_POINT: &str = "/mnt";
const PID_FILE: &str = "pid";
const LOG: &str = "oci.log";

/// An OCI runtime binary and the directory it keeps its state in.
#[derive(Debug, Clone)]
pub(crate) struct OciRuntime {
    program: PathBuf,
    state: PathBuf,
}

impl OciRuntime {
    /// The configured binary; `None` if sandboxes are launched directly.
    pub(crate) fn find(config: &NativeConfig) -> Result<Option<Self>, RuntimeError> {
        if config.oci_runtime.is_empty() {
            return Ok(None);
        }
        let program = locate(&config.oci_runtime).ok_or_else(|| {
            let name = &config.oci_runtime;
            RuntimeError::Invalid(format!(
                "OCI runtime {name:?} is not installed (Debian package of that name, or a path)"
            ))
        })?;
        Ok(Some(Self { program, state: config.state_dir.join("oci") }))
    }

    fn command(&self, action: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.state).arg(action).stdin(Stdio::null());
        command
    }

    /// Creates the container: everything but the sandbox's program, which waits for [`OciRuntime::start`].
    pub(crate) async fn create(
        &self,
        id: &str,
        bundle: &Path,
        root: OwnedFd,
        console: OwnedFd,
        ready: BorrowedFd<'_>,
    ) -> Result<Process, RuntimeError> {
        let pid_file = bundle.join(PID_FILE);
        let ready = fcntl_dupfd_cloexec(ready, FIRST_COPY).map_err(io_error("copy a descriptor"))?;
        let log = bundle.join(LOG);
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(&self.state).arg("--log").arg(&log).arg("create").stdin(Stdio::null());
        command.arg("--bundle").arg(bundle).arg("--pid-file").arg(&pid_file).args([
            "--preserve-fds",
            "1",
            id,
        ]);
        let target = ready.as_raw_fd();
        // SAFETY: between fork and exec only `dup2` runs, on a descriptor that stays open until the child is gone.
        unsafe {
            command.pre_exec(move || {
                if libc::dup2(target, READY_FD) == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
            });
        }
        blocking("create a container", move || {
            let create = || -> io::Result<Process> {
                command.stdout(Stdio::from(console.try_clone()?)).stderr(Stdio::from(console));
                let status = in_private_mounts(move || {
                    let path = std::ffi::CString::new(ROOT_POINT)?;
                    sys::attach(&root, rustix::fs::CWD, &path)?;
                    command.status()
                })?;
                drop(ready);
                if !status.success() {
                    return Err(io::Error::other(format!("the OCI runtime ended with {status}")));
                }
                let pid = fs::read_to_string(&pid_file)?.trim().parse().map_err(io::Error::other)?;
                let handle = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
                Ok(Process { pid, pidfd: Arc::new(pidfd_open(handle, PidfdFlags::empty())?) })
            };
            create().map_err(|error| {
                let reason = fs::read(&log).unwrap_or_default();
                RuntimeError::StartFailed(format!("{error}: {}", String::from_utf8_lossy(&reason).trim()))
            })
        })
        .await
    }

    /// Lets the sandbox's program begin.
    pub(crate) async fn start(&self, id: &str) -> Result<(), RuntimeError> {
        let mut command = self.command("start");
        command.arg(id);
        let output = run(command).await?;
        if output.status.success() {
            return Ok(());
        }
        let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(RuntimeError::StartFailed(format!("the OCI runtime could not start the sandbox: {reason}")))
    }

    /// Removes what the binary keeps about a container; one it does not know is fine.
    pub(crate) async fn delete(&self, id: &str) {
        if !self.state.join(id).exists() {
            return;
        }
        let mut command = self.command("delete");
        command.args(["--force", id]);
        match run(command).await {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                tracing::warn!(id, reason = %String::from_utf8_lossy(&output.stderr), "OCI delete failed")
            }
            Err(error) => tracing::warn!(id, %error, "OCI delete failed"),
        }
    }

    /// Removes every container but those `keep` names.
    pub(crate) fn delete_all_but(&self, keep: impl Fn(&str) -> bool) {
        for entry in fs::read_dir(&self.state).into_iter().flatten().flatten() {
            let id = entry.file_name().to_string_lossy().into_owned();
            if !keep(&id) {
                let _ = self.command("delete").args(["--force", &id]).output();
            }
        }
    }
}

/// Runs a command away from the async threads.
async fn run(mut command: Command) -> Result<Output, RuntimeError> {
    blocking("run the OCI runtime", move || command.output().map_err(io_error("run the OCI runtime"))).await
}

fn io_error<E: Into<io::Error>>(context: &str) -> impl FnOnce(E) -> RuntimeError {
    move |error| RuntimeError::Os { context: context.to_owned(), source: error.into() }
}

/// Runs `work` on a thread with mounts of its own: what it mounts exists for its children and for nobody else.
fn in_private_mounts<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            sys::unshare(libc::CLONE_NEWNS)?;
            mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
            work()
        });
        thread.join().unwrap_or_else(|_| Err(io::Error::other("mount thread died")))
    })
}

/// A program by path, or by name in the usual places.
pub(crate) fn locate(name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    if path.is_absolute() {
        return path.is_file().then(|| path.to_owned());
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"].map(PathBuf::from);
    std::env::split_paths(&search)
        .chain(usual)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_name_and_by_path() {
        assert_eq!(locate("/bin/sh"), Some(PathBuf::from("/bin/sh")));
        assert!(locate("sh").is_some());
        assert_eq!(locate("/bin"), None);
        assert_eq!(locate("no-such-program-here"), None);
    }
}
