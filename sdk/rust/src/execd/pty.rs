//! Terminals in a sandbox.

use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Upgraded;
use sandkeep_specs::execd::pty::{
    ClientFrame, CreatePtyRequest, CreatePtyResponse, PtyStatus, ServerFrame, ServerFrameKind, TAG_REPLAY,
    TAG_STDERR, TAG_STDIN, TAG_STDOUT,
};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::Execd;
use crate::transport::within;
use crate::{Error, Result};

/// Bytes before the replayed output: tag and offset.
const REPLAY_HEAD: usize = 9;

/// What comes from a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PtyEvent {
    /// Output that was there before; the offset is that of its first byte.
    Replay(u64, Bytes),
    /// Output, of both kinds unless the program runs on pipes.
    Output(Bytes),
    /// Standard error of a program that runs on pipes.
    Error(Bytes),
    /// The program has ended with this status: 128 + N after signal N, -1 when the terminal was deleted.
    Exit(i32),
}

/// How to attach to a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PtyAttach {
    /// Offset of the first byte of output to replay.
    pub since: u64,
    /// Replace a client that is attached.
    pub takeover: bool,
    /// Start the program on pipes, with standard error apart, instead of on a terminal.
    pub pipes: bool,
}

/// A client attached to a terminal. Dropping it detaches; the program goes on.
#[derive(Debug)]
pub struct Pty {
    socket: WebSocketStream<Upgraded>,
    limit: std::time::Duration,
}

/// Terminals: made once, attached to as often as one likes.
impl Execd {
    /// Makes a terminal and returns its id; its program starts when a client first attaches.
    ///
    /// # Errors
    ///
    /// 400 if the request is wrong, 429 if there are too many terminals.
    pub async fn create_pty(&self, request: &CreatePtyRequest) -> Result<String> {
        let answer: CreatePtyResponse =
            self.http.json("the terminal", self.http.post(&["pty"]).json(request)).await?;
        Ok(answer.session_id)
    }

    /// Whether a terminal's program runs, and how much it has written.
    ///
    /// # Errors
    ///
    /// 404 if there is no such terminal.
    pub async fn pty_status(&self, id: &str) -> Result<PtyStatus> {
        self.http.json("the terminal's status", self.http.get(&["pty", id])).await
    }

    /// Kills a terminal's program and forgets the terminal.
    ///
    /// # Errors
    ///
    /// 404 if there is no such terminal.
    pub async fn delete_pty(&self, id: &str) -> Result<()> {
        self.http.done(self.http.delete(&["pty", id])).await
    }

    /// Attaches to a terminal. Fails while another client is attached, unless told to take over.
    ///
    /// # Errors
    ///
    /// 404 if there is no such terminal, 409 if another client is attached.
    pub async fn attach_pty(&self, id: &str, attach: PtyAttach) -> Result<Pty> {
        let switch = |on: bool| if on { "1" } else { "0" };
        let query = [
            ("since", attach.since.to_string()),
            ("takeover", switch(attach.takeover).to_owned()),
            ("pty", switch(!attach.pipes).to_owned()),
        ];
        let upgraded = self.http.upgrade(&["pty", id, "ws"], &query).await?;
        let socket = WebSocketStream::from_raw_socket(upgraded, Role::Client, None).await;
        Ok(Pty { socket, limit: self.http.timeouts.request })
    }
}

impl Pty {
    /// What comes next, `None` after the end of the connection. Nothing is lost when the returned future is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the connection broke; the program goes on.
    pub async fn next(&mut self) -> Result<Option<PtyEvent>> {
        loop {
            let message = match self.socket.next().await {
                None | Some(Err(SocketError::ConnectionClosed | SocketError::AlreadyClosed)) => {
                    return Ok(None);
                }
                Some(Err(error)) => return Err(broken(&error)),
                Some(Ok(message)) => message,
            };
            match message {
                Message::Binary(frame) => {
                    if let Some(event) = output(&frame) {
                        return Ok(Some(event));
                    }
                }
                Message::Text(frame) => {
                    let frame: ServerFrame = serde_json::from_str(&frame).map_err(|error| Error::Decode {
                        what: "a terminal's frame",
                        detail: error.to_string(),
                    })?;
                    match (frame.kind, frame.exit_code) {
                        (ServerFrameKind::Exit, Some(code)) => return Ok(Some(PtyEvent::Exit(code))),
                        (ServerFrameKind::Error, _) => {
                            let detail = frame.error.unwrap_or_default();
                            return Err(Error::Decode { what: "the terminal", detail });
                        }
                        _ => {}
                    }
                }
                Message::Close(_) => return Ok(None),
                _ => {}
            }
        }
    }

    /// Passes bytes to the program's standard input.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] if the connection broke, [`Error::Timeout`] if the program does not read.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut frame = BytesMut::with_capacity(bytes.len() + 1);
        frame.put_u8(TAG_STDIN);
        frame.put_slice(bytes);
        self.send(Message::Binary(frame.freeze())).await
    }

    /// Tells the program the terminal's new size.
    ///
    /// # Errors
    ///
    /// As of [`Pty::write`].
    pub async fn resize(&mut self, columns: u16, rows: u16) -> Result<()> {
        let size = ClientFrame { cols: Some(columns), rows: Some(rows), ..frame("resize") };
        self.send_frame(&size).await
    }

    /// Sends a signal to the program: `SIGINT`, `SIGTERM`, `SIGKILL`, `SIGQUIT` or `SIGHUP`.
    ///
    /// # Errors
    ///
    /// As of [`Pty::write`].
    pub async fn signal(&mut self, name: &str) -> Result<()> {
        self.send_frame(&ClientFrame { signal: Some(name.to_owned()), ..frame("signal") }).await
    }

    async fn send_frame(&mut self, frame: &ClientFrame) -> Result<()> {
        let text = serde_json::to_string(frame)
            .map_err(|error| Error::Decode { what: "a terminal's frame", detail: error.to_string() })?;
        self.send(Message::text(text)).await
    }

    async fn send(&mut self, message: Message) -> Result<()> {
        let sent = within(self.limit, "writing to the terminal", self.socket.send(message)).await?;
        sent.map_err(|error| broken(&error))
    }
}

fn output(frame: &Bytes) -> Option<PtyEvent> {
    match *frame.first()? {
        TAG_STDOUT => Some(PtyEvent::Output(frame.slice(1..))),
        TAG_STDERR => Some(PtyEvent::Error(frame.slice(1..))),
        TAG_REPLAY => {
            let offset = frame.get(1..REPLAY_HEAD)?.try_into().ok()?;
            Some(PtyEvent::Replay(u64::from_be_bytes(offset), frame.slice(REPLAY_HEAD..)))
        }
        _ => None,
    }
}

fn frame(kind: &str) -> ClientFrame {
    ClientFrame { kind: kind.to_owned(), data: None, cols: None, rows: None, signal: None }
}

fn broken(error: &SocketError) -> Error {
    Error::Decode { what: "the connection to the terminal", detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_say_what_they_carry() {
        let event = |bytes: &'static [u8]| output(&Bytes::from_static(bytes));
        assert_eq!(event(b"\x01hi"), Some(PtyEvent::Output("hi".into())));
        assert_eq!(event(b"\x02oh"), Some(PtyEvent::Error("oh".into())));
        assert_eq!(event(b"\x03\0\0\0\0\0\0\x01\0x"), Some(PtyEvent::Replay(256, "x".into())));
        assert_eq!(event(b"\x03\0\0"), None);
        assert_eq!(event(b"\x09x"), None);
        assert_eq!(event(b""), None);
    }
}
