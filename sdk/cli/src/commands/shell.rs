//! An interactive shell: keys go there, the screen comes here.

use std::io::{self, Read as _};

use anyhow::{Context as _, Result};
use sandkeep::{Pty, PtyAttach, PtyEvent, specs::execd::pty::CreatePtyRequest};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};

use super::App;
use crate::{
    args::ShellArgs,
    output,
    terminal::{self, Raw},
};

/// The two keys that leave a shell running: Ctrl-P Ctrl-Q.
const LEAVE: [u8; 2] = [0x10, 0x11];
/// Ctrl-D.
const END_OF_INPUT: u8 = 0x04;
const KEYS: usize = 4096;
/// Reads ahead of what has been passed on.
const AHEAD: usize = 16;

/// How a visit ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Exit(i32),
    Left,
    Broken,
}

pub(crate) async fn shell(app: &App, args: &ShellArgs) -> Result<u8> {
    let sandbox = app.connect(&args.sandbox).await?;
    let execd = sandbox.execd();
    let id = match &args.attach {
        Some(id) => id.clone(),
        None => {
            let request = CreatePtyRequest { cwd: args.workdir.clone(), command: None };
            execd.create_pty(&request).await?
        }
    };
    let attach = PtyAttach { takeover: args.attach.is_some(), ..PtyAttach::default() };
    let mut pty = execd.attach_pty(&id, attach).await?;
    let raw = Raw::enter().context("cannot take over this terminal")?;
    let end = visit(&mut pty).await;
    drop(raw);
    match end? {
        End::Exit(code) => {
            // A terminal whose program is over is of no more use; one that is gone already is fine.
            let _ = execd.delete_pty(&id).await;
            Ok(u8::try_from(code).unwrap_or(1))
        }
        End::Left => {
            eprintln!("left running; come back with: sb shell {} --attach {id}", args.sandbox);
            Ok(0)
        }
        End::Broken => {
            eprintln!("the connection ended; come back with: sb shell {} --attach {id}", args.sandbox);
            Ok(1)
        }
    }
}

async fn visit(pty: &mut Pty) -> Result<End> {
    let mut resized = signal(SignalKind::window_change()).context("cannot watch the window's size")?;
    if let Some((columns, rows)) = terminal::size() {
        pty.resize(columns, rows).await?;
    }
    let mut keys = keyboard();
    let mut leaving = Leaving::default();
    loop {
        tokio::select! {
            event = pty.next() => match event? {
                Some(PtyEvent::Output(bytes) | PtyEvent::Replay(_, bytes) | PtyEvent::Error(bytes)) => {
                    output::write(&bytes)?;
                }
                Some(PtyEvent::Exit(code)) => return Ok(End::Exit(code)),
                Some(_) => {}
                None => return Ok(End::Broken),
            },
            typed = keys.recv() => match typed {
                Some(typed) => {
                    let (pass, left) = leaving.sift(&typed);
                    if !pass.is_empty() {
                        pty.write(&pass).await?;
                    }
                    if left {
                        return Ok(End::Left);
                    }
                }
                // Input that ended, as from a file: the shell is told as a keyboard would tell it.
                None => {
                    pty.write(&[END_OF_INPUT]).await?;
                    while let Some(event) = pty.next().await? {
                        match event {
                            PtyEvent::Output(bytes) | PtyEvent::Replay(_, bytes) => output::write(&bytes)?,
                            PtyEvent::Exit(code) => return Ok(End::Exit(code)),
                            _ => {}
                        }
                    }
                    return Ok(End::Broken);
                }
            },
            Some(()) = resized.recv() => {
                if let Some((columns, rows)) = terminal::size() {
                    pty.resize(columns, rows).await?;
                }
            }
        }
    }
}

/// Keys as they are typed. The thread ends with its input, or with the process.
fn keyboard() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let mut buffer = [0; KEYS];
        loop {
            match io::stdin().read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => {
                    if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
    receiver
}

/// Finds the keys that leave, also when they come one by one.
#[derive(Default)]
struct Leaving {
    first_seen: bool,
}

impl Leaving {
    /// What to pass on of `typed`, and whether the keys to leave were in it; the first one waits for the second.
    fn sift(&mut self, typed: &[u8]) -> (Vec<u8>, bool) {
        let mut pass = Vec::with_capacity(typed.len() + 1);
        for &byte in typed {
            match (self.first_seen, byte) {
                (true, byte) if byte == LEAVE[1] => return (pass, true),
                (true, byte) => {
                    pass.push(LEAVE[0]);
                    self.first_seen = byte == LEAVE[0];
                    if !self.first_seen {
                        pass.push(byte);
                    }
                }
                (false, byte) if byte == LEAVE[0] => self.first_seen = true,
                (false, byte) => pass.push(byte),
            }
        }
        (pass, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_to_leave_are_found_wherever_they_fall() {
        let mut leaving = Leaving::default();
        assert_eq!(leaving.sift(b"ab\x10"), (b"ab".to_vec(), false));
        assert_eq!(leaving.sift(b"\x11x"), (vec![], true));
        let mut leaving = Leaving::default();
        assert_eq!(leaving.sift(b"\x10\x10c"), (b"\x10\x10c".to_vec(), false));
        assert_eq!(leaving.sift(b"a\x10\x11"), (b"a".to_vec(), true));
    }
}
