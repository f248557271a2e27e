//! Shell sessions: directory, variables and functions last from run to run.

use std::time::Duration;

use sandkeep_specs::execd::session::{CreateSessionRequest, CreateSessionResponse, RunInSessionRequest};

use super::{EventStream, Execution};
use crate::Result;
use crate::transport::Http;

/// Shell text to run in a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRun {
    request: RunInSessionRequest,
}

impl SessionRun {
    /// Text for the session's shell. `exit N` in it ends this run, not the session.
    #[must_use]
    pub fn shell(text: impl Into<String>) -> Self {
        Self { request: RunInSessionRequest { command: text.into(), ..RunInSessionRequest::default() } }
    }

    /// Directory to change to first; the session stays where the run ends.
    #[must_use]
    pub fn cwd(mut self, path: impl Into<String>) -> Self {
        self.request.cwd = Some(path.into());
        self
    }

    /// A variable of this run alone.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.envs.get_or_insert_default().insert(name.into(), value.into());
        self
    }

    /// When everything this run started is killed; at least a millisecond. Default: after 24 hours.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.request.timeout = Some(super::milliseconds(limit));
        self
    }
}

impl From<&str> for SessionRun {
    fn from(text: &str) -> Self {
        Self::shell(text)
    }
}

impl From<String> for SessionRun {
    fn from(text: String) -> Self {
        Self::shell(text)
    }
}

/// Operations on shell sessions.
#[derive(Debug, Clone, Copy)]
pub struct Sessions<'a> {
    http: &'a Http,
}

impl<'a> Sessions<'a> {
    pub(super) fn new(http: &'a Http) -> Self {
        Self { http }
    }

    /// Starts a shell, in a directory if one is named, and returns the session's id.
    ///
    /// # Errors
    ///
    /// 429 if there are too many sessions.
    pub async fn create_session(&self, cwd: Option<&str>) -> Result<String> {
        let request = CreateSessionRequest { cwd: cwd.map(str::to_owned) };
        let answer: CreateSessionResponse =
            self.http.json("the session", self.http.post(&["session"]).json(&request)).await?;
        Ok(answer.session_id)
    }

    /// Runs text in a session to its end. Runs of one session wait for each other.
    ///
    /// # Errors
    ///
    /// 404 if there is no such session, 429 if too many runs wait. Text that fails is no error.
    pub async fn run_in_session(&self, id: &str, run: impl Into<SessionRun>) -> Result<Execution> {
        self.stream_in_session(id, run).await?.collect().await
    }

    /// Runs text in a session and gives its output as it comes. Dropping the stream ends what the run started, not the
    /// session.
    ///
    /// # Errors
    ///
    /// As of [`Sessions::run_in_session`].
    pub async fn stream_in_session(&self, id: &str, run: impl Into<SessionRun>) -> Result<EventStream> {
        let request = self.http.post(&["session", id, "run"]).json(&run.into().request);
        Ok(EventStream::new(self.http, self.http.send(request).await?))
    }

    /// Ends a session and everything it started.
    ///
    /// # Errors
    ///
    /// 404 if there is no such session.
    pub async fn delete_session(&self, id: &str) -> Result<()> {
        self.http.done(self.http.delete(&["session", id])).await
    }
}
