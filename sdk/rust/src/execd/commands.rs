//! Commands: in the foreground with live output, or in the background.

use std::time::Duration;

use reqwest::RequestBuilder;
use reqwest::header::HeaderMap;
use sandkeep_specs::execd::LOG_CURSOR_HEADER;
use sandkeep_specs::execd::command::{CommandStatus, CommandSummary, RunCommandRequest, StdinWritten};

use super::{EventStream, Execution};
use crate::transport::{Http, within};
use crate::{Error, Result};

/// A command to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    request: RunCommandRequest,
}

impl Command {
    /// Text for the sandbox's shell.
    #[must_use]
    pub fn shell(text: impl Into<String>) -> Self {
        Self { request: RunCommandRequest { command: Some(text.into()), ..RunCommandRequest::default() } }
    }

    /// A program and its arguments, without a shell.
    #[must_use]
    pub fn argv(words: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let words = words.into_iter().map(Into::into).collect();
        Self { request: RunCommandRequest { argv: Some(words), ..RunCommandRequest::default() } }
    }

    /// Directory to run in.
    #[must_use]
    pub fn cwd(mut self, path: impl Into<String>) -> Self {
        self.request.cwd = Some(path.into());
        self
    }

    /// A variable on top of the sandbox's environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.envs.get_or_insert_default().insert(name.into(), value.into());
        self
    }

    /// When the command and everything it started are killed; at least a millisecond.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.request.timeout = Some(super::milliseconds(limit));
        self
    }

    /// Give it a standard input that [`Commands::write_stdin`] writes; otherwise it is empty.
    #[must_use]
    pub fn stdin(mut self) -> Self {
        self.request.stdin = true;
        self
    }

    /// Run as this user and, unless given, the user's own group.
    #[must_use]
    pub fn user(mut self, uid: u32, gid: Option<u32>) -> Self {
        self.request.uid = Some(uid);
        self.request.gid = gid;
        self
    }
}

impl From<&str> for Command {
    fn from(text: &str) -> Self {
        Self::shell(text)
    }
}

impl From<String> for Command {
    fn from(text: String) -> Self {
        Self::shell(text)
    }
}

/// Output of a background command from some point on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logs {
    /// Standard output and standard error as they came.
    pub text: String,
    /// Where to go on reading.
    pub cursor: u64,
}

/// Operations on commands.
#[derive(Debug, Clone, Copy)]
pub struct Commands<'a> {
    http: &'a Http,
}

impl<'a> Commands<'a> {
    pub(super) fn new(http: &'a Http) -> Self {
        Self { http }
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    ///
    /// 400 if it cannot be started, by a directory that is missing for instance; 429 if too many run. A command that
    /// fails is no error: [`Execution::exit_code`] tells of it. [`Error::Incomplete`] if the connection ended before
    /// the command.
    pub async fn run(&self, command: impl Into<Command>) -> Result<Execution> {
        self.stream(command).await?.collect().await
    }

    /// Runs a command and gives its output as it comes.
    ///
    /// # Errors
    ///
    /// 400 if it cannot be started, 429 if too many run.
    pub async fn stream(&self, command: impl Into<Command>) -> Result<EventStream> {
        self.post(command.into().request).await
    }

    /// Starts a command in the background and returns its id.
    ///
    /// # Errors
    ///
    /// As of [`Commands::stream`].
    pub async fn start(&self, command: impl Into<Command>) -> Result<String> {
        let request = RunCommandRequest { background: true, ..command.into().request };
        let mut events = self.post(request).await?;
        events.init().await
    }

    /// Running commands and remembered ones, the last one started first, as many as execd lists at once.
    pub async fn list(&self) -> Result<Vec<CommandSummary>> {
        self.http.json("the list of commands", self.http.get(&["command"])).await
    }

    /// Comes back to a command, running or ended: its events after the first `offset` bytes of its output.
    ///
    /// # Errors
    ///
    /// 404 if there is no such command, 416 if its output at `offset` is not kept or not there yet, 429 if too many
    /// are attached.
    pub async fn attach(&self, id: &str, offset: u64) -> Result<EventStream> {
        let request = self.http.get(&["command", id, "stream"]).query(&[("offset", offset)]);
        let response = self.http.send(request).await?;
        Ok(EventStream::new(self.http, response))
    }

    /// Writes to the standard input of a command that has one, and closes it when `close` is set. Waits while the
    /// command does not read.
    ///
    /// # Errors
    ///
    /// 404 if there is no such command, 409 if it has no standard input or has ended, 429 if it does not read.
    pub async fn write_stdin(
        &self,
        id: &str,
        bytes: impl Into<reqwest::Body>,
        close: bool,
    ) -> Result<StdinWritten> {
        let request = self.http.post(&["command", id, "stdin"]).query(&[("close", close)]).body(bytes);
        self.http.json("what was written", request).await
    }

    /// Whether a command still runs and how it ended.
    ///
    /// # Errors
    ///
    /// 404 if there is no such command.
    pub async fn status(&self, id: &str) -> Result<CommandStatus> {
        self.http.json("the command's status", self.http.get(&["command", "status", id])).await
    }

    /// Output of a background command from `cursor` on, 0 being its beginning.
    ///
    /// # Errors
    ///
    /// 404 if there is no such command, or it is none of the background.
    pub async fn logs(&self, id: &str, cursor: u64) -> Result<Logs> {
        let request = self.http.get(&["command", id, "logs"]).query(&[("cursor", cursor)]);
        read_logs(self.http, request, LOG_CURSOR_HEADER).await
    }

    /// Ends a command: politely first, by force after three seconds.
    ///
    /// # Errors
    ///
    /// 404 if there is no such command, 409 if it had ended before.
    pub async fn interrupt(&self, id: &str) -> Result<()> {
        self.http.done(self.http.delete(&["command"]).query(&[("id", id)])).await
    }

    async fn post(&self, request: RunCommandRequest) -> Result<EventStream> {
        let response = self.http.send(self.http.post(&["command"]).json(&request)).await?;
        Ok(EventStream::new(self.http, response))
    }
}

/// Reads output that was kept; the header named `cursor` says where to go on.
pub(super) async fn read_logs(http: &Http, request: RequestBuilder, cursor: &str) -> Result<Logs> {
    within(http.timeouts.request, "reading kept output", async {
        let response = http.open(request).await?;
        let cursor = log_cursor(response.headers(), cursor)?;
        let body = response.bytes().await.map_err(|source| http.transport(source))?;
        Ok(Logs { text: String::from_utf8_lossy(&body).into_owned(), cursor })
    })
    .await?
}

fn log_cursor(headers: &HeaderMap, name: &str) -> Result<u64> {
    let value = headers.get(name).and_then(|value| value.to_str().ok()?.parse().ok());
    value.ok_or_else(|| Error::Decode {
        what: "the kept output",
        detail: format!("the header {name} is missing"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_become_the_contract_s_request() {
        let json = |command: Command| serde_json::to_value(command.request).unwrap();
        assert_eq!(
            json(Command::shell("ls").cwd("/tmp").timeout(Duration::from_micros(1))),
            serde_json::json!({ "command": "ls", "cwd": "/tmp", "timeout": 1, "background": false })
        );
        assert_eq!(
            json(Command::argv(["id", "-u"]).user(7, None).env("A", "b")),
            serde_json::json!({ "argv": ["id", "-u"], "uid": 7, "envs": { "A": "b" }, "background": false })
        );
    }
}
