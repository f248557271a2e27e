//! Moves a program's output into the terminal's buffer until the program has ended.

use std::{future::pending, os::fd::OwnedFd, sync::Arc, time::Duration};

use tokio::{
    io::unix::AsyncFd,
    time::{Instant, sleep_until},
};

use super::{
    replay::{REPLAY_BYTES, Source},
    terminal::Terminal,
};
use crate::process::Child;

/// Bytes read at once.
const READ_BYTES: usize = 32 * 1024;

/// After the program's end its output is read for this long while another process holds it open.
const OUTPUT_GRACE: Duration = Duration::from_millis(100);

/// Exit code reported when nobody saw how the program ended.
const UNSEEN: i32 = -1;

/// One stream of output; `None` at its end.
type Output = Option<Arc<AsyncFd<OwnedFd>>>;

/// Runs until the program has ended, then tells the terminal.
pub(super) async fn run(terminal: Arc<Terminal>, mut child: Child, mut outputs: [Output; 2]) {
    let mut changed = terminal.changes();
    let mut buffer = vec![0; READ_BYTES];
    let status = loop {
        let [stdout, stderr] = &mut outputs;
        // A client that does not keep up holds the program back rather than fill memory.
        let open = terminal.takes_output();
        tokio::select! {
            biased;
            status = child.wait() => break status,
            count = read(stdout, stderr, &mut buffer), if open => push(&terminal, count, &buffer),
            _ = changed.changed(), if !open => {}
        }
    };
    let until = Instant::now() + OUTPUT_GRACE;
    let mut left = REPLAY_BYTES;
    while left > 0 && outputs.iter().any(Option::is_some) {
        let [stdout, stderr] = &mut outputs;
        tokio::select! {
            biased;
            (source, count) = read(stdout, stderr, &mut buffer) => {
                left = left.saturating_sub(count);
                push(&terminal, (source, count), &buffer);
            }
            () = sleep_until(until) => break,
        }
    }
    drop(outputs);
    terminal.ended(status.map_or(UNSEEN, |status| status.code()));
}

fn push(terminal: &Terminal, (source, count): (Source, usize), buffer: &[u8]) {
    if count > 0 {
        terminal.push(source, &buffer[..count]);
    }
}

/// Reads from whichever has something; a count of zero is the end of one. May be cancelled without loss.
async fn read(stdout: &mut Output, stderr: &mut Output, buffer: &mut [u8]) -> (Source, usize) {
    let source = tokio::select! {
        () = readable(stdout) => Source::Stdout,
        () = readable(stderr) => Source::Stderr,
    };
    let output = match source {
        Source::Stdout => stdout,
        Source::Stderr => stderr,
    };
    (source, read_ready(output, buffer))
}

async fn readable(output: &Output) {
    let Some(output) = output else { return pending().await };
    // Should the runtime fail to tell, the read will.
    if let Ok(mut ready) = output.readable().await {
        ready.retain_ready();
    }
}

fn read_ready(output: &mut Output, buffer: &mut [u8]) -> usize {
    let Some(open) = output else { return 0 };
    let mut count = 0;
    let read = open.try_io(tokio::io::Interest::READABLE, |open| {
        count = rustix::io::read(open, &mut *buffer)?;
        Ok(())
    });
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return 0,
        // A terminal whose last program has gone reports an error instead of an end.
        Err(_) => *output = None,
        Ok(()) if count == 0 => *output = None,
        Ok(()) => {}
    }
    count
}
