//! The agent at work: the same service as execd's own, for one session, over a socket that only execd reaches.

use std::{
    env, io,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    process::ExitCode,
};

use rustix::io::{FdFlags, fcntl_setfd};
use sandkeep_specs::execd::session::CreateSessionRequest;
use tokio::{
    io::AsyncReadExt,
    signal::unix::{SignalKind, signal},
};

use super::report;
use crate::{
    api,
    isolated::plan::{Plan, Report, Walls},
    process::{self, Identity},
    settings::Settings,
    state::AppState,
};

/// Serves until execd closes the channel; all processes of the session end with this one.
pub(super) fn serve(plan: &Plan, channel: UnixStream, walls: Walls) -> ExitCode {
    if plan.probe {
        let sent = report(&channel, &Report::Ready { session: None, walls });
        return if sent.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    // SAFETY: execd passes the socket as descriptor 3, and nothing else here uses it.
    let listener = unsafe { OwnedFd::from_raw_fd(3) };
    let ended = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .and_then(|runtime| runtime.block_on(work(plan, channel, listener.into(), walls)));
    if ended.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn work(plan: &Plan, channel: UnixStream, listener: UnixListener, walls: Walls) -> io::Result<()> {
    // Commands get their own input; the channel is not theirs.
    let channel = UnixStream::from(rustix::io::fcntl_dupfd_cloexec(&channel, 4)?);
    fcntl_setfd(&listener, FdFlags::CLOEXEC)?;
    let mut children = signal(SignalKind::child())?;
    tokio::spawn(async move {
        while children.recv().await.is_some() {
            process::reap_orphans();
        }
    });
    let identity = plan.identity.clone().map(|(uid, gid, groups)| Identity { uid, gid, groups });
    let state = AppState::new(Settings {
        access_token: None,
        env_file: None,
        identity,
        cwd: plan.cwd.clone(),
        env: env::vars_os().collect(),
        owner: Default::default(),
    });
    let made = state.sessions.create(&CreateSessionRequest { cwd: None });
    listener.set_nonblocking(true)?;
    let listener = tokio::net::UnixListener::from_std(listener)?;
    match made {
        Ok(session) => report(&channel, &Report::Ready { session: Some(session), walls })?,
        Err(error) => {
            report(&channel, &Report::Refused(error.to_string()))?;
            return Ok(());
        }
    }
    tokio::spawn(state.commands.clone().sweep_forever());
    channel.set_nonblocking(true)?;
    let mut channel = tokio::net::UnixStream::from_std(channel)?;
    let (service, _) = api::service(state);
    let served = axum::serve(listener, service).into_future();
    tokio::select! {
        served = served => served,
        // Nothing more is said on it: it ends when execd lets go of the session or has ended itself.
        _ = channel.read_u8() => Ok(()),
    }
}
