//! A client with a terminal emulator.

use std::{
    num::NonZero,
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt};
use hyper::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::CloseFrame},
};

use crate::support::{Execd, PATIENCE, TOKEN};

/// Makes a terminal.
pub async fn create(execd: &Execd, body: Value) -> String {
    let (status, answer) = execd.call(Method::POST, "/pty", body.to_string()).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    serde_json::from_str::<Value>(&answer).unwrap()["session_id"].as_str().unwrap().to_owned()
}

/// What the server sends.
#[derive(Debug, PartialEq)]
pub enum Frame {
    Output(Vec<u8>),
    Errors(Vec<u8>),
    Replay(u64, Vec<u8>),
    Text(Value),
    Close(Option<(u16, String)>),
}

pub struct Client {
    socket: WebSocketStream<TcpStream>,
    screen: vt100::Parser,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

async fn open(execd: &Execd, id: &str, query: &str, token: Option<&str>) -> Result<Client, Box<Error>> {
    let mut request = format!("ws://execd/pty/{id}/ws{query}").into_client_request().unwrap();
    if let Some(token) = token {
        request.headers_mut().insert("X-EXECD-ACCESS-TOKEN", token.parse().unwrap());
    }
    let stream = TcpStream::connect(execd.address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let opened = timeout(PATIENCE, client_async(request, stream)).await.expect("an answer in time");
    let (socket, response) = opened.map_err(Box::new)?;
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    Ok(Client {
        socket,
        screen: vt100::Parser::new(cells(24), cells(80), 0),
        stdout: Vec::new(),
        stderr: Vec::new(),
    })
}

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).unwrap()
}

impl Client {
    pub async fn attach(execd: &Execd, id: &str, query: &str) -> Self {
        Self::try_attach(execd, id, query).await.unwrap()
    }

    pub async fn try_attach(execd: &Execd, id: &str, query: &str) -> Result<Self, Box<Error>> {
        open(execd, id, query, Some(TOKEN)).await
    }

    /// The answer of a server that must not accept.
    pub async fn refused(execd: &Execd, id: &str, query: &str) -> (StatusCode, String) {
        match open(execd, id, query, Some(TOKEN)).await.err().map(|error| *error) {
            Some(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                (response.status(), String::from_utf8(body).unwrap())
            }
            other => panic!("not refused: {other:?}"),
        }
    }

    pub async fn without_token(execd: &Execd, id: &str) -> StatusCode {
        match open(execd, id, "", None).await.err().map(|error| *error) {
            Some(Error::Http(response)) => response.status(),
            other => panic!("not refused: {other:?}"),
        }
    }

    /// The next frame; `None` when the connection is gone.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            let next = timeout(PATIENCE, self.socket.next()).await;
            let message = next.unwrap_or_else(|_| panic!("no frame in time after {:?}", self.output()))?;
            let frame = match message.ok()? {
                Message::Binary(bytes) => match (bytes[0], &bytes[1..]) {
                    (1, output) => {
                        assert!(output.len() <= 32 * 1024);
                        self.screen.process(output);
                        self.stdout.extend_from_slice(output);
                        Frame::Output(output.to_vec())
                    }
                    (2, output) => {
                        self.stderr.extend_from_slice(output);
                        Frame::Errors(output.to_vec())
                    }
                    (3, kept) => {
                        let (start, kept) = kept.split_at(8);
                        Frame::Replay(u64::from_be_bytes(start.try_into().unwrap()), kept.to_vec())
                    }
                    (other, _) => panic!("unknown tag {other}"),
                },
                Message::Text(text) => Frame::Text(serde_json::from_str(&text).unwrap()),
                Message::Close(frame) => {
                    let told = |frame: CloseFrame| (u16::from(frame.code), frame.reason.to_string());
                    Frame::Close(frame.map(told))
                }
                _ => continue,
            };
            return Some(frame);
        }
    }

    /// The next text frame.
    pub async fn text(&mut self) -> Value {
        loop {
            if let Frame::Text(value) = self.next().await.expect("a text frame") {
                return value;
            }
        }
    }

    /// The code of the exit frame.
    pub async fn exit(&mut self) -> i64 {
        loop {
            let frame = self.text().await;
            if frame["type"] == "exit" {
                return frame["exit_code"].as_i64().unwrap();
            }
        }
    }

    /// Code and reason of the close frame.
    pub async fn closed(&mut self) -> Option<(u16, String)> {
        loop {
            match self.next().await {
                Some(Frame::Close(told)) => return told,
                Some(_) => {}
                None => return None,
            }
        }
    }

    /// Reads until the output contains a text.
    pub async fn until(&mut self, text: &str) {
        while !self.output().contains(text) {
            assert!(self.next().await.is_some(), "closed without {text:?}: {:?}", self.output());
        }
    }

    /// What follows a text on its line.
    pub async fn after(&mut self, text: &str) -> String {
        loop {
            let output = self.output();
            let rest = &output[output.rfind(text).unwrap() + text.len()..];
            if let Some((line, _)) = rest.split_once('\r') {
                return line.to_owned();
            }
            assert!(self.next().await.is_some());
        }
    }

    /// Reads until the screen looks right.
    pub async fn until_screen(&mut self, what: &str, right: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !right(&self.contents()) {
            assert!(begun.elapsed() < PATIENCE, "{what} did not appear:\n{}", self.contents());
            let frame = timeout(Duration::from_millis(500), self.next()).await;
            assert!(!frame.is_ok_and(|frame| frame.is_none()), "closed without {what}:\n{}", self.contents());
        }
    }

    /// The screen's lines without blanks at their ends.
    fn contents(&self) -> String {
        self.screen.screen().contents().lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    pub fn raw(&self) -> Vec<u8> {
        self.stdout.clone()
    }

    pub fn output(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn errors(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    pub async fn binary(&mut self, frame: &[u8]) {
        self.socket.send(Message::Binary(frame.to_vec().into())).await.unwrap();
    }

    /// Types something.
    pub async fn input(&mut self, text: &str) {
        self.binary(&[b"\0", text.as_bytes()].concat()).await;
    }

    pub async fn raw_text(&mut self, text: &str) {
        self.socket.send(Message::Text(text.into())).await.unwrap();
    }

    pub async fn send(&mut self, frame: Value) {
        self.raw_text(&frame.to_string()).await;
    }

    pub async fn resize(&mut self, columns: u16, rows: u16) {
        self.screen.screen_mut().set_size(cells(rows), cells(columns));
        self.send(json!({ "type": "resize", "cols": columns, "rows": rows })).await;
    }

    /// Checks that a WebSocket ping is answered.
    pub async fn ping(&mut self) {
        self.socket.send(Message::Ping("still there".into())).await.unwrap();
        loop {
            let message =
                timeout(PATIENCE, self.socket.next()).await.expect("a pong in time").unwrap().unwrap();
            if message == Message::Pong("still there".into()) {
                return;
            }
        }
    }
}
