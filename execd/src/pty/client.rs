//! The conversation with an attached client.

use std::{collections::VecDeque, pin::pin, time::Duration};

use axum::{
    Error,
    extract::ws::{Message, WebSocket},
};
use bytes::{Buf, Bytes};
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use sandkeep_specs::execd::pty::{FrameError, Mode};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

use super::{
    frame::{self, Request},
    process::Process,
    terminal::{Leave, Next, Refusal, Reservation, Seat, View},
};

/// Most output bytes in one frame.
const FRAME_BYTES: usize = 32 * 1024;

/// How often the client is asked for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// A client that gives no sign for this long is taken for gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// Time for the last frames and the closing of a connection.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Input that may wait for the program to read it; beyond it no more frames are read.
const MAX_PENDING_INPUT: usize = 1024 * 1024;

/// Answers to frames that may wait for a client which reads slowly; beyond it no more frames are read.
const MAX_PENDING_ANSWERS: usize = 16;

type Sink = SplitSink<WebSocket, Message>;

/// Serves a client from the upgrade to the end of its connection.
pub(super) async fn serve(socket: WebSocket, reservation: Reservation, since: u64, mode: Mode) {
    let (mut sink, mut stream) = socket.split();
    let changed = reservation.terminal().changes();
    let Some(seat) = reservation.seat().await else {
        let busy = frame::error(FrameError::AlreadyConnected, "the attached client does not leave");
        return finish(&mut sink, &mut stream, vec![busy, Message::Close(None)]).await;
    };
    let view = match seat.attach(since, mode) {
        Ok(view) => view,
        Err(refusal) => {
            drop(seat);
            let refusal = match refusal {
                Refusal::Deleted => frame::error(FrameError::SessionGone, "the session was deleted"),
                Refusal::NotStarted(reason) => frame::error(FrameError::StartFailed, reason),
            };
            return finish(&mut sink, &mut stream, vec![refusal, Message::Close(None)]).await;
        }
    };
    let last = converse(&mut sink, &mut stream, &seat, &view, changed).await;
    // The seat must not stay taken while the connection is closed at leisure.
    drop(seat);
    if let Some(last) = last {
        finish(&mut sink, &mut stream, last).await;
    }
}

/// Talks and listens until there is a reason to stop; the result is what to send last, if there is anyone to send to.
async fn converse(
    sink: &mut Sink,
    stream: &mut SplitStream<WebSocket>,
    seat: &Seat,
    view: &View,
    changed: watch::Receiver<()>,
) -> Option<Vec<Message>> {
    let (answers, waiting) = mpsc::channel(MAX_PENDING_ANSWERS);
    let mut listening = pin!(listen(stream, &view.process, answers));
    tokio::select! {
        biased;
        leave = seat.terminal.must_leave() => Some(match leave {
            Leave::TakenOver => vec![frame::close_taken_over()],
            Leave::Deleted => vec![frame::exit(DELETED), frame::close_exited()],
        }),
        // The client has left, by itself or without a word.
        () = &mut listening => None,
        ended = talk(sink, seat, view, changed, waiting) => match ended {
            Ok(code) => Some(vec![frame::exit(code), frame::close_exited()]),
            Err(_) => {
                // What it sent before it left is still for the program.
                let _ = timeout(CLOSE_LIMIT, listening).await;
                None
            }
        },
    }
}

/// Exit code reported for a program whose terminal was deleted.
const DELETED: i32 = -1;

/// Sends the last frames and waits a moment for the client to close.
async fn finish(sink: &mut Sink, stream: &mut SplitStream<WebSocket>, last: Vec<Message>) {
    let _ = timeout(CLOSE_LIMIT, async {
        for message in last {
            sink.send(message).await?;
        }
        while stream.next().await.is_some_and(|message| message.is_ok()) {}
        Ok::<_, Error>(())
    })
    .await;
}

