//! A systemd of the test's own: process 1 of its own namespaces, with nothing to start but the units given to it.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use crate::paths;

const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// Where Debian and its relatives keep it.
const PROGRAM: &str = "/lib/systemd/systemd";

/// Moves itself into cgroups of its own, notes them, and goes on as process 1 of new namespaces.
const OUTER: &str = r#"
dir=$1 name=$2
while read -r _ mount type options _; do
  case $type in
    cgroup2) echo '+cpu +memory +pids' > "$mount/cgroup.subtree_control" ;;
    cgroup) ;;
    *) continue ;;
  esac 2>/dev/null
  mkdir -p "$mount/$name"
  if echo $$ > "$mount/$name/cgroup.procs"; then echo "$mount $type $options" >> "$dir/hierarchies"
  else rmdir "$mount/$name"; fi
done < /proc/mounts 2>/dev/null
exec unshare --fork --pid --mount --uts --ipc --net --cgroup --kill-child sh -euc "$3" sh "$dir"
"#;

/// Shows systemd nothing but its own cgroups, its own units, and the programs under test.
const INNER: &str = r#"
dir=$1
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
if [ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ]; then mount -t tmpfs tmpfs /sys/fs/cgroup; fi
while read -r mount type options; do
  mkdir -p "$mount"
  kept=
  for option in $(echo "$options" | tr , ' '); do
    case $option in rw|ro|nosuid|nodev|noexec|relatime|xattr|nsdelegate|memory_*) ;;
      name=*) kept=none,$option ;; *) kept=$kept${kept:+,}$option ;;
    esac
  done
  if [ "$type" = cgroup2 ]; then mount -t cgroup2 cgroup2 "$mount"; else mount -t cgroup -o "$kept" cgroup "$mount"; fi
done < "$dir/hierarchies"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$dir/etc,workdir=$dir/work" /etc
# Without these nothing of the host's can start.
for hidden in /etc/systemd /lib/systemd/system /lib/systemd/system-generators; do mount -t tmpfs tmpfs "$hidden"; done
mkdir /etc/systemd/system
cp -r "$dir"/units/* /etc/systemd/system/
mount --bind "$dir/bin" /usr/local/bin
ip link set lo up
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=test.target \
  --show-status=0 --log-target=console
"#;

/// A running systemd; dropping it ends it and everything in its namespaces.
pub struct Systemd {
    dir: PathBuf,
    name: String,
    child: Child,
    init: u32,
}

impl Systemd {
    /// Starts it below `dir`, where `units` holds the units, `etc` what is added to `/etc`, and `bin` what is shown as
    /// `/usr/local/bin`. A target of the name `test.target` is started.
    pub fn start(dir: &Path) -> Result<Self> {
        paths::require_root()?;
        ensure!(Path::new(PROGRAM).is_file(), "{PROGRAM} is not installed: apt-get install systemd");
        for part in ["units", "etc", "bin", "work"] {
            fs::create_dir_all(dir.join(part))?;
        }
        let name = format!("sandkeep-test-{}", std::process::id());
        let log = fs::File::create(dir.join("systemd.log"))?;
        let child = Command::new("sh")
            .args(["-c", OUTER, "sh"])
            .arg(dir)
            .args([&name, INNER])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut systemd = Self { dir: dir.to_path_buf(), name, child, init: 0 };
        let since = Instant::now();
        while !systemd.running() {
            if let Some(status) = systemd.child.try_wait()? {
                bail!("systemd ended while starting ({status}):\n{}", systemd.log());
            }
            ensure!(since.elapsed() < START_TIMEOUT, "systemd does not answer:\n{}", systemd.log());
            sleep(POLL);
        }
        Ok(systemd)
    }

    fn running(&mut self) -> bool {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
        let Some(init) = children.split_whitespace().next().and_then(|pid| pid.parse().ok()) else {
            return false;
        };
        self.init = init;
        let name = fs::read_to_string(format!("/proc/{init}/comm")).unwrap_or_default();
        name.trim() == "systemd"
            && self
                .run("systemctl", &["is-active", "test.target"])
                .is_ok_and(|output| output.status.success())
    }

    /// What systemd and its services have written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("systemd.log")).unwrap_or_default()
    }

    /// Runs a program beside the services.
    pub fn run(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Result<Output> {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.init));
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"]);
        Ok(command.arg(program).args(arguments).stdin(Stdio::null()).output()?)
    }

    /// Like [`Systemd::run`], but must succeed; returns what it printed.
    pub fn run_ok(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.run(program, arguments)?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "{program} {arguments:?}: {}\n{complaint}\n{}",
            output.status,
            self.log()
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// One property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> Result<String> {
        self.run_ok("systemctl", &["show", "--value", "--property", name, unit])
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        if let Some(init) = i32::try_from(self.init).ok().and_then(rustix::process::Pid::from_raw) {
            // The kernel ends everything else in the namespace with its first process.
            let _ = rustix::process::kill_process(init, rustix::process::Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let hierarchies = fs::read_to_string(self.dir.join("hierarchies")).unwrap_or_default();
        for line in hierarchies.lines() {
            if let Some(mount) = line.split(' ').next() {
                remove_cgroups(&Path::new(mount).join(&self.name));
            }
        }
    }
}

/// Removes a tree of cgroups, leaves first; only directories can be removed there.
fn remove_cgroups(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_cgroups(&entry.path());
    }
    let since = Instant::now();
    // A cgroup is busy for a moment after its last process.
    while fs::remove_dir(dir).is_err() && since.elapsed() < Duration::from_secs(5) {
        sleep(POLL);
    }
}

/// Copies a program so that it can be exchanged while it runs.
pub fn install(from: &Path, to: &Path) -> Result<()> {
    let fresh = to.with_extension("new");
    fs::copy(from, &fresh).with_context(|| format!("copying {}", from.display()))?;
    Ok(fs::rename(fresh, to)?)
}
