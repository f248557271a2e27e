//! Images of the daemons, made without a container engine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::bundle::install;
use crate::images::archive::{Description, plain_tar, write};
use crate::images::recipe::{PATH, Recipe};
use crate::images::rootfs;
use crate::{dist, paths, shell};

const EXECD: &str = "execd";
/// Where execd listens unless told otherwise.
const EXECD_PORT: &str = "44772/tcp";
/// Where the server of the image's configuration listens.
const SERVER_PORT: &str = "8080/tcp";
/// Where the image keeps everything that must outlive the container.
const STATE: &str = "/var/lib/sandkeep";
const CONFIG: &str = "/etc/sandkeep/config.toml";
const CREATED_BY: &str = "cargo xtask release --images";

/// What the server calls or needs at run time: firewall, disks, addresses, certificates of registries.
const SERVER_BASE: Recipe = Recipe {
    name: "lifecycle-server",
    tags: &[
        concat!("sandkeep/lifecycle-server:", env!("CARGO_PKG_VERSION")),
        "sandkeep/lifecycle-server:latest",
    ],
    packages: &["ca-certificates", "e2fsprogs", "iproute2", "nftables", "usr-is-merged", "util-linux"],
    env: &[PATH, "LANG=C.UTF-8"],
    files: &[],
};

const EXECD_TAGS: &[&str] = &[concat!("sandkeep/execd:", env!("CARGO_PKG_VERSION")), "sandkeep/execd:latest"];

/// One static program and nothing else: made to be copied from, and runs by itself.
pub(super) fn write_execd(out: &Path) -> Result<()> {
    let work = fresh_work(EXECD)?;
    let layer = layer(&work, &[(paths::dist().join(EXECD), "execd", 0o755)])?;
    let config = json!({
        "Entrypoint": ["/execd"],
        "Env": [PATH],
        "ExposedPorts": { EXECD_PORT: {} },
        "Labels": labels("execd", "The daemon inside every sandbox: commands, code, files"),
        "WorkingDir": "/",
    });
    let image = Description { tags: EXECD_TAGS, config, created_by: CREATED_BY };
    write(image, &[&layer], &work, &out.join(file_name(EXECD)))?;
    Ok(fs::remove_dir_all(&work)?)
}

/// The server with execd and the egress sidecar beside it on what it needs of Debian; the two are a layer of their own, so that a new
/// version brings no new base.
pub(super) fn write_server(out: &Path) -> Result<()> {
    crate::packages::install()?;
    let work = fresh_work(SERVER_BASE.name)?;
    let base = rootfs::build(&SERVER_BASE, &work)?;
    let layer = layer(
        &work,
        &[
            (paths::dist().join(dist::SERVER), "usr/local/bin/lifecycle-server", 0o755),
            (paths::dist().join(EXECD), "usr/local/bin/execd", 0o755),
            (paths::dist().join(dist::SIDECAR), "usr/local/bin/egress-sidecar", 0o755),
            (paths::root().join("packaging/image/config.toml"), &CONFIG[1..], 0o644),
        ],
    )?;
    let config = json!({
        "Entrypoint": ["/usr/local/bin/lifecycle-server"],
        "Cmd": ["--config", CONFIG],
        "Env": SERVER_BASE.env,
        "ExposedPorts": { SERVER_PORT: {} },
        "Labels": labels("lifecycle-server", "Creates, finds, renews and removes sandboxes"),
        "StopSignal": "SIGTERM",
        "Volumes": { STATE: {} },
        "WorkingDir": "/",
    });
    let image = Description { tags: SERVER_BASE.tags, config, created_by: CREATED_BY };
    write(image, &[&base, &layer], &work, &out.join(file_name(SERVER_BASE.name)))?;
    Ok(fs::remove_dir_all(&work)?)
}

fn file_name(daemon: &str) -> String {
    format!("sandkeep-{daemon}-{}-{}.image.tar", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH)
}

fn labels(title: &str, description: &str) -> Value {
    json!({
        "org.opencontainers.image.title": title,
        "org.opencontainers.image.description": description,
        "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
        "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
        "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
    })
}

fn fresh_work(name: &str) -> Result<PathBuf> {
    let work = paths::output(&format!("release-image-{name}"));
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot clear {}", work.display()))?;
    }
    fs::create_dir_all(&work)?;
    Ok(work)
}

/// A layer of these files: from where, path in the image, mode.
fn layer(work: &Path, files: &[(PathBuf, &str, u32)]) -> Result<PathBuf> {
    let stage = work.join("layer");
    for (from, to, mode) in files {
        install(from, &stage.join(to), *mode)?;
    }
    let tar = work.join("daemon.tar");
    // The first components, in order: `.` itself would carry this machine's mode of the image's root.
    let mut roots: Vec<&str> =
        files.iter().map(|(_, to, _)| to.split('/').next().unwrap_or_default()).collect();
    roots.sort_unstable();
    roots.dedup();
    shell::run(plain_tar(&tar, &stage).args(roots))?;
    Ok(tar)
}
