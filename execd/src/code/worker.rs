//! The task behind a context: runs one piece of code after the other in its interpreter.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sandkeep_specs::execd::event::{EventKind, ExecutionError, ServerStreamEvent};
use serde_json::Value;
use tokio::sync::mpsc;

use super::frame::Report;
use super::interpreter::{Event, Interpreter};
use super::node;
use super::start::{Driver, Start};
use crate::process::Group;
use crate::stream::{EventSender, Gone, now_millis};

/// Name of the error event of a run whose interpreter went away.
const LOST: &str = "InterpreterLost";

/// A run that waits for its turn.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) code: String,
    pub(crate) events: EventSender,
}

/// What others may know of a context's worker, and do to it.
#[derive(Debug, Default)]
pub(crate) struct Handle(Mutex<Status>);

#[derive(Debug, Default)]
struct Status {
    phase: Phase,
    /// The interpreter's processes while it lives.
    group: Option<Group>,
    /// A second way to the driver, for one that signals do not reach.
    channel: Option<StdUnixStream>,
    deleted: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    /// Code is on its way to the interpreter; whether it is to be interrupted once it begins.
    Starting {
        interrupt: bool,
    },
    Running,
}

impl Handle {
    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Interrupts what is running; nothing happens when nothing is.
    pub(crate) fn interrupt(&self) {
        let mut status = self.lock();
        match status.phase {
            Phase::Idle => {}
            Phase::Starting { .. } => status.phase = Phase::Starting { interrupt: true },
            Phase::Running => interrupt(&status),
        }
    }

    /// There is no interpreter any more.
    pub(super) fn let_go(&self) {
        let mut status = self.lock();
        status.group = None;
        status.channel = None;
    }

    /// Ends the interpreter for good.
    pub(crate) fn delete(&self) {
        let mut status = self.lock();
        status.deleted = true;
        signal(&status, libc::SIGKILL);
    }

    /// An interpreter is there for the context.
    pub(super) fn holds(&self, interpreter: &Interpreter, channel: Option<StdUnixStream>) {
        let mut status = self.lock();
        status.group = Some(interpreter.group());
        status.channel = channel;
    }

    /// The code has begun: an interrupt that came before reaches it now.
    pub(super) fn started(&self) {
        let mut status = self.lock();
        if status.phase == (Phase::Starting { interrupt: true }) {
            interrupt(&status);
        }
        status.phase = Phase::Running;
    }
}

fn signal(status: &Status, signal: i32) {
    if let Some(group) = status.group {
        group.signal(signal);
    }
}

/// Signals what runs, its subprocesses included. Node's main thread may be too busy to notice, so that its other thread
/// is told, too.
fn interrupt(status: &Status) {
    signal(status, libc::SIGINT);
    if let Some(mut channel) = status.channel.as_ref() {
        // Code that runs has been received, so that this is not put into the middle of a frame. A driver that is that far
        // behind cannot be helped.
        let _ = channel.write_all(&node::INTERRUPT);
    }
}

/// The state of the task.
#[derive(Debug)]
pub(crate) struct Worker {
    start: Start,
    interpreter: Option<Interpreter>,
    jobs: mpsc::Receiver<Job>,
    handle: Arc<Handle>,
    count: i64,
}

impl Worker {
    /// A worker with a running interpreter; `start` makes another one should that go away.
    pub(crate) fn new(
        start: Start,
        interpreter: Interpreter,
        jobs: mpsc::Receiver<Job>,
        handle: Arc<Handle>,
    ) -> Self {
        handle.holds(&interpreter, channel(&start, &interpreter));
        Self { start, interpreter: Some(interpreter), jobs, handle, count: 0 }
    }

    /// Runs jobs until the context is deleted.
    pub(crate) async fn work(mut self) {
        while !self.handle.lock().deleted {
            let job = tokio::select! {
                biased;
                job = self.jobs.recv() => job,
                () = rest(&mut self.interpreter) => {
                    self.forget();
                    continue;
                }
            };
            let Some(job) = job else { break };
            let mut run = Run { events: job.events, gone: false, begun: Instant::now() };
            self.run(job.code, &mut run).await;
            self.handle.lock().phase = Phase::Idle;
            run.complete().await;
        }
        self.forget();
        self.jobs.close();
        while let Some(job) = self.jobs.recv().await {
            let mut run = Run { events: job.events, gone: false, begun: Instant::now() };
            run.fail(LOST, "the context was deleted".to_owned()).await;
            run.complete().await;
        }
    }

    /// Lets go of the interpreter.
    fn forget(&mut self) {
        self.handle.let_go();
        self.interpreter = None;
        self.count = 0;
    }

