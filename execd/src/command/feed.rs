//! A foreground command's output between its pipes and those who read it.
//!
//! Readers pull: the pipes are read when a reader has taken all there was, so that readers who do not read stop the
//! command's writes and not this daemon. The fastest reader sets the pace; one that falls further behind than what is
//! kept is left behind. When all readers have gone the command goes on and the last of its output is kept.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use sandkeep_specs::execd::event::EventKind;
use tokio::time::{Sleep, sleep};

use super::{
    kept::KeptOutput,
    output::{Output, Pipe},
    record::Outcome,
    window::{Piece, Place, Window},
};
use crate::stream::FRAME_BYTES;

/// After a command's end its pipes are read for this long while another process holds them open.
const PIPE_GRACE: Duration = Duration::from_millis(100);

/// An unfinished line is sent when nothing more of it has come for this long. Clients take the seam between two
/// texts for a line's end, hence it is not shorter.
pub(crate) const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// What a command writes, shared by its record and its readers.
#[derive(Debug)]
pub(super) struct Feed {
    state: Mutex<State>,
    wakers: Arc<Wakers>,
    next_reader: AtomicU64,
    /// Bounds what ended commands keep together.
    kept: Arc<KeptOutput>,
}

#[derive(Debug)]
struct State {
    /// Both streams; none any more when it is over, so that a command that is remembered takes no more than it must.
    outputs: Vec<Output>,
    window: Window,
    outcome: Option<Outcome>,
    /// Runs from the command's end on.
    grace: Option<Pin<Box<Sleep>>>,
    /// Runs while an unfinished line is held back.
    flush: Option<Pin<Box<Sleep>>>,
    /// The command and its output have ended.
    over: bool,
    readers: usize,
    /// A task empties the pipes for want of readers.
    unwatched: bool,
}

/// Everybody who waits for output. A pipe remembers only one waker; this one passes the call on to all.
#[derive(Debug, Default)]
struct Wakers(Mutex<Vec<(u64, Waker)>>);

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        waiting.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

impl Wakers {
    fn register(&self, reader: u64, waker: &Waker) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match waiting.iter_mut().find(|(known, _)| *known == reader) {
            Some((_, known)) => known.clone_from(waker),
            None => waiting.push((reader, waker.clone())),
        }
    }

    fn forget(&self, reader: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|(known, _)| *known != reader);
    }
}

/// What a reader gets.
#[derive(Debug)]
pub(super) enum Step {
    /// Events were written.
    Sent,
    /// Output kept earlier.
    Kept(Piece),
    /// Everything was read, and this is how the command ended.
    Over(Outcome),
    /// What comes next is not kept any more.
    LeftBehind,
}

