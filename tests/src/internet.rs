//! A small Internet in network namespaces: a host whose only route leads to a few public-looking addresses.
//!
//! Nothing sent in there can leave the machine, so a test may safely reach for the "outside" and for the address of the
//! cloud metadata service.

use std::{
    ffi::OsStr,
    fs::File,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::paths;

/// A public web server; says who called it.
pub const WEB: &str = "93.184.216.34";
/// The name server; knows `example.test` and `metadata.test`.
pub const DNS: &str = "1.1.1.1";
/// Where clouds serve their instance secrets.
pub const METADATA: &str = "169.254.169.254";
/// What the metadata server would give away.
pub const SECRET: &str = "instance-credentials";
/// The host's own address on its only link.
pub const HOST: &str = "198.51.100.2";
const GATEWAY: &str = "198.51.100.1";

/// A network namespace that lives as long as this value.
pub struct Netns {
    holder: Child,
    /// Closing it ends the holder, even when this process is killed.
    _alive: Option<ChildStdin>,
}

impl Netns {
    pub fn new() -> Result<Self> {
        let mut holder = Command::new(paths::program("unshare", "util-linux")?)
            .args(["--net", "sh", "-c", "echo ready; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        wait_for_line(&mut holder, "ready")?;
        let alive = holder.stdin.take();
        let netns = Self { holder, _alive: alive };
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/ns/net", self.holder.id()).into()
    }

    /// A command that runs `program` in this namespace, under the process id of the child.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Runs `work` on a thread of its own in this namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let namespace = File::open(self.path())?;
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                move_into_link_name_space(
                    std::os::fd::AsFd::as_fd(&namespace),
                    Some(LinkNameSpaceType::Network),
                )?;
                anyhow::Ok(work())
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs `ip ARGUMENTS` inside.
    pub fn ip(&self, arguments: &str) -> Result<()> {
        let output = self.command("ip").args(arguments.split(' ')).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "ip {arguments}: {complaint}");
        Ok(())
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        self._alive.take();
        // It ends by itself; killing only hurries it, and there is nothing to do about a failure.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// The host's namespace, the outside, and the servers there.
pub struct Internet {
    /// Where the server under test runs.
    pub host: Arc<Netns>,
    /// Where everything else is.
    pub outside: Netns,
    servers: Child,
}

impl Internet {
    pub fn new() -> Result<Self> {
        let (host, outside) = (Netns::new()?, Netns::new()?);
        host.ip(&format!("link add wan type veth peer name wan netns {}", outside.holder.id()))?;
        host.ip(&format!("address add {HOST}/30 dev wan"))?;
        outside.ip(&format!("address add {GATEWAY}/30 dev wan"))?;
        for netns in [&host, &outside] {
            netns.ip("link set wan up")?;
        }
        for address in [WEB, DNS, METADATA] {
            outside.ip(&format!("address add {address}/32 dev lo"))?;
        }
        // The outside knows no way back to a sandbox's private address: only translated packets are answered.
        host.ip(&format!("route add default via {GATEWAY}"))?;
        let mut servers = outside
            .command("python3")
            .arg(paths::script("internet.py"))
            .args([WEB, DNS, METADATA, SECRET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        wait_for_line(&mut servers, "ready")?;
        Ok(Self { host: Arc::new(host), outside, servers })
    }
}

impl Drop for Internet {
    fn drop(&mut self) {
        // Nothing to do about a failure: the process also ends when its standard input closes.
        let _ = self.servers.kill();
        let _ = self.servers.wait();
    }
}

/// Waits for the first line a helper prints, which must be this one.
pub(crate) fn wait_for_line(child: &mut Child, line: &str) -> Result<()> {
    let output = child.stdout.take().context("a captured standard output")?;
    let first = BufReader::new(output).lines().next();
    match first {
        Some(Ok(first)) if first == line => Ok(()),
        other => Err(anyhow!("expected {line:?} from a helper process, got {other:?}")),
    }
}
