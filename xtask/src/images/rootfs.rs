//! A root file system from Debian's packages, fetched the way this machine fetches its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::recipe::{EXCLUDED, KEPT, Recipe, SUITE};
use crate::shell;

/// Where packages come from when the machine itself runs another Debian release, or no Debian.
const DEFAULT_MIRROR: &str = "http://deb.debian.org/debian";

/// Settings of the machine's apt that fetching depends on: proxies, certificates, mirrors' clocks.
const APT_SETTINGS: &[&str] = &["Acquire::http::", "Acquire::https::", "Acquire::Check-"];

/// Files are dated no later than this (2026-01-01), so that equal packages give equal layers.
const SOURCE_DATE_EPOCH: &str = "1767225600";

/// Files that differ from run to run, or only help apt on a machine that lives long.
const REMOVED: &str = "rm -rf \
    \"$1\"/var/cache/debconf/*-old \"$1\"/var/lib/dpkg/*-old \"$1\"/var/cache/ldconfig/aux-cache \
    \"$1\"/var/log/apt \"$1\"/var/log/*.log \"$1\"/usr/share/doc-base";

/// Writes the image's only layer, an uncompressed tar, below `work` and returns its path.
pub(crate) fn build(recipe: &Recipe, work: &Path) -> Result<PathBuf> {
    fs::create_dir_all(work)?;
    let sources = work.join("sources.list");
    fs::write(&sources, sources_list()?)?;
    let layer = work.join("layer.tar");

    let mut command = shell::root_command("env");
    command.arg(format!("SOURCE_DATE_EPOCH={SOURCE_DATE_EPOCH}")).arg("mmdebstrap");
    command.args(["--mode=root", "--variant=minbase", "--format=tar", "--skip=output/dev,output/mknod"]);
    command.arg("--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr");
    command.arg(format!("--include={}", recipe.packages.join(",")));
    // Java's packages link their manual pages, which are left out, and fail without the directory.
    command.arg("--essential-hook=mkdir -p \"$1/usr/share/man/man1\"");
    command.args(apt_options()?.iter().map(|line| format!("--aptopt={line}")));
    command.args(EXCLUDED.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
    command.args(KEPT.iter().map(|path| format!("--dpkgopt=path-include={path}")));
    for (index, (path, mode, content)) in recipe.files.iter().enumerate() {
        let file = work.join(format!("file-{index}"));
        fs::write(&file, content)?;
        command.arg(format!("--customize-hook=install -D -m {mode} '{}' \"$1{path}\"", file.display()));
    }
    command.arg(format!("--customize-hook={REMOVED}"));
    command.arg(SUITE).arg(&layer).arg(&sources);
    shell::run_logged(&format!("image-{}", recipe.name), &mut command)
        .context("cannot make the root file system: check that this machine's apt can reach its mirror")?;

    if !shell::is_root() {
        let owner = format!("{}:", std::env::var("USER").context("USER is not set")?);
        shell::run(shell::root_command("chown").arg(owner).arg(&layer))?;
    }
    Ok(layer)
}

/// The machine's own Debian mirrors if it runs the images' release, else Debian's public one.
fn sources_list() -> Result<String> {
    let format = "$(ORIGIN) $(REPO_URI) $(RELEASE) $(COMPONENT)";
    let targets = shell::capture(Command::new("apt-get").args([
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
    ]))?;
    let list = sources_from(&targets);
    ensure!(!list.is_empty(), "there is no source for {SUITE}");
    Ok(list)
}

/// Where the machine fetches Debian's packages.
pub(crate) fn mirror() -> Result<String> {
    Ok(main_mirror(&sources_list()?).unwrap_or(DEFAULT_MIRROR).to_owned())
}

/// The archive of the release itself: those of its updates and security fixes may have no other suites.
fn main_mirror(list: &str) -> Option<&str> {
    list.lines().find_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
        ["deb", uri, SUITE, ..] => Some(uri),
        _ => None,
    })
}

fn sources_from(targets: &str) -> String {
    let mut lines: Vec<String> = targets
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter_map(|words| match words[..] {
            ["Debian", uri, release, "main"] if release.starts_with(SUITE) => {
                Some(format!("deb {uri} {release} main"))
            }
            _ => None,
        })
        .collect();
    lines.sort();
    lines.dedup();
    if !lines.iter().any(|line| line.ends_with(&format!(" {SUITE} main"))) {
        lines = vec![
            format!("deb {DEFAULT_MIRROR} {SUITE} main"),
            format!("deb {DEFAULT_MIRROR} {SUITE}-updates main"),
            format!("deb {DEFAULT_MIRROR}-security {SUITE}-security main"),
        ];
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Settings of the machine's apt that fetching depends on, as lines of a configuration.
pub(crate) fn apt_options() -> Result<Vec<String>> {
    let dump = shell::capture(Command::new("apt-config").arg("dump"))?;
    Ok(relevant_settings(&dump))
}

fn relevant_settings(dump: &str) -> Vec<String> {
    let wanted = |line: &&str| APT_SETTINGS.iter().any(|prefix| line.starts_with(prefix));
    dump.lines().filter(wanted).filter(|line| !line.ends_with("\"\";")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_debian_itself_feeds_the_images() {
        let list = sources_from(
            "Debian http://mirror/debian/ bookworm main\n\
             Debian http://mirror/debian/ bookworm contrib\n\
             Debian http://mirror/debian/ bookworm-updates main\n\
             Elsewhere http://other/ bookworm main\n\
             Debian http://mirror/debian/ bookworm main\n",
        );
        assert_eq!(
            list,
            "deb http://mirror/debian/ bookworm main\ndeb http://mirror/debian/ bookworm-updates main\n"
        );
    }

    #[test]
    fn the_mirror_is_that_of_the_release() {
        let list = sources_from(
            "Debian http://mirror/debian-security/ bookworm-security main\nDebian http://mirror/debian/ bookworm main\n",
        );
        assert!(list.starts_with("deb http://mirror/debian-security/"), "{list}");
        assert_eq!(main_mirror(&list), Some("http://mirror/debian/"));
    }

    #[test]
    fn another_release_falls_back_to_the_public_mirror() {
        let list = sources_from("Debian http://mirror/debian/ trixie main\n");
        assert!(list.starts_with(&format!("deb {DEFAULT_MIRROR} bookworm main\n")), "{list}");
        assert_eq!(list.lines().count(), 3);
    }

    #[test]
    fn proxy_and_clock_settings_are_carried_over() {
        let dump = "Acquire::http::Proxy \"http://proxy:3128\";\nAPT::Architecture \"amd64\";\n\
                    Acquire::Check-Valid-Until \"false\";\nAcquire::https::Verify-Peer \"\";\n";
        assert_eq!(
            relevant_settings(dump),
            ["Acquire::http::Proxy \"http://proxy:3128\";", "Acquire::Check-Valid-Until \"false\";"]
        );
    }
}
