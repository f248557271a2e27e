//! The server on this machine that `sb up` starts: its files and its process.

use std::{
    fs::{self, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::{
        ffi::OsStrExt as _,
        fs::{DirBuilderExt as _, OpenOptionsExt as _},
        process::CommandExt as _,
    },
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use sandkeep::Client;

const PROGRAM: &str = "lifecycle-server";
const KEY_VARIABLE: &str = "OPENSANDBOX_SERVER_API_KEY";
const KEY_BYTES: usize = 24;
/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long it may take to end; it answers what it has been asked first.
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A server with a directory of its own below the user's home.
pub(super) struct Local {
    port: u16,
    directory: PathBuf,
}

impl Local {
    pub(super) fn new(port: u16) -> Result<Self> {
        let home = std::env::var_os("HOME").context("there is no home directory; set HOME")?;
        Ok(Self { port, directory: PathBuf::from(home).join(format!(".sandkeep/up-{port}")) })
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    pub(super) fn key_file(&self) -> PathBuf {
        self.directory.join("api-key")
    }

    fn config(&self) -> PathBuf {
        self.directory.join("config.toml")
    }

    fn pid_file(&self) -> PathBuf {
        self.directory.join("server.pid")
    }

    /// The server's key, made on first use together with its directory.
    pub(super) fn key(&self) -> Result<String> {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
        made.with_context(|| format!("cannot make {}", self.directory.display()))?;
        let path = self.key_file();
        if let Ok(key) = fs::read_to_string(&path) {
            return Ok(key.trim().to_owned());
        }
        let mut random = [0; KEY_BYTES];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        writeln!(file, "{key}")?;
        Ok(key)
    }

    /// The server's process, if it runs; an id of another process that was left behind is none.
    pub(super) fn pid(&self) -> Option<Pid> {
        let pid: i32 = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let config = self.config();
        let ours = command_line.split(|byte| *byte == 0).any(|word| word == config.as_os_str().as_bytes());
        Pid::from_raw(pid).filter(|_| ours)
    }

    /// Starts the server and waits until it answers.
    pub(super) async fn start(&self, client: &Client, key: &str) -> Result<()> {
        let mut child = self.launch(key)?;
        let since = Instant::now();
        while client.health().await.is_err() {
            let ended = child.try_wait()?;
            if ended.is_some() || since.elapsed() > START_LIMIT {
                let log = self.log();
                let said = fs::read_to_string(&log).unwrap_or_default();
                let last = said.lines().last().unwrap_or_default();
                let what = if ended.is_some() { "has ended" } else { "does not answer" };
                bail!("the server {what}; its log {} ends with: {last}", log.display());
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    }

    fn launch(&self, key: &str) -> Result<Child> {
        let program = program()?;
        ensure!(rustix::process::geteuid().is_root(), "a server needs root: run `sudo sb up`");
        let (config, state) = (self.config(), self.directory.join("state"));
        let text = format!(
            "[server]\nhost = \"127.0.0.1\"\nport = {}\n\n[runtime]\ntype = \"native\"\n\n[native]\nstate_dir = {:?}\n",
            self.port,
            state.display().to_string()
        );
        // What its owner changed stays.
        if !config.exists() {
            fs::write(&config, text).with_context(|| format!("cannot write {}", config.display()))?;
        }
        let log = OpenOptions::new().append(true).create(true).mode(0o600).open(self.log())?;
        let mut command = Command::new(&program);
        command
            .arg("--config")
            .arg(&config)
            .env(KEY_VARIABLE, key)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // A Ctrl-C meant for this tool is not meant for the server.
            .process_group(0);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        fs::write(self.pid_file(), format!("{}\n", child.id()))?;
        Ok(child)
    }

    /// Asks the server to end and waits until it has.
    pub(super) async fn stop(&self, pid: Pid) -> Result<()> {
        kill_process(pid, Signal::TERM)
            .with_context(|| format!("cannot end the server, process {}", pid.as_raw_nonzero()))?;
        let since = Instant::now();
        while self.pid().is_some() {
            ensure!(since.elapsed() < STOP_LIMIT, "the server does not end; see {}", self.log().display());
            tokio::time::sleep(POLL).await;
        }
        Ok(fs::remove_file(self.pid_file())?)
    }
}

/// The server beside this tool, else on the search path.
fn program() -> Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(PROGRAM)));
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&paths).map(|directory| directory.join(PROGRAM));
    let found = beside.into_iter().chain(found).find(|path| path.is_file());
    found.with_context(|| format!("there is no {PROGRAM} beside sb or in PATH"))
}
