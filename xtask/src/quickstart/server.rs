//! The quick start's lifecycle-server: its files, its process, its port.

use std::fs::{self, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::http;
use crate::{paths, shell};

/// How long the server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long it may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Pause between two looks at it.
const POLL: Duration = Duration::from_millis(20);

/// Random bytes in an API key.
const KEY_BYTES: usize = 24;

/// A lifecycle-server with a directory of its own.
pub(crate) struct Server {
    dir: PathBuf,
    port: u16,
}

/// Whether the server was started now or was there already.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    Fresh,
    Adopted,
}

impl Server {
    /// The server on `port`. One that exists only for a demonstration keeps its files apart, so that
    /// removing it touches nobody's sandboxes; so does one on another port than the usual.
    pub(crate) fn for_port(port: u16, once: bool) -> Result<Self> {
        let base = paths::home().join(".sandkeep");
        let name = match (once, port) {
            (true, _) => format!("once-{port}"),
            (false, super::DEFAULT_PORT) => "quickstart".to_owned(),
            (false, _) => format!("quickstart-{port}"),
        };
        let dir = base.join(name);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
        Ok(Self { dir, port })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.join("config.toml")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.dir.join("api-key")
    }

    /// The API key, made on first use.
    pub(crate) fn api_key(&self) -> Result<String> {
        let path = self.key_file();
        if let Ok(key) = fs::read_to_string(&path) {
            return Ok(key.trim().to_owned());
        }
        let mut random = [0u8; KEY_BYTES];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let key: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        write_private(&path, &format!("{key}\n"))?;
        Ok(key)
    }

    /// Makes sure the server built last is the one that answers on the port.
    pub(crate) fn start(&self) -> Result<Start> {
        let binary = paths::dist().join("lifecycle-server");
        let stamp = stamp(&binary)?;
        self.write_config()?;
        if self.pid().is_some() {
            let current = fs::read_to_string(self.stamp_file()).is_ok_and(|started| started == stamp);
            if current && self.is_healthy() {
                return Ok(Start::Adopted);
            }
            println!("    the server that runs is not the one built now: restarting it, its sandboxes stay");
            self.stop()?;
        }
        ensure!(!http::is_listening(self.port), "{}", self.port_taken());
        self.launch(&binary)?;
        self.wait_until_healthy()?;
        fs::write(self.stamp_file(), stamp)?;
        Ok(Start::Fresh)
    }

    /// Ends the server and removes its files, once what it deleted is gone from the machine.
    pub(crate) fn remove(&self) -> Result<()> {
        let idle = wait(STOP_LIMIT, || self.is_empty());
        self.stop()?;
        idle.context("deleted sandboxes are still there")?;
        shell::run(
            shell::root_command("rm").args(["--recursive", "--force", "--one-file-system"]).arg(&self.dir),
        )
    }

    /// What a person types to stop the server.
    pub(crate) fn stop_command(&self) -> Result<String> {
        let pid = self.pid().context("the server has ended; see its log")?;
        Ok(if shell::is_root() { format!("kill {pid}") } else { format!("sudo kill {pid}") })
    }

    fn stop(&self) -> Result<()> {
        let Some(pid) = self.pid() else { return Ok(()) };
        shell::run(shell::root_command("kill").args(["-TERM", &pid.to_string()]))?;
        wait(STOP_LIMIT, || self.pid().is_none())
            .with_context(|| format!("the server (process {pid}) did not end; see {}", self.log().display()))
    }

    /// Whether no sandbox, running or deleted, is left in the state directory.
    fn is_empty(&self) -> bool {
        let mut find = shell::root_command("find");
        find.args(["sandboxes", "trash"].map(|name| self.dir.join("state").join(name)));
        find.args(["-mindepth", "1", "-maxdepth", "1", "-print", "-quit"]);
        shell::capture_any(&mut find).is_ok_and(|output| output.stdout.is_empty())
    }

