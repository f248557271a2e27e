//! The launcher process: a small, single-threaded parent of every sandbox.
//!
//! Forking costs by the parent's size and must not happen in a process with threads; hence a process of its own,
//! asked over a socket. It ends with the server and leaves its children alone: they survive it.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Seek},
    mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use libc::sock_filter;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::fcntl_dupfd_cloexec,
};
use sandkeep_idle::SILENCE;

use super::{
    child::{self, Descriptors, MAX_GAUGES, Prepared, READY_FD},
    plan::Plan,
    protocol::{Reply, Request, receive, send},
};
use crate::runtime::native::{seccomp, seccomp::Profile, sys};

/// Limits inside the user namespaces of sandboxes: no network namespaces at all, few of the others.
const NAMESPACE_LIMITS: [(&std::ffi::CStr, &[u8]); 3] = [
    (c"/proc/sys/user/max_net_namespaces", b"0"),
    (c"/proc/sys/user/max_user_namespaces", b"64"),
    (c"/proc/sys/user/max_mnt_namespaces", b"64"),
];

pub(super) struct Launcher {
    pub(super) socket: OwnedFd,
    default_filter: Vec<sock_filter>,
    nested_filter: Vec<sock_filter>,
    pub(super) open_files: u64,
    /// Tokens of the live children, by pid.
    children: HashMap<i32, u64>,
}

