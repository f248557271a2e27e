//! From the command line to a daemon that runs, and its end.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt, io,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{FromRawFd, OwnedFd, RawFd},
    path::PathBuf,
    time::Duration,
};

use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, sockopt},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};
use tokio::{sync::oneshot, time::sleep};

use super::{init, log, prelude, server, standby, trust};
use crate::{
    api,
    cli::Cli,
    hooks::{self, Hook, Hooks, Surroundings},
    metrics::{self, Gauges},
    process::{self, Program},
    reason::reason,
    settings::Settings,
    state::AppState,
    users,
};

/// Connections the kernel may hold before they are accepted.
const BACKLOG: i32 = 4096;

/// Number of the first file of the control group that is handed to us.
const FIRST_GAUGE: RawFd = 4;

/// Threads for work on files that may take long.
const BLOCKING_THREADS: usize = 8;

/// They end after this long without work.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Work on files that is not done by then is abandoned at the end.
const BLOCKING_GRACE: Duration = Duration::from_millis(200);

/// Routes that nobody has asked for yet are built this long after the start, out of its way.
const BUILD_AFTER: Duration = Duration::from_millis(20);

/// What an image that says nothing about it gets as `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why the daemon could not begin.
#[derive(Debug)]
pub struct StartFailure {
    /// 2 for a wrong command line or environment, 1 for the system's refusals.
    pub status: u8,
    pub(super) message: String,
}

impl StartFailure {
    fn usage(message: impl Into<String>) -> Self {
        Self { status: 2, message: message.into() }
    }

