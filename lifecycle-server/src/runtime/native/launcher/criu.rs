//! The processes that become CRIU, and what a restored sandbox needs of the host beside it.
//!
//! Two things decide who does what here. Only the host's root may read a seccomp filter, so saving is done with the
//! host's user namespace, from inside the sandbox's other namespaces. And what a sandbox left in its memory is not to
//! be trusted, so restoring is done with no right beyond the sandbox's own.
//!
//! * Saving: nothing of the sandbox's may be loaded into a process with the host's rights, but CRIU must have the
//!   sandbox's root directory when it saves. So it is loaded with its own directory as root, by a process that shares
//!   the root directory with it, and that one changes it once CRIU is loaded.
//! * Restoring: numbers of processes may be chosen only in a pid namespace of the user namespace, so CRIU makes that; its
//!   `/proc` can be mounted by nobody inside, since the mount namespace's first owner is the host, and is attached from
//!   outside before CRIU looks for it.

use std::{
    ffi::{CStr, c_char},
    io, mem,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    ptr,
};

use libc::c_int;

use super::{
    child::{self, Descriptors, Prepared, READY_FD, step},
    process::{Failure, Launcher, Named, read_plan},
    protocol::{Reply, send},
};
use crate::runtime::native::sys;

/// Descriptor numbers CRIU starts with, after the socket to the server (3): its mount namespace to be (4; when saving
/// just a place holder), the images (5), the directory for what it finds out about the kernel (6), its own directory (7). Between those and what it inherits lie two of the process beside it.
pub(crate) const INHERITED_FD: RawFd = 10;
const CONTROL_FD: RawFd = 8;
/// The sandbox's root directory.
const ROOT_FD: RawFd = 9;
pub(crate) const MOUNTS_FD: RawFd = 4;

/// Where descriptors are put while their numbers are given out.
const ASIDE: c_int = 64;
/// Most descriptors CRIU starts with.
const MAX_FDS: usize = 20;

const PROGRAM: &CStr = c"ld.so";
const ENVIRONMENT: &CStr = c"XDG_RUNTIME_DIR=/proc/self/fd/6";
/// Status of a process that did not get as far as CRIU.
const NOT_STARTED: c_int = 111;

/// What saving takes, in this order.
pub(crate) struct Saving<'a> {
    /// A socket: a byte on it means that CRIU is loaded, one back that its root is the sandbox's.
    control: &'a OwnedFd,
    rpc: &'a OwnedFd,
    images: &'a OwnedFd,
    cache: &'a OwnedFd,
    /// CRIU's own directory, as a detached mount.
    tool: &'a OwnedFd,
}

/// What restoring takes, in this order, between the plan and these: the v2 cgroup directory if there is one, the v1
/// `tasks` files, and what the sandbox's processes had open outside it.
pub(crate) struct Restoring<'a> {
    root: &'a OwnedFd,
    netns: &'a OwnedFd,
    userns: &'a OwnedFd,
    console: &'a OwnedFd,
    /// As for saving, but the byte means that CRIU is about to clean up what it made inside.
    control: &'a OwnedFd,
    rpc: &'a OwnedFd,
    images: &'a OwnedFd,
    cache: &'a OwnedFd,
    tool: &'a OwnedFd,
}

fn incomplete() -> Failure {
    Failure("receive descriptors", io::ErrorKind::InvalidInput.into())
}

impl Launcher {
    pub(super) fn save(&mut self, token: u64, fds: &[OwnedFd]) -> Result<(), Failure> {
        let [first, control, rpc, images, cache, tool] = fds else { return Err(incomplete()) };
        let saving = Saving { control, rpc, images, cache, tool };
        self.start(token, 0, None, || enter_and_save(first, &saving))
    }

