//! One terminal: its output, its program while one runs, and the one client that may be attached.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandkeep_specs::execd::pty::{Mode, PtyStatus};
use tokio::{sync::watch, time::timeout};

use super::{
    process::{self, Process},
    pump,
    replay::{Replay, Source},
};
use crate::{
    session::{Family, SessionError},
    settings::Settings,
};

/// A client may be this far behind the output before the program has to wait for it.
const WINDOW_BYTES: u64 = 256 * 1024;

/// A client that is replaced has left within this time.
const TAKEOVER_LIMIT: Duration = Duration::from_secs(5);

/// A terminal. Its program is started when a client first attaches, and anew when one attaches after its end.
#[derive(Debug)]
pub(super) struct Terminal {
    pub(super) id: String,
    cwd: PathBuf,
    command: Option<String>,
    settings: Arc<Settings>,
    state: Mutex<State>,
    /// Told of every change of the state.
    changed: watch::Sender<()>,
}

#[derive(Debug)]
struct State {
    replay: Replay,
    family: Family,
    process: Option<Arc<Process>>,
    /// Programs started so far.
    starts: u64,
    /// Exit code of the last one.
    exit_code: Option<i32>,
    client: Option<Client>,
    /// Clients attached so far.
    clients: u64,
    /// Clients that wait to replace the attached one.
    challengers: usize,
    deleted: bool,
}

#[derive(Debug)]
struct Client {
    number: u64,
    /// The next byte to send to it.
    cursor: u64,
}

/// Why an attached client has to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    TakenOver,
    Deleted,
}

/// What an attached client sees first.
#[derive(Debug)]
pub(super) struct View {
    pub(super) process: Arc<Process>,
    /// Which start of a program this is.
    pub(super) start: u64,
    /// Kept output, and the number of its first byte.
    pub(super) replay: (u64, Vec<u8>),
}

/// Why a client could not be attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    Deleted,
    NotStarted(String),
}

/// What an attached client is to be sent next.
#[derive(Debug)]
pub(super) enum Next {
    Output(Source, Vec<u8>),
    Exit(i32),
}

impl Terminal {
    pub(super) fn new(id: String, cwd: PathBuf, command: Option<String>, settings: Arc<Settings>) -> Self {
        let state = State {
            replay: Replay::default(),
            family: Family::new(&id),
            process: None,
            starts: 0,
            exit_code: None,
            client: None,
            clients: 0,
            challengers: 0,
            deleted: false,
        };
        Self { id, cwd, command, settings, state: Mutex::new(state), changed: watch::channel(()).0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn status(&self) -> PtyStatus {
        let state = self.state();
        PtyStatus {
            session_id: self.id.clone(),
            running: state.process.is_some(),
            output_offset: i64::try_from(state.replay.end()).unwrap_or(i64::MAX),
        }
    }

    /// Kills the program and everything it started; an attached client is told.
    pub(super) async fn delete(&self) {
        let family = {
            let mut state = self.state();
            state.deleted = true;
            state.family.clone()
        };
        self.changed.send_replace(());
        family.kill_all().await;
    }

    // What the program's side needs.

    /// Whether more output may be read: nobody is attached, or the client keeps up.
    pub(super) fn takes_output(&self) -> bool {
        let state = self.state();
        state.client.as_ref().is_none_or(|client| state.replay.end() - client.cursor < WINDOW_BYTES)
    }

    pub(super) fn push(&self, source: Source, bytes: &[u8]) {
        self.state().replay.push(source, bytes);
        self.changed.send_replace(());
    }

    pub(super) fn ended(&self, code: i32) {
        {
            let mut state = self.state();
            state.process = None;
            state.exit_code = Some(code);
        }
        self.changed.send_replace(());
    }

    // What clients need.

    /// Takes the seat of the client, or a ticket to replace the one that has it.
    pub(super) fn reserve(self: &Arc<Self>, takeover: bool) -> Result<Reservation, SessionError> {
        let mut state = self.state();
        if state.deleted {
            return Err(SessionError::Unknown(self.id.clone()));
        }
        if state.client.is_none() {
            return Ok(Reservation::Seat(state.seat(self)));
        }
        if !takeover {
            return Err(SessionError::Attached(self.id.clone()));
        }
        Ok(Reservation::Challenge(Arc::clone(self)))
    }

    /// Waits until the client has to leave.
    pub(super) async fn must_leave(&self) -> Leave {
        let mut changed = self.changes();
        loop {
            {
                let state = self.state();
                if state.deleted {
                    return Leave::Deleted;
                }
                if state.challengers > 0 {
                    return Leave::TakenOver;
                }
            }
            // The sender is part of this terminal, so waiting cannot fail.
            let _ = changed.changed().await;
        }
    }
}

impl State {
    fn seat(&mut self, terminal: &Arc<Terminal>) -> Seat {
        self.clients += 1;
        self.client = Some(Client { number: self.clients, cursor: self.replay.end() });
        Seat { terminal: Arc::clone(terminal), number: self.clients }
    }
}

/// A client's place, or the right to fight for it.
#[derive(Debug)]
pub(super) enum Reservation {
    Seat(Seat),
    Challenge(Arc<Terminal>),
}

impl Reservation {
    pub(super) fn terminal(&self) -> &Arc<Terminal> {
        match self {
            Self::Seat(seat) => &seat.terminal,
            Self::Challenge(terminal) => terminal,
        }
    }

    /// The seat; `None` when the client that has it does not leave.
    pub(super) async fn seat(self) -> Option<Seat> {
        match self {
            Self::Seat(seat) => Some(seat),
            Self::Challenge(terminal) => timeout(TAKEOVER_LIMIT, challenge(&terminal)).await.ok(),
        }
    }
}

async fn challenge(terminal: &Arc<Terminal>) -> Seat {
    /// Counts as challenger until dropped.
    struct Challenger<'a>(&'a Terminal);
    impl Drop for Challenger<'_> {
        fn drop(&mut self) {
            self.0.state().challengers -= 1;
        }
    }
    let mut changed = terminal.changes();
    terminal.state().challengers += 1;
    let challenger = Challenger(terminal);
    terminal.changed.send_replace(());
    loop {
        let seat = {
            let mut state = terminal.state();
            state.client.is_none().then(|| state.seat(terminal))
        };
        if let Some(seat) = seat {
            drop(challenger);
            return seat;
        }
        let _ = changed.changed().await;
    }
}

