//! The start of a process by `clone(CLONE_VM | CLONE_VFORK | CLONE_PIDFD)`.
//!
//! The child borrows this process's memory until it executes, so nothing is copied and a failure to execute is
//! reported through plain memory. Until then it may only make system calls: no allocation, no locks.

use std::{
    ffi::{CStr, CString, c_char, c_int, c_long, c_void},
    fmt, io,
    os::fd::{FromRawFd, OwnedFd, RawFd},
    ptr,
    sync::{Mutex, OnceLock, PoisonError},
};

use crate::reason::reason;

/// Stack of the child between clone and execute.
const STACK_BYTES: usize = 32 * 1024;

/// Descriptors the child receives as 0, 1, 2 and, when given, 3.
const TARGETS: usize = 4;

/// Signals whose disposition a child must not inherit as "ignored" from execd or from what started execd.
const RESET: [c_int; 7] =
    [libc::SIGPIPE, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGHUP, libc::SIGCHLD, libc::SIGTSTP];

/// User and groups a process runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

/// What the new process is to become.
pub(super) struct Plan<'a> {
    /// Files to try to execute, in order.
    pub candidates: &'a [CString],
    pub argv: &'a [CString],
    pub env: &'a [CString],
    pub cwd: &'a CStr,
    pub identity: Option<&'a Identity>,
    /// Descriptors for 0, 1 and 2.
    pub stdio: [RawFd; 3],
    /// Descriptor for 3.
    pub extra: Option<RawFd>,
}

/// A program that could not be started.
#[derive(Debug)]
pub struct StartError {
    step: Step,
    subject: String,
    /// The system's reason.
    pub cause: io::Error,
}

impl StartError {
    pub(super) fn new(step: Step, subject: String, cause: io::Error) -> Self {
        Self { step, subject, cause }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = reason(&self.cause);
        match self.step {
            Step::Clone => write!(f, "cannot start a process: {cause}"),
            Step::Descriptors => write!(f, "cannot connect the process's input and output: {cause}"),
            Step::Identity => write!(f, "cannot change to the requested user: {cause}"),
            Step::Directory => write!(f, "cannot enter working directory {}: {cause}", self.subject),
            Step::Execute => write!(f, "cannot run {}: {cause}", self.subject),
        }
    }
}

impl std::error::Error for StartError {}

/// How far a start came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Clone,
    Descriptors,
    Identity,
    Directory,
    Execute,
}

/// Memory shared with the child; it writes only `failed`.
struct Shared<'a> {
    plan: &'a Plan<'a>,
    programs: *const *const c_char,
    argv: *const *const c_char,
    env: *const *const c_char,
    nofile: Option<libc::rlimit>,
    failed: Option<(Step, c_int)>,
}

/// Starts the process; returns its id and a descriptor of it.
///
/// The caller holds the table's lock, so that nobody reaps the process before it is known.
pub(super) fn start(plan: &Plan<'_>) -> Result<(i32, OwnedFd), (Step, io::Error)> {
    static STACK: Mutex<Vec<u8>> = Mutex::new(Vec::new());
    let mut stack = STACK.lock().unwrap_or_else(PoisonError::into_inner);
    if stack.is_empty() {
        *stack = vec![0; STACK_BYTES];
    }
    let (programs, argv, env) = (pointers(plan.candidates), pointers(plan.argv), pointers(plan.env));
    let mut shared = Shared {
        plan,
        programs: programs.as_ptr(),
        argv: argv.as_ptr(),
        env: env.as_ptr(),
        nofile: original_nofile(),
        failed: None,
    };
    let mut pidfd: c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let blocked = BlockedSignals::all();
    // SAFETY: the stack is exclusively ours (lock held) and large enough; with CLONE_VFORK this thread sleeps until
    // the child has executed or exited, so `shared` and all it points to outlive the child's use of them.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(STACK_BYTES).map_addr(|address| address & !15);
        libc::clone(child, top.cast(), flags, ptr::from_mut(&mut shared).cast(), &raw mut pidfd)
    };
    let cause = io::Error::last_os_error();
    drop(blocked);
    if pid < 0 {
        return Err((Step::Clone, cause));
    }
    // SAFETY: the kernel has just made this descriptor for us (it sets close-on-exec).
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    match shared.failed {
        None => Ok((pid, pidfd)),
        Some((step, errno)) => {
            // SAFETY: plain system call; the child has exited or is about to, and only we may reap it.
            unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
            Err((step, io::Error::from_raw_os_error(errno)))
        }
    }
}