    fn launch(&self, binary: &Path) -> Result<()> {
        // The shell in between notes the process id that the server keeps, also when sudo starts it.
        // A key in the environment would win over the one in the configuration.
        let script = "unset OPENSANDBOX_SERVER_API_KEY; echo $$ >\"$3\"; \
                      exec \"$1\" --config \"$2\" >>\"$4\" 2>&1 </dev/null";
        let mut command = shell::root_command("setsid");
        command.args(["--fork", "sh", "-c", script, "sh"]);
        shell::run(command.arg(binary).arg(self.config()).arg(self.pid_file()).arg(self.log()))
    }

    fn wait_until_healthy(&self) -> Result<()> {
        let mut seen = false;
        let healthy = wait(START_LIMIT, || {
            let running = self.pid().is_some();
            let ended = seen && !running;
            seen |= running;
            ended || self.is_healthy()
        });
        if healthy.is_err() || !self.is_healthy() {
            bail!(
                "the server did not start; the end of {}:\n{}",
                self.log().display(),
                shell::tail(&self.log())
            );
        }
        Ok(())
    }

    fn is_healthy(&self) -> bool {
        http::get(self.port, "/health").is_ok_and(|(status, body)| status == 200 && body.contains("healthy"))
    }

    /// The running server's process id; a number that now belongs to another program does not count.
    fn pid(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.pid_file()).ok()?.trim().parse().ok()?;
        let command_line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let config = self.config();
        let ours =
            command_line.split(|byte| *byte == 0).any(|word| word == config.as_os_str().as_encoded_bytes());
        ours.then_some(pid)
    }

    fn port_taken(&self) -> String {
        let filter = format!("sport = :{}", self.port);
        let listing = shell::capture(shell::root_command("ss").args([
            "--listening",
            "--tcp",
            "--numeric",
            "--processes",
            "--no-header",
            &filter,
        ]));
        let owner = listing.ok().and_then(|text| {
            let (_, users) = text.split_once("users:((")?;
            Some(users.split("))").next()?.replace('"', ""))
        });
        format!(
            "port {} of 127.0.0.1 is in use by another program ({}): stop it, or choose another port with --port",
            self.port,
            owner.as_deref().unwrap_or("unknown")
        )
    }

    fn write_config(&self) -> Result<()> {
        let text = format!(
            "# Written by `cargo xtask quickstart`; changes are overwritten.\n\
             [server]\nhost = \"127.0.0.1\"\nport = {}\napi_key = \"{}\"\n\n\
             [runtime]\ntype = \"native\"\n\n\
             [native]\nstate_dir = {:?}\n",
            self.port,
            self.api_key()?,
            self.dir.join("state").display().to_string(),
        );
        write_private(&self.config(), &text)
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join("server.pid")
    }

    fn stamp_file(&self) -> PathBuf {
        self.dir.join("server.stamp")
    }
}

/// Writes a file only its owner can read.
fn write_private(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(path).with_context(|| format!("cannot write {}", path.display()))?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    Ok(file.write_all(text.as_bytes())?)
}

/// Tells one build of a binary from the next.
fn stamp(binary: &Path) -> Result<String> {
    let meta = fs::metadata(binary).with_context(|| format!("{} is missing", binary.display()))?;
    Ok(format!("{} {} {}.{}", binary.display(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

/// Polls until `done`, or fails when the limit has passed.
fn wait(limit: Duration, mut done: impl FnMut() -> bool) -> Result<()> {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > limit {
            bail!("gave up after {} s", limit.as_secs());
        }
        thread::sleep(POLL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_does_not_name_the_configuration_is_not_ours() {
        let dir = std::env::temp_dir().join(format!("xtask-server-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let server = Server { dir: dir.clone(), port: 1 };
        fs::write(server.pid_file(), std::process::id().to_string()).unwrap();
        assert_eq!(server.pid(), None);
        assert!(
            server.api_key().unwrap().len() == 2 * KEY_BYTES
                && server.api_key().unwrap() == server.api_key().unwrap()
        );
        let mode = fs::metadata(server.key_file()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::remove_dir_all(&dir).unwrap();
    }
}
