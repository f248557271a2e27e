//! Tools for commands.

use std::{collections::BTreeMap, time::Duration};

use rmcp::{
    Json, RoleServer, handler::server::wrapper::Parameters, schemars, service::RequestContext, tool,
    tool_router,
};
use sandkeep::{
    Command, EventStream, Sandbox,
    specs::execd::event::{EventKind, ServerStreamEvent},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::{
    failure::Failure,
    limits::{self, Kept, boundary},
    progress::Progress,
    tools::Tools,
};

/// Seconds a command may take unless the call says otherwise.
const TIME_LIMIT: u64 = 300;
/// How long what a running command has written already may be in coming.
const GLANCE: Duration = Duration::from_millis(300);
/// How long the output of a command that has ended may be in coming.
const ALL_OF_IT: Duration = Duration::from_secs(30);
/// Longest wait for more output in one call.
const LONGEST_WAIT: u64 = 60;

#[derive(Deserialize, JsonSchema)]
pub(super) struct RunArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Text for the sandbox's shell; pipes, redirections and several lines work.
    command: String,
    /// Directory to run in.
    working_directory: Option<String>,
    /// Variables on top of the sandbox's environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Seconds after which it is killed; 300 unless given.
    timeout_seconds: Option<u64>,
    /// What it finds on its standard input; nothing unless given.
    stdin: Option<String>,
    /// Most bytes to show of each output stream; 16384 unless given, at most 262144.
    max_output_bytes: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct StartArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// Text for the sandbox's shell.
    command: String,
    /// Directory to run in.
    working_directory: Option<String>,
    /// Variables on top of the sandbox's environment.
    #[serde(default)]
    env: BTreeMap<String, String>,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct OutputArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// The command, as `command_start` or `command_run` named it.
    command_id: String,
    /// Byte of the output to begin at: 0, or the `next_offset` of the last call.
    #[serde(default)]
    offset: u64,
    /// Most bytes to show; 16384 unless given, at most 262144.
    max_output_bytes: Option<usize>,
    /// Seconds to wait for more output or the command's end; 0 to look at what is there, at most 60.
    #[serde(default)]
    wait_seconds: u64,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct CommandArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
    /// The command, as `command_start` or `command_run` named it.
    command_id: String,
}

#[derive(Deserialize, JsonSchema)]
pub(super) struct ListArguments {
    /// The sandbox, as `sandbox_create` named it.
    sandbox_id: String,
}

/// How a command ended and what it wrote.
#[derive(Serialize, JsonSchema)]
pub(super) struct Ran {
    command_id: String,
    /// Exit status, 128 + N after signal N; absent if it could not start or its time ran out.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// Whether the time limit ended it.
    timed_out: bool,
    stdout: String,
    stderr: String,
    /// Why it could not start, or what is missing from the output and how to read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Started {
    /// For `command_output` and `command_interrupt`.
    command_id: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Output {
    /// Both output streams as they came.
    text: String,
    /// Where to go on reading.
    next_offset: u64,
    /// Whether it still runs.
    running: bool,
    /// Exit status, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    /// Whether there is more to read at `next_offset` already.
    more: bool,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Status {
    command_id: String,
    /// The beginning of its text.
    command: String,
    running: bool,
    /// Exit status, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct Listed {
    /// The last one started first.
    commands: Vec<Status>,
}

#[tool_router(router = command_tools, vis = "pub(super)")]
impl Tools {
    /// Runs a shell command in a sandbox, waits for its end and gives its output and exit status. Cancelling the call
    /// ends the command. For servers and long jobs use `command_start`.
    #[tool(annotations(title = "Run a command", destructive_hint = true, open_world_hint = true))]
    async fn command_run(
        &self,
        Parameters(given): Parameters<RunArguments>,
        context: RequestContext<RoleServer>,
    ) -> Result<Json<Ran>, Failure> {
        let limit = limits::wanted(given.max_output_bytes);
        let time_limit = Duration::from_secs(given.timeout_seconds.unwrap_or(TIME_LIMIT));
        let mut command = prepared(given.command, given.working_directory, given.env).timeout(time_limit);
        if given.stdin.is_some() {
            command = command.stdin();
        }
        let _call = self.calls.token();
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let events = sandbox.commands().stream(command).await?;
        follow(&sandbox, events, given.stdin, limit, &context).await.map(Json)
    }

    /// Starts a shell command in a sandbox and leaves it running.
    #[tool(annotations(title = "Start a command", destructive_hint = true, open_world_hint = true))]
    async fn command_start(
        &self,
        Parameters(given): Parameters<StartArguments>,
    ) -> Result<Json<Started>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let command = prepared(given.command, given.working_directory, given.env);
        Ok(Json(Started { command_id: sandbox.commands().start(command).await? }))
    }

    /// Reads the output of a command, running or ended, from any byte on, and tells how it is.
    #[tool(annotations(title = "Read a command's output", read_only_hint = true))]
    async fn command_output(
        &self,
        Parameters(given): Parameters<OutputArguments>,
    ) -> Result<Json<Output>, Failure> {
        let limit = limits::wanted(given.max_output_bytes);
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let wait = if sandbox.commands().status(&given.command_id).await?.running {
            Duration::from_secs(given.wait_seconds.min(LONGEST_WAIT)).max(GLANCE)
        } else {
            ALL_OF_IT
        };
        let events = sandbox.commands().attach(&given.command_id, given.offset).await?;
        let (text, next_offset, more) = read(events, given.offset, limit, wait).await?;
        let status = sandbox.commands().status(&given.command_id).await?;
        let exit_code = status.exit_code;
        Ok(Json(Output { text, next_offset, running: status.running, exit_code, more }))
    }

    /// Ends a running command: politely first, by force three seconds later.
    #[tool(annotations(title = "Interrupt a command", destructive_hint = true, idempotent_hint = true))]
    async fn command_interrupt(
        &self,
        Parameters(given): Parameters<CommandArguments>,
    ) -> Result<Json<Status>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        sandbox.commands().interrupt(&given.command_id).await?;
        let status = sandbox.commands().status(&given.command_id).await?;
        Ok(Json(Status {
            command_id: status.id,
            command: status.content,
            running: status.running,
            exit_code: status.exit_code,
        }))
    }

