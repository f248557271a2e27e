//! Isolated sessions: shells with files of their own on top of the sandbox's.

use std::time::Duration;

use sandkeep_specs::execd::ISOLATED_CURSOR_HEADER;
use sandkeep_specs::execd::isolated::{
    CapabilitiesResponse, CreateIsolatedSessionRequest, IsolatedBackgroundRunResponse,
    IsolatedCommitResponse, IsolatedCreateSessionResponse, IsolatedRunRequest, IsolatedRunStatus,
    IsolatedSessionSummary, ListIsolatedSessionsResponse, SessionState,
};

use super::commands::read_logs;
use super::{ByteStream, EventStream, Execution, Files, Logs};
use crate::Result;
use crate::transport::Http;

/// Shell text to run in an isolated session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IsolatedRun {
    request: IsolatedRunRequest,
}

impl IsolatedRun {
    /// Text for the session's shell.
    #[must_use]
    pub fn shell(text: impl Into<String>) -> Self {
        Self { request: IsolatedRunRequest { code: text.into(), ..IsolatedRunRequest::default() } }
    }

    /// A variable of this run alone.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.request.envs.get_or_insert_default().insert(name.into(), value.into());
        self
    }

    /// When everything this run started is killed: whole seconds, rounded up, at least one. Not for background runs.
    #[must_use]
    pub fn timeout(mut self, limit: Duration) -> Self {
        let seconds = limit.as_secs().saturating_add(u64::from(limit.subsec_nanos() > 0));
        self.request.timeout_seconds = Some(i64::try_from(seconds).unwrap_or(i64::MAX).max(1));
        self
    }
}

impl From<&str> for IsolatedRun {
    fn from(text: &str) -> Self {
        Self::shell(text)
    }
}

impl From<String> for IsolatedRun {
    fn from(text: String) -> Self {
        Self::shell(text)
    }
}

/// Operations on isolated sessions.
#[derive(Debug, Clone, Copy)]
pub struct Isolated<'a> {
    http: &'a Http,
}

impl<'a> Isolated<'a> {
    pub(super) fn new(http: &'a Http) -> Self {
        Self { http }
    }

    /// What isolation this sandbox can give, and why not more.
    pub async fn isolated_capabilities(&self) -> Result<CapabilitiesResponse> {
        self.http.json("the capabilities", self.http.get(&["v1", "isolated", "capabilities"])).await
    }

    /// Makes a session.
    ///
    /// # Errors
    ///
    /// 400 if the request is wrong, 429 if there are too many sessions, 503 if this sandbox cannot isolate.
    pub async fn create_isolated(&self, request: &CreateIsolatedSessionRequest) -> Result<IsolatedSession> {
        let post = self.http.post(&["v1", "isolated", "session"]).json(request);
        let answer: IsolatedCreateSessionResponse = self.http.json("the isolated session", post).await?;
        Ok(self.session(&answer.session_id.to_string()))
    }

    /// All sessions, oldest first.
    ///
    /// # Errors
    ///
    /// 503 if this sandbox cannot isolate.
    pub async fn list_isolated(&self) -> Result<Vec<IsolatedSessionSummary>> {
        let request = self.http.get(&["v1", "isolated", "sessions"]);
        let answer: ListIsolatedSessionsResponse =
            self.http.json("the list of isolated sessions", request).await?;
        Ok(answer.sessions)
    }

    /// The session of this id; nothing is asked of the daemon.
    #[must_use]
    pub fn session(&self, id: &str) -> IsolatedSession {
        IsolatedSession { http: self.http.below(&["v1", "isolated", "session", id]), id: id.to_owned() }
    }
}

/// One isolated session. Dropping it leaves the session alone; [`IsolatedSession::delete_isolated`] ends it.
#[derive(Debug, Clone)]
pub struct IsolatedSession {
    http: Http,
    id: String,
}

impl IsolatedSession {
    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the session is made of, and how it is.
    ///
    /// # Errors
    ///
    /// 404 if there is no such session.
    pub async fn state(&self) -> Result<SessionState> {
        self.http.json("the isolated session", self.http.get(&[])).await
    }

    /// Runs text to its end.
    ///
    /// # Errors
    ///
    /// 404 if there is no such session or it has ended, 429 if too many runs wait. Text that fails is no error.
    pub async fn run_isolated(&self, run: impl Into<IsolatedRun>) -> Result<Execution> {
        self.stream_isolated(run).await?.collect().await
    }

    /// Runs text and gives its output as it comes. Dropping the stream ends what the run started.
    ///
    /// # Errors
    ///
    /// As of [`IsolatedSession::run_isolated`].
    pub async fn stream_isolated(&self, run: impl Into<IsolatedRun>) -> Result<EventStream> {
        let request = self.http.post(&["run"]).json(&run.into().request);
        Ok(EventStream::new(&self.http, self.http.send(request).await?))
    }

    /// Runs text in the background and returns the run's id.
    ///
    /// # Errors
    ///
    /// As of [`IsolatedSession::run_isolated`].
    pub async fn start_isolated(&self, run: impl Into<IsolatedRun>) -> Result<String> {
        let request = IsolatedRunRequest { background: Some(true), ..run.into().request };
        let answer: IsolatedBackgroundRunResponse =
            self.http.json("the background run", self.http.post(&["run"]).json(&request)).await?;
        Ok(answer.run_id.to_string())
    }

    /// Whether a background run still runs and how it ended.
    ///
    /// # Errors
    ///
    /// 404 if there is no such session or run.
    pub async fn run_status(&self, run: &str) -> Result<IsolatedRunStatus> {
        self.http.json("the background run", self.http.get(&["runs", run])).await
    }

    /// Output of a background run from byte `cursor` on, 0 being its beginning.
    ///
    /// # Errors
    ///
    /// 404 if there is no such session or run.
    pub async fn run_logs(&self, run: &str, cursor: u64) -> Result<Logs> {
        let request = self.http.get(&["runs", run, "logs"]).query(&[("cursor", cursor)]);
        read_logs(&self.http, request, ISOLATED_CURSOR_HEADER).await
    }

    /// The session's changes as a gzip-compressed tar archive.
    ///
    /// # Errors
    ///
    /// 404 if there is no such session, 400 if it keeps no changes, 413 if they are too large.
    pub async fn diff(&self) -> Result<ByteStream> {
        Ok(ByteStream::new(&self.http, self.http.send(self.http.get(&["diff"])).await?))
    }

    /// Writes the session's changes to the sandbox's directories. The session keeps them too.
    ///
    /// # Errors
    ///
    /// 404 if there is no such session, 400 if it keeps no changes.
    pub async fn commit(&self) -> Result<IsolatedCommitResponse> {
        self.http.json("the commit", self.http.post(&["commit"])).await
    }

    /// Ends the session; what was not committed is gone.
    ///
    /// # Errors
    ///
    /// 404 if there is no such session.
    pub async fn delete_isolated(&self) -> Result<()> {
        self.http.done(self.http.delete(&[])).await
    }

    /// Files as the session sees them. Archives and watching are for the sandbox's own files only.
    #[must_use]
    pub fn files(&self) -> Files<'_> {
        Files::new(&self.http)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_limits_are_whole_seconds() {
        let limit = |duration| IsolatedRun::shell("x").timeout(duration).request.timeout_seconds;
        assert_eq!(limit(Duration::ZERO), Some(1));
        assert_eq!(limit(Duration::from_millis(1001)), Some(2));
        assert_eq!(limit(Duration::MAX), Some(i64::MAX));
    }
}
