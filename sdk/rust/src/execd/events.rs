//! The events of a running command or piece of code.

use bytes::Bytes;
use reqwest::Response;
use sandkeep_specs::execd::error::ErrorBody;
use sandkeep_specs::execd::event::{EventKind, ServerStreamEvent};

use super::Execution;
use crate::transport::{Frames, Framing, Http};
use crate::{Error, Result};

/// Events as they happen. Dropping it stops the listening, not what runs.
pub struct EventStream {
    frames: Frames,
}

impl EventStream {
    pub(super) fn new(http: &Http, response: Response) -> Self {
        Self { frames: Frames::new(http, response) }
    }

    /// The next event, or nothing once the stream has ended.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] after a silence longer than [`crate::Timeouts::idle`]; [`Error::Transport`] if the
    /// connection broke.
    pub async fn next(&mut self) -> Result<Option<ServerStreamEvent>> {
        match self.frames.next().await? {
            Some(frame) => parse(&frame).map(Some),
            None => Ok(None),
        }
    }

    /// Gathers the rest of the stream.
    ///
    /// # Errors
    ///
    /// As of [`EventStream::next`], and [`Error::Incomplete`] if the stream ended before its last event.
    pub async fn collect(mut self) -> Result<Execution> {
        let mut execution = Execution::default();
        while let Some(event) = self.next().await? {
            execution.add(event, self.keeps_line_ends());
        }
        execution.finish()
    }

    /// The text of the first event: the id of the command or context.
    pub(super) async fn init(&mut self) -> Result<String> {
        while let Some(event) = self.next().await? {
            if let (EventKind::Init, Some(id)) = (event.kind, event.text) {
                return Ok(id);
            }
        }
        Err(Error::Incomplete)
    }

    /// Daemons that send bare objects cut the line ends off.
    fn keeps_line_ends(&self) -> bool {
        self.frames.framing() == Framing::Events
    }
}

/// An event, or the error object that a daemon puts in a stream when it fails midway.
fn parse(frame: &Bytes) -> Result<ServerStreamEvent> {
    serde_json::from_slice(frame).map_err(|error| match serde_json::from_slice::<ErrorBody>(frame) {
        // The stream's status was sent long ago; 500 stands for a failure that came later.
        Ok(body) => Error::Api { status: 500, code: body.code, message: body.message, request_id: None },
        Err(_) => Error::Decode { what: "an event", detail: error.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_failures_are_told_apart() {
        let event = parse(&Bytes::from_static(br#"{"type":"stdout","text":"hi\n","timestamp":1}"#)).unwrap();
        assert_eq!((event.kind, event.text.as_deref()), (EventKind::Stdout, Some("hi\n")));
        let failure =
            parse(&Bytes::from_static(br#"{"code":"RUNTIME_ERROR","message":"busy"}"#)).unwrap_err();
        assert_eq!(failure.code(), Some("RUNTIME_ERROR"));
        assert!(matches!(parse(&Bytes::from_static(b"{}")), Err(Error::Decode { .. })));
    }
}
