//! A lifecycle-server of the test's own: state directory, port, key and subnet nobody else uses.
//!
//! However a test ends, its server's sandboxes are destroyed and its state is removed: when the server is dropped, when
//! the process exits (for the shared one), or, after a kill, by the next process that starts a server.

use std::{
    ffi::OsStr,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use crate::{
    api::Api,
    internet::Netns,
    leaks,
    paths::{self, BASE_IMAGE, CODE_IMAGE, DOCUMENTED_CODE_IMAGE},
    subnet::Subnet,
    wire,
};

/// A server that needs longer than this to answer its first request is broken.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A server that needs longer than this to stop is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Deleted sandboxes must be gone from the host within this time.
const CLEAN_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// What a test wants different from the usual server.
#[derive(Default)]
pub struct Setup {
    lines: Vec<(&'static str, String)>,
    netns: Option<Arc<Netns>>,
    without_image: bool,
    code_image: bool,
    without_key: bool,
    tenants: Vec<(&'static str, &'static str)>,
    path: Option<PathBuf>,
    key: Option<String>,
    without_subnet: bool,
}

impl Setup {
    /// Adds `line` to a table of the configuration.
    pub fn set(mut self, table: &'static str, line: impl Into<String>) -> Self {
        self.lines.push((table, line.into()));
        self
    }

    /// Runs the server in a network namespace, on all its addresses.
    pub fn inside(mut self, netns: &Arc<Netns>) -> Self {
        self.netns = Some(netns.clone());
        self
    }

    /// Makes it a server of tenants, each a namespace with lines of its own in their file; see [`Server::tenant`].
    pub fn tenants(mut self, tenants: &[(&'static str, &'static str)]) -> Self {
        self.tenants = tenants.to_vec();
        self
    }

    /// Has the server look for programs here first.
    pub fn path(mut self, directory: &Path) -> Self {
        self.path = Some(directory.to_owned());
        self
    }

    /// Leaves the API key out of the configuration.
    pub fn without_key(mut self) -> Self {
        self.without_key = true;
        self
    }

    /// Has the image with all toolchains instead of the base image.
    pub fn with_code_image(mut self) -> Self {
        self.code_image = true;
        self
    }

    /// Lets the server choose its subnet.
    pub fn without_subnet(mut self) -> Self {
        self.without_subnet = true;
        self
    }

    /// Has the API key of another server.
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Leaves the image store empty.
    pub fn without_image(mut self) -> Self {
        self.without_image = true;
        self
    }
}

/// A running server. Dropping it destroys its sandboxes and removes its state.
pub struct Server {
    dir: PathBuf,
    pub port: u16,
    pub key: String,
    /// Second octet of the server's `10.x.0.0/16`.
    pub subnet: u8,
    _claim: Subnet,
    netns: Option<Arc<Netns>>,
    child: Mutex<Option<Child>>,
    /// Where it looks for programs before it does where everybody looks.
    path: Option<PathBuf>,
    /// Where the next process ends itself.
    fault: Mutex<Option<&'static str>>,
    /// It answered at least once, so there may be sandboxes to destroy.
    started: AtomicBool,
    cleaned: AtomicBool,
}

static SHARED: OnceLock<Server> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

impl Server {
    /// The server all tests of this process share, started by the first that asks.
    pub fn shared() -> Result<&'static Self> {
        let _one_at_a_time = locked(&STARTING);
        if let Some(server) = SHARED.get() {
            return Ok(server);
        }
        let server = Self::start(Setup::default())?;
        // SAFETY: the handler is a plain function and stays valid as long as the process.
        unsafe { libc::atexit(clean_shared) };
        Ok(SHARED.get_or_init(|| server))
    }

    /// Starts a server on fresh state, the base image imported.
    pub fn start(setup: Setup) -> Result<Self> {
        paths::require_root()?;
        paths::dist("execd")?;
        sweep();
        let dir = new_directory()?;
        let port = match &setup.netns {
            Some(_) => 8080,
            None => free_port()?,
        };
        let key = match &setup.key {
            Some(key) => key.clone(),
            None => fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned(),
        };
        let claim = Subnet::choose()?;
        let netns = setup.netns.clone();
        let mut server = Self {
            dir,
            port,
            key,
            subnet: claim.second,
            _claim: claim,
            netns,
            path: setup.path.clone(),
            child: Mutex::new(None),
            fault: Mutex::new(None),
            started: AtomicBool::new(false),
            cleaned: AtomicBool::new(false),
        };
        server.write_config(&setup)?;
        if !setup.without_image {
            server.take_image(setup.code_image)?;
        }
        server.launch()?;
        if setup.without_subnet {
            let chosen = fs::read_to_string(server.state().join("subnet"))?;
            let second = chosen.split('.').nth(1).context("a subnet has a second octet")?;
            server.subnet = second.parse()?;
        }
        Ok(server)
    }

    fn write_config(&self, setup: &Setup) -> Result<()> {
        let host = if self.netns.is_some() { "0.0.0.0" } else { "127.0.0.1" };
        let mut lines = vec![
            ("server", format!("host = \"{host}\"")),
            ("server", format!("port = {}", self.port)),
            ("runtime", "type = \"native\"".to_owned()),
            ("native", format!("state_dir = \"{}\"", self.state().display())),
        ];
        if !setup.without_subnet {
            lines.push(("native", format!("subnet = \"10.{}.0.0/16\"", self.subnet)));
        }
        lines.extend(setup.lines.iter().cloned());
        let key = ("server", format!("api_key = \"{}\"", self.key));
        let plain = lines.iter().cloned().chain((!setup.without_key).then_some(key));
        if setup.tenants.is_empty() {
            fs::write(self.config(), tables(&plain.collect::<Vec<_>>()))?;
        } else {
            let file = self.dir.join("tenants.toml");
            let entry = |(namespace, more): &(&str, &str)| {
                let key = self.tenant_key(namespace);
                format!(
                    "[[tenants]]\nname = {namespace:?}\nnamespace = {namespace:?}\napi_keys = [{key:?}]\n{more}\n"
                )
            };
            fs::write(&file, setup.tenants.iter().map(entry).collect::<String>())?;
            fs::write(self.without_tenants(), tables(&plain.collect::<Vec<_>>()))?;
            lines.push(("tenants", format!("path = {file:?}")));
            fs::write(self.config(), tables(&lines))?;
        }
        // What a later process needs to clean up after this one.
        let known = json!({"port": self.port, "key": self.key, "subnet": self.subnet});
        fs::write(self.dir.join("known.json"), known.to_string())?;
        Ok(())
    }

    /// The same configuration for whoever cleans up, who has to see everybody's sandboxes.
    fn without_tenants(&self) -> PathBuf {
        self.dir.join("without-tenants.toml")
    }

    fn tenant_key(&self, namespace: &str) -> String {
        format!("{}-{namespace}", self.key)
    }

    /// A tenant of this server.
    pub fn tenant(&self, namespace: &str) -> Api {
        Api::new(self.url(), self.tenant_key(namespace))
    }

    /// Puts an image into the store: imported by the first server after a build, linked by all others, since nobody
    /// ever writes to an unpacked layer.
    fn take_image(&self, code: bool) -> Result<()> {
        let (archive, names, kept) = match code {
            false => (paths::base_image()?, &[BASE_IMAGE][..], "image"),
            true => (paths::code_image()?, &[CODE_IMAGE, DOCUMENTED_CODE_IMAGE][..], "image-code"),
        };
        let dir = paths::artifacts()?;
        let lock = fs::File::create(dir.join(format!("{kept}.lock")))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        let mut stamp = String::new();
        for file in [&archive, &paths::dist("lifecycle-server")?] {
            let known = fs::metadata(file)?;
            stamp.push_str(&format!("{}-{}-", known.len(), known.mtime()));
        }
        let (kept, stamped) = (dir.join(kept), dir.join(format!("{kept}.stamp")));
        let own = self.state().join("images");
        if fs::read_to_string(&stamped).unwrap_or_default() != stamp {
            let archive = archive.to_str().context("a path in UTF-8")?;
            let names = names.iter().flat_map(|name| ["--name", name]);
            self.cli_ok(&["image", "import", archive].into_iter().chain(names).collect::<Vec<_>>())?;
            // Absent the first time.
            let _ = fs::remove_dir_all(&kept);
            link_tree(&own, &kept)?;
            fs::write(stamped, stamp)?;
            return Ok(());
        }
        link_tree(&kept, &own)
    }

    /// Directory that holds the sandboxes, images and records.
    pub fn state(&self) -> PathBuf {
        self.dir.join("state")
    }

    pub fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    /// Everything the server has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("server.log")).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(25)..].join("\n")
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port)
    }

    /// A caller of this server. In a network namespace it works only inside [`Server::run`].
    pub fn api(&self) -> Api {
        Api::new(self.url(), self.key.clone())
    }

    /// Runs `work` where the server can be reached.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        match &self.netns {
            Some(netns) => netns.run(work),
            None => Ok(work()),
        }
    }

    /// A command in the server's network namespace.
    pub(crate) fn host_command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.netns {
            Some(netns) => netns.command(program),
            None => Command::new(program),
        }
    }

    fn program(&self) -> Result<Command> {
        let mut command = self.host_command(paths::dist("lifecycle-server")?);
        command.arg("--config").arg(self.config());
        if let Some(first) = &self.path {
            let usual = std::env::var_os("PATH").unwrap_or_default();
            let all = std::iter::once(first.clone()).chain(std::env::split_paths(&usual));
            command.env("PATH", std::env::join_paths(all)?);
        }
        if let Some(point) = *locked(&self.fault) {
            command.env("SANDKEEP_FAULT_POINT", point);
        }
        for variable in ["OPENSANDBOX_SERVER_API_KEY", "OPENSANDBOX_INSECURE_SERVER", "SANDBOX_CONFIG_PATH"] {
            command.env_remove(variable);
        }
        Ok(command)
    }

    /// Runs a sub-command of the server binary on this server's configuration.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.program()?.args(arguments).stdin(Stdio::null()).output()?)
    }

    /// Like [`Server::cli`], but must succeed; returns what it printed.
    pub fn cli_ok(&self, arguments: &[&str]) -> Result<String> {
        let output = self.cli(arguments)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{arguments:?} failed: {}\n{text}{complaint}", output.status);
        Ok(text)
    }

    fn launch(&self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.join("server.log"))?;
        let child = self.program()?.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        fs::write(self.dir.join("server.pid"), child.id().to_string())?;
        *locked(&self.child) = Some(child);
        let since = Instant::now();
        while !self.healthy() {
            if let Some(status) = self.exited() {
                bail!("the server ended while starting ({status}):\n{}", self.log_tail());
            }
            ensure!(since.elapsed() < START_TIMEOUT, "the server does not answer:\n{}", self.log_tail());
            sleep(POLL);
        }
        self.started.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn healthy(&self) -> bool {
        self.call("GET", "/health").is_ok_and(|answer| answer.status == 200)
    }

    /// A blocking request with the API key.
    pub fn call(&self, method: &str, path: &str) -> Result<wire::Answer> {
        let headers = [("open-sandbox-api-key", self.key.as_str())];
        self.run(|| wire::request(self.address(), method, path, &headers, b""))?
    }

    /// Status of the server's process if it ended by itself.
    pub fn exited(&self) -> Option<ExitStatus> {
        locked(&self.child).as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    pub fn pid(&self) -> Result<u32> {
        Ok(locked(&self.child).as_ref().context("the server is not running")?.id())
    }

    /// Resident memory of the server's process, in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        resident_kib(self.pid()?)
    }

    /// What the server's process holds beside its program, in KiB: the program's own pages come and go.
    pub fn private_kib(&self) -> Result<u64> {
        status_kib(self.pid()?, "RssAnon:")
    }

    /// Ends the server with SIGKILL, at whatever it is doing.
    pub fn kill(&self) -> Result<()> {
        let mut child = locked(&self.child).take().context("the server is not running")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Starts the server anew, to end as by SIGKILL when it gets to the point named (see `fault.rs` of the server).
    pub fn restart_to_die_at(&self, point: &'static str) -> Result<()> {
        let _ = self.kill();
        *locked(&self.fault) = Some(point);
        let launched = self.launch();
        *locked(&self.fault) = None;
        launched
    }

    /// Waits for the server to end by itself.
    pub fn wait_for_end(&self, limit: Duration) -> Result<()> {
        let since = Instant::now();
        while self.exited().is_none() {
            ensure!(since.elapsed() < limit, "the server goes on:\n{}", self.log_tail());
            sleep(POLL);
        }
        locked(&self.child).take();
        Ok(())
    }

    /// Asks the server to stop and waits for its end.
    pub fn stop(&self) -> Result<ExitStatus> {
        let mut child = locked(&self.child).take().context("the server is not running")?;
        if let Some(pid) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        let since = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if since.elapsed() > STOP_TIMEOUT {
                child.kill()?;
                child.wait()?;
                bail!("the server did not stop within {STOP_TIMEOUT:?}:\n{}", self.log_tail());
            }
            sleep(POLL);
        }
    }

    /// Starts the server again on the state it left.
    pub fn restart(&self) -> Result<()> {
        ensure!(locked(&self.child).is_none(), "the server is still running");
        self.launch()
    }

    /// Ids of all sandboxes, asked for without an async runtime.
    fn ids(&self) -> Result<Vec<String>> {
        let answer = self.call("GET", "/v1/sandboxes?pageSize=200")?;
        let list: Value = serde_json::from_str(&answer.body)?;
        let items = list["items"].as_array().context("a list has items")?;
        Ok(items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect())
    }

    /// Members of pools are no sandboxes that a list shows.
    fn delete_pools(&self) -> Result<()> {
        let answer = self.call("GET", "/v1/pools")?;
        // A server that is measured may be too old to have any.
        if answer.status != 200 {
            return Ok(());
        }
        let list: Value = serde_json::from_str(&answer.body)?;
        for pool in list["items"].as_array().context("a list has items")? {
            let name = pool["name"].as_str().context("a pool has a name")?;
            self.call("DELETE", &format!("/v1/pools/{name}"))?;
        }
        Ok(())
    }

    fn clean(&self) -> Result<()> {
        if self.cleaned.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        if self.exited().is_some() {
            locked(&self.child).take();
        }
        if self.started.load(Ordering::SeqCst) {
            self.destroy_all()?;
        }
        self.keep_log()?;
        remove_in_background(&self.dir)
    }

    /// A failed test is looked into afterwards: logs stay, named after the test program.
    fn keep_log(&self) -> Result<()> {
        let logs = paths::artifacts()?.join("logs");
        fs::create_dir_all(&logs)?;
        let program = std::env::current_exe()?;
        let program = program.file_stem().unwrap_or_default().to_string_lossy();
        let program = program.rsplit_once('-').map_or(&*program, |(name, _)| name);
        let number = self.dir.file_name().unwrap_or_default().to_string_lossy();
        fs::write(logs.join(format!("{program}-{number}.log")), self.log())?;
        Ok(())
    }

    fn destroy_all(&self) -> Result<()> {
        if self.without_tenants().exists() {
            let _ = self.kill();
            fs::rename(self.without_tenants(), self.config())?;
        }
        if locked(&self.child).is_none() {
            self.launch()?;
        }
        self.delete_pools()?;
        let since = Instant::now();
        loop {
            let ids = self.ids()?;
            if ids.is_empty() {
                break;
            }
            ensure!(since.elapsed() < CLEAN_TIMEOUT, "sandboxes cannot be deleted: {ids:?}");
            for id in ids {
                self.call("DELETE", &format!("/v1/sandboxes/{id}"))?;
            }
        }
        while self.busy() && since.elapsed() < CLEAN_TIMEOUT {
            sleep(POLL);
        }
        let settings = leaks::HostSettings::of(self);
        self.stop()?;
        settings?.remove(self);
        Ok(())
    }

    /// Deleted sandboxes still lie in the state directory.
    fn busy(&self) -> bool {
        ["sandboxes", "trash"].iter().any(|name| {
            fs::read_dir(self.state().join(name)).is_ok_and(|mut entries| entries.next().is_some())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.clean() {
            complain(&format!("{} is left behind: {error:#}", self.dir.display()));
        }
    }
}

/// Lines by table as a configuration file.
fn tables(lines: &[(&'static str, String)]) -> String {
    let mut names: Vec<&str> = lines.iter().map(|(table, _)| *table).collect();
    names.sort_unstable();
    names.dedup();
    let mut config = String::new();
    for name in names {
        config.push_str(&format!("[{name}]\n"));
        for (_, line) in lines.iter().filter(|(of, _)| *of == name) {
            config.push_str(&format!("{line}\n"));
        }
    }
    config
}

/// Copies a directory: sub-directories with links to the same files, top-level files (index, locks) for real.
fn link_tree(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let way = if entry.file_type()?.is_dir() { "-al" } else { "-a" };
        let status = Command::new("cp").arg(way).arg(entry.path()).arg(to).status()?;
        ensure!(status.success(), "copying {}: {status}", entry.path().display());
    }
    Ok(())
}

/// Takes a directory away at once; its content may take longer to go.
fn remove_in_background(dir: &Path) -> Result<()> {
    let gone = dir.with_extension("gone");
    fs::rename(dir, &gone).with_context(|| format!("removing {}", dir.display()))?;
    Command::new("rm").arg("-rf").arg(&gone).stdin(Stdio::null()).spawn()?;
    Ok(())
}

/// Resident memory of a process, in KiB.
pub fn resident_kib(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS:")
}

fn status_kib(pid: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a process has memory")?;
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).context("memory is a number")
}

extern "C" fn clean_shared() {
    // A panic must not cross into the C library; there is nobody left to report it to but stderr.
    let cleaned = std::panic::catch_unwind(|| SHARED.get().map_or(Ok(()), Server::clean));
    if let Ok(Err(error)) = cleaned {
        complain(&format!("the shared server is left behind: {error:#}"));
    }
}

#[expect(clippy::print_stderr, reason = "the only way out of a destructor")]
fn complain(text: &str) {
    eprintln!("{text}");
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Cleans up after processes that were killed before they could.
fn sweep() {
    static ONCE: OnceLock<()> = OnceLock::new();
    ONCE.get_or_init(|| {
        let Ok(entries) = run_directory().and_then(|dir| Ok(fs::read_dir(dir)?)) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let owner = name.split('-').next().and_then(|pid| pid.parse::<u32>().ok());
            if owner.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
                continue;
            }
            if name.ends_with(".gone") {
                let _ = fs::remove_dir_all(entry.path());
                continue;
            }
            match abandoned(&entry.path()) {
                Ok(server) => drop(server),
                // Never got as far as a configuration: nothing can run there.
                Err(_) => drop(fs::remove_dir_all(entry.path())),
            }
        }
    });
}

