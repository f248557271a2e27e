//! The first process of a sandbox between `clone3` and `execve`.
//!
//! Everything here runs in a copy of the launcher's memory: no allocation, no locks, no unwinding; only system
//! calls on data the launcher prepared. The order of the steps is the point:
//!
//! * cgroups and namespaces owned by the host come first, the user namespace last, so that root inside owns none of
//!   them (in particular not its network);
//! * the seccomp filter goes in while the process still has rights in its user namespace (otherwise it would need
//!   no-new-privileges), capabilities are dropped after that;
//! * the bounding set is dropped after entering the user namespace, which resets it.

use std::{
    ffi::{CStr, CString, c_char},
    os::fd::RawFd,
    ptr,
};

use libc::{c_int, c_long, sock_filter, sock_fprog};

use super::plan::Plan;

/// Descriptor numbers the first process starts from, all above 3.
#[derive(Debug, Clone)]
pub(crate) struct Descriptors {
    /// The detached root mount.
    pub root: RawFd,
    pub netns: RawFd,
    pub userns: RawFd,
    /// Reads one byte when the sandbox is on record; its end means: do not start.
    pub go: RawFd,
    /// Becomes descriptor 3 of execd.
    pub ready: RawFd,
    /// Becomes standard output and standard error.
    pub console: RawFd,
    /// The `tasks` files of the sandbox's cgroup v1 directories.
    pub tasks: Vec<RawFd>,
    /// Files of the sandbox's control group, open for reading; they become descriptors 4 and up of execd, which measures
    /// with them what it has no path to.
    pub gauges: Vec<RawFd>,
}

/// Most of those files.
pub(crate) const MAX_GAUGES: usize = 8;

/// Descriptor number the ready pipe gets; the launcher keeps `/dev/null` there until then.
pub(crate) const READY_FD: RawFd = 3;

/// A plan as the kernel wants it: pointer arrays and numbers, made before the process exists.
pub(crate) struct Prepared<'a> {
    plan: &'a Plan,
    args: Vec<*const c_char>,
    env: Vec<*const c_char>,
    filter: &'a [sock_filter],
    open_files: libc::rlimit,
}

impl<'a> Prepared<'a> {
    pub(crate) fn new(plan: &'a Plan, filter: &'a [sock_filter], hard_open_files: u64) -> Self {
        let pointers = |list: &'a [CString]| -> Vec<*const c_char> {
            list.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
        };
        let limit = plan.open_files.min(hard_open_files);
        Self {
            plan,
            args: pointers(&plan.args),
            env: pointers(&plan.env),
            filter,
            open_files: libc::rlimit { rlim_cur: limit, rlim_max: limit },
        }
    }
}

/// Runs the step and ends the process with a line on the console if it fails.
macro_rules! step {
    ($console:expr, $what:literal, $call:expr) => {
        // SAFETY: every pointer handed to these calls is a live C string or structure prepared before `clone3`.
        if unsafe { $call } as ::libc::c_long == -1 {
            $crate::runtime::native::launcher::child::fail($console, $what)
        }
    };
}
pub(super) use step;

/// Becomes the sandbox's first process. Never returns.
pub(crate) fn run(prepared: &Prepared<'_>, fds: &Descriptors) -> ! {
    join(prepared, fds);
    build_root(prepared, fds);
    wait_for_go(fds.go);
    confine(prepared, fds);
    execute(prepared, fds)
}

/// Leaves the launcher's session, cgroups and namespaces.
pub(super) fn join(prepared: &Prepared<'_>, fds: &Descriptors) {
    let console = fds.console;
    step!(console, "setsid", libc::setsid());
    for tasks in &fds.tasks {
        // A single-threaded process that writes 0 moves itself without the global cgroup lock.
        step!(console, "join cgroup", libc::write(*tasks, c"0".as_ptr().cast(), 1));
    }
    step!(console, "unshare cgroup namespace", libc::unshare(libc::CLONE_NEWCGROUP));
    step!(console, "enter network namespace", libc::setns(fds.netns, libc::CLONE_NEWNET));
    let name = &prepared.plan.hostname;
    step!(console, "set host name", libc::sethostname(name.as_ptr(), name.count_bytes()));
}

