//! The server's side of the launcher: requests out, replies and ends of processes in.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use rustix::{
    fs::{MemfdFlags, memfd_create},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
};
use tokio::sync::oneshot;

use super::{
    ARGUMENT,
    plan::Plan,
    protocol::{Reply, Request, receive, send},
};

/// How long the launcher may take to answer; it never takes long unless the host is in deep trouble.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// A process the launcher made.
#[derive(Debug)]
pub(crate) struct Launched {
    pub pid: i32,
    pub pidfd: OwnedFd,
    /// Resolves to the status in `waitpid` form; fails if the launcher dies first.
    pub status: oneshot::Receiver<i32>,
}

type Answer = io::Result<(Reply, Vec<OwnedFd>)>;
/// Takes the answer to one request. Never called if the launcher dies first.
type Answered = Box<dyn FnOnce(Answer) + Send>;

#[derive(Default)]
struct Pending {
    answers: HashMap<u64, Answered>,
    ends: HashMap<u64, oneshot::Sender<i32>>,
}

/// One running launcher process.
struct Connection {
    socket: Arc<OwnedFd>,
    pending: Arc<Mutex<Pending>>,
    /// The launcher at the other end is gone.
    closed: Arc<AtomicBool>,
}

impl Connection {
    fn forget(&self, token: u64) {
        let mut pending = lock(&self.pending);
        pending.answers.remove(&token);
        pending.ends.remove(&token);
    }
}

/// Starts the launcher process, and starts it again should it die.
pub(crate) struct Launcher {
    program: PathBuf,
    connection: Mutex<Option<Connection>>,
    tokens: AtomicU64,
}