    pub(super) fn restore(
        &mut self,
        token: u64,
        cgroup2: bool,
        tasks: usize,
        fds: &[OwnedFd],
    ) -> Result<(), Failure> {
        let [plan, root, netns, userns, console, control, rpc, images, cache, tool, rest @ ..] = fds else {
            return Err(incomplete());
        };
        let plan = read_plan(plan).named("read plan")?;
        let restoring = Restoring { root, netns, userns, console, control, rpc, images, cache, tool };
        let (cgroup, rest) = rest.split_at_checked(usize::from(cgroup2)).ok_or_else(incomplete)?;
        let (tasks, outside) = rest.split_at_checked(tasks).ok_or_else(incomplete)?;
        let prepared = Prepared::new(&plan, &[], self.open_files);
        let descriptors = Descriptors {
            root: restoring.root.as_raw_fd(),
            netns: restoring.netns.as_raw_fd(),
            userns: restoring.userns.as_raw_fd(),
            go: -1,
            ready: -1,
            console: restoring.console.as_raw_fd(),
            tasks: tasks.iter().map(AsRawFd::as_raw_fd).collect(),
            gauges: Vec::new(),
        };
        let own = libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        self.start(token, own, cgroup.first(), || {
            build_and_restore(&prepared, &descriptors, &restoring, outside)
        })
    }

    /// Done by a child, and waited for: it takes well below a millisecond.
    pub(super) fn proc(&mut self, token: u64, cover: bool, fds: &[OwnedFd]) -> Result<(), Failure> {
        let [mounts, pids, plan] = fds else { return Err(incomplete()) };
        let plan = read_plan(plan).named("read plan")?;
        let work = || if cover { cover_files(mounts, &plan.masked) } else { attach_proc(mounts, pids) };
        let pid = fork_with(0, || match work() {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
        })
        .named("fork")?;
        match wait(pid) {
            0 => send(&self.socket, &Reply::Done { token }, &[]).named("answer"),
            errno => Err(Failure("set up /proc", io::Error::from_raw_os_error(errno))),
        }
    }
}

/// Makes a child of a single-threaded process that ends with the status `work` returns.
fn fork_with(flags: c_int, work: impl FnOnce() -> c_int) -> io::Result<i32> {
    // SAFETY: an all-zero `clone_args` is valid.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = flags as u64;
    arguments.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: there is one thread, and the child ends here.
    let pid = unsafe { sys::clone3(&mut arguments) }?;
    if pid == 0 {
        let status = work();
        // SAFETY: ends the process at once.
        unsafe { libc::_exit(status) }
    }
    Ok(pid)
}

/// Exit status of a child, -1 if it was killed.
fn wait(pid: i32) -> c_int {
    let mut status = 0;
    // SAFETY: writes one integer.
    while unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) } == -1 {
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            return -1;
        }
    }
    if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -1 }
}

fn enter_and_save(first: &OwnedFd, saving: &Saving<'_>) -> ! {
    let errors = 2;
    let all = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWCGROUP;
    step!(errors, "enter the sandbox", libc::setns(first.as_raw_fd(), all));
    // SAFETY: constant path.
    let inside = unsafe { libc::open(c"/".as_ptr(), libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) };
    opened(errors, "open the root", inside);
    change_root(saving.tool.as_raw_fd());
    let Saving { control, rpc, images, cache, tool } = saving;
    let [control, rpc, images, cache, tool] = [control, rpc, images, cache, tool].map(|fd| fd.as_raw_fd());
    // The second is only a place holder: when it saves, CRIU is in that mount namespace.
    arrange(&[rpc, rpc, images, cache, tool, control, inside]);
    run(c"/", c"/lib")
}

fn change_root(directory: RawFd) {
    let errors = 2;
    step!(errors, "enter the root", libc::fchdir(directory));
    step!(errors, "change the root", libc::chroot(c".".as_ptr()));
    step!(errors, "enter the root", libc::chdir(c"/".as_ptr()));
}

fn build_and_restore(
    prepared: &Prepared<'_>,
    fds: &Descriptors,
    restoring: &Restoring<'_>,
    outside: &[OwnedFd],
) -> ! {
    let console = fds.console;
    child::join(prepared, fds);
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: constant paths.
    let (home, proc) = unsafe {
        let home = libc::open(c"/proc/self/ns/mnt".as_ptr(), flags);
        (home, libc::open(c"/proc".as_ptr(), flags | libc::O_DIRECTORY))
    };
    opened(console, "open the mount namespace", home);
    opened(console, "open /proc", proc);
    step!(console, "unshare mount namespace", libc::unshare(libc::CLONE_NEWNS));
    child::build_root(prepared, fds);
    let (mounts, inside) = hand_over_mounts(console, fds.userns, proc);
    step!(console, "go home", libc::setns(home, libc::CLONE_NEWNS));
    enter_user_namespace(console, fds.userns);
    // SAFETY: integers only; a session keyring of its own hides the launcher's.
    unsafe {
        libc::umask(0o022);
        libc::syscall(libc::SYS_keyctl, 1, 0);
    }
    let Restoring { control, rpc, images, cache, tool, .. } = restoring;
    let [control, rpc, images, cache, tool] = [control, rpc, images, cache, tool].map(|fd| fd.as_raw_fd());
    let mut all = [-1; MAX_FDS];
    let own = [rpc, mounts, images, cache, tool, control, inside];
    let numbers = own.into_iter().chain(outside.iter().map(AsRawFd::as_raw_fd));
    let mut count = 0;
    for (place, number) in all.iter_mut().zip(numbers) {
        *place = number;
        count += 1;
    }
    arrange(all.get(..count).unwrap_or_default());
    run(c"/proc/self/fd/7/", c"/proc/self/fd/7/lib")
}

