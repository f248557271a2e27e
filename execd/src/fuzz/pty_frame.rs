//! Frames of terminals.

use axum::extract::ws::Message;
use bytes::Bytes;

use crate::pty::{
    frame::{Request, binary, output, replay, text},
    replay::Source,
};

/// Frames mean what they say or nothing: input comes through unchanged, sizes and signals are real ones, and what the
/// server sends can be taken apart again.
///
/// # Panics
/// When that does not hold.
pub fn pty_frame(data: &[u8]) {
    match binary(&Bytes::copy_from_slice(data)) {
        Request::Input(input) => assert_eq!((data[0], &data[1..]), (0, &input[..])),
        other => assert_eq!(other, Request::Nothing, "a binary frame is input or nothing"),
    }
    if let Ok(frame) = str::from_utf8(data) {
        check_text(frame);
        // Any text is input when it is sent as such.
        let sent = serde_json::json!({ "type": "stdin", "data": frame }).to_string();
        assert_eq!(text(&sent), Request::Input(Bytes::copy_from_slice(data)));
    }
    let start = data.len() as u64;
    for (message, head) in [
        (output(Source::Stdout, data), vec![1]),
        (output(Source::Stderr, data), vec![2]),
        (replay(start, data), [&[3], &start.to_be_bytes()[..]].concat()),
    ] {
        let Message::Binary(bytes) = message else { panic!("output is binary") };
        assert_eq!(bytes.strip_prefix(&head[..]), Some(data));
    }
}

fn check_text(frame: &str) {
    let json = serde_json::from_str::<serde_json::Value>(frame);
    match text(frame) {
        Request::Nothing => assert!(json.is_err(), "{frame:?} is ignored"),
        Request::Invalid(why) => assert!(!why.is_empty(), "{frame:?} is refused without a reason"),
        Request::Resize { columns, rows } => assert!(columns > 0 && rows > 0, "{frame:?} makes no size"),
        Request::Signal(signal) => {
            let known = [libc::SIGINT, libc::SIGTERM, libc::SIGKILL, libc::SIGQUIT, libc::SIGHUP];
            assert!(known.contains(&signal), "{frame:?} is signal {signal}");
        }
        Request::Input(input) => {
            let json = json.expect("input comes from JSON");
            assert_eq!(json["data"].as_str().unwrap_or_default().as_bytes(), &input[..]);
        }
        Request::Ping => assert_eq!(json.expect("a ping is JSON")["type"], "ping"),
    }
}
