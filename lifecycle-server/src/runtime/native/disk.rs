//! How much a sandbox may write: a project quota where the file system keeps them, else a file system of its own in a
//! sparse image.
//!
//! Formatting an image takes tens of milliseconds, so images of the default size are copies of a template (a few
//! hundred kilobytes of metadata, holes otherwise) and are attached while a slot is prepared, before anyone waits.

use std::{
    ffi::{CStr, CString},
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rustix::fs::{CWD, SeekFrom, seek};

use super::{
    config::Watermark,
    loops::{self, Loops},
    quota,
    sys::{self, FsContext},
};
use crate::runtime::RuntimeError;

/// File of a sandbox's image, in its directory.
const IMAGE: &str = "disk.img";
/// Where it is written down which loop devices were made for these images.
const LOOPS: &str = "loop-devices";
/// Smallest file system worth making.
pub(crate) const MIN_BYTES: u64 = 16 << 20;
/// A file system with less room than this is as good as full.
const FULL_BELOW: u64 = 1 << 20;

/// How long the file system of a stopped sandbox may take to be unmounted.
const DETACH_TIMEOUT: Duration = Duration::from_secs(10);
const DETACH_PAUSE: Duration = Duration::from_millis(1);

/// Which signal tells of a broken lease.
const F_SETSIG: libc::c_int = 10;

/// Makes the places that hold private layers.
pub(crate) struct Disks {
    template_dir: PathBuf,
    default_bytes: Option<u64>,
    template: Mutex<Option<PathBuf>>,
    /// The file system keeps project quotas.
    quotas: bool,
    loops: Loops,
}

impl Disks {
    /// `trial_project` is a project number nothing else uses.
    pub(crate) fn new(
        template_dir: PathBuf,
        default_bytes: Option<u64>,
        trial_project: u32,
    ) -> io::Result<Self> {
        let quotas = quota::supported(&template_dir, trial_project);
        let loops = Loops::start(template_dir.join(LOOPS))?;
        Ok(Self { template_dir, default_bytes, template: Mutex::new(None), quotas, loops })
    }

    /// Opens the place for a private layer in `directory`, a detached mount, limited to `bytes` if given.
    pub(crate) fn open(&self, directory: &Path, bytes: Option<u64>, project: u32) -> io::Result<OwnedFd> {
        let in_place = || sys::clone_tree(CWD, &CString::new(directory.as_os_str().as_bytes())?);
        let Some(bytes) = bytes else { return in_place() };
        if self.quotas {
            quota::limit(directory, project, bytes)?;
            return in_place();
        }
        let image = directory.join(IMAGE);
        if self.default_bytes == Some(bytes) {
            copy_sparse(&self.template(bytes)?, &image)?;
        } else {
            format(&image, bytes)?;
        }
        self.mount_image(&image)
    }

    /// Opens the place of a private layer that was left in `directory` by a sandbox that was stopped.
    pub(crate) fn reopen(&self, directory: &Path) -> io::Result<OwnedFd> {
        let image = directory.join(IMAGE);
        if !image.exists() {
            return sys::clone_tree(CWD, &CString::new(directory.as_os_str().as_bytes())?);
        }
        wait_detached(&image)?;
        self.mount_image(&image)
    }

    /// Makes what a stopped sandbox left last beyond a crash of the host. Nobody uses it any more.
    pub(crate) fn settle(&self, directory: &Path) -> io::Result<()> {
        let image = directory.join(IMAGE);
        if !image.exists() {
            return Ok(rustix::fs::syncfs(File::open(directory)?)?);
        }
        wait_detached(&image)?;
        OpenOptions::new().write(true).open(&image)?.sync_all()
    }

    /// Bytes a sandbox takes on the host's disk; `None` where nobody counts.
    pub(crate) fn used(&self, directory: &Path, project: u32) -> Option<u64> {
        if self.quotas {
            return quota::used(directory, project).ok();
        }
        fs::metadata(directory.join(IMAGE)).ok().map(|metadata| metadata.blocks() * 512)
    }

    /// A further mount of a sandbox's own file system; `None` where it has none of its own. While the sandbox has it
    /// mounted both are one file system, so nothing has to be flushed.
    pub(crate) fn share(&self, directory: &Path) -> io::Result<Option<OwnedFd>> {
        let image = directory.join(IMAGE);
        if !image.try_exists()? {
            return Ok(None);
        }
        match loops::device_of(&image)? {
            Some(device) => mount_device(&device).map(Some),
            None => self.mount_image(&image).map(Some),
        }
    }

    /// Takes leave of the host, when the server ends.
    pub(crate) fn release(&self, patience: Duration) {
        self.loops.release(patience);
    }

    /// Mounts an image, detached. The loop device frees itself with the last user of the mount.
    fn mount_image(&self, image: &Path) -> io::Result<OwnedFd> {
        let (device, path) = self.loops.attach(image)?;
        let mount = mount_device(&path)?;
        drop(device);
        match rustix::fs::unlinkat(&mount, c"lost+found", rustix::fs::AtFlags::REMOVEDIR) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(mount),
            Err(error) => Err(error.into()),
        }
    }

    /// The formatted image of the default size, made on first use.
    fn template(&self, bytes: u64) -> io::Result<PathBuf> {
        let mut template = self.template.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &*template {
            return Ok(path.clone());
        }
        let path = self.template_dir.join(format!("template-{bytes}.img"));
        let temporary = self.template_dir.join("template.new");
        format(&temporary, bytes)?;
        fs::rename(&temporary, &path)?;
        *template = Some(path.clone());
        Ok(path)
    }
}

