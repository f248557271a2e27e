//! What this machine must offer, and how to mend what it lacks.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::{paths, shell};

/// Overlays of layers whose owners are mapped per sandbox came with this kernel.
const MIN_KERNEL: (u32, u32) = (5, 19);

/// Room for the build, an image and a few sandboxes.
const MIN_FREE_GIB: u64 = 6;

/// The checks that need nothing installed; reports everything that is wrong at once.
pub(crate) fn before_packages() -> Result<()> {
    report(vec![system(), privileges(), kernel(), overlay(), control_groups(), room()])
}

/// The checks that need the packages.
pub(crate) fn after_packages() -> Result<()> {
    report(vec![nftables()])
}

fn report(findings: Vec<Option<String>>) -> Result<()> {
    let problems: Vec<String> = findings.into_iter().flatten().collect();
    if problems.is_empty() {
        return Ok(());
    }
    bail!("this machine is not ready:\n  - {}", problems.join("\n  - "))
}

fn system() -> Option<String> {
    let known = cfg!(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")));
    (!known).then(|| "Sandkeep runs on Linux on x86-64 or 64-bit ARM: use such a machine or a VM".to_owned())
}

fn privileges() -> Option<String> {
    let able = shell::is_root() || shell::has("sudo");
    (!able).then(|| {
        "root is needed for packages and for the server: run this as root, or install sudo and allow it \
         for your user"
            .to_owned()
    })
}

fn kernel() -> Option<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    kernel_problem(release.trim())
}

fn kernel_problem(release: &str) -> Option<String> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next()?, numbers.next()?);
    let (major, minor) = MIN_KERNEL;
    (version < MIN_KERNEL).then(|| {
        format!("the kernel is {release}, older than {major}.{minor}: upgrade it (on Debian: a newer release, or linux-image from backports)")
    })
}

fn overlay() -> Option<String> {
    let known = || fs::read_to_string("/proc/filesystems").unwrap_or_default().contains("\toverlay\n");
    if known() {
        return None;
    }
    // A module loads on first use; a failure shows in the next look.
    let _ = shell::capture_any(shell::root_command("modprobe").arg("overlay"));
    (!known()).then(|| {
        "the kernel offers no overlayfs: load it with `modprobe overlay`, or use a kernel built with \
         CONFIG_OVERLAY_FS"
            .to_owned()
    })
}

fn control_groups() -> Option<String> {
    let mounted = fs::read_dir("/sys/fs/cgroup").is_ok_and(|mut entries| entries.next().is_some());
    (!mounted).then(|| {
        "control groups are not mounted: `mount -t cgroup2 none /sys/fs/cgroup`, or boot with systemd"
            .to_owned()
    })
}

fn room() -> Option<String> {
    [paths::root().to_owned(), paths::home()].iter().find_map(|dir| {
        let free = free_gib(dir)?;
        (free < MIN_FREE_GIB).then(|| {
            format!("only {free} GiB are free at {}: make room for {MIN_FREE_GIB} GiB", dir.display())
        })
    })
}

fn free_gib(dir: &Path) -> Option<u64> {
    let listing =
        shell::capture(Command::new("df").args(["--output=avail", "--block-size=1G"]).arg(dir)).ok()?;
    listing.lines().nth(1)?.trim().parse().ok()
}

fn nftables() -> Option<String> {
    let output = shell::capture_any(shell::root_command("nft").args(["list", "tables"]));
    let problem = match output {
        Ok(output) if output.status.success() => return None,
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => format!("{error:#}"),
    };
    Some(format!(
        "nftables does not work ({problem}): load it with `modprobe nf_tables`; in a container, run with \
         CAP_NET_ADMIN"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_named_and_new_ones_pass() {
        assert!(kernel_problem("5.10.0-28-amd64").is_some_and(|text| text.contains("5.10.0-28-amd64")));
        assert_eq!(kernel_problem("5.19.0"), None);
        assert_eq!(kernel_problem("6.1.0-18-amd64"), None);
        assert_eq!(kernel_problem("10.2+"), None);
    }

    #[test]
    fn every_problem_is_reported_at_once() {
        assert!(report(vec![None, None]).is_ok());
        let error = report(vec![Some("first".into()), None, Some("second".into())]).unwrap_err();
        assert_eq!(error.to_string(), "this machine is not ready:\n  - first\n  - second");
    }
}
