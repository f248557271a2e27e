//! A network namespace with an egress sidecar, and an outside of many addresses behind its only link.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::UdpSocket,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{internet::Netns, paths};

/// The name server the sidecar asks.
pub const RESOLVER: &str = "1.1.1.1";
/// One that never answers.
pub const SILENT: &str = "198.51.100.9";
/// Opens the sidecar's API.
pub const TOKEN: &str = "a-token-of-the-test";
/// A sidecar that is asked to end has ended by then, also on a slow machine.
const END_LIMIT: Duration = Duration::from_secs(60);
const END_POLL: Duration = Duration::from_millis(20);
const ADDRESSES: [&str; 12] = [
    "1.1.1.1/32",
    "8.8.8.8/32",
    "9.9.9.9/32",
    "10.9.9.9/32",
    "93.184.216.34/32",
    "93.184.216.35/32",
    "169.254.169.254/32",
    "198.51.100.9/32",
    "2001:db8:1::34/128",
    "2001:db8:1::35/128",
    "2001:db8:1::44/128",
    "2001:db8:1::53/128",
];

/// The namespace to be guarded, and the outside.
pub struct Lab {
    pub inside: Netns,
    pub outside: Netns,
    servers: Child,
    dir: TempDir,
}

impl Lab {
    pub fn new() -> Result<Self> {
        paths::require_root()?;
        let (inside, outside) = (Netns::new()?, Netns::new()?);
        let holder = outside.path();
        let outside_pid = holder.iter().nth(2).context("a path in /proc")?.to_string_lossy().into_owned();
        inside.ip(&format!("link add wan type veth peer name wan netns {outside_pid}"))?;
        inside.ip("address add 198.51.100.2/30 dev wan")?;
        inside.ip("address add 2001:db8::2/64 dev wan nodad")?;
        outside.ip("address add 198.51.100.1/30 dev wan")?;
        outside.ip("address add 2001:db8::1/64 dev wan nodad")?;
        for netns in [&inside, &outside] {
            netns.ip("link set wan up")?;
        }
        for address in ADDRESSES {
            // Addresses in use need no look for others who have them.
            let mode = if address.contains(':') { " nodad" } else { "" };
            outside.ip(&format!("address add {address} dev lo{mode}"))?;
        }
        inside.ip("route add default via 198.51.100.1")?;
        inside.ip("-6 route add default via 2001:db8::1")?;
        // Anybody may ping, as in a sandbox.
        let range = "echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range";
        ensure!(inside.command("sh").args(["-c", range]).status()?.success(), "cannot allow pings");
        let dir = tempfile::tempdir()?;
        let mut servers = outside
            .command("python3")
            .arg(paths::script("outside.py"))
            .arg(dir.path().join("questions"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(servers.stdout.take().context("its output")?).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "the outside does not start: {line:?}");
        Ok(Self { inside, outside, servers, dir })
    }

    /// A directory of the test's own.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// Questions that got out, as `SERVER udp|tcp NAME TYPE`.
    pub fn questions(&self) -> Result<Vec<String>> {
        Ok(fs::read_to_string(self.dir.path().join("questions"))?.lines().map(str::to_owned).collect())
    }

    /// Returns when every question that has got to a name server by now is among [`Lab::questions`].
    pub fn settle(&self, server: &str) -> Result<()> {
        const QUESTION: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x05after\x02ok\x04test\0\0\x01\0\x01";
        self.outside.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0")?;
            socket.set_read_timeout(Some(Duration::from_secs(60)))?;
            // They are answered in turn.
            socket.send_to(QUESTION, (server, 53))?;
            socket.recv(&mut [0; 512]).context("a name server of the outside is silent")?;
            Ok(())
        })?
    }

    /// Starts a sidecar with these settings (names without their prefix), and returns when it says that it is ready.
    pub fn sidecar(&self, settings: &[(&str, &str)]) -> Result<Sidecar> {
        self.sidecar_with(settings, &[])
    }

    /// The same with further variables by their whole names.
    pub fn sidecar_with(&self, settings: &[(&str, &str)], whole: &[(&str, &str)]) -> Result<Sidecar> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("log"))?;
        let mut command = Command::new(paths::dist("egress-sidecar")?);
        command.current_dir(self.dir.path()).env_clear().env("OPENSANDBOX_EGRESS_NETNS", self.inside.path());
        let fixed = [
            ("TOKEN", TOKEN),
            ("MODE", "dns+nft"),
            ("DNS_UPSTREAM", RESOLVER),
            ("RULES_DIR", "rules"),
            // Told on standard output, which is nothing else's.
            ("READY_FD", "1"),
        ];
        // Only made where something is intercepted.
        command.env("OPENSANDBOX_CREDENTIAL_PROXY_SOCKET", "active.sock");
        for (name, value) in fixed.iter().chain(settings) {
            command.env(format!("OPENSANDBOX_EGRESS_{name}"), value);
        }
        command.envs(whole.iter().copied());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn()?;
        let mut told = Vec::new();
        child.stdout.take().context("its output")?.read_to_end(&mut told)?;
        let sidecar = Sidecar { child };
        ensure!(told == b"R", "the sidecar does not start: {}", self.log());
        Ok(sidecar)
    }

    /// What the sidecars have logged, but for floods.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        log.lines().filter(|line| !line.contains(".flood.test")).collect::<Vec<_>>().join("\n")
    }

    /// Calls the sidecar's API from inside, with the token.
    pub fn call(&self, method: &str, path: &str, body: Option<&str>) -> Result<(u16, String)> {
        self.call_at(&self.inside, "127.0.0.1", method, path, body)
    }

    /// Calls it from outside, where its owner is.
    pub fn call_from_outside(&self, method: &str, path: &str, body: Option<&str>) -> Result<(u16, String)> {
        self.call_at(&self.outside, "198.51.100.2", method, path, body)
    }

    fn call_at(
        &self,
        from: &Netns,
        address: &str,
        method: &str,
        path: &str,
        body: Option<&str>,
    ) -> Result<(u16, String)> {
        let mut command = from.command("curl");
        command.args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"]);
        command.args(["--request", method, "--header", &format!("OPENSANDBOX-EGRESS-AUTH: {TOKEN}")]);
        if let Some(body) = body {
            command.args(["--data-binary", body]);
        }
        let output = command.arg(format!("http://{address}:18080{path}")).output()?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{method} {path}: {complaint} {}", self.log());
        let text = String::from_utf8(output.stdout)?;
        let (body, status) = text.rsplit_once('\n').context("a status")?;
        Ok((status.parse()?, body.to_owned()))
    }

    /// A call that must succeed.
    pub fn ask(&self, method: &str, path: &str, body: Option<&str>) -> Result<Value> {
        let (status, text) = self.call(method, path, body)?;
        ensure!(status == 200, "{method} {path}: {status} {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// Notes from now on whom packets from inside are for, but for the addresses that may be reached. Questions the
    /// sidecar asks and what neighbours of a link tell each other do not count.
    pub fn watch(&self) -> Result<()> {
        let rules = format!(
            "table inet watch {{
                set stray4 {{ type ipv4_addr; flags dynamic; size 1024; }}
                set stray6 {{ type ipv6_addr; flags dynamic; size 1024; }}
                chain arrivals {{
                    type filter hook prerouting priority -300;
                    iifname wan ip daddr != {{ {RESOLVER}, 93.184.216.34 }} add @stray4 {{ ip daddr }}
                    iifname wan icmpv6 type {{ 131, 132, 133, 134, 135, 136, 143 }} accept
                    iifname wan ip6 daddr != 2001:db8:1::34 add @stray6 {{ ip6 daddr }}
                }}
            }}"
        );
        let output = self.outside.command("nft").arg(rules).output()?;
        ensure!(output.status.success(), "nft: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Addresses outside that something was sent to since [`Lab::watch`], though nothing may be.
    pub fn strays(&self) -> Result<Vec<String>> {
        let mut strays = Vec::new();
        for set in ["stray4", "stray6"] {
            let mut list = self.outside.command("nft");
            let output = list.args(["--json", "list", "set", "inet", "watch", set]).output()?;
            let listed: Value = serde_json::from_slice(&output.stdout)
                .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
            let elements = listed["nftables"].as_array().into_iter().flatten();
            let elements = elements.filter_map(|object| object["set"]["elem"].as_array()).flatten();
            strays
                .extend(elements.map(|element| element.as_str().map_or(element.to_string(), str::to_owned)));
        }
        Ok(strays)
    }

    /// Somebody inside without any power.
    pub fn intruder(&self) -> Result<Intruder> {
        Intruder::start(&self.inside, "egress_attempts.py")
    }

    /// Somebody at the other end of the link, as a neighbour is.
    pub fn neighbour(&self) -> Result<Intruder> {
        Intruder::start(&self.outside, "egress_attempts.py")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // It also ends when its standard input closes.
        let _ = self.servers.kill();
        let _ = self.servers.wait();
    }
}

/// A running sidecar.
pub struct Sidecar {
    child: Child,
}

impl Sidecar {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and says how it has.
    pub fn end(mut self) -> Result<ExitStatus> {
        let pid = i32::try_from(self.pid())?;
        let pid = rustix::process::Pid::from_raw(pid).context("a process id")?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let begun = Instant::now();
        while begun.elapsed() < END_LIMIT {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            std::thread::sleep(END_POLL);
        }
        anyhow::bail!("the sidecar does not end")
    }

    /// Ends it without a warning.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Does what it is told, one attempt after the other.
pub struct Intruder {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Intruder {
    /// Somebody in this namespace who knows what is in this script.
    pub fn start(netns: &Netns, script: &str) -> Result<Self> {
        let mut command = netns.command("python3");
        command.arg(paths::script(script)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let input = child.stdin.take().context("its input")?;
        let output = BufReader::new(child.stdout.take().context("its output")?);
        Ok(Self { child, input, output })
    }

    /// What came of an attempt of the script.
    pub fn tries(&mut self, attempt: &str, arguments: Value) -> Result<String> {
        self.tries_with(attempt, arguments, json!({}))
    }

    /// The same with arguments that have names.
    pub fn tries_with(&mut self, attempt: &str, arguments: Value, named: Value) -> Result<String> {
        writeln!(self.input, "{}", json!([attempt, arguments, named]))?;
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        serde_json::from_str(&line).with_context(|| format!("{attempt}: {line:?}"))
    }
}

impl Drop for Intruder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
