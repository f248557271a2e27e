//! Project quotas: a limit on a directory, where the file system of the state directory keeps them (ext4 and xfs mounted
//! with `prjquota`). Cheaper than an image per sandbox: nothing is formatted or mounted.

use std::{fs::File, io, os::fd::AsRawFd, path::Path};

use super::sys::check;

const FS_IOC_FSGETXATTR: libc::c_ulong = 0x801c_581f;
const FS_IOC_FSSETXATTR: libc::c_ulong = 0x401c_5820;
/// New files below get the directory's project.
const FS_XFLAG_PROJINHERIT: u32 = 0x200;

const Q_GETQUOTA: libc::c_uint = 0x80_0007;
const Q_SETQUOTA: libc::c_uint = 0x80_0008;
const PRJQUOTA: libc::c_uint = 2;
const QIF_BLIMITS: u32 = 1;
/// Limits are counted in blocks of this size.
const QUOTA_BLOCK: u64 = 1024;

/// `struct fsxattr`.
#[repr(C)]
#[derive(Default)]
struct FsXattr {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

/// `struct if_dqblk`.
#[repr(C)]
#[derive(Default)]
struct Quota {
    hard_blocks: u64,
    soft_blocks: u64,
    used_bytes: u64,
    hard_inodes: u64,
    soft_inodes: u64,
    used_inodes: u64,
    block_time: u64,
    inode_time: u64,
    valid: u32,
}

/// Whether project quotas are kept and enforced for `directory`: found out by setting one.
pub(crate) fn supported(directory: &Path, trial_project: u32) -> bool {
    File::open(directory).is_ok_and(|dir| set(&dir, trial_project, 0).is_ok())
}

/// Puts an empty directory, and everything that will be in it, under a limit.
pub(crate) fn limit(directory: &Path, project: u32, bytes: u64) -> io::Result<()> {
    let dir = File::open(directory)?;
    let mut attributes = FsXattr::default();
    // SAFETY: the structure is live, writable and of the size encoded in the request.
    check(libc::c_long::from(unsafe {
        libc::ioctl(dir.as_raw_fd(), FS_IOC_FSGETXATTR, &raw mut attributes)
    }))?;
    attributes.project = project;
    attributes.flags |= FS_XFLAG_PROJINHERIT;
    // SAFETY: as above, and only read.
    check(libc::c_long::from(unsafe {
        libc::ioctl(dir.as_raw_fd(), FS_IOC_FSSETXATTR, &raw const attributes)
    }))?;
    set(&dir, project, bytes)
}

/// Bytes used under a project.
pub(crate) fn used(directory: &Path, project: u32) -> io::Result<u64> {
    let mut quota = Quota::default();
    call(&File::open(directory)?, Q_GETQUOTA, project, &mut quota)?;
    Ok(quota.used_bytes)
}

fn set(dir: &File, project: u32, bytes: u64) -> io::Result<()> {
    let blocks = bytes.div_ceil(QUOTA_BLOCK);
    let mut quota =
        Quota { hard_blocks: blocks, soft_blocks: blocks, valid: QIF_BLIMITS, ..Quota::default() };
    call(dir, Q_SETQUOTA, project, &mut quota)
}

fn call(dir: &File, command: libc::c_uint, project: u32, quota: &mut Quota) -> io::Result<()> {
    let command = (command << 8) | PRJQUOTA;
    // SAFETY: `quota` is a live, writable `if_dqblk`.
    let result = unsafe {
        libc::syscall(libc::SYS_quotactl_fd, dir.as_raw_fd(), command, project, std::ptr::from_mut(quota))
    };
    check(result).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernel_structures_have_their_sizes() {
        assert_eq!(size_of::<FsXattr>(), 28);
        assert_eq!(size_of::<Quota>(), 72);
    }

    #[test]
    fn a_file_system_without_project_quotas_is_no_error() {
        assert!(!supported(Path::new("/proc"), 1));
        assert!(!supported(Path::new("/no/such/directory"), 1));
    }
}