    async fn run(&mut self, code: String, run: &mut Run) {
        self.handle.lock().phase = Phase::Starting { interrupt: false };
        if let Err(error) = self.revive() {
            return run.fail(LOST, error).await;
        }
        let Some(interpreter) = &mut self.interpreter else { return };
        run.count(self.count + 1).await;
        let code = match self.start.driver.prepare(code, self.count + 1) {
            Ok(code) => code,
            Err(error) => return run.error(error).await,
        };
        self.count += 1;
        // Should this fail, the interpreter is gone, and the wait below finds that out.
        let _ = interpreter.run(&code).await;
        let how = loop {
            let event = interpreter.next().await;
            let report = match event {
                Event::Output => {
                    run.pass_on(interpreter, false).await;
                    continue;
                }
                Event::Report(report) => report,
                Event::Ended(how) => break how,
            };
            run.pass_on(interpreter, true).await;
            match report {
                Report::Started => self.handle.started(),
                Report::Value(found) => run.result(found).await,
                Report::Failed(error) => run.error(error).await,
                Report::Done => return,
            }
        };
        run.pass_on(interpreter, true).await;
        run.rest(interpreter).await;
        let deleted = self.handle.lock().deleted;
        self.forget();
        let what = if deleted {
            "the context was deleted".to_owned()
        } else {
            format!(
                "the interpreter {how}: what the context held is lost, its next run begins with a fresh interpreter"
            )
        };
        run.fail(LOST, what).await;
    }

    /// Starts another interpreter if the last one went away.
    fn revive(&mut self) -> Result<(), String> {
        if self.interpreter.is_none() {
            let interpreter = self.start.interpreter().map_err(|error| error.to_string())?;
            self.handle.holds(&interpreter, channel(&self.start, &interpreter));
            self.interpreter = Some(interpreter);
        }
        Ok(())
    }
}

/// The second way to a driver that needs one.
fn channel(start: &Start, interpreter: &Interpreter) -> Option<StdUnixStream> {
    let is_node = matches!(start.driver, Driver::JavaScript | Driver::TypeScript);
    is_node.then(|| interpreter.channel()).flatten()
}

/// While nothing runs: keeps background output from blocking its writers, and returns when the interpreter has ended.
async fn rest(interpreter: &mut Option<Interpreter>) {
    let Some(interpreter) = interpreter else { return std::future::pending().await };
    loop {
        match interpreter.next().await {
            Event::Ended(_) => return,
            Event::Output | Event::Report(_) => {
                interpreter.outputs().into_iter().for_each(|output| output.trim())
            }
        }
    }
}

/// A run's way to its client.
pub(crate) struct Run {
    pub(crate) events: EventSender,
    /// The client has left; the code runs on.
    pub(crate) gone: bool,
    pub(crate) begun: Instant,
}

impl Run {
    pub(crate) async fn send(&mut self, event: &ServerStreamEvent) {
        if !self.gone {
            self.gone = self.events.send(event).await == Err(Gone);
        }
    }

    /// Sends events that are encoded already.
    pub(crate) async fn forward(&mut self, mut events: Vec<u8>) {
        if !self.gone && !events.is_empty() {
            self.gone = self.events.send_encoded(&mut events).await == Err(Gone);
        }
    }

    /// Says which run of its interpreter this is.
    pub(crate) async fn count(&mut self, count: i64) {
        let mut event = ServerStreamEvent::new(EventKind::ExecutionCount, now_millis());
        event.execution_count = Some(count);
        self.send(&event).await;
    }

    pub(crate) async fn result(&mut self, found: BTreeMap<String, Value>) {
        let mut event = ServerStreamEvent::new(EventKind::Result, now_millis());
        event.results = Some(found);
        self.send(&event).await;
    }

    async fn text(&mut self, kind: EventKind, text: &str) {
        if !self.gone {
            self.gone = self.events.send_text(kind, text).await == Err(Gone);
        }
    }

    /// Passes output on: whole lines, or all of it.
    pub(crate) async fn pass_on(&mut self, interpreter: &mut Interpreter, all: bool) {
        for output in interpreter.outputs() {
            if let Some(text) = output.take(all) {
                self.text(output.kind, &text).await;
            }
        }
    }

    /// Passes on what is left of an interpreter that has ended.
    pub(crate) async fn rest(&mut self, interpreter: &mut Interpreter) {
        for output in interpreter.outputs() {
            if let Some(text) = output.take_rest() {
                self.text(output.kind, &text).await;
            }
        }
    }

    pub(crate) async fn fail(&mut self, name: &str, what: String) {
        self.error(ExecutionError { ename: name.to_owned(), evalue: what, traceback: Vec::new() }).await;
    }

    /// As clients expect it: the state first, then the error, then (from elsewhere) the completion.
    pub(crate) async fn error(&mut self, error: ExecutionError) {
        self.send(&ServerStreamEvent::new(EventKind::Status, now_millis()).with_text("error")).await;
        self.send(&ServerStreamEvent::new(EventKind::Error, now_millis()).with_error(error)).await;
    }

    pub(crate) async fn complete(&mut self) {
        let mut event = ServerStreamEvent::new(EventKind::ExecutionComplete, now_millis());
        let elapsed = i64::try_from(self.begun.elapsed().as_millis()).unwrap_or(i64::MAX);
        event.execution_time = Some(elapsed).filter(|elapsed| *elapsed > 0);
        self.send(&event).await;
    }
}