/// Goes on only with a descriptor.
fn opened(errors: RawFd, what: &'static str, fd: RawFd) {
    if fd == -1 {
        child::fail(errors, what);
    }
}

fn enter_user_namespace(console: RawFd, userns: RawFd) {
    step!(console, "enter user namespace", libc::setns(userns, libc::CLONE_NEWUSER));
    step!(console, "setgroups", libc::setgroups(0, ptr::null()));
    step!(console, "setresgid", libc::setresgid(0, 0, 0));
    step!(console, "setresuid", libc::setresuid(0, 0, 0));
}

/// A copy of this process's mount namespace that belongs to the user namespace, since CRIU must be able to enter it, and
/// its root directory.
fn hand_over_mounts(console: RawFd, userns: RawFd, proc: RawFd) -> (RawFd, RawFd) {
    let mut pair = [-1; 2];
    step!(
        console,
        "make a pair of sockets",
        libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, pair.as_mut_ptr())
    );
    let [ours, theirs] = pair;
    let mut byte = 0u8;
    let keeper = fork_with(0, || {
        // SAFETY: a descriptor of this process's copy of the table.
        unsafe { libc::close(ours) };
        enter_user_namespace(console, userns);
        step!(console, "copy mount namespace", libc::unshare(libc::CLONE_NEWNS));
        let mut byte = 0u8;
        // SAFETY: one byte out of and into one byte; the end of the other side ends this one.
        unsafe {
            libc::write(theirs, (&raw const byte).cast(), 1);
            libc::read(theirs, (&raw mut byte).cast(), 1);
        }
        0
    });
    let Ok(keeper) = keeper else { child::fail(console, "fork") };
    let (namespace, root) = (path_of(keeper, "ns/mnt"), path_of(keeper, "root"));
    // SAFETY: one byte into one byte; paths that end with a zero.
    let (mounts, inside) = unsafe {
        libc::close(theirs);
        if libc::read(ours, (&raw mut byte).cast(), 1) != 1 {
            child::fail(console, "copy mount namespace");
        }
        let place = libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC;
        let mounts = libc::openat(proc, namespace.as_ptr().cast(), libc::O_RDONLY | libc::O_CLOEXEC);
        (mounts, libc::openat(proc, root.as_ptr().cast(), place))
    };
    opened(console, "open the copied root", inside);
    opened(console, "open the copied mount namespace", mounts);
    // SAFETY: a descriptor of ours.
    unsafe { libc::close(ours) };
    wait(keeper);
    (mounts, inside)
}

/// `PID/NAME`, with a zero after it.
fn path_of(pid: i32, name: &str) -> [u8; 32] {
    let mut path = [0u8; 32];
    let _ = io::Write::write_fmt(&mut path.as_mut_slice(), format_args!("{pid}/{name}\0"));
    path
}

/// Gives `fds` the numbers from 3 on and closes all others.
fn arrange(fds: &[RawFd]) {
    let mut aside = [-1; MAX_FDS];
    // SAFETY: descriptor numbers only. Descriptor 3 is `/dev/null` until now.
    unsafe {
        for standard in 0..3 {
            libc::dup2(READY_FD, standard);
        }
        for (aside, fd) in aside.iter_mut().zip(fds) {
            *aside = libc::fcntl(*fd, libc::F_DUPFD, ASIDE);
        }
        let mut number = READY_FD;
        for aside in aside.iter().take(fds.len()) {
            libc::dup2(*aside, number);
            number += 1;
        }
        libc::syscall(libc::SYS_close_range, number, u32::MAX, 0);
    }
}

