//! A PostgreSQL server of the test's own (Debian's `postgresql`): a cluster in a directory of its own, on loopback and a
//! Unix socket, with TLS and a password.

use std::{
    fs,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::{paths, registry::free_port};

/// The system user that Debian's package makes; a cluster does not run as root.
const USER: &str = "postgres";
/// Where Debian keeps the programs, a directory for each version.
const VERSIONS: &str = "/usr/lib/postgresql";
const ROLE: &str = "sandkeep";
/// What the cluster's certificate says.
const CERTIFICATE: &str = "[req]\ndistinguished_name = name\nx509_extensions = leaf\nprompt = no\n\
                           [name]\nCN = localhost\n\
                           [leaf]\nbasicConstraints = CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

/// A cluster. It ends with this, or with the test.
pub struct Postgresql {
    dir: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    pub password: String,
    process: Option<Child>,
}

impl Postgresql {
    /// Makes and starts a cluster.
    pub fn start() -> Result<Self> {
        paths::require_root()?;
        let password = fs::read_to_string("/proc/sys/kernel/random/uuid")?.trim().to_owned();
        // Not below the workspace: all of the path must be open to the cluster's user.
        let dir = tempfile::Builder::new().prefix("sandkeep-pg-").tempdir_in("/tmp")?;
        let programs = programs()?;
        let mut server = Self { dir, programs, port: free_port()?, password, process: None };
        server.make()?;
        server.launch()?;
        Ok(server)
    }

    fn make(&self) -> Result<()> {
        let dir = self.dir.path();
        let secret = dir.join("password");
        fs::write(&secret, &self.password)?;
        own(dir)?;
        own(&secret)?;
        let mut make = self.command("initdb");
        make.args(["--auth=scram-sha-256", "--no-sync", "--locale=C.UTF-8", "--encoding=UTF8"]);
        make.args(["-U", ROLE, "--pwfile"]).arg(&secret).arg("-D").arg(self.data());
        run(make.stdout(Stdio::null()))?;
        let certificate = self.certificate();
        let request = dir.join("request.cnf");
        fs::write(&request, CERTIFICATE)?;
        let mut sign = Command::new(paths::program("openssl", "openssl")?);
        sign.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-config"]).arg(&request);
        sign.arg("-keyout").arg(dir.join("key.pem")).arg("-out").arg(&certificate).stdin(Stdio::null());
        run(sign.stderr(Stdio::null()))?;
        own(&dir.join("key.pem"))?;
        own(&certificate)?;
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{dir}'\nfsync = off\n\
             ssl = on\nssl_cert_file = '{dir}/cert.pem'\nssl_key_file = '{dir}/key.pem'\n",
            self.port,
            dir = dir.display()
        );
        let file = self.data().join("postgresql.auto.conf");
        fs::write(&file, settings)?;
        own(&file)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The certificate that the server shows, signed by itself.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// One of the cluster's programs, run as its user and ended with the test.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        let user = ["--reuid", USER, "--regid", USER, "--init-groups", "--pdeathsig", "QUIT"];
        command.args(user).arg(self.programs.join(program)).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// Starts the cluster, again perhaps, and waits until it takes connections.
    pub fn launch(&mut self) -> Result<()> {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.dir.path().join("log"))?;
        let mut start = self.command("postgres");
        start.arg("-D").arg(self.data()).stdout(log.try_clone()?).stderr(log);
        let mut process = start.spawn().context("starting postgres")?;
        let since = Instant::now();
        loop {
            if self.sql("SELECT 1").is_ok() {
                self.process = Some(process);
                return Ok(());
            }
            let ended = process.try_wait()?;
            if ended.is_some() || since.elapsed() > START_LIMIT {
                let _ = process.kill();
                let _ = process.wait();
                bail!("postgres did not start: {}", fs::read_to_string(self.dir.path().join("log"))?);
            }
            std::thread::sleep(POLL);
        }
    }

    /// Ends the cluster with its connections.
    pub fn stop(&mut self) -> Result<()> {
        let mut process = self.process.take().context("postgres is not running")?;
        // SIGINT: without waiting for clients to go.
        kill_process(pid_of(&process)?, Signal::INT)?;
        let since = Instant::now();
        while process.try_wait()?.is_none() {
            if since.elapsed() > STOP_LIMIT {
                process.kill()?;
                process.wait()?;
                bail!("postgres did not stop");
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Lets all of the cluster's processes hang, or go on: connections stay and nobody answers.
    pub fn hang(&self, hangs: bool) -> Result<()> {
        let main = pid_of(self.process.as_ref().context("postgres is not running")?)?;
        let main_id = main.as_raw_nonzero();
        let signal = if hangs { Signal::STOP } else { Signal::CONT };
        kill_process(main, signal)?;
        let children = fs::read_to_string(format!("/proc/{main_id}/task/{main_id}/children"))?;
        for child in children.split_whitespace() {
            let child = child.parse().ok().and_then(Pid::from_raw).context("a process has a number")?;
            // It may have ended since.
            let _ = kill_process(child, signal);
        }
        Ok(())
    }

    /// Address of a database over TLS, the certificate verified.
    pub fn dsn(&self) -> String {
        format!(
            "postgresql://{ROLE}:{}@127.0.0.1:{}/postgres?sslmode=verify-full&sslrootcert={}",
            self.password,
            self.port,
            self.certificate().display()
        )
    }

    /// The same through the Unix socket.
    pub fn socket_dsn(&self) -> String {
        let dir = self.dir.path().display();
        format!("postgresql://{ROLE}:{}@localhost:{}/postgres?host={dir}", self.password, self.port)
    }

    /// Runs a statement and returns what `psql` prints of it, bare.
    pub fn sql(&self, statement: &str) -> Result<String> {
        let output = Command::new(self.programs.join("psql"))
            .args([
                "--no-psqlrc",
                "--tuples-only",
                "--no-align",
                "--quiet",
                "-U",
                ROLE,
                "-d",
                "postgres",
                "-h",
            ])
            .arg(self.dir.path())
            .args(["-p", &self.port.to_string(), "-c", statement])
            .env("PGPASSWORD", &self.password)
            .env("PGCONNECT_TIMEOUT", "10")
            .stdin(Stdio::null())
            .output()?;
        ensure!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

impl Drop for Postgresql {
    fn drop(&mut self) {
        if self.process.is_some() {
            // A cluster that hangs would not hear of its end.
            let _ = self.hang(false);
            let _ = self.stop();
        }
    }
}

/// The directory of the newest version's programs.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir(VERSIONS).into_iter().flatten().flatten().map(|entry| entry.path());
    let newest = versions
        .filter(|path| path.join("bin/postgres").is_file())
        .max_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
    Ok(newest.context("PostgreSQL is not installed: apt-get install postgresql")?.join("bin"))
}

/// Gives a file to the cluster's user alone.
fn own(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let id = |flag: &str| -> Result<u32> {
        let output = Command::new("id").args([flag, USER]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().with_context(|| format!("there is no user {USER}: apt-get install postgresql"))
    };
    chown(path, Some(id("-u")?), Some(id("-g")?))?;
    let mode = if path.is_dir() { 0o700 } else { 0o600 };
    Ok(fs::set_permissions(path, fs::Permissions::from_mode(mode))?)
}

fn pid_of(process: &Child) -> Result<Pid> {
    Pid::from_raw(process.id().cast_signed()).context("a process has a number")
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("running {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