/// A server whose test process is gone, its own process ended.
fn abandoned(dir: &Path) -> Result<Server> {
    let known: Value = serde_json::from_slice(&fs::read(dir.join("known.json"))?)?;
    let number = |name: &str| known[name].as_u64().context("a number");
    let pid = fs::read_to_string(dir.join("server.pid")).unwrap_or_default();
    let pid: i32 = pid.parse().unwrap_or_default();
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let ours = String::from_utf8_lossy(&command_line).contains(&*dir.to_string_lossy());
    if let Some(pid) = rustix::process::Pid::from_raw(pid).filter(|_| ours) {
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    }
    let claim = Subnet::known(u8::try_from(number("subnet")?)?)?;
    Ok(Server {
        dir: dir.to_path_buf(),
        port: u16::try_from(number("port")?)?,
        key: known["key"].as_str().context("a key")?.to_owned(),
        subnet: claim.second,
        _claim: claim,
        netns: None,
        path: None,
        child: Mutex::new(None),
        fault: Mutex::new(None),
        started: AtomicBool::new(true),
        cleaned: AtomicBool::new(false),
    })
}

fn run_directory() -> Result<PathBuf> {
    let dir = paths::artifacts()?.join("run");
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

fn new_directory() -> Result<PathBuf> {
    static NEXT: AtomicU8 = AtomicU8::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let dir = run_directory()?.join(format!("{}-{number}", std::process::id()));
    fs::create_dir_all(dir.join("state"))?;
    Ok(dir)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