/// Starts CRIU in `directory` and ends with it, its descriptors arranged. Asked to, gives it another root on the way.
fn run(directory: &CStr, library: &CStr) -> ! {
    let errors = 2;
    let pid = fork_with(libc::CLONE_FS, || {
        // SAFETY: integers only; what only this process needs is closed for CRIU.
        unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            for own in [CONTROL_FD, ROOT_FD] {
                libc::fcntl(own, libc::F_SETFD, libc::FD_CLOEXEC);
            }
        }
        execute(directory, library)
    });
    let Ok(pid) = pid else { child::fail(errors, "fork") };
    let mut byte = 0u8;
    // SAFETY: one byte into and out of one byte. CRIU's end of its socket must not stay open here.
    unsafe {
        libc::close(READY_FD);
        if libc::read(CONTROL_FD, (&raw mut byte).cast(), 1) == 1 {
            change_root(ROOT_FD);
            libc::write(CONTROL_FD, (&raw const byte).cast(), 1);
        }
    }
    let status = wait(pid);
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(status) }
}

/// Becomes CRIU. Returns a status only if that fails.
fn execute(directory: &CStr, library: &CStr) -> c_int {
    let mut program = [0u8; 64];
    let mut writer = program.as_mut_slice();
    let tool = directory.to_bytes();
    for part in [tool, PROGRAM.to_bytes_with_nul()] {
        if io::Write::write_all(&mut writer, part).is_err() {
            return NOT_STARTED;
        }
    }
    let mut criu = [0u8; 64];
    let mut writer = criu.as_mut_slice();
    for part in [tool, c"criu".to_bytes_with_nul()] {
        if io::Write::write_all(&mut writer, part).is_err() {
            return NOT_STARTED;
        }
    }
    let arguments: [*const c_char; 11] = [
        PROGRAM.as_ptr(),
        c"--inhibit-cache".as_ptr(),
        c"--library-path".as_ptr(),
        library.as_ptr(),
        criu.as_ptr().cast(),
        c"--no-default-config".as_ptr(),
        c"--libdir".as_ptr(),
        // None of its plugins is wanted, nor what the sandbox may have put in their place.
        c"/proc/self/fd/7/plugins".as_ptr(),
        c"swrk".as_ptr(),
        c"3".as_ptr(),
        ptr::null(),
    ];
    let environment = [ENVIRONMENT.as_ptr(), ptr::null()];
    // SAFETY: null-terminated arrays of live C strings.
    unsafe {
        let mut none: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::execve(program.as_ptr().cast(), arguments.as_ptr(), environment.as_ptr());
    }
    NOT_STARTED
}

/// Mounts `/proc` of the pid namespace `pids` in the mount namespace `mounts`.
fn attach_proc(mounts: &OwnedFd, pids: &OwnedFd) -> io::Result<()> {
    setns(pids, libc::CLONE_NEWPID)?;
    // Only a process inside gets a view of the namespace.
    let inside = fork_with(0, || {
        match mount_proc().and_then(|proc| {
            setns(mounts, libc::CLONE_NEWNS)?;
            sys::attach(&proc, rustix::fs::CWD, c"/proc")
        }) {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
        }
    })?;
    match wait(inside) {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Made in the host's mount namespace: in one of a user namespace that shows no `/proc` yet, the kernel refuses.
fn mount_proc() -> io::Result<OwnedFd> {
    use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};
    let proc = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&proc)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(fsmount(&proc, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

fn cover_files(mounts: &OwnedFd, masked: &[std::ffi::CString]) -> io::Result<()> {
    setns(mounts, libc::CLONE_NEWNS)?;
    for file in masked {
        // SAFETY: live C strings. A kernel without the file needs no cover for it.
        unsafe { libc::mount(c"dev/null".as_ptr(), file.as_ptr(), ptr::null(), libc::MS_BIND, ptr::null()) };
    }
    Ok(())
}

fn setns(namespace: &OwnedFd, kind: c_int) -> io::Result<()> {
    // SAFETY: takes integers.
    sys::check(unsafe { libc::setns(namespace.as_raw_fd(), kind) }.into()).map(drop)
}
