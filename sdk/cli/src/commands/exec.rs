//! Commands in sandboxes, with this tool's output and exit status.

use std::{
    io::{self, Write as _},
    time::Duration,
};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::stream;
use sandkeep::{
    Body, Command, CreateOptions, Sandbox,
    specs::execd::event::{EventKind, ServerStreamEvent},
};
use tokio::io::AsyncReadExt as _;

use super::{App, sandboxes::options_of};
use crate::args::{Exec, Run};

/// Statuses that shells use for what has no status of its own.
const TIMED_OUT: u8 = 124;
const NOT_STARTED: u8 = 127;
const INTERRUPTED: u8 = 130;
/// Bytes of standard input sent at a time.
const CHUNK: usize = 64 * 1024;

pub(crate) async fn run(app: &App, args: Run) -> Result<u8> {
    let options = options_of(CreateOptions::image(&args.image), args.recipe);
    let sandbox = Sandbox::create(&app.client, options.through_server(app.proxy)).await?;
    let mut command = Command::argv(args.command);
    if let Some(directory) = args.workdir {
        command = command.cwd(directory);
    }
    let status = foreground(&sandbox, command, args.interactive).await;
    if args.keep {
        eprintln!("kept: {}", sandbox.id());
    } else {
        sandbox.delete().await.with_context(|| format!("cannot delete {}", sandbox.id()))?;
    }
    status
}

pub(crate) async fn exec(app: &App, args: Exec) -> Result<u8> {
    let sandbox = app.connect(&args.sandbox).await?;
    if let Some(id) = args.attach {
        return attached(&sandbox, &id).await;
    }
    let mut command = Command::argv(args.command);
    if let Some(directory) = args.workdir {
        command = command.cwd(directory);
    }
    for (name, value) in args.env {
        command = command.env(name, value);
    }
    if let Some(seconds) = args.timeout {
        command = command.timeout(Duration::from_secs(seconds));
    }
    if args.detach {
        let id = sandbox.commands().start(command).await?;
        crate::output::write(format!("{id}\n").as_bytes())?;
        return Ok(0);
    }
    foreground(&sandbox, command, args.interactive).await
}

/// Shows a command's output as it comes and answers its status.
async fn foreground(sandbox: &Sandbox, command: Command, interactive: bool) -> Result<u8> {
    let command = if interactive { command.stdin() } else { command };
    let mut events = sandbox.commands().stream(command).await?;
    let mut id = None;
    let mut interrupts = 0;
    loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event? else { return Err(sandkeep::Error::Incomplete.into()) };
                if event.kind == EventKind::Init && id.is_none() {
                    id.clone_from(&event.text);
                    if let Some(id) = id.clone().filter(|_| interactive) {
                        let execd = sandbox.execd().clone();
                        tokio::spawn(async move {
                            // A command that ended, or that does not read, is told of by its own stream.
                            let body = standard_input();
                            let _ = execd.commands().write_stdin(&id, body, true).await;
                        });
                    }
                }
                match (pass_on(event), &id) {
                    (Ok(None), _) => {}
                    (Ok(Some(status)), _) => return Ok(status),
                    (Err(error), Some(id)) => {
                        // Nobody sees what else it would do.
                        sandbox.commands().interrupt(id).await?;
                        return Err(error);
                    }
                    (Err(error), None) => return Err(error),
                }
            }
            interrupt = tokio::signal::ctrl_c() => {
                interrupt.context("cannot wait for Ctrl-C")?;
                interrupts += 1;
                match &id {
                    Some(id) if interrupts == 1 => sandbox.commands().interrupt(id).await?,
                    _ => return Ok(INTERRUPTED),
                }
            }
        }
    }
}

/// Shows the output of a command that was started before; whoever leaves, leaves it running.
async fn attached(sandbox: &Sandbox, id: &str) -> Result<u8> {
    let mut events = sandbox.commands().attach(id, 0).await?;
    loop {
        tokio::select! {
            event = events.next() => {
                let Some(event) = event? else { return Err(sandkeep::Error::Incomplete.into()) };
                if let Some(status) = pass_on(event)? {
                    return Ok(status);
                }
            }
            interrupt = tokio::signal::ctrl_c() => {
                interrupt.context("cannot wait for Ctrl-C")?;
                return Ok(INTERRUPTED);
            }
        }
    }
}

/// Standard input as it comes.
fn standard_input() -> Body {
    let read = stream::unfold(tokio::io::stdin(), |mut input| async move {
        let mut buffer = vec![0; CHUNK];
        match input.read(&mut buffer).await {
            Ok(0) => None,
            Ok(count) => {
                buffer.truncate(count);
                Some((Ok(Bytes::from(buffer)), input))
            }
            Err(error) => Some((Err::<Bytes, io::Error>(error), input)),
        }
    });
    Body::wrap_stream(read)
}

/// Writes output where it belongs; the answer is the status once the command is over.
fn pass_on(event: ServerStreamEvent) -> Result<Option<u8>> {
    let text = event.text.unwrap_or_default();
    match event.kind {
        EventKind::Stdout => crate::output::pour(text.as_bytes())?,
        EventKind::Stderr => {
            let mut out = io::stderr().lock();
            // Nobody reads it any more: no reason to end the command.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
        EventKind::ExecutionComplete => return Ok(Some(0)),
        EventKind::Error => {
            if event.timed_out == Some(true) {
                eprintln!("sb: the time limit ended it");
                return Ok(Some(TIMED_OUT));
            }
            let problem = event.error.map_or(text, |error| error.evalue);
            return Ok(Some(match problem.parse::<i32>() {
                Ok(code) => u8::try_from(code).unwrap_or(1),
                Err(_) => {
                    eprintln!("sb: {problem}");
                    NOT_STARTED
                }
            }));
        }
        _ => {}
    }
    Ok(None)
}