/// The place of the attached client; free again when dropped.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) terminal: Arc<Terminal>,
    number: u64,
}

impl Seat {
    /// Begins to watch from byte number `since`; starts the program when none runs.
    pub(super) fn attach(&self, since: u64, mode: Mode) -> Result<View, Refusal> {
        let terminal = &self.terminal;
        let mut state = terminal.state();
        if state.deleted {
            return Err(Refusal::Deleted);
        }
        let replay = state.replay.since(since);
        let end = state.replay.end();
        if let Some(client) = &mut state.client {
            client.cursor = end;
        }
        if let Some(process) = &state.process {
            return Ok(View { process: Arc::clone(process), start: state.starts, replay });
        }
        let command = terminal.command.as_deref();
        let started = process::start(&terminal.id, command, &terminal.cwd, mode, &terminal.settings)
            .map_err(Refusal::NotStarted)?;
        let process = Arc::new(started.process);
        state.family.set_leader(started.child.pid());
        state.process = Some(Arc::clone(&process));
        state.starts += 1;
        state.exit_code = None;
        tokio::spawn(pump::run(Arc::clone(terminal), started.child, started.outputs));
        Ok(View { process, start: state.starts, replay })
    }

    /// What is to be sent next, if anything; it counts as sent.
    pub(super) fn next(&self, start: u64, limit: usize) -> Option<Next> {
        let next = {
            let mut state = self.terminal.state();
            let State { replay, client, .. } = &mut *state;
            let client = client.as_mut().filter(|client| client.number == self.number)?;
            match replay.next(client.cursor, limit) {
                Some((cursor, source, bytes)) => {
                    client.cursor = cursor;
                    Some(Next::Output(source, bytes))
                }
                None if state.starts == start => state.exit_code.map(Next::Exit),
                None => None,
            }
        };
        if matches!(next, Some(Next::Output(..))) {
            // The program may have been waiting for this.
            self.terminal.changed.send_replace(());
        }
        next
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        {
            let mut state = self.terminal.state();
            if state.client.as_ref().is_some_and(|client| client.number == self.number) {
                state.client = None;
            }
        }
        self.terminal.changed.send_replace(());
    }
}
