//! The task behind a bash context: runs one text after the other in a session's shell.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::BodyExt;
use memchr::memmem;
use sandkeep_specs::execd::session::RunInSessionRequest;
use tokio::sync::{Notify, mpsc};

use super::worker::{Job, Run};
use crate::session::Sessions;

/// Name of the error event of a run that was interrupted.
const INTERRUPTED: &str = "Interrupted";

/// Name of the error event of a run that could not begin.
const REFUSED: &str = "SessionError";

/// Events of the session's stream that a context's stream has of its own.
const OWN_EVENTS: [&[u8]; 2] = [b"data: {\"type\":\"init\"", b"data: {\"type\":\"ping\""];

/// The event that ends a session's stream well; a context's stream ends with it in any case.
const COMPLETE: &[u8] = b"data: {\"type\":\"execution_complete\"";

/// The state of the task.
#[derive(Debug)]
pub(crate) struct ShellWorker {
    pub(crate) sessions: Sessions,
    /// The session's id, which is the context's too.
    pub(crate) id: String,
    pub(crate) jobs: mpsc::Receiver<Job>,
    /// Wakes whoever runs at the moment.
    pub(crate) interrupt: Arc<Notify>,
}

impl ShellWorker {
    /// Runs jobs until the context is deleted.
    pub(crate) async fn work(mut self) {
        let mut count = 0;
        while let Some(job) = self.jobs.recv().await {
            count += 1;
            let mut run = Run { events: job.events, gone: false, begun: Instant::now() };
            run.count(count).await;
            self.run(job.code, &mut run).await;
            run.complete().await;
        }
    }

    async fn run(&self, command: String, run: &mut Run) {
        let interrupted = self.interrupt.notified();
        let mut interrupted = std::pin::pin!(interrupted);
        // From here on an interrupt is for this run, even while it waits for its client.
        interrupted.as_mut().enable();
        let request = RunInSessionRequest { command, ..RunInSessionRequest::default() };
        let mut events = match self.sessions.run(&self.id, &request).await {
            Ok(events) => events,
            Err(error) => return run.fail(REFUSED, error.to_string()).await,
        };
        loop {
            let frame = tokio::select! {
                biased;
                () = &mut interrupted => None,
                frame = events.frame() => match frame {
                    Some(frame) => frame.ok(),
                    None => return,
                },
            };
            let Some(frame) = frame else {
                // The session takes the end of its stream for the client's wish to stop.
                drop(events);
                return run.fail(INTERRUPTED, "the run was interrupted".to_owned()).await;
            };
            if let Ok(data) = frame.into_data() {
                run.forward(own(&data)).await;
            }
        }
    }
}

/// The events of a frame that belong into the context's stream.
fn own(frame: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame.len());
    let mut rest = frame;
    while !rest.is_empty() {
        let end = memmem::find(rest, b"\n\n").map_or(rest.len(), |at| at + 2);
        let (event, after) = rest.split_at(end);
        if !event.starts_with(COMPLETE) && !OWN_EVENTS.iter().any(|begin| event.starts_with(begin)) {
            out.extend_from_slice(event);
        }
        rest = after;
    }
    out
}

#[cfg(test)]
mod tests {
    use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};

    use super::*;
    use crate::stream::push_event;

    #[test]
    fn only_output_and_errors_are_forwarded() {
        let mut frame = Vec::new();
        for kind in [
            EventKind::Init,
            EventKind::Ping,
            EventKind::Stdout,
            EventKind::Error,
            EventKind::ExecutionComplete,
        ] {
            push_event(&mut frame, &ServerStreamEvent::new(kind, 1).with_text("a"));
        }
        let forwarded = String::from_utf8(own(&frame)).unwrap();
        assert_eq!(forwarded.matches("data: ").count(), 2);
        assert!(forwarded.contains("\"stdout\"") && forwarded.contains("\"error\""));
        assert!(own(b"").is_empty());
    }
}