    pub(super) fn system(what: &str, error: &io::Error) -> Self {
        Self { status: 1, message: format!("{what}: {}", reason(error)) }
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Runs the daemon to its end; the result is its exit status.
pub fn start(mut cli: Cli) -> Result<u8, StartFailure> {
    log::start(cli.log_level, cli.log_file.as_deref()).map_err(|error| {
        StartFailure::usage(format!("log file {}: {}", shown(cli.log_file.as_ref()), reason(&error)))
    })?;
    prelude::run(&mut cli)?;
    let ready = cli.ready_fd.map(|number| take_descriptor(RawFd::from(number))).transpose()?;
    let gauges = (FIRST_GAUGE..).zip(&cli.gauges).map(|(number, name)| {
        let file = take_descriptor(number).map_err(|_| {
            StartFailure::usage(format!("--gauges: descriptor {number} ({name}) is not open"))
        })?;
        Ok((name.clone(), file))
    });
    metrics::hand_over(Gauges::new(gauges.collect::<Result<Vec<_>, StartFailure>>()?));
    close_inherited_on_exec();
    expect_children();
    raise_descriptor_limit();
    let settings = settings(&cli)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .build()
        .map_err(|error| StartFailure::system("cannot start the event loop", &error))?;
    let status = runtime.block_on(run(cli, settings, ready));
    runtime.shutdown_timeout(BLOCKING_GRACE);
    status
}

async fn run(cli: Cli, mut settings: Settings, ready: Option<OwnedFd>) -> Result<u8, StartFailure> {
    let mut signals = init::Signals::for_daemon(cli.init && (cli.standby || !cli.entrypoint.is_empty()))
        .and_then(|signals| if cli.init { init::reap_forever().map(|()| signals) } else { Ok(signals) })
        .map_err(|error| StartFailure::system("cannot handle signals", &error))?;
    // Only a first process has a sandbox's life to take care of.
    let wanted =
        if cli.init { Hooks::of(&settings.env).map_err(StartFailure::usage)? } else { Hooks::default() };
    if cli.init && trust::is_wanted(&settings.env) {
        tokio::select! {
            () = trust::establish(&mut settings.env) => {}
            number = signals.next_ending() => return Ok(u8::try_from(128 + number).unwrap_or(u8::MAX)),
        }
    }
    let surroundings = Surroundings::of(&settings);
    let listener = listen(&settings, cli.port)?;
    let entrypoint = Program {
        argv: cli.entrypoint,
        env: settings.env.clone(),
        cwd: settings.cwd.clone(),
        identity: settings.identity.clone(),
    };
    let mut state = AppState::new(settings);
    let (standby, mut owners) = standby::open();
    state.standby = cli.standby.then_some(standby);
    let (stop, stopped) = oneshot::channel();
    let grace = cli.graceful_shutdown_timeout;
    let stopped = async move { stopped.await.unwrap_or_default() };
    let (service, build_rest) = api::service(state.clone());
    let standing = state.clone();
    let stands_by = move || standing.stands_by();
    let server = tokio::spawn(server::serve(listener, service, stands_by, stopped));
    if let Some(hook) = &wanted.pre_start
        && let Err(status) = before_start(hook, &surroundings, &mut signals).await
    {
        return Ok(u8::try_from(status & 0xff).unwrap_or(u8::MAX));
    }
    let entrypoint = match entrypoint.argv.is_empty() {
        true => None,
        false => match init::Entrypoint::start(&entrypoint) {
            Ok(running) => Some(running),
            Err((status, message)) => {
                tracing::error!("{message}");
                return Ok(u8::try_from(status & 0xff).unwrap_or(u8::MAX));
            }
        },
    };
    if let Some(ready) = ready {
        // Connections queue from here on, and the entrypoint is known to be one that starts. A runtime that does
        // not wait for the byte is no reason to stop.
        let _ = rustix::io::write(&ready, b"1");
    }
    tokio::spawn(state.commands.clone().sweep_forever());
    crate::code::compat::listen().await;
    state.code.prestart(&cli.prestart).await;
    let standing_by = cli.standby.then(|| state.settings.clone());
    tokio::spawn(async move {
        sleep(BUILD_AFTER).await;
        build_rest();
        if let Some(settings) = standing_by {
            standby::rehearse(cli.port, &settings).await;
        }
    });
    tokio::spawn(stay_small(state.clone()));
    for periodic in wanted.periodic {
        tokio::spawn(hooks::repeat(periodic, surroundings.clone()));
    }
    tracing::info!(port = cli.port, init = cli.init, "execd listens");
    let status = match entrypoint {
        Some(running) => running.run(&mut signals, &mut owners).await,
        None => tokio::select! {
            number = signals.next_ending() => {
                tracing::info!(signal = number, "asked to end");
                0
            }
            running = owners.next() => running.run(&mut signals, &mut owners).await,
        },
    };
    if init::is_first_process() {
        init::end_all(grace).await
    } else {
        state.commands.shutdown(grace).await;
        tokio::join!(state.sessions.shutdown(), state.terminals.shutdown(), state.isolated.shutdown());
    }
    // The server only listens as long as the receiver exists; both are ours.
    let _ = stop.send(grace);
    let _ = server.await;
    Ok(u8::try_from(status & 0xff).unwrap_or(u8::MAX))
}

/// Gives memory back whenever there is nothing to do. Before there is an owner everything stays at hand for him.
async fn stay_small(state: AppState) {
    if let Some(standby) = &state.standby {
        standby.handed_over().await;
    }
    sandkeep_idle::release_when_idle(state.activity).await;
}

/// Runs what comes before the entrypoint; an error is the exit status of a sandbox that does not start.
async fn before_start(
    hook: &Hook,
    surroundings: &Surroundings,
    signals: &mut init::Signals,
) -> Result<(), i32> {
    tokio::select! {
        ended = hook.run(surroundings) => ended.map_err(|problem| {
            tracing::error!("preStart hook: {problem}");
            problem.code()
        }),
        number = signals.next_ending() => {
            tracing::info!(signal = number, "asked to end before the start");
            Err(128 + number)
        }
    }
}

fn shown(path: Option<&PathBuf>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

/// What the command line and the environment say.
fn settings(cli: &Cli) -> Result<Settings, StartFailure> {
    if !cli.entrypoint.is_empty() && !cli.init {
        return Err(StartFailure::usage("an entrypoint needs --init"));
    }
    let account = cli.user.as_deref().map(users::by_specification).transpose();
    let account = account.map_err(|error| StartFailure::usage(format!("--user: {error}")))?;
    let mut env: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    // A command that runs execd must not make it a first process, nor look for descriptors that only we have.
    env.remove(OsStr::new("EXECD_INIT"));
    env.remove(OsStr::new("EXECD_GAUGES"));
    if cli.init {
        let home = account
            .as_ref()
            .and_then(|account| account.entry.as_ref())
            .map_or("/".into(), |(_, home)| home.into());
        env.entry("HOME".into()).or_insert(home);
        env.entry("PATH".into()).or_insert(DEFAULT_PATH.into());
    }
    let cwd = match &cli.cwd {
        Some(cwd) if !cwd.is_absolute() => {
            return Err(StartFailure::usage(format!("--cwd {}: must be an absolute path", cwd.display())));
        }
        Some(cwd) => cwd.clone(),
        None => std::env::current_dir().unwrap_or_else(|_| "/".into()),
    };
    Ok(Settings {
        access_token: cli.access_token.clone().filter(|token| !token.is_empty()),
        env_file: cli.env_file.clone().filter(|path| !path.as_os_str().is_empty()),
        identity: account.map(|account| account.identity),
        cwd,
        env,
        owner: Default::default(),
    })
}

/// Listens on all IPv4 addresses, or on loopback when requests need no token.
fn listen(settings: &Settings, port: u16) -> Result<tokio::net::TcpListener, StartFailure> {
    let address = if settings.access_token.is_some() {
        Ipv4Addr::UNSPECIFIED
    } else {
        tracing::warn!("no access token is set: listening on 127.0.0.1 only");
        Ipv4Addr::LOCALHOST
    };
    let address = SocketAddrV4::new(address, port);
    let bind = || -> io::Result<_> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        tokio::net::TcpListener::from_std(socket.into())
    };
    bind().map_err(|error| StartFailure::system(&format!("cannot listen on {address}"), &error))
}

/// Takes a descriptor over from whoever started us.
fn take_descriptor(number: RawFd) -> Result<OwnedFd, StartFailure> {
    // SAFETY: only asks whether the number is an open descriptor.
    let open = unsafe { libc::fcntl(number, libc::F_GETFD) } >= 0;
    if number <= 2 || !open {
        return Err(StartFailure::usage(format!("--ready-fd {number}: not an open descriptor above 2")));
    }
    // SAFETY: it is open, was given to us by number for this purpose, and nothing else here uses it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Descriptors that whoever started us left open are not for our children.
fn close_inherited_on_exec() {
    // SAFETY: plain system call that only sets flags of descriptors.
    unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
}

/// Whoever started us may have ignored the end of children, and then the kernel would not keep their statuses.
fn expect_children() {
    // SAFETY: restores a default disposition; no handler is involved.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
}

/// Raises our own limit as far as it goes; children get the original one back.
fn raise_descriptor_limit() {
    process::remember_nofile();
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}
