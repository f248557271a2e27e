//! The daemon inside a sandbox.

mod code;
mod commands;
mod events;
mod execution;
mod files;
mod isolated;
mod metrics;
mod pty;
mod sessions;
mod transfer;
mod watch;

use reqwest::header::HeaderMap;
use sandkeep_specs::execd::ACCESS_TOKEN_HEADER;

pub use code::Code;
pub use commands::{Command, Commands, Logs};
pub use events::EventStream;
pub use execution::Execution;
pub use files::Files;
pub use isolated::{Isolated, IsolatedRun, IsolatedSession};
pub use metrics::MetricsStream;
pub use pty::{Pty, PtyAttach, PtyEvent};
pub use sessions::{SessionRun, Sessions};
pub use transfer::{ByteStream, FileSource};
pub use watch::WatchStream;

use crate::Result;
use crate::transport::{Http, Timeouts, add_header};

/// An execd, in a sandbox or on its own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Execd {
    http: Http,
}

impl Execd {
    /// The execd at `url`; an empty token is left out.
    ///
    /// # Errors
    ///
    /// [`Error::Config`](crate::Error::Config) if the address or the token cannot be used.
    pub fn new(url: &str, access_token: &str, timeouts: Timeouts) -> Result<Self> {
        let mut headers = HeaderMap::new();
        if !access_token.is_empty() {
            add_header(&mut headers, ACCESS_TOKEN_HEADER, access_token, true)?;
        }
        Ok(Self::from_http(Http::new(url, headers, timeouts, false)?))
    }

    pub(crate) fn from_http(http: Http) -> Self {
        Self { http }
    }

    /// The daemon's address.
    #[must_use]
    pub fn url(&self) -> &str {
        self.http.base()
    }

    /// Fails unless the daemon answers and accepts the token.
    ///
    /// # Errors
    ///
    /// [`Error::Transport`](crate::Error::Transport) if it does not answer, 401 if the token is wrong.
    pub async fn ping(&self) -> Result<()> {
        self.http.done(self.http.get(&["ping"])).await
    }

    /// Running commands.
    #[must_use]
    pub fn commands(&self) -> Commands<'_> {
        Commands::new(&self.http)
    }

    /// Running code with lasting variables.
    #[must_use]
    pub fn code(&self) -> Code<'_> {
        Code::new(&self.http)
    }

    /// Files and directories.
    #[must_use]
    pub fn files(&self) -> Files<'_> {
        Files::new(&self.http)
    }

    /// Files and directories as a user and group may see and change them. Archives and watching are for the sandbox's
    /// own user only.
    #[must_use]
    pub fn files_as(&self, uid: u32, gid: u32) -> Files<'static> {
        Files::owned(self.http.below(&["v1", "filesystem", &uid.to_string(), &gid.to_string()]))
    }

    /// Shells that remember directory, variables and functions.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions::new(&self.http)
    }

    /// Shells with files of their own on top of the sandbox's.
    #[must_use]
    pub fn isolated(&self) -> Isolated<'_> {
        Isolated::new(&self.http)
    }
}

/// A time limit as execd takes it; none is shorter than a millisecond, since 0 would be no limit.
fn milliseconds(limit: std::time::Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX).max(1)
}