/// Refuses a limit that the file system of `directory` could not hold even if it were empty.
pub(crate) fn check_size(directory: &Path, bytes: Option<u64>) -> Result<(), RuntimeError> {
    let stat = statvfs(directory)?;
    let total = stat.f_blocks.saturating_mul(stat.f_frsize);
    match bytes.filter(|bytes| *bytes > total) {
        None => Ok(()),
        Some(bytes) => Err(RuntimeError::Invalid(format!(
            "the disk limit of {bytes} bytes (resourceLimits.disk) is more than this host's file system for sandboxes \
             holds: {total} bytes"
        ))),
    }
}

/// Whether nothing more can be written beside `directory`.
pub(crate) fn is_full(directory: &Path) -> bool {
    statvfs(directory).is_ok_and(|stat| stat.f_bavail.saturating_mul(stat.f_frsize) < FULL_BELOW)
}

fn statvfs(directory: &Path) -> Result<rustix::fs::StatVfs, RuntimeError> {
    rustix::fs::statvfs(directory).map_err(|error| RuntimeError::Os {
        context: format!("statvfs {}", directory.display()),
        source: error.into(),
    })
}

/// Refuses when the file system of `directory` has less room than the watermark asks for.
pub(crate) fn check_watermark(directory: &Path, watermark: Watermark) -> Result<(), RuntimeError> {
    check_room(directory, watermark, 0, "new sandboxes need")
}

/// Refuses to keep a memory of so many bytes when that would leave less than the watermark asks for.
pub(crate) fn check_memory(directory: &Path, watermark: Watermark, bytes: u64) -> Result<(), RuntimeError> {
    let text = format!("keeping {} MiB of memory needs that and beyond it", bytes >> 20);
    check_room(directory, watermark, bytes, &text)
}

fn check_room(directory: &Path, watermark: Watermark, bytes: u64, purpose: &str) -> Result<(), RuntimeError> {
    let stat = statvfs(directory)?;
    let (free, total) = (stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize);
    let percent = |bytes: u64| (bytes * 100).checked_div(total).unwrap_or(100);
    let left = free.checked_sub(bytes);
    let enough = |left| left >= watermark.free_bytes && percent(left) >= u64::from(watermark.free_percent);
    if left.is_some_and(enough) {
        return Ok(());
    }
    Err(RuntimeError::Exhausted(format!(
        "the state disk ({}) has {} MiB ({} %) free; {purpose} {} MiB and {} %",
        directory.display(),
        free >> 20,
        percent(free),
        watermark.free_bytes >> 20,
        watermark.free_percent
    )))
}

