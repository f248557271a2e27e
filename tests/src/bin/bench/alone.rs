//! execd outside of any sandbox, for what needs this machine's own toolchains.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::header::{HeaderMap, HeaderValue};
use sandkeep_tests::paths;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::http::Connection;

const TOKEN: &str = "bench";

/// Where programs are: the distribution's, and Go as its makers install it.
const PATH: &str = "/usr/bin:/bin:/usr/local/go/bin";

/// It listens within this time.
const START: Duration = Duration::from_secs(10);

/// A daemon, ended with this value.
pub(crate) struct Execd {
    _process: Child,
    address: SocketAddr,
    home: TempDir,
}

impl Execd {
    /// Starts it with these variables.
    pub(crate) async fn start(variables: &[(&str, &str)]) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = Command::new(paths::dist("execd")?);
        command.args(["--log-level", "3", "--port", &port.to_string(), "--access-token", TOKEN]);
        command.env_clear().env("PATH", PATH).env("HOME", home.path());
        // The toolchain's own cache, as it is filled on a machine in use.
        let cache = std::env::home_dir().context("there is no home directory")?.join(".cache/go-build");
        command.env("GOCACHE", cache).envs(variables.iter().copied()).kill_on_drop(true);
        let execd = Self { _process: command.spawn()?, address: (Ipv4Addr::LOCALHOST, port).into(), home };
        let begun = Instant::now();
        while tokio::net::TcpStream::connect(execd.address).await.is_err() {
            ensure!(begun.elapsed() < START, "execd does not listen");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(execd)
    }

    /// A new connection to it.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        let mut headers = HeaderMap::new();
        headers.insert("x-execd-access-token", HeaderValue::from_static(TOKEN));
        Connection::open(self.address, &headers).await
    }

    /// A program with the surroundings that contexts have.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", PATH).current_dir(self.home.path());
        command
    }
}