/// Remembers the limit on open files as it is now, for children; the daemon may then raise its own.
pub fn remember_nofile() {
    let _ = original_nofile();
}

fn original_nofile() -> Option<libc::rlimit> {
    static ORIGINAL: OnceLock<Option<libc::rlimit>> = OnceLock::new();
    *ORIGINAL.get_or_init(|| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the pointer is to a live rlimit.
        let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
        (result == 0).then_some(limit)
    })
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
}

/// All signals blocked for this thread until dropped: a handler must not run on the child's borrowed memory.
struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    fn all() -> Self {
        // SAFETY: both sets are live; sigset_t is plain data.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut old: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, &raw mut old);
            Self(old)
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: the set is the one saved by `all`.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }
}

/// The child, on its own stack and our memory.
extern "C" fn child(argument: *mut c_void) -> c_int {
    // SAFETY: the argument is the `Shared` that `start` passed; the parent sleeps meanwhile.
    let shared = unsafe { &mut *argument.cast::<Shared<'_>>() };
    // SAFETY: all pointers in `shared` are valid until execute; see `start`.
    let failure = unsafe { become_program(shared) };
    shared.failed = Some(failure);
    // SAFETY: ends only this process, without running the parent's exit handlers.
    unsafe { libc::_exit(127) }
}

/// Turns the child into the program; returns only when that failed.
///
/// # Safety
/// To be called only by the child, between clone and execute.
unsafe fn become_program(shared: &Shared<'_>) -> (Step, c_int) {
    // SAFETY: system calls on data the parent prepared; the raw calls for identities avoid the C library's
    // broadcast to all threads, which here would be the parent's.
    unsafe {
        for signal in RESET {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::setsid();
        if !move_descriptors(shared.plan) {
            return (Step::Descriptors, errno());
        }
        // A terminal as standard input becomes the new session's own; with anything else this fails and does nothing.
        libc::ioctl(0, libc::TIOCSCTTY, 0);
        if let Some(limit) = &shared.nofile {
            libc::setrlimit(libc::RLIMIT_NOFILE, limit);
        }
        if let Some(identity) = shared.plan.identity {
            let (uid, gid) = (c_long::from(identity.uid), c_long::from(identity.gid));
            let groups = &identity.groups;
            if libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) != 0
                || libc::syscall(libc::SYS_setresgid, gid, gid, gid) != 0
                || libc::syscall(libc::SYS_setresuid, uid, uid, uid) != 0
            {
                return (Step::Identity, errno());
            }
        }
        if libc::chdir(shared.plan.cwd.as_ptr()) != 0 {
            return (Step::Directory, errno());
        }
        (Step::Execute, execute_first(shared))
    }
}

/// Tries the candidates in order; the error is the most telling one.
///
/// # Safety
/// As [`become_program`].
unsafe fn execute_first(shared: &Shared<'_>) -> c_int {
    let mut reason = libc::ENOENT;
    let mut program = shared.programs;
    // SAFETY: the arrays end in a null pointer and their strings are alive.
    unsafe {
        while !(*program).is_null() {
            libc::execve(*program, shared.argv, shared.env);
            match errno() {
                libc::ENOENT | libc::ENOTDIR => {}
                libc::EACCES => reason = libc::EACCES,
                other => return other,
            }
            program = program.add(1);
        }
    }
    reason
}

/// Puts the plan's descriptors at 0, 1, 2 and 3.
///
/// # Safety
/// As [`become_program`].
unsafe fn move_descriptors(plan: &Plan<'_>) -> bool {
    let mut sources = [plan.stdio[0], plan.stdio[1], plan.stdio[2], plan.extra.unwrap_or(-1)];
    // SAFETY: system calls on integers.
    unsafe {
        // A source may sit where another one has to go: move such out of the way first.
        for source in &mut sources {
            if (0..TARGETS as RawFd).contains(source) {
                *source = libc::fcntl(*source, libc::F_DUPFD_CLOEXEC, TARGETS as c_int);
                if *source < 0 {
                    return false;
                }
            }
        }
        sources.iter().zip(0..).all(|(&source, target)| source < 0 || libc::dup2(source, target) >= 0)
    }
}

fn errno() -> c_int {
    // SAFETY: the C library's errno location is always valid.
    unsafe { *libc::__errno_location() }
}