/// Mounts what belongs inside and makes the new root the only one.
pub(super) fn build_root(prepared: &Prepared<'_>, fds: &Descriptors) {
    let (plan, console) = (prepared.plan, fds.console);
    let mount_point = plan.mount_point.as_ptr();
    const FROM_FD: c_int = 0x4; // MOVE_MOUNT_F_EMPTY_PATH
    step!(
        console,
        "attach root",
        libc::syscall(libc::SYS_move_mount, fds.root, c"".as_ptr(), libc::AT_FDCWD, mount_point, FROM_FD)
    );
    step!(console, "enter root", libc::chdir(mount_point));
    // SAFETY: takes an integer.
    unsafe { libc::umask(0) };
    for mount in &plan.mounts {
        let (kind, target) = (mount.kind.as_ptr(), mount.target.as_ptr());
        step!(console, "mount", libc::mount(kind, target, kind, mount.flags, mount.data.as_ptr().cast()));
        if mount.target.as_c_str() == c"dev" {
            make_devices(plan, console);
        }
    }
    for masked in &plan.masked {
        // SAFETY: both paths are live C strings. A kernel without the file needs no mask for it.
        unsafe {
            libc::mount(c"dev/null".as_ptr(), masked.as_ptr(), ptr::null(), libc::MS_BIND, ptr::null())
        };
    }
    step!(console, "pivot_root", libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()));
    step!(console, "unmount old root", libc::umount2(c".".as_ptr(), libc::MNT_DETACH));
    step!(console, "enter new root", libc::chdir(c"/".as_ptr()));
}

fn make_devices(plan: &Plan, console: RawFd) {
    const LINKS: [(&CStr, &CStr); 5] = [
        (c"/proc/self/fd", c"dev/fd"),
        (c"/proc/self/fd/0", c"dev/stdin"),
        (c"/proc/self/fd/1", c"dev/stdout"),
        (c"/proc/self/fd/2", c"dev/stderr"),
        (c"pts/ptmx", c"dev/ptmx"),
    ];
    for device in &plan.devices {
        let number = libc::makedev(device.major, device.minor);
        step!(console, "make device", libc::mknod(device.path.as_ptr(), libc::S_IFCHR | device.mode, number));
    }
    for (to, link) in LINKS {
        step!(console, "make link in /dev", libc::symlink(to.as_ptr(), link.as_ptr()));
    }
    for directory in [c"dev/pts", c"dev/shm"] {
        step!(console, "make directory in /dev", libc::mkdir(directory.as_ptr(), 0o755));
    }
}

/// Nothing of the image runs before the sandbox is on record: a crash until here leaves no stray process.
fn wait_for_go(go: RawFd) {
    let mut byte = 0u8;
    // SAFETY: reads one byte into one byte.
    if unsafe { libc::read(go, (&raw mut byte).cast(), 1) } != 1 {
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(1) }
    }
}

/// Gives up every right over the host.
fn confine(prepared: &Prepared<'_>, fds: &Descriptors) {
    let (plan, console) = (prepared.plan, fds.console);
    let score = &plan.oom_score_adj;
    // SAFETY: constant path; the descriptor is closed again by `close_range`. Best effort.
    unsafe {
        let file = libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        libc::write(file, score.as_ptr().cast(), score.count_bytes());
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const prepared.open_files);
    }
    step!(console, "enter user namespace", libc::setns(fds.userns, libc::CLONE_NEWUSER));
    step!(console, "setgroups", libc::setgroups(0, ptr::null()));
    step!(console, "setresgid", libc::setresgid(0, 0, 0));
    step!(console, "setresuid", libc::setresuid(0, 0, 0));
    // SAFETY: integers and live C strings. A new session keyring hides the launcher's; missing directories of the
    // working directory are made as the sandbox's own root.
    unsafe {
        const KEYCTL_JOIN_SESSION_KEYRING: c_long = 1;
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, 0);
        libc::umask(0o022);
        for directory in &plan.directories {
            libc::mkdir(directory.as_ptr(), 0o755);
        }
    }
    if plan.no_new_privileges {
        step!(console, "no_new_privs", libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    }
    let filter =
        sock_fprog { len: prepared.filter.len() as u16, filter: prepared.filter.as_ptr().cast_mut() };
    let install = libc::SECCOMP_SET_MODE_FILTER;
    step!(console, "install seccomp filter", libc::syscall(libc::SYS_seccomp, install, 0, &raw const filter));
    drop_capabilities(plan.capabilities, console);
}

