//! One sandbox and what is done with it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder};
use sandkeep_specs::lifecycle::{Endpoint, Sandbox as Record, StartSandboxResponse, StopSandboxResponse};

use crate::{Client, Code, Commands, CreateOptions, Error, Execd, Files, Isolated, Result, Sessions, Tunnel};

/// execd's port in every sandbox.
const EXECD_PORT: u16 = 44772;

/// Pause between two looks at a sandbox that does not answer yet.
const READY_POLL: Duration = Duration::from_millis(5);

/// A sandbox that answers. Dropping it leaves the sandbox alone; [`Sandbox::delete`] removes it.
#[derive(Debug, Clone)]
pub struct Sandbox {
    pub(crate) client: Client,
    id: String,
    through_server: bool,
    execd: Execd,
}

impl Sandbox {
    /// Creates a sandbox and waits until it answers. One that never does is removed again.
    ///
    /// # Errors
    ///
    /// As of [`Client::create_sandbox`], and [`Error::Timeout`] if it did not answer within
    /// [`crate::Timeouts::ready`].
    pub async fn create(client: &Client, options: CreateOptions) -> Result<Self> {
        let created = client.create_sandbox(&options.request).await?;
        match Self::reach(client, &created.id, options.server_proxy).await {
            Ok(sandbox) => Ok(sandbox),
            Err(error) => {
                // What went wrong first is what the caller has to know.
                let _ = client.delete_sandbox(&created.id).await;
                Err(error)
            }
        }
    }

    /// Finds a sandbox by its id, at its own address.
    ///
    /// # Errors
    ///
    /// 404 if there is no such sandbox or it does not run, [`Error::Timeout`] if it does not answer in time.
    pub async fn connect(client: &Client, id: &str) -> Result<Self> {
        Self::reach(client, id, false).await
    }

    /// Finds a sandbox by its id, through the server.
    ///
    /// # Errors
    ///
    /// As of [`Sandbox::connect`].
    pub async fn connect_through_server(client: &Client, id: &str) -> Result<Self> {
        Self::reach(client, id, true).await
    }

    async fn reach(client: &Client, id: &str, through_server: bool) -> Result<Self> {
        let limit = client.ready_limit();
        let start = Instant::now();
        loop {
            match Self::try_reach(client, id, through_server).await {
                Ok(execd) => {
                    return Ok(Self { client: client.clone(), id: id.to_owned(), through_server, execd });
                }
                Err(error) if !is_passing(&error) => return Err(error),
                Err(_) if start.elapsed() >= limit => {
                    return Err(Error::Timeout { what: "waiting for the sandbox to answer", limit });
                }
                Err(_) => tokio::time::sleep(READY_POLL).await,
            }
        }
    }

    async fn try_reach(client: &Client, id: &str, through_server: bool) -> Result<Execd> {
        let endpoint = client.endpoint(id, EXECD_PORT, through_server).await?;
        let execd = Execd::from_http(client.connect(&endpoint, through_server)?);
        execd.ping().await?;
        Ok(execd)
    }

    /// The sandbox's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether requests to the sandbox go through the server.
    pub(crate) fn is_through_server(&self) -> bool {
        self.through_server
    }

    /// The sandbox as the server sees it now.
    ///
    /// # Errors
    ///
    /// 404 if it is gone.
    pub async fn get(&self) -> Result<Record> {
        self.client.get_sandbox(&self.id).await
    }

    /// Freezes the sandbox where it is; [`Sandbox::resume`] lets it go on.
    ///
    /// # Errors
    ///
    /// As of [`Client::pause_sandbox`].
    pub async fn pause(&self) -> Result<()> {
        self.client.pause_sandbox(&self.id).await
    }

    /// Lets the paused sandbox go on.
    ///
    /// # Errors
    ///
    /// As of [`Client::resume_sandbox`].
    pub async fn resume(&self) -> Result<()> {
        self.client.resume_sandbox(&self.id).await
    }

    /// Ends the sandbox's processes and keeps its files, and its memory if that is wanted and possible.
    ///
    /// # Errors
    ///
    /// As of [`Client::stop_sandbox`].
    pub async fn stop(&self, memory: bool) -> Result<StopSandboxResponse> {
        self.client.stop_sandbox(&self.id, memory).await
    }

    /// Starts the stopped sandbox.
    ///
    /// # Errors
    ///
    /// As of [`Client::start_sandbox`].
    pub async fn start(&self) -> Result<StartSandboxResponse> {
        self.client.start_sandbox(&self.id).await
    }

    /// Lets the sandbox live for this much longer, counted from now.
    ///
    /// # Errors
    ///
    /// As of [`Client::renew_sandbox`].
    pub async fn renew(&self, lifetime: Duration) -> Result<DateTime<Utc>> {
        let until =
            chrono::TimeDelta::from_std(lifetime).ok().and_then(|delta| Utc::now().checked_add_signed(delta));
        let until =
            until.ok_or_else(|| Error::Config("the lifetime reaches beyond the calendar".to_owned()))?;
        self.client.renew_sandbox(&self.id, until).await
    }

    /// Changes labels: a value sets one, `None` removes it, others stay.
    ///
    /// # Errors
    ///
    /// As of [`Client::patch_metadata`].
    pub async fn patch_metadata(&self, patch: BTreeMap<String, Option<String>>) -> Result<Record> {
        self.client.patch_metadata(&self.id, patch).await
    }

    /// Where a port of the sandbox is reached.
    ///
    /// # Errors
    ///
    /// As of [`Client::endpoint`].
    pub async fn endpoint(&self, port: u16) -> Result<Endpoint> {
        self.client.endpoint(&self.id, port, self.through_server).await
    }

    /// Opens a TCP connection to a port of the sandbox, through the server.
    ///
    /// # Errors
    ///
    /// As of [`Client::open_tunnel`].
    pub async fn open_tunnel(&self, port: u16) -> Result<Tunnel> {
        self.client.open_tunnel(&self.id, port).await
    }

    /// A request to a port of the sandbox, through the server; see [`Client::port_request`].
    ///
    /// # Errors
    ///
    /// As of [`Client::port_request`].
    pub fn port_request(&self, port: u16, method: Method, path: &str) -> Result<RequestBuilder> {
        self.client.port_request(&self.id, port, method, path)
    }

    /// Removes the sandbox and everything in it.
    ///
    /// # Errors
    ///
    /// As of [`Client::delete_sandbox`].
    pub async fn delete(&self) -> Result<()> {
        self.client.delete_sandbox(&self.id).await
    }

    /// The daemon inside.
    #[must_use]
    pub fn execd(&self) -> &Execd {
        &self.execd
    }

    /// Running commands.
    #[must_use]
    pub fn commands(&self) -> Commands<'_> {
        self.execd.commands()
    }

    /// Running code with lasting variables.
    #[must_use]
    pub fn code(&self) -> Code<'_> {
        self.execd.code()
    }

    /// Shells that remember directory, variables and functions.
    #[must_use]
    pub fn sessions(&self) -> Sessions<'_> {
        self.execd.sessions()
    }

    /// Shells with files of their own on top of the sandbox's.
    #[must_use]
    pub fn isolated(&self) -> Isolated<'_> {
        self.execd.isolated()
    }

    /// Files and directories.
    #[must_use]
    pub fn files(&self) -> Files<'_> {
        self.execd.files()
    }
}

/// Whether waiting may help: nothing listens yet, or something in between says so.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Transport { .. } | Error::Timeout { .. } => true,
        Error::Api { status, .. } => matches!(status, 409 | 502 | 503 | 504),
        _ => false,
    }
}