/// Makes an empty ext4 file system in a sparse file. It needs no journal: after a crash of the host only those of
/// stopped sandboxes are used, which were unmounted before.
fn format(image: &Path, bytes: u64) -> io::Result<()> {
    File::create(image)?.set_len(bytes)?;
    let output = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-m", "0", "-O", "^has_journal,^resize_inode"])
        .args(["-E", "lazy_itable_init=1,nodiscard,root_owner=0:0", "-i", "16384", "-I", "256"])
        .arg(image)
        .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            io::Error::new(error.kind(), format!("cannot run mkfs.ext4 (package e2fsprogs): {error}"))
        })?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("mkfs.ext4: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// Copies only the parts of a sparse file that hold data; on file systems that can, blocks are shared.
fn copy_sparse(from: &Path, to: &Path) -> io::Result<()> {
    let (source, target) = (File::open(from)?, OpenOptions::new().write(true).create_new(true).open(to)?);
    let length = source.metadata()?.len();
    target.set_len(length)?;
    let mut position = 0;
    while position < length {
        let start = match seek(&source, SeekFrom::Data(position)) {
            Err(rustix::io::Errno::NXIO) => break,
            other => other?,
        };
        let end = seek(&source, SeekFrom::Hole(start))?;
        let (mut read_at, mut write_at) = (start, start);
        while read_at < end {
            let wanted = usize::try_from(end - read_at).unwrap_or(usize::MAX);
            if rustix::fs::copy_file_range(&source, Some(&mut read_at), &target, Some(&mut write_at), wanted)?
                == 0
            {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        position = end;
    }
    Ok(())
}

fn mount_device(path: &CStr) -> io::Result<OwnedFd> {
    let ext4 = FsContext::new(c"ext4")?;
    ext4.string(c"source", path)?;
    // Unused inode tables stay holes; space of deleted files goes back to the host.
    ext4.flag(c"noinit_itable")?.flag(c"discard")?;
    ext4.mount()
}

/// Waits until nobody has the image mounted: an earlier user's file system may still be writing itself down, and two at
/// once would destroy it.
fn wait_detached(image: &Path) -> io::Result<()> {
    let image = fs::canonicalize(image)?;
    let since = Instant::now();
    while is_written(&image)? {
        if since.elapsed() > DETACH_TIMEOUT {
            let text = format!("{} is still in use after {} s", image.display(), DETACH_TIMEOUT.as_secs());
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        std::thread::sleep(DETACH_PAUSE);
    }
    Ok(())
}

/// Whether somebody has the file open for writing, as its loop device does. The kernel gives a lease for reading only
/// while nobody has; looking through all loop devices would take milliseconds on a busy host.
fn is_written(image: &Path) -> io::Result<bool> {
    let file = File::open(image)?;
    let lease = |kind: libc::c_int| {
        // SAFETY: integers only, on an open descriptor.
        let done = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) };
        sys::check(libc::c_long::from(done))
    };
    // Whoever opens it in the very instant breaks the lease, of which the kernel tells by a signal: one that does nothing.
    // SAFETY: as above.
    unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) };
    match lease(libc::F_RDLCK) {
        Ok(_) => lease(libc::F_UNLCK).map(|_| false),
        Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => Ok(true),
        // A file system that gives no leases.
        Err(_) => Ok(loops::device_of(image)?.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_copies_are_equal_and_stay_sparse() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a"), dir.path().join("b"));
        let file = File::create(&from).unwrap();
        file.set_len(64 << 20).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"middle", 32 << 20).unwrap();
        copy_sparse(&from, &to).unwrap();
        assert_eq!(fs::read(&from).unwrap(), fs::read(&to).unwrap());
        assert!(fs::metadata(&to).unwrap().blocks() * 512 < 1 << 20);
    }

    #[test]
    fn a_disk_that_no_file_system_here_could_hold_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check_size(dir.path(), None).is_ok());
        assert!(check_size(dir.path(), Some(MIN_BYTES)).is_ok());
        let error = check_size(dir.path(), Some(u64::MAX)).unwrap_err();
        assert!(
            matches!(&error, RuntimeError::Invalid(text) if text.contains("resourceLimits.disk")),
            "{error}"
        );
    }

    #[test]
    fn the_watermark_says_what_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        assert!(check_watermark(dir.path(), Watermark { free_bytes: 0, free_percent: 0 }).is_ok());
        let error =
            check_watermark(dir.path(), Watermark { free_bytes: u64::MAX, free_percent: 0 }).unwrap_err();
        assert!(matches!(&error, RuntimeError::Exhausted(text) if text.contains("MiB")), "{error}");
        assert!(check_watermark(dir.path(), Watermark { free_bytes: 0, free_percent: 101 }).is_err());
        let none = Watermark { free_bytes: 0, free_percent: 0 };
        assert!(check_memory(dir.path(), none, 1).is_ok());
        let error = check_memory(dir.path(), none, u64::MAX).unwrap_err();
        assert!(matches!(&error, RuntimeError::Exhausted(text) if text.contains("of memory")), "{error}");
    }

    #[test]
    fn a_file_is_written_while_somebody_could() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("image");
        let writer = File::create(&path).unwrap();
        assert!(is_written(&path).unwrap());
        drop(writer);
        assert!(!is_written(&path).unwrap());
        let reader = File::open(&path).unwrap();
        assert!(!is_written(&path).unwrap());
        drop(reader);
    }
}
