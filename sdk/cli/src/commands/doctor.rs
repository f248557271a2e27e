//! What is missing, here and on the server, and how to mend it.

use std::{fs, path::Path};

use anyhow::Result;
use serde::Serialize;

use crate::{
    args::{Format, Global},
    context,
    output::{Table, show},
};

/// Linux that can map the owners of overlay layers.
const MIN_KERNEL: (u32, u32) = (5, 19);

/// One thing looked at.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    /// What was found, or what to do.
    detail: String,
}

impl Finding {
    fn new(what: &'static str, found: Result<String, String>) -> Self {
        let ok = found.is_ok();
        Self { what, ok, detail: found.unwrap_or_else(|mend| mend) }
    }
}

/// Fails unless there is a server that takes commands.
pub(crate) async fn doctor(global: &Global) -> Result<u8> {
    let (mut findings, works) = server(global).await;
    findings.extend(machine());
    show(global.output, &findings, || {
        let mut table = Table::new(["", "WHAT", ""]);
        for finding in &findings {
            let mark = if finding.ok { "ok" } else { "!!" };
            table.row([mark.to_owned(), finding.what.to_owned(), finding.detail.clone()]);
        }
        table
    })?;
    if !works && global.output == Format::Table {
        eprintln!("no server takes commands: `sb up` starts one on this machine");
    }
    Ok(u8::from(!works))
}

async fn server(global: &Global) -> (Vec<Finding>, bool) {
    let client = match context::client(global) {
        Ok(client) => client,
        Err(error) => return (vec![Finding::new("server", Err(format!("{error:#}")))], false),
    };
    let health = client.health().await.map(|_| client.url().to_owned());
    if let Err(error) = health {
        return (vec![Finding::new("server", Err(error.to_string()))], false);
    }
    let version = client.version().await.map(|version| version.version).unwrap_or_default();
    let mut findings = vec![Finding::new("server", Ok(format!("{} (version {version})", client.url())))];
    let images = client.images().list().await;
    let works = images.is_ok();
    findings.push(Finding::new(
        "key and images",
        match images {
            Ok(images) if images.is_empty() => {
                Ok("accepted; there is no image yet: `sb image pull` or `sb image import`".to_owned())
            }
            Ok(images) if images.len() == 1 => Ok("accepted; one image".to_owned()),
            Ok(images) => Ok(format!("accepted; {} images", images.len())),
            Err(error) => Err(error.to_string()),
        },
    ));
    if let Ok(told) = client.capabilities().await {
        for (name, capability) in told.capabilities {
            let what = match name.as_str() {
                "pause" => "pausing",
                "stop" => "stopping",
                "stop.memory" => "stopping with memory",
                _ => continue,
            };
            let reason = capability.reason.unwrap_or_default();
            let version = capability.version.unwrap_or_else(|| "available".to_owned());
            findings.push(Finding::new(what, if capability.available { Ok(version) } else { Err(reason) }));
        }
    }
    (findings, works)
}

/// What a server on this machine would need.
fn machine() -> Vec<Finding> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let has = |program: &str| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let usual = ["/usr/sbin", "/sbin"].map(Into::into);
        std::env::split_paths(&paths).chain(usual).any(|directory| directory.join(program).is_file())
    };
    let is_root = rustix::process::geteuid().is_root();
    vec![
        Finding::new("kernel", kernel(release.trim())),
        Finding::new(
            "overlayfs",
            match fs::read_to_string("/proc/filesystems") {
                Ok(known) if known.contains("overlay") => Ok("known".to_owned()),
                _ => Err("load it with `modprobe overlay`".to_owned()),
            },
        ),
        Finding::new(
            "cgroups",
            match Path::new("/sys/fs/cgroup").read_dir().map(|mut entries| entries.next().is_some()) {
                Ok(true) => Ok("mounted".to_owned()),
                _ => Err("mount cgroup2 at /sys/fs/cgroup".to_owned()),
            },
        ),
        Finding::new(
            "nftables",
            if has("nft") {
                Ok("installed".to_owned())
            } else {
                Err("install the package nftables".to_owned())
            },
        ),
        Finding::new(
            "root",
            if is_root { Ok("yes".to_owned()) } else { Err("a server is started with sudo".to_owned()) },
        ),
    ]
}

fn kernel(release: &str) -> Result<String, String> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    let (major, minor) = MIN_KERNEL;
    if version >= MIN_KERNEL {
        Ok(release.to_owned())
    } else {
        Err(format!("{release} is older than {major}.{minor}: upgrade it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_compared_by_number() {
        assert!(kernel("6.1.0-13-amd64").is_ok());
        assert!(kernel("5.19").is_ok());
        for old in ["5.9.1", "4.20", ""] {
            assert!(kernel(old).is_err(), "{old}");
        }
    }
}
