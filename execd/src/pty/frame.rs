//! Frames as they go over the WebSocket.

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes};
use bytes::Bytes;
use sandkeep_specs::execd::pty::{
    ClientFrame, FrameError, Mode, ServerFrame, ServerFrameKind, TAG_REPLAY, TAG_STDERR, TAG_STDIN,
    TAG_STDOUT,
};

use super::replay::Source;

/// Close code after the program's end.
const CLOSE_EXITED: u16 = 1000;

/// Close code of a client that another one replaced.
const CLOSE_TAKEN_OVER: u16 = 4001;

/// What a client asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Input(Bytes),
    Resize {
        columns: u16,
        rows: u16,
    },
    Signal(i32),
    Ping,
    /// Nothing, as the contract has it for frames of other kinds.
    Nothing,
    /// Something not understood; why.
    Invalid(String),
}

/// Reads a binary frame.
pub(crate) fn binary(frame: &Bytes) -> Request {
    match frame.first() {
        Some(&TAG_STDIN) => Request::Input(frame.slice(1..)),
        _ => Request::Nothing,
    }
}

/// Reads a text frame.
pub(crate) fn text(frame: &str) -> Request {
    let Ok(json) = serde_json::from_str::<serde_json::Value>(frame) else { return Request::Nothing };
    match serde_json::from_value::<ClientFrame>(json) {
        Ok(frame) => request(frame),
        Err(error) => Request::Invalid(format!("frame: {error}")),
    }
}

fn request(frame: ClientFrame) -> Request {
    match (frame.kind.as_str(), frame.cols, frame.rows) {
        ("stdin", ..) => Request::Input(frame.data.unwrap_or_default().into()),
        ("resize", Some(columns @ 1..), Some(rows @ 1..)) => Request::Resize { columns, rows },
        ("resize", ..) => Request::Invalid("resize needs cols and rows from 1 to 65535".to_owned()),
        ("signal", ..) => signal(frame.signal.as_deref().unwrap_or_default()),
        ("ping", ..) => Request::Ping,
        (kind, ..) => Request::Invalid(format!("unknown frame type {kind:?}")),
    }
}

fn signal(name: &str) -> Request {
    Request::Signal(match name {
        "SIGINT" => libc::SIGINT,
        "SIGTERM" => libc::SIGTERM,
        "SIGKILL" => libc::SIGKILL,
        "SIGQUIT" => libc::SIGQUIT,
        "SIGHUP" => libc::SIGHUP,
        other => return Request::Invalid(format!("unknown signal {other:?}")),
    })
}

/// A frame of live output.
pub(crate) fn output(source: Source, bytes: &[u8]) -> Message {
    let tag = match source {
        Source::Stdout => TAG_STDOUT,
        Source::Stderr => TAG_STDERR,
    };
    Message::Binary([&[tag], bytes].concat().into())
}

/// The frame of kept output that begins with byte number `start`.
pub(crate) fn replay(start: u64, bytes: &[u8]) -> Message {
    Message::Binary([&[TAG_REPLAY], &start.to_be_bytes()[..], bytes].concat().into())
}

pub(crate) fn connected(id: &str, mode: Mode) -> Message {
    let mut frame = ServerFrame::new(ServerFrameKind::Connected);
    frame.session_id = Some(id.to_owned());
    frame.mode = Some(mode);
    message(&frame)
}

pub(crate) fn pong() -> Message {
    message(&ServerFrame::new(ServerFrameKind::Pong))
}

pub(crate) fn error(code: FrameError, text: impl Into<String>) -> Message {
    message(&ServerFrame::error(code, text))
}

pub(crate) fn exit(code: i32) -> Message {
    let mut frame = ServerFrame::new(ServerFrameKind::Exit);
    frame.exit_code = Some(code);
    message(&frame)
}

pub(crate) fn close_exited() -> Message {
    close(CLOSE_EXITED, "process exited")
}

pub(crate) fn close_taken_over() -> Message {
    close(CLOSE_TAKEN_OVER, "TAKEN_OVER")
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) }))
}

fn message(frame: &ServerFrame) -> Message {
    // Its members are strings and numbers, so that it can always be written.
    Message::Text(serde_json::to_string(frame).unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn client_frames() {
        assert_eq!(text(r#"{"type":"stdin","data":"ls\n"}"#), Request::Input("ls\n".into()));
        assert_eq!(
            text(r#"{"type":"resize","cols":100,"rows":30}"#),
            Request::Resize { columns: 100, rows: 30 }
        );
        assert_eq!(text(r#"{"type":"signal","signal":"SIGINT"}"#), Request::Signal(libc::SIGINT));
        assert_eq!(text(r#"{"type":"ping"}"#), Request::Ping);
        assert_eq!(binary(&Bytes::from_static(b"\0abc")), Request::Input("abc".into()));
    }

    #[test]
    fn broken_json_and_other_tags_are_ignored_and_unknown_frames_named() {
        for broken in ["", "{", "{\"type\"", "nonsense"] {
            assert_eq!(text(broken), Request::Nothing);
        }
        assert_eq!(binary(&Bytes::from_static(b"\x01abc")), Request::Nothing);
        assert_eq!(binary(&Bytes::new()), Request::Nothing);
        for invalid in [
            r#"{"type":"dance"}"#,
            "{}",
            "[]",
            "7",
            r#"{"type":"resize","cols":0,"rows":1}"#,
            r#"{"type":"resize","cols":70000,"rows":1}"#,
            r#"{"type":"resize"}"#,
            r#"{"type":"signal","signal":"SIGSTOP"}"#,
            r#"{"type":"signal"}"#,
        ] {
            assert!(matches!(text(invalid), Request::Invalid(_)), "{invalid}");
        }
    }

    #[test]
    fn server_frames() {
        assert_eq!(replay(258, b"ab"), Message::Binary(b"\x03\0\0\0\0\0\0\x01\x02ab".as_slice().into()));
        assert_eq!(output(Source::Stderr, b"e"), Message::Binary(b"\x02e".as_slice().into()));
        assert_eq!(
            connected("i", Mode::Pipe),
            Message::Text(r#"{"type":"connected","session_id":"i","mode":"pipe"}"#.into())
        );
        assert_eq!(exit(-1), Message::Text(r#"{"type":"exit","exit_code":-1}"#.into()));
        assert_eq!(
            error(FrameError::StartFailed, "no"),
            Message::Text(r#"{"type":"error","error":"no","code":"START_FAILED"}"#.into())
        );
    }

    proptest! {
        #[test]
        fn no_frame_makes_it_panic(string in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            text(&string);
            text(&format!("{{\"type\":{string:?}}}"));
            binary(&bytes.into());
        }
    }
}
