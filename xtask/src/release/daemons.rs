//! Images of the daemons, made without a container engine.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use oci_spec::image::{
    ANNOTATION_DESCRIPTION, ANNOTATION_LICENSES, ANNOTATION_SOURCE, ANNOTATION_TITLE, ANNOTATION_VERSION,
    Config, ConfigBuilder,
};

use super::bundle::install;
use crate::images::archive::{Description, Packing, plain_tar, write};
use crate::images::recipe::{PATH, Recipe};
use crate::images::rootfs;
use crate::{dist, paths, shell};

const EXECD: &str = "execd";
/// Where execd listens unless told otherwise.
const EXECD_PORT: &str = "44772/tcp";
/// Where the server of the image's configuration listens.
const SERVER_PORT: &str = "8080/tcp";
/// Where the egress sidecar's API listens unless told otherwise.
const SIDECAR_PORT: &str = "18080/tcp";
/// Where the image keeps everything that must outlive the container.
const STATE: &str = "/var/lib/sandkeep";
const CONFIG: &str = "/etc/sandkeep/config.toml";
/// Root, by number: the image of execd has no list of users.
const USER: &str = "0:0";
const CREATED_BY: &str = "cargo xtask release --images";

/// What the server calls or needs at run time: firewall, disks, addresses, certificates of registries.
const SERVER_BASE: Recipe = Recipe {
    name: "lifecycle-server",
    tags: &[concat!("sandkeep/lifecycle-server:", env!("CARGO_PKG_VERSION"))],
    packages: &["ca-certificates", "e2fsprogs", "iproute2", "nftables", "usr-is-merged", "util-linux"],
    env: &[PATH, "LANG=C.UTF-8"],
    files: &[],
};

/// What the egress sidecar needs: authorities to verify destinations by.
const SIDECAR_BASE: Recipe = Recipe {
    name: "egress-sidecar",
    tags: &[concat!("sandkeep/egress-sidecar:", env!("CARGO_PKG_VERSION"))],
    packages: &["ca-certificates", "usr-is-merged"],
    env: &[PATH, "LANG=C.UTF-8"],
    files: &[],
};

/// One name only: readers that are not told which image of an archive they shall take want it to hold no other.
const EXECD_TAGS: &[&str] = &[concat!("sandkeep/execd:", env!("CARGO_PKG_VERSION"))];

/// One static program and nothing else: made to be copied from, and runs by itself.
pub(super) fn write_execd(out: &Path) -> Result<()> {
    let work = fresh_work(EXECD)?;
    let layer = layer(&work, &[(paths::dist().join(EXECD), "execd", 0o755)])?;
    let config = common("execd", "The daemon inside every sandbox: commands, code, files")
        .entrypoint(words(&["/execd"]))
        .env(words(&[PATH]))
        .exposed_ports(words(&[EXECD_PORT]))
        .build()?;
    let image = described(EXECD_TAGS, config);
    write(&image, &[&layer], &work, &out.join(file_name(EXECD)))?;
    Ok(fs::remove_dir_all(&work)?)
}

/// The server with execd and the egress sidecar beside it, on what it needs of Debian.
pub(super) fn write_server(out: &Path) -> Result<()> {
    let files = [
        (paths::dist().join(dist::SERVER), "usr/local/bin/lifecycle-server", 0o755),
        (paths::dist().join(EXECD), "usr/local/bin/execd", 0o755),
        (paths::dist().join(dist::SIDECAR), "usr/local/bin/egress-sidecar", 0o755),
        (paths::root().join("packaging/image/config.toml"), &CONFIG[1..], 0o644),
    ];
    let config = common("lifecycle-server", "Creates, finds, renews and removes sandboxes")
        .entrypoint(words(&["/usr/local/bin/lifecycle-server"]))
        .cmd(words(&["--config", CONFIG]))
        .exposed_ports(words(&[SERVER_PORT]))
        .stop_signal("SIGTERM")
        .volumes(words(&[STATE]));
    write_on(&SERVER_BASE, &files, config, out)
}

/// The egress sidecar by itself, to run beside any container whose network it shares.
pub(super) fn write_sidecar(out: &Path) -> Result<()> {
    let files = [(paths::dist().join(dist::SIDECAR), "usr/local/bin/egress-sidecar", 0o755)];
    let config = common("egress-sidecar", "Enforces outbound rules and injects Credential Vault secrets")
        .entrypoint(words(&["/usr/local/bin/egress-sidecar"]))
        .exposed_ports(words(&[SIDECAR_PORT]))
        .stop_signal("SIGTERM");
    write_on(&SIDECAR_BASE, &files, config, out)
}

/// An image of these files on a base; they are a layer of their own, so that a new version brings no new base.
fn write_on(base: &Recipe, files: &[(PathBuf, &str, u32)], config: ConfigBuilder, out: &Path) -> Result<()> {
    crate::packages::install()?;
    let work = fresh_work(base.name)?;
    let below = rootfs::build(base, &work)?;
    let layer = layer(&work, files)?;
    let image = described(base.tags, config.env(words(base.env)).build()?);
    write(&image, &[&below, &layer], &work, &out.join(file_name(base.name)))?;
    Ok(fs::remove_dir_all(&work)?)
}

fn file_name(daemon: &str) -> String {
    format!("sandkeep-{daemon}-{}-{}.image.tar", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH)
}

fn described<'a>(tags: &'a [&'a str], config: Config) -> Description<'a> {
    Description { tags, config, created_by: CREATED_BY, packing: Packing::Gzip }
}

/// What the images have in common.
fn common(title: &str, description: &str) -> ConfigBuilder {
    let labels = [
        (ANNOTATION_TITLE, title),
        (ANNOTATION_DESCRIPTION, description),
        (ANNOTATION_LICENSES, env!("CARGO_PKG_LICENSE")),
        (ANNOTATION_SOURCE, env!("CARGO_PKG_REPOSITORY")),
        (ANNOTATION_VERSION, env!("CARGO_PKG_VERSION")),
    ];
    let labels: HashMap<_, _> = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    ConfigBuilder::default().labels(labels).user(USER).working_dir("/")
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
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