/// Sends what the client is to see; the result is the program's exit code.
async fn talk(
    sink: &mut Sink,
    seat: &Seat,
    view: &View,
    mut changed: watch::Receiver<()>,
    mut answers: mpsc::Receiver<Message>,
) -> Result<i32, Error> {
    let (first, kept) = &view.replay;
    if !kept.is_empty() {
        sink.send(frame::replay(*first, kept)).await?;
    }
    sink.send(frame::connected(&seat.terminal.id, view.process.mode)).await?;
    let mut pings = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = seat.next(view.start, FRAME_BYTES);
        let idle = next.is_none();
        match next {
            Some(Next::Exit(code)) => return Ok(code),
            Some(Next::Output(source, bytes)) => sink.send(frame::output(source, &bytes)).await?,
            None => {}
        }
        // Neither answers nor pings wait for a pause in the output.
        tokio::select! {
            biased;
            Some(answer) = answers.recv() => sink.send(answer).await?,
            _ = pings.tick() => sink.send(Message::Ping(Bytes::new())).await?,
            () = std::future::ready(()), if !idle => {}
            _ = changed.changed(), if idle => {}
        }
    }
}

/// Does what the client asks for until it leaves, and passes on what it sent last.
async fn listen(stream: &mut SplitStream<WebSocket>, process: &Process, answers: mpsc::Sender<Message>) {
    let mut input = Input::default();
    follow(stream, process, &answers, &mut input).await;
    let rest = async { while !input.is_empty() && input.pass_on(process).await.is_ok() {} };
    let _ = timeout(CLOSE_LIMIT, rest).await;
}

async fn follow(
    stream: &mut SplitStream<WebSocket>,
    process: &Process,
    answers: &mpsc::Sender<Message>,
    input: &mut Input,
) {
    loop {
        let message = tokio::select! {
            biased;
            message = timeout(SILENCE_LIMIT, stream.next()), if !input.is_full() => message,
            failed = input.pass_on(process), if !input.is_empty() => {
                if failed.is_err() {
                    *input = Input::default();
                    let failure = frame::error(FrameError::StdinWriteFailed, "the program takes no input");
                    if answers.send(failure).await.is_err() {
                        return;
                    }
                }
                continue;
            }
        };
        let request = match message {
            Ok(Some(Ok(Message::Binary(frame)))) => frame::binary(&frame),
            Ok(Some(Ok(Message::Text(frame)))) => frame::text(&frame),
            Ok(Some(Ok(Message::Ping(_) | Message::Pong(_)))) => Request::Nothing,
            Ok(Some(Ok(Message::Close(_)) | Err(_)) | None) | Err(_) => return,
        };
        let answer = match request {
            Request::Input(bytes) => {
                input.push(bytes);
                continue;
            }
            Request::Resize { columns, rows } => {
                process.resize(columns, rows);
                continue;
            }
            Request::Signal(signal) => {
                process.signal(signal);
                continue;
            }
            Request::Nothing => continue,
            Request::Ping => frame::pong(),
            Request::Invalid(reason) => frame::error(FrameError::InvalidFrame, reason),
        };
        if answers.send(answer).await.is_err() {
            return;
        }
    }
}

/// Input on its way to the program.
#[derive(Debug, Default)]
struct Input {
    waiting: VecDeque<Bytes>,
    size: usize,
}

impl Input {
    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.size += bytes.len();
            self.waiting.push_back(bytes);
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn is_full(&self) -> bool {
        self.size >= MAX_PENDING_INPUT
    }

    /// Writes some of it once the program takes it. May be cancelled without loss.
    async fn pass_on(&mut self, process: &Process) -> std::io::Result<()> {
        let Some(first) = self.waiting.front_mut() else { return Ok(()) };
        let count = process.write(first).await?;
        first.advance(count);
        self.size -= count;
        if first.is_empty() {
            self.waiting.pop_front();
        }
        Ok(())
    }
}