/// Poisoning carries no information here: every critical section is a few map operations.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Launcher {
    /// `program` must answer [`super::run_if_asked`]; `None` is the running binary.
    pub(crate) fn start(program: Option<PathBuf>) -> io::Result<Self> {
        let program = program.unwrap_or_else(|| PathBuf::from("/proc/self/exe"));
        let launcher = Self { program, connection: Mutex::new(None), tokens: AtomicU64::new(1) };
        *lock(&launcher.connection) = Some(launcher.connect()?);
        Ok(launcher)
    }

    /// Starts a sandbox; `BrokenPipe` means that the launcher died and asking again makes sense, once a process that it
    /// may still have made is gone. `fds` are those of [`super::child::Descriptors`], the v2 cgroup directory (if any) before
    /// the `tasks` files and these before the `gauges`.
    pub(crate) async fn launch(
        &self,
        plan: &Plan,
        cgroup2: bool,
        gauges: usize,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<Launched> {
        let memory = file_of(plan)?;
        let all: Vec<_> = [memory.as_fd()].into_iter().chain(fds.iter().copied()).collect();
        self.begin(|token| Request::Launch { token, cgroup2, gauges }, &all).await
    }

    /// Starts CRIU to save the sandbox whose first process comes first in `fds`, before [`super::criu::Saving`]'s.
    pub(crate) async fn save(&self, fds: &[BorrowedFd<'_>]) -> io::Result<Launched> {
        self.begin(|token| Request::Save { token }, fds).await
    }

    /// Starts CRIU to restore a sandbox; `fds` are those of [`super::criu::Restoring`].
    pub(crate) async fn restore(
        &self,
        plan: &Plan,
        cgroup2: bool,
        tasks: usize,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<Launched> {
        let memory = file_of(plan)?;
        let all: Vec<_> = [memory.as_fd()].into_iter().chain(fds.iter().copied()).collect();
        self.begin(|token| Request::Restore { token, cgroup2, tasks }, &all).await
    }

    async fn begin(
        &self,
        request: impl FnOnce(u64) -> Request,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<Launched> {
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        let (ended, status) = oneshot::channel();
        let (answered, answer) = oneshot::channel();
        let answered = Box::new(|answer| drop(answered.send(answer)));
        self.ask(token, &request(token), fds, answered, Some(ended))?;
        let (reply, fds) = match tokio::time::timeout(REPLY_TIMEOUT, answer).await {
            Ok(answer) => answer.map_err(|_| gone())??,
            Err(_) => return Err(self.give_up(token)),
        };
        match reply {
            Reply::Launched { pid, .. } => {
                let pidfd =
                    fds.into_iter().next().ok_or_else(|| io::Error::other("launcher sent no pidfd"))?;
                Ok(Launched { pid, pidfd, status })
            }
            other => Err(unexpected(other)),
        }
    }

    /// The user namespaces of a slot: the one for processes, the one for files. Blocks.
    pub(crate) fn user_namespaces(&self, base: u32) -> io::Result<[OwnedFd; 2]> {
        match self.try_user_namespaces(base) {
            // It died over the question; the next one starts a new launcher.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.try_user_namespaces(base),
            other => other,
        }
    }

    fn try_user_namespaces(&self, base: u32) -> io::Result<[OwnedFd; 2]> {
        match self.ask_and_wait(|token| Request::UserNamespaces { token, base }, &[])? {
            (Reply::UserNamespaces { .. }, fds) => {
                fds.try_into().map_err(|_| io::Error::other("launcher sent no namespaces"))
            }
            (other, _) => Err(unexpected(other)),
        }
    }

    /// Mounts `/proc` in a sandbox that is being restored, or covers what `plan` covers in it. Blocks.
    pub(crate) fn proc(
        &self,
        plan: &Plan,
        cover: bool,
        mounts: BorrowedFd<'_>,
        pids: BorrowedFd<'_>,
    ) -> io::Result<()> {
        let plan = file_of(plan)?;
        match self.ask_and_wait(|token| Request::Proc { token, cover }, &[mounts, pids, plan.as_fd()])? {
            (Reply::Done { .. }, _) => Ok(()),
            (other, _) => Err(unexpected(other)),
        }
    }

    fn ask_and_wait(
        &self,
        request: impl FnOnce(u64) -> Request,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<(Reply, Vec<OwnedFd>)> {
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        let (answered, answer) = mpsc::sync_channel(1);
        let answered = Box::new(move |answer| drop(answered.send(answer)));
        self.ask(token, &request(token), fds, answered, None)?;
        match answer.recv_timeout(REPLY_TIMEOUT) {
            Ok(answer) => answer,
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(gone()),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(self.give_up(token)),
        }
    }

    /// Stops waiting for an answer.
    fn give_up(&self, token: u64) -> io::Error {
        if let Some(connection) = &*lock(&self.connection) {
            connection.forget(token);
        }
        io::Error::new(io::ErrorKind::TimedOut, "the launcher does not answer")
    }

    fn ask(
        &self,
        token: u64,
        request: &Request,
        fds: &[BorrowedFd<'_>],
        answered: Answered,
        ended: Option<oneshot::Sender<i32>>,
    ) -> io::Result<()> {
        let mut current = lock(&self.connection);
        if current.as_ref().is_none_or(|connection| connection.closed.load(Ordering::Acquire)) {
            *current = Some(self.connect()?);
        }
        let connection = current.as_ref().ok_or_else(gone)?;
        {
            let mut pending = lock(&connection.pending);
            pending.answers.insert(token, answered);
            if let Some(ended) = ended {
                pending.ends.insert(token, ended);
            }
        }
        let sent = send(&*connection.socket, request, fds);
        if sent.is_err() {
            connection.forget(token);
            // The next request finds a new launcher.
            connection.closed.store(true, Ordering::Release);
        }
        sent
    }

    fn connect(&self) -> io::Result<Connection> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let mut process = Command::new(&self.program)
            .arg(ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        let socket = Arc::new(ours);
        let pending = Arc::new(Mutex::new(Pending::default()));
        let closed = Arc::new(AtomicBool::new(false));
        let (reader_socket, reader_pending, reader_closed) =
            (socket.clone(), pending.clone(), closed.clone());
        std::thread::Builder::new().name("launcher-replies".into()).stack_size(128 * 1024).spawn(
            move || {
                read_replies(&reader_socket, &reader_pending);
                reader_closed.store(true, Ordering::Release);
                *lock(&reader_pending) = Pending::default();
                let _ = process.wait();
            },
        )?;
        Ok(Connection { socket, pending, closed })
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if let Some(connection) = lock(&self.connection).take() {
            // Wakes the reader thread; the launcher sees the end of the socket and goes.
            let _ = rustix::net::shutdown(&*connection.socket, rustix::net::Shutdown::Both);
        }
    }
}

fn read_replies(socket: &OwnedFd, pending: &Mutex<Pending>) {
    loop {
        let (reply, fds) = match receive::<Reply>(socket) {
            Ok(Some(packet)) => packet,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "launcher connection broken");
                return;
            }
        };
        let mut pending = lock(pending);
        match reply {
            Reply::Exited { token, status } => {
                if let Some(ended) = pending.ends.remove(&token) {
                    let _ = ended.send(status);
                }
            }
            Reply::Failed { token, step, errno } => {
                pending.ends.remove(&token);
                if let Some(answer) = pending.answers.remove(&token) {
                    let cause = io::Error::from_raw_os_error(errno);
                    answer(Err(io::Error::new(cause.kind(), format!("{step}: {cause}"))));
                }
            }
            Reply::Launched { token, .. } | Reply::UserNamespaces { token } | Reply::Done { token } => {
                if let Some(answer) = pending.answers.remove(&token) {
                    answer(Ok((reply, fds)));
                }
            }
        }
    }
}

/// A plan in a memory file: it may be longer than a packet.
fn file_of(plan: &Plan) -> io::Result<File> {
    let mut memory = File::from(memfd_create(c"plan", MemfdFlags::CLOEXEC)?);
    memory.write_all(&serde_json::to_vec(plan)?)?;
    Ok(memory)
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the launcher process is gone")
}

fn unexpected(reply: Reply) -> io::Error {
    io::Error::other(format!("unexpected reply of the launcher: {reply:?}"))
}