/// A failed step, for the reply.
pub(super) struct Failure(pub(super) &'static str, pub(super) io::Error);

pub(super) trait Named<T> {
    fn named(self, step: &'static str) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Named<T> for Result<T, E> {
    fn named(self, step: &'static str) -> Result<T, Failure> {
        self.map_err(|error| Failure(step, error.into()))
    }
}

/// Serves the socket on standard input until the server is gone.
pub(super) fn run() -> io::Result<()> {
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/")?;
    rustix::thread::set_name(c"sandkeep-launch")?;
    let socket = fcntl_dupfd_cloexec(io::stdin(), 10)?;
    let null = File::open("/dev/null")?;
    // SAFETY: nothing else runs yet, so descriptor 3 is either free or this very file.
    sys::check(libc::c_long::from(unsafe { libc::dup3(null.as_raw_fd(), READY_FD, 0) })).or_else(
        |error| {
            if null.as_raw_fd() == READY_FD { Ok(READY_FD) } else { Err(error) }
        },
    )?;
    // Descriptor 3 stays occupied for the life of the process: received ones must lie above it.
    mem::forget(null);
    // A private mount namespace: mounts made for sandboxes never show on the host.
    sys::unshare(libc::CLONE_NEWNS)?;
    rustix::mount::mount_change(
        c"/",
        rustix::mount::MountPropagationFlags::REC | rustix::mount::MountPropagationFlags::PRIVATE,
    )?;
    let signals = child_signals()?;
    let mut launcher = Launcher {
        socket,
        default_filter: seccomp::program(Profile::Default),
        nested_filter: seccomp::program(Profile::Nested),
        open_files: sys::raise_open_files(),
        children: HashMap::new(),
    };
    let silence = Timespec::try_from(SILENCE).map_err(io::Error::other)?;
    let mut idle = false;
    loop {
        let mut polled = [PollFd::new(&launcher.socket, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
        match poll(&mut polled, (!idle).then_some(&silence)) {
            Err(rustix::io::Errno::INTR) => continue,
            Ok(0) => sandkeep_idle::release(),
            other => drop(other?),
        }
        idle = polled.iter().all(|fd| fd.revents().is_empty());
        let [asked, ended] = polled.map(|fd| !fd.revents().is_empty());
        if ended {
            launcher.report_ends(&signals)?;
        }
        if asked && !launcher.serve()? {
            return Ok(());
        }
    }
}

/// A descriptor that becomes readable when a child ends.
fn child_signals() -> io::Result<OwnedFd> {
    // SAFETY: the set is initialised by `sigemptyset`; the descriptor is new and ours.
    unsafe {
        let mut set: libc::sigset_t = mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        Ok(sys::own(sys::check(libc::c_long::from(fd))?))
    }
}

impl Launcher {
    /// Handles one request; `false` when the server is gone.
    fn serve(&mut self) -> io::Result<bool> {
        let Some((request, fds)) = receive::<Request>(&self.socket)? else { return Ok(false) };
        let (token, result) = match request {
            Request::Launch { token, cgroup2, gauges } => (token, self.launch(token, cgroup2, gauges, fds)),
            Request::UserNamespaces { token, base } => (token, self.user_namespaces(token, base)),
            Request::Save { token } => (token, self.save(token, &fds)),
            Request::Restore { token, cgroup2, tasks } => (token, self.restore(token, cgroup2, tasks, &fds)),
            Request::Proc { token, cover } => (token, self.proc(token, cover, &fds)),
        };
        if let Err(Failure(step, error)) = result {
            let errno = error.raw_os_error().unwrap_or(libc::EINVAL);
            send(&self.socket, &Reply::Failed { token, step: step.to_owned(), errno }, &[])?;
        }
        Ok(true)
    }

    fn launch(&mut self, token: u64, cgroup2: bool, gauges: usize, fds: Vec<OwnedFd>) -> Result<(), Failure> {
        let [plan, root, netns, userns, go, ready, console, rest @ ..] = fds.as_slice() else {
            return Err(Failure("receive descriptors", io::ErrorKind::InvalidInput.into()));
        };
        let plan = read_plan(plan).named("read plan")?;
        let (rest, gauges) = rest
            .split_at_checked(rest.len().saturating_sub(gauges))
            .filter(|(_, found)| found.len() == gauges && gauges <= MAX_GAUGES)
            .ok_or(Failure("receive descriptors", io::ErrorKind::InvalidInput.into()))?;
        let (cgroup, tasks) =
            if cgroup2 { (rest.first(), rest.get(1..).unwrap_or_default()) } else { (None, rest) };
        let filter = match plan.seccomp {
            Profile::Default => self.default_filter.clone(),
            Profile::Nested => self.nested_filter.clone(),
        };
        let prepared = Prepared::new(&plan, &filter, self.open_files);
        let descriptors = Descriptors {
            root: root.as_raw_fd(),
            netns: netns.as_raw_fd(),
            userns: userns.as_raw_fd(),
            go: go.as_raw_fd(),
            ready: ready.as_raw_fd(),
            console: console.as_raw_fd(),
            tasks: tasks.iter().map(AsRawFd::as_raw_fd).collect(),
            gauges: gauges.iter().map(AsRawFd::as_raw_fd).collect(),
        };
        let namespaces = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        self.start(token, namespaces, cgroup, || child::run(&prepared, &descriptors))
    }

    /// Makes a child that the server gets a handle on. `work` never returns.
    pub(super) fn start(
        &mut self,
        token: u64,
        namespaces: i32,
        cgroup: Option<&OwnedFd>,
        work: impl FnOnce(),
    ) -> Result<(), Failure> {
        let mut pidfd: i32 = -1;
        // SAFETY: an all-zero `clone_args` is valid.
        let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
        arguments.flags = (namespaces | libc::CLONE_PIDFD) as u64;
        arguments.exit_signal = libc::SIGCHLD as u64;
        arguments.pidfd = (&raw mut pidfd) as u64;
        if let Some(cgroup) = cgroup {
            const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = cgroup.as_raw_fd() as u64;
        }
        // SAFETY: this process has one thread, so its copy may do what it likes; it does not return.
        let pid = unsafe { sys::clone3(&mut arguments) }.named("clone")?;
        if pid == 0 {
            work();
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(1) }
        }
        // SAFETY: the kernel just opened it for us.
        let pidfd = unsafe { sys::own(pidfd) };
        self.children.insert(pid, token);
        send(&self.socket, &Reply::Launched { token, pid }, &[pidfd.as_fd()]).named("send pidfd")
    }

    fn user_namespaces(&self, token: u64, base: u32) -> Result<(), Failure> {
        let processes = user_namespace(&format!("0 {base} 65536\n"), true)?;
        // Host id 0 has a place here too: without it the host's own overlayfs could not write through the mapping.
        let files = user_namespace(&format!("0 {base} 65536\n65536 0 1\n"), false)?;
        send(&self.socket, &Reply::UserNamespaces { token }, &[processes.as_fd(), files.as_fd()])
            .named("send namespaces")
    }

    fn report_ends(&mut self, signals: &OwnedFd) -> io::Result<()> {
        let mut drained = [0u8; 1024];
        let _ = rustix::io::read(signals, &mut drained);
        loop {
            let mut status = 0;
            // SAFETY: writes one integer.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
            if pid <= 0 {
                return Ok(());
            }
            if let Some(token) = self.children.remove(&pid) {
                send(&self.socket, &Reply::Exited { token, status }, &[])?;
            }
        }
    }
}

pub(super) fn read_plan(memory: &OwnedFd) -> io::Result<Plan> {
    let mut file = File::from(memory.try_clone()?);
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// A user namespace with the given id map and no process in it.
fn user_namespace(map: &str, limited: bool) -> Result<OwnedFd, Failure> {
    let (go, start) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).named("pipe")?;
    // SAFETY: an all-zero `clone_args` is valid.
    let mut arguments: libc::clone_args = unsafe { mem::zeroed() };
    arguments.flags = libc::CLONE_NEWUSER as u64;
    let start_fd = start.as_raw_fd();
    // SAFETY: this process has one thread, and `hold` neither allocates nor returns.
    let pid = unsafe { sys::clone3(&mut arguments) }.named("clone user namespace")?;
    if pid == 0 {
        hold(go.as_fd(), start_fd, limited);
    }
    let made = (|| {
        std::fs::write(format!("/proc/{pid}/uid_map"), map).named("write uid_map")?;
        std::fs::write(format!("/proc/{pid}/gid_map"), map).named("write gid_map")?;
        File::open(format!("/proc/{pid}/ns/user")).named("open user namespace")
    })();
    if made.is_ok() {
        let _ = rustix::io::write(&start, b"x");
    }
    drop(start);
    // SAFETY: waits for the child just made (without an exit signal, hence the flag); nothing is written.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) };
    made.map(OwnedFd::from)
}

/// The process that carries a new user namespace into the world: sets its limits once it is mapped, and ends.
fn hold(go: BorrowedFd<'_>, start: i32, limited: bool) -> ! {
    let mut byte = [0u8];
    // SAFETY: descriptor numbers, constant paths and live buffers only. Its own copy of the writing end must go, or
    // the end of the launcher would go unnoticed.
    unsafe {
        libc::close(start);
        if libc::read(go.as_raw_fd(), byte.as_mut_ptr().cast(), 1) == 1 && limited {
            for (path, value) in NAMESPACE_LIMITS {
                let file = libc::open(path.as_ptr(), libc::O_WRONLY);
                libc::write(file, value.as_ptr().cast(), value.len());
                libc::close(file);
            }
        }
        libc::_exit(0)
    }
}