impl Feed {
    pub(super) fn new(stdout: Pipe, stderr: Pipe, place: Place, kept: Arc<KeptOutput>) -> Arc<Self> {
        let outputs = vec![Output::new(EventKind::Stdout, stdout), Output::new(EventKind::Stderr, stderr)];
        Arc::new(Self {
            state: Mutex::new(State {
                outputs,
                window: Window::new(place),
                outcome: None,
                grace: None,
                flush: None,
                over: false,
                readers: 0,
                unwatched: false,
            }),
            wakers: Arc::default(),
            next_reader: AtomicU64::new(1),
            kept,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of how the command ended; what is left in its pipes is still passed on.
    pub(super) fn ended(&self, outcome: Outcome) {
        self.lock().outcome = Some(outcome);
        self.wakers.wake_by_ref();
    }

    /// Offsets of the first byte kept and after the last one sent.
    pub(super) fn range(&self) -> (u64, u64) {
        let state = self.lock();
        (state.window.start(), state.window.end())
    }

    /// Bytes kept in memory and on disk.
    pub(super) fn weight(&self) -> (usize, u64) {
        self.lock().window.weight()
    }

    /// Keeps nothing of it any more.
    pub(super) fn forget(&self) {
        self.lock().window.forget();
    }

    /// A reader that begins at this offset.
    pub(super) fn reader(self: &Arc<Self>, position: u64) -> Reader {
        self.lock().readers += 1;
        let id = self.next_reader.fetch_add(1, Ordering::Relaxed);
        Reader { feed: Arc::clone(self), id, position }
    }

    /// Empties the pipes as long as there is no reader.
    async fn go_on_unwatched(self: Arc<Self>) {
        let waker = Waker::from(Arc::clone(&self.wakers));
        let ended = poll_fn(|cx| {
            self.wakers.register(0, cx.waker());
            let mut state = self.lock();
            let was_over = state.over;
            if state.readers == 0 && !state.over {
                state.poll_unwatched(&mut Context::from_waker(&waker));
            }
            if state.readers == 0 && !state.over {
                return Poll::Pending;
            }
            state.unwatched = false;
            Poll::Ready(state.over && !was_over)
        })
        .await;
        self.wakers.forget(0);
        self.wakers.wake_by_ref();
        if ended {
            self.kept.add(&self);
        }
    }
}

impl State {
    fn poll_outputs(&mut self, cx: &mut Context<'_>, out: &mut Vec<u8>) {
        loop {
            // Each stream has its own share of a frame, so that neither starves the other.
            for output in &mut self.outputs {
                let limit = out.len() + FRAME_BYTES;
                output.poll(cx, &mut self.window, out, limit);
            }
            self.poll_end(cx, out.is_empty());
            if !out.is_empty() || !self.poll_flush(cx) {
                return;
            }
        }
    }

    fn poll_unwatched(&mut self, cx: &mut Context<'_>) {
        for output in &mut self.outputs {
            output.poll_unwatched(cx, &mut self.window);
        }
        self.poll_end(cx, true);
    }

    /// After the command's end: sees whether all its output is read. Pipes that others hold open are given up in time.
    fn poll_end(&mut self, cx: &mut Context<'_>, idle: bool) {
        if self.outcome.is_none() || self.over {
            return;
        }
        if self.outputs.iter().all(Output::is_over) {
            self.over = true;
            self.outputs = Vec::new();
            self.grace = None;
            self.flush = None;
            self.window.seal();
            return;
        }
        let grace = self.grace.get_or_insert_with(|| Box::pin(sleep(PIPE_GRACE)));
        // What is in the pipes by then is still sent, however slowly the client reads.
        if grace.as_mut().poll(cx).is_ready() && !self.outputs.iter().any(Output::is_limited) {
            self.outputs.iter_mut().for_each(Output::stop_at_what_is_there);
            if idle {
                cx.waker().wake_by_ref();
            }
        }
    }

    /// Lets an unfinished line go when it has waited long enough.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.outputs.iter().any(Output::holds_back) {
            self.flush = None;
            return false;
        }
        let flush = self.flush.get_or_insert_with(|| Box::pin(sleep(FLUSH_AFTER)));
        if flush.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.flush = None;
        self.outputs.iter_mut().fold(false, |any, output| output.release() | any)
    }
}

/// One who reads a command's output; when the last one leaves, the command goes on.
#[derive(Debug)]
pub(super) struct Reader {
    feed: Arc<Feed>,
    id: u64,
    position: u64,
}

impl Reader {
    /// Offset of what it gets next.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Notes that it has used this many bytes of a kept piece.
    pub(super) fn advance(&mut self, count: usize) {
        self.position += count as u64;
    }

    /// What comes next: as events in `out` when that is given and nothing older has to come first, else as a piece of
    /// which `advance` has to say how much was used.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>, out: Option<&mut Vec<u8>>) -> Poll<Step> {
        self.feed.wakers.register(self.id, cx.waker());
        let feed = Arc::clone(&self.feed);
        let mut state = feed.lock();
        let was_over = state.over;
        let step = self.poll_state(&mut state, out);
        let ended = state.over && !was_over;
        drop(state);
        if ended {
            feed.kept.add(&feed);
        }
        step
    }

    fn poll_state(&mut self, state: &mut State, out: Option<&mut Vec<u8>>) -> Poll<Step> {
        if self.position < state.window.end() {
            return Poll::Ready(self.kept(state));
        }
        if !state.over {
            let (before, mut unused) = (state.window.end(), Vec::new());
            let direct = out.is_some();
            let waker = Waker::from(Arc::clone(&self.feed.wakers));
            state.poll_outputs(&mut Context::from_waker(&waker), out.unwrap_or(&mut unused));
            if state.window.end() > before || state.over {
                // The others have something to read as well.
                self.feed.wakers.forget(self.id);
                self.feed.wakers.wake_by_ref();
            }
            if state.window.end() > before {
                if !direct {
                    return Poll::Ready(self.kept(state));
                }
                self.position = state.window.end();
                return Poll::Ready(Step::Sent);
            }
        }
        match &state.outcome {
            Some(outcome) if state.over => Poll::Ready(Step::Over(outcome.clone())),
            _ => Poll::Pending,
        }
    }

    fn kept(&self, state: &State) -> Step {
        match state.window.read(self.position, FRAME_BYTES) {
            Ok(Some(piece)) => Step::Kept(piece),
            Ok(None) | Err(_) => Step::LeftBehind,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.feed.lock();
        state.readers -= 1;
        self.feed.wakers.forget(self.id);
        if state.readers > 0 {
            // It may have been the one that would have been woken.
            self.feed.wakers.wake_by_ref();
        } else if !state.over
            && !state.unwatched
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            state.unwatched = true;
            runtime.spawn(Arc::clone(&self.feed).go_on_unwatched());
        }
    }
}
