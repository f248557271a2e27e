//! Rights given up before a session's code runs: capabilities, system calls, writing outside its mounts.

use std::{ffi::CString, io, os::unix::ffi::OsStrExt, path::PathBuf, ptr};

use super::{Failure, seccomp};

/// What the agent needs for files and identities, and programs may expect of root: CHOWN, DAC_OVERRIDE, FOWNER,
/// FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE.
const KEPT: [u32; 8] = [0, 1, 3, 4, 5, 6, 7, 10];

/// Capabilities a kernel may know.
const COUNT: u32 = 64;

/// Walls the process in for good. Returns the Landlock version used, 0 for none.
pub(super) fn apply(writable: &[PathBuf], local_sockets_only: bool) -> Result<i32, Failure> {
    let landlock = confine_writes(writable).map_err(|error| Failure::refused("landlock", error))?;
    drop_capabilities().map_err(|error| Failure::refused("capabilities", error))?;
    seccomp::install(local_sockets_only).map_err(|error| Failure::refused("seccomp", error))?;
    Ok(landlock)
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn drop_capabilities() -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let mask = KEPT.iter().fold(0_u32, |mask, capability| mask | 1 << capability);
    let header = Header { version: VERSION_3, pid: 0 };
    let kept = Data { effective: mask, permitted: mask, inheritable: 0 };
    let data = [kept, Data { effective: 0, permitted: 0, inheritable: 0 }];
    // SAFETY: integers, and pointers to live structures of the layout the kernel expects for version 3.
    unsafe {
        for capability in (0..COUNT).filter(|capability| !KEPT.contains(capability)) {
            // Numbers that this kernel does not know are refused; there is nothing to drop then.
            libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability), 0, 0, 0);
        }
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
        check(libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()))?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
    }
    Ok(())
}

/// Landlock's rights to change something: write, remove and make of all kinds, move, truncate.
const WRITE_FILE: u64 = 1 << 1;
const REMOVE_AND_MAKE: u64 = 0b1_1111_1111 << 4;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
/// Kinds of contact with processes outside that version 6 can forbid: abstract sockets and signals.
const SCOPES: u64 = 0b11;

#[repr(C)]
struct Ruleset {
    handled_fs: u64,
    handled_net: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct PathRule {
    allowed: u64,
    parent: i32,
}

/// The rights this version of Landlock can restrict.
fn handled(version: i32) -> u64 {
    let refer = if version >= 2 { REFER } else { 0 };
    let truncate = if version >= 3 { TRUNCATE } else { 0 };
    WRITE_FILE | REMOVE_AND_MAKE | refer | truncate
}

/// Allows writing below these paths only. A second wall: elsewhere everything is mounted read-only.
fn confine_writes(writable: &[PathBuf]) -> io::Result<i32> {
    const VERSION: u32 = 1;
    const PATH_BENEATH: u32 = 1;
    // SAFETY: asks for the version; takes no memory.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, ptr::null::<u8>(), 0, VERSION) };
    let version = i32::try_from(version).unwrap_or(0);
    if version <= 0 {
        return Ok(0);
    }
    let scoped = if version >= 6 { SCOPES } else { 0 };
    let ruleset = Ruleset { handled_fs: handled(version), handled_net: 0, scoped };
    // Older kernels take a structure that ends before what they do not know.
    let size = if version >= 6 {
        24
    } else if version >= 4 {
        16
    } else {
        8
    };
    // SAFETY: the pointers are to live structures of the sizes given, and to live strings; descriptors are ours.
    unsafe {
        let rules = check(libc::syscall(libc::SYS_landlock_create_ruleset, &raw const ruleset, size, 0))?;
        for path in writable {
            let name = CString::new(path.as_os_str().as_bytes())?;
            let parent = libc::open(name.as_ptr(), libc::O_PATH | libc::O_CLOEXEC);
            if parent < 0 {
                continue;
            }
            let allowed =
                if path.is_dir() { handled(version) } else { (WRITE_FILE | TRUNCATE) & handled(version) };
            let rule = PathRule { allowed, parent };
            let added = libc::syscall(libc::SYS_landlock_add_rule, rules, PATH_BENEATH, &raw const rule, 0);
            let added = check(added);
            libc::close(parent);
            added?;
        }
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
        check(libc::syscall(libc::SYS_landlock_restrict_self, rules, 0))?;
        libc::close(i32::try_from(rules).unwrap_or(-1));
    }
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_follow_the_version() {
        assert_eq!(handled(1), 0b1_1111_1111_0010);
        assert_eq!(handled(2) ^ handled(1), REFER);
        assert_eq!(handled(7) ^ handled(2), TRUNCATE);
    }
}
