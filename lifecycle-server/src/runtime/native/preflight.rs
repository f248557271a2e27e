//! What this host lacks for the native runtime, said in a way that helps.

use std::{
    fs, io,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use super::{
    NativeConfig,
    cgroup::{Cgroups, Layout},
    config::DEFAULT_SUBNET,
    firewall, forward,
    launcher::Launcher,
    names::Names,
    overlay::Overlays,
};
use crate::runtime::oci::OciRuntime;

/// What a [`Problem`] means for sandboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// None can start.
    Stops,
    /// They run, but lack something most of them need.
    Hinders,
    /// They run; something is slower or less informative than it could be.
    Note,
}

/// Something missing, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub what: String,
    pub mend: String,
}

fn problem(what: impl Into<String>, mend: impl Into<String>) -> Problem {
    Problem { severity: Severity::Stops, what: what.into(), mend: mend.into() }
}

/// Checks everything [`super::NativeRuntime::new`] and the first launch depend on, by trying it where that is possible
/// without leaving anything behind. Sandboxes can run unless something in the list stops them.
pub fn preflight(config: &NativeConfig) -> Vec<Problem> {
    if !rustix::process::geteuid().is_root() {
        let what = "not running as root";
        return vec![problem(
            what,
            "run as root or with sudo: namespaces, cgroups and firewall rules need it",
        )];
    }
    let checks: [fn(&NativeConfig) -> Option<Problem>; 7] =
        [controllers, firewall_rules, forwarding, disk_tools, execd_binary, oci_binary, overlay];
    let obstacles = forward::obstacles().into_iter().map(|obstacle| Problem {
        severity: Severity::Hinders,
        what: obstacle.what,
        mend: obstacle.mend,
    });
    checks.iter().filter_map(|check| check(config)).chain(obstacles).collect()
}

fn controllers(_: &NativeConfig) -> Option<Problem> {
    let mend = "mount cgroup2 at /sys/fs/cgroup (systemd does), with the cpu, memory and pids controllers";
    match Layout::detect() {
        Err(error) => Some(problem(format!("cannot read /proc/self/mountinfo: {error}"), "mount /proc")),
        Ok(layout) => {
            let missing = Cgroups::missing(&layout);
            (!missing.is_empty())
                .then(|| problem(format!("no cgroup controller for {}", missing.join(", ")), mend))
        }
    }
}

fn firewall_rules(config: &NativeConfig) -> Option<Problem> {
    let rules = firewall::ruleset(
        &Names::new(config, config.subnet.unwrap_or(DEFAULT_SUBNET), &config.state_dir),
        config,
    );
    let check = || -> io::Result<String> {
        let mut nft = Command::new("nft")
            .args(["--check", "--file", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = nft.stdin.take() {
            input.write_all(rules.as_bytes())?;
        }
        let output = nft.wait_with_output()?;
        Ok(if output.status.success() {
            String::new()
        } else {
            String::from_utf8_lossy(&output.stderr).into_owned()
        })
    };
    match check() {
        Err(error) => Some(problem(format!("cannot run nft: {error}"), "install the package nftables")),
        Ok(reason) if reason.is_empty() => None,
        Ok(reason) => Some(problem(
            format!("the kernel refuses the firewall rules: {}", reason.trim()),
            "use a kernel with nf_tables, nft_fib, nft_ct, nft_connlimit, nft_nat and nft_masq (modprobe them if they are modules)",
        )),
    }
}

fn forwarding(_: &NativeConfig) -> Option<Problem> {
    let path = "/proc/sys/net/ipv4/ip_forward";
    match fs::OpenOptions::new().write(true).open(path) {
        Ok(_) => None,
        Err(error) => Some(problem(
            format!("cannot switch on forwarding ({path}: {error})"),
            "set net.ipv4.ip_forward=1, and do not run inside a container with a read-only /proc/sys",
        )),
    }
}

fn disk_tools(config: &NativeConfig) -> Option<Problem> {
    config.default_limits.disk_bytes.filter(|bytes| *bytes > 0)?;
    let off = "or set the default disk limit to none";
    let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        .iter()
        .any(|dir| Path::new(dir).join("mkfs.ext4").exists());
    if !found {
        return Some(problem("no mkfs.ext4", format!("install the package e2fsprogs, {off}")));
    }
    let control = fs::OpenOptions::new().read(true).write(true).open("/dev/loop-control");
    control.err().map(|error| problem(format!("no loop devices: {error}"), format!("modprobe loop, {off}")))
}

fn execd_binary(config: &NativeConfig) -> Option<Problem> {
    let path = config.execd.display();
    match fs::metadata(&config.execd) {
        Ok(metadata) if metadata.is_file() => None,
        Ok(_) => Some(problem(format!("{path} is not a file"), "set [native] execd to the execd binary")),
        Err(error) => Some(problem(
            format!("no execd binary at {path:?}: {error}"),
            "build it (cargo xtask build) and set [native] execd",
        )),
    }
}

fn oci_binary(config: &NativeConfig) -> Option<Problem> {
    let error = OciRuntime::find(config).err()?;
    Some(problem(error.to_string(), "install it, or set [native] oci_runtime = \"\" for a direct launch"))
}

/// Tries the whole file-system recipe in the state directory.
fn overlay(config: &NativeConfig) -> Option<Problem> {
    let attempt = || -> io::Result<Overlays> {
        fs::create_dir_all(&config.state_dir)?;
        let launcher = Launcher::start(config.launcher.clone())?;
        Overlays::choose(config.overlay, &config.state_dir, &launcher, config.uid_base)
    };
    match attempt() {
        Ok(overlays) if overlays.attaches() => Some(Problem {
            severity: Severity::Note,
            what: "this kernel takes no detached mounts as layers; file systems are put together by path".into(),
            mend: "nothing needs to be done; Linux 6.15 and newer start sandboxes a little faster, and know the exit \
                   codes of sandboxes that ended while no server ran"
                .into(),
        }),
        Ok(_) => None,
        Err(error) => Some(problem(
            format!("cannot mount an id-mapped overlay in {}: {error}", config.state_dir.display()),
            "use Linux 6.1 or newer with overlayfs and user namespaces, and a state directory on ext4, xfs or btrfs",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_execd_is_named_with_its_path() {
        let config = NativeConfig::new("/nonexistent", "/no/such/execd");
        let found = execd_binary(&config).unwrap();
        assert!(found.what.contains("/no/such/execd"), "{found:?}");
        assert!(found.mend.contains("[native] execd"), "{found:?}");
    }

    #[test]
    fn an_unknown_oci_runtime_is_named() {
        let config = NativeConfig { oci_runtime: "no-such-runtime".into(), ..NativeConfig::default() };
        assert!(oci_binary(&config).unwrap().what.contains("no-such-runtime"));
        assert_eq!(oci_binary(&NativeConfig::default()), None);
    }
}
