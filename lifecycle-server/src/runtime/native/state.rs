//! What the runtime keeps about a sandbox on disk, and how it knows a process again.

use std::{
    fs, io,
    os::fd::{BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};

const RECORD: &str = "state.json";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Names a process beyond doubt: numbers are used again, these three together are not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub pid: i32,
    /// Start time since boot in clock ticks.
    pub start_time: u64,
    /// Inode of the pidfd; unique per process of a boot on kernels with pidfs.
    pub pidfd_inode: u64,
    pub boot_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub slot: u16,
    pub process: Identity,
    /// An OCI runtime started it and keeps state of its own about it.
    pub oci: bool,
    /// How the first process ended, once that is known.
    pub exit_code: Option<i32>,
    /// The image layers below the private one, topmost first; absent in records of servers that could not stop sandboxes.
    #[serde(default)]
    pub layers: Vec<PathBuf>,
}

impl Record {
    /// Writes the record so that it is seen whole or not at all. Nothing is flushed: after a crash of the host there is
    /// no process left to find.
    pub(crate) fn save(&self, directory: &Path) -> io::Result<()> {
        let temporary = directory.join("state.new");
        fs::write(&temporary, serde_json::to_vec(self)?)?;
        fs::rename(temporary, directory.join(RECORD))
    }

    /// The record in `directory`; `None` if the sandbox never got that far.
    pub(crate) fn load(directory: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(directory.join(RECORD)).ok()?).ok()
    }
}

impl Identity {
    pub(crate) fn of(pid: i32, pidfd: BorrowedFd<'_>) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let start_time = start_time(&stat).ok_or_else(|| io::Error::other("unreadable /proc/PID/stat"))?;
        let boot_id = boot_id()?;
        Ok(Self { pid, start_time, pidfd_inode: rustix::fs::fstat(pidfd)?.st_ino, boot_id })
    }

    /// A handle on this very process, if it still exists.
    pub(crate) fn find(&self) -> Option<OwnedFd> {
        let pidfd = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        let current = Self::of(self.pid, std::os::fd::AsFd::as_fd(&pidfd)).ok()?;
        (current == *self).then_some(pidfd)
    }
}

/// Names the time since the host was started.
pub(crate) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string(BOOT_ID)?.trim().to_owned())
}

/// The 22nd member of `/proc/PID/stat`; the second may hold blanks and brackets.
fn start_time(stat: &str) -> Option<u64> {
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Exit status from `waitpid` form: 128 + N after signal N.
pub(crate) fn exit_code(status: i32) -> i32 {
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// Where the runtime keeps its things.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    pub root: PathBuf,
}

impl Paths {
    pub(crate) fn sandboxes(&self) -> PathBuf {
        self.root.join("sandboxes")
    }

    pub(crate) fn sandbox(&self, id: &str) -> PathBuf {
        self.sandboxes().join(id)
    }

    /// Prepared slots; one becomes a sandbox's directory by being renamed.
    pub(crate) fn slots(&self) -> PathBuf {
        self.root.join("slots")
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// What sandboxes print; it outlives them.
    pub(crate) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(crate) fn disk(&self) -> PathBuf {
        self.root.join("disk")
    }

    pub(crate) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    /// Where a new root is attached for an instant, in the launcher's own mount namespace.
    pub(crate) fn mount_point(&self) -> PathBuf {
        self.root.join("mnt")
    }

    pub(crate) fn create(&self) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;
        fs::create_dir_all(&self.root)?;
        // Private layers hold files of every owner, set-user-id ones included.
        fs::set_permissions(&self.root, fs::Permissions::from_mode(0o700))?;
        let (sandboxes, slots, trash) = (self.sandboxes(), self.slots(), self.trash());
        for directory in [sandboxes, slots, trash, self.logs(), self.disk(), self.bin(), self.mount_point()] {
            fs::create_dir_all(directory)?;
        }
        Ok(())
    }
}

/// Whether a sandbox id is safe as a file name.
pub(crate) fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_time_survives_odd_process_names() {
        let fields = (4..=52).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(start_time(&format!("7 (a) b) c) S {fields}")), Some(22));
        assert_eq!(start_time("garbage"), None);
    }

    #[test]
    fn a_process_is_known_again_only_by_all_its_marks() {
        let pid = std::process::id() as i32;
        let pidfd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        let me = Identity::of(pid, std::os::fd::AsFd::as_fd(&pidfd)).unwrap();
        assert!(me.find().is_some());
        assert!(Identity { start_time: me.start_time + 1, ..me.clone() }.find().is_none());
        assert!(Identity { boot_id: "other".into(), ..me }.find().is_none());
    }

    #[test]
    fn records_survive_a_round_trip_and_garbage_is_no_record() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::load(dir.path()), None);
        let process = Identity { pid: 1, start_time: 2, pidfd_inode: 3, boot_id: "b".into() };
        let layers = vec![PathBuf::from("/layers/a")];
        let record = Record { slot: 9, process, oci: false, exit_code: Some(3), layers };
        record.save(dir.path()).unwrap();
        assert_eq!(Record::load(dir.path()), Some(record));
        fs::write(dir.path().join(RECORD), b"{\"slot\":").unwrap();
        assert_eq!(Record::load(dir.path()), None);
    }

    #[test]
    fn exit_codes() {
        assert_eq!(exit_code(7 << 8), 7);
        assert_eq!(exit_code(9), 137);
    }

    #[test]
    fn ids_that_would_escape_are_not_plain() {
        for id in ["", "..", "a/b", "a\0", &"x".repeat(65)] {
            assert!(!is_plain(id), "{id:?}");
        }
        assert!(is_plain("0a1b2c3d-0000-4000-8000-000000000000"));
    }
}