fn drop_capabilities(keep: u64, console: RawFd) {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy)]
    struct Sets {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    for capability in 0..=63u64 {
        if keep & (1 << capability) == 0 {
            // SAFETY: integers only. Numbers past the kernel's last capability are refused, which is fine.
            unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        }
    }
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |bits: u64| Sets { effective: bits as u32, permitted: bits as u32, inheritable: 0 };
    let sets = [half(keep & 0xffff_ffff), half(keep >> 32)];
    step!(console, "capset", libc::syscall(libc::SYS_capset, &raw const header, &raw const sets));
}

fn execute(prepared: &Prepared<'_>, fds: &Descriptors) -> ! {
    let console = fds.console;
    // SAFETY: descriptor numbers and structures that live here; descriptor 3 is the launcher's `/dev/null`.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
    step!(console, "dup2 stdin", libc::dup2(READY_FD, 0));
    step!(console, "dup2 ready", libc::dup2(fds.ready, READY_FD));
    step!(console, "dup2 stdout", libc::dup2(console, 1));
    step!(console, "dup2 stderr", libc::dup2(console, 2));
    let first_unused = keep_gauges(&fds.gauges);
    step!(2, "close descriptors", libc::syscall(libc::SYS_close_range, first_unused, u32::MAX, 0));
    // SAFETY: null-terminated arrays of live C strings.
    unsafe { libc::execve(prepared.args[0], prepared.args.as_ptr(), prepared.env.as_ptr()) };
    fail(2, "execute the sandbox's execd")
}

/// Gives the gauges the numbers after the ready pipe's; returns the first number after them.
fn keep_gauges(gauges: &[RawFd]) -> RawFd {
    /// Above all numbers they may get.
    const ASIDE: c_int = 64;
    // None must be lost to the number of another.
    let mut aside = [-1; MAX_GAUGES];
    for (aside, gauge) in aside.iter_mut().zip(gauges) {
        // SAFETY: takes descriptor numbers.
        *aside = unsafe { libc::fcntl(*gauge, libc::F_DUPFD, ASIDE) };
    }
    let mut number = READY_FD + 1;
    for gauge in aside.iter().take(gauges.len()) {
        step!(2, "dup2 gauge", libc::dup2(*gauge, number));
        number += 1;
    }
    number
}

/// Writes `sandkeep: STEP: errno N` and ends the process.
pub(super) fn fail(console: RawFd, what: &str) -> ! {
    // SAFETY: reads this thread's errno.
    let mut number = unsafe { *libc::__errno_location() }.unsigned_abs();
    let mut digits = [0u8; 11];
    let mut start = digits.len() - 1;
    digits[start] = b'\n';
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    for part in [FAILURE_PREFIX.as_bytes(), what.as_bytes(), b": errno ", &digits[start..]] {
        // SAFETY: writes a live slice; a console that refuses it changes nothing.
        unsafe { libc::write(console, part.as_ptr().cast(), part.len()) };
    }
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(START_FAILED) }
}

/// How a line about a failed step begins on the console.
pub(crate) const FAILURE_PREFIX: &str = "sandkeep: ";
/// Exit status of a first process that did not get as far as execd.
const START_FAILED: c_int = 111;