    /// Lists the commands of a sandbox, running and ended.
    #[tool(annotations(title = "List commands", read_only_hint = true))]
    async fn command_list(
        &self,
        Parameters(given): Parameters<ListArguments>,
    ) -> Result<Json<Listed>, Failure> {
        let sandbox = self.sandbox(&given.sandbox_id).await?;
        let listed = sandbox.commands().list().await?;
        let commands = listed.into_iter().map(|one| Status {
            command_id: one.id,
            command: one.content,
            running: one.running,
            exit_code: one.exit_code,
        });
        Ok(Json(Listed { commands: commands.collect() }))
    }
}

fn prepared(text: String, directory: Option<String>, env: BTreeMap<String, String>) -> Command {
    let mut command = Command::shell(text);
    if let Some(directory) = directory {
        command = command.cwd(directory);
    }
    env.into_iter().fold(command, |command, (name, value)| command.env(name, value))
}

/// Gathers what a command writes until it ends, or the client wants no more of it.
async fn follow(
    sandbox: &Sandbox,
    mut events: EventStream,
    mut stdin: Option<String>,
    limit: usize,
    context: &RequestContext<RoleServer>,
) -> Result<Ran, Failure> {
    let mut progress = Progress::of(context);
    let (mut stdout, mut stderr) = (Kept::new(limit), Kept::new(limit));
    let mut id = String::new();
    let end = loop {
        tokio::select! {
            biased;
            () = context.ct.cancelled() => {
                if !id.is_empty() {
                    // One that has ended by itself is no longer there to be interrupted.
                    let _ = sandbox.commands().interrupt(&id).await;
                }
                return Err(Failure::cancelled());
            }
            () = progress.due() => progress.tell().await,
            event = events.next() => {
                let event = event?.ok_or(sandkeep::Error::Incomplete)?;
                let text = event.text.as_deref().unwrap_or_default();
                match event.kind {
                    EventKind::Init => {
                        id = text.to_owned();
                        if let Some(text) = stdin.take() {
                            let (execd, id) = (sandbox.execd().clone(), id.clone());
                            // A command that ended, or that does not read, is told of by its own stream.
                            tokio::spawn(async move { execd.commands().write_stdin(&id, text, true).await });
                        }
                    }
                    EventKind::Stdout => stdout.push(text),
                    EventKind::Stderr => stderr.push(text),
                    EventKind::ExecutionComplete | EventKind::Error => break event,
                    _ => continue,
                }
                if matches!(event.kind, EventKind::Stdout | EventKind::Stderr) {
                    progress.add(text);
                }
            }
        }
    };
    progress.tell().await;
    Ok(ended(id, end, stdout, stderr))
}

fn ended(id: String, end: ServerStreamEvent, stdout: Kept, stderr: Kept) -> Ran {
    let timed_out = end.timed_out == Some(true);
    let (exit_code, problem) = match (end.kind, end.error) {
        (EventKind::ExecutionComplete, _) => (Some(0), None),
        (_, Some(error)) => match error.evalue.parse::<i32>() {
            Ok(code) => (Some(code).filter(|code| *code >= 0), None),
            Err(_) => (None, Some(error.evalue)),
        },
        (_, None) => (None, end.text),
    };
    let cut: Vec<String> = [("stdout", &stdout), ("stderr", &stderr)]
        .into_iter()
        .filter(|(_, kept)| kept.is_cut())
        .map(|(name, kept)| format!("{name} has {} bytes and is cut in the middle", kept.total))
        .collect();
    let note = match (problem, cut.is_empty()) {
        (Some(problem), _) => Some(problem),
        (None, true) if timed_out => {
            Some("its time limit ended it; give a larger timeout_seconds, or use command_start".to_owned())
        }
        (None, true) => None,
        (None, false) => Some(format!(
            "{}; command_output with this command_id reads all of it, from any byte offset",
            cut.join(", ")
        )),
    };
    Ran { command_id: id, exit_code, timed_out, stdout: stdout.finish(), stderr: stderr.finish(), note }
}

/// Output from `offset` on: what is there, and what comes within the time, as far as it fits.
async fn read(
    mut events: EventStream,
    offset: u64,
    limit: usize,
    wait: Duration,
) -> Result<(String, u64, bool), Failure> {
    let until = Instant::now() + wait;
    let (mut text, mut next) = (String::new(), offset);
    while let Ok(event) = timeout_at(until, events.next()).await {
        let Some(event) = event? else { break };
        match event.kind {
            EventKind::Stdout | EventKind::Stderr => {
                let piece = event.text.unwrap_or_default();
                let end = event.offset.unwrap_or(next + piece.len() as u64);
                let fits = boundary(&piece, limit - text.len());
                text.push_str(&piece[..fits]);
                if fits < piece.len() {
                    return Ok((text, end - (piece.len() - fits) as u64, true));
                }
                next = end;
            }
            EventKind::ExecutionComplete | EventKind::Error => break,
            _ => {}
        }
    }
    Ok((text, next, false))
}
