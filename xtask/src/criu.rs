//! CRIU, which keeps the memory of stopped sandboxes, in a directory of its own.
//!
//! Current kernels need a newer one than Debian's stable releases have, and that one needs a newer C library. So it comes
//! from a later suite with every library it needs, is unpacked apart from the host's own, and runs through its own
//! loader; nothing of it is installed on the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::images;
use crate::paths;
use crate::progress::step;
use crate::shell;

/// Where lifecycle-server looks for it.
const HOME: &str = "/usr/local/lib/sandkeep/criu";
/// The first suite whose CRIU works on current kernels.
const SUITE: &str = "forky";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Brings CRIU where it is missing. All but stopping with memory works without it, so a failure is told, no more.
pub(crate) fn install() {
    if works(Path::new(HOME)) {
        return;
    }
    if let Err(error) = step(&format!("Fetching CRIU into {HOME}"), fetch) {
        println!("    without CRIU, sandboxes are stopped without their memory: {error:#}");
    }
}

fn works(home: &Path) -> bool {
    let mut criu = Command::new(home.join("ld.so"));
    criu.arg("--library-path").arg(home.join("lib")).arg(home.join("criu")).arg("--version");
    shell::capture(&mut criu).is_ok()
}

fn fetch() -> Result<()> {
    let work = paths::output("criu");
    let _ = fs::remove_dir_all(&work);
    let archives = download(&work)?;
    ensure!(!archives.is_empty(), "apt has fetched nothing");
    let tree = work.join("tree");
    fs::create_dir_all(&tree)?;
    for archive in archives {
        shell::run_logged("criu-unpack", Command::new("dpkg-deb").arg("--extract").arg(archive).arg(&tree))?;
    }
    arrange(&tree)?;
    ensure!(works(&tree), "the CRIU that was fetched does not run here");
    place(&tree)?;
    Ok(fs::remove_dir_all(&work)?)
}

/// CRIU's package and all it depends on, as if nothing were installed.
fn download(work: &Path) -> Result<Vec<PathBuf>> {
    for directory in [
        "etc/apt/apt.conf.d",
        "etc/apt/preferences.d",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/partial",
    ] {
        fs::create_dir_all(work.join(directory))?;
    }
    fs::write(work.join("status"), "")?;
    fs::write(
        work.join("etc/apt/sources.list"),
        format!("deb [signed-by={KEYRING}] {} {SUITE} main\n", images::rootfs::mirror()?),
    )?;
    let mut settings = vec![
        format!("Dir \"{}/\";", work.display()),
        format!("Dir::State::status \"{}/status\";", work.display()),
        "Acquire::Languages \"none\";".to_owned(),
        // A mirror that is not brought up to date every week still has what is signed.
        "Acquire::Check-Valid-Until \"false\";".to_owned(),
    ];
    if shell::is_root() {
        // Root's directories may be closed to apt's own user.
        settings.push("APT::Sandbox::User \"root\";".to_owned());
    }
    settings.extend(images::rootfs::apt_options()?);
    let configuration = work.join("apt.conf");
    fs::write(&configuration, settings.join("\n") + "\n")?;
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", &configuration).args(["--quiet", "--yes"]).args(arguments);
        command
    };
    shell::run_logged("criu-update", &mut apt(&["update"]))
        .with_context(|| format!("cannot read the suite {SUITE}"))?;
    let mut install = apt(&["install", "--download-only", "--no-install-recommends", "criu"]);
    shell::run_logged("criu-download", &mut install).context("cannot fetch CRIU")?;
    let archives = fs::read_dir(work.join("var/cache/apt/archives"))?;
    let archives = archives.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(archives.into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "deb")).collect())
}

/// Gives what lifecycle-server runs names that do not depend on the machine.
fn arrange(tree: &Path) -> Result<()> {
    let libraries = fs::read_dir(tree.join("usr/lib"))?.flatten().map(|entry| entry.path());
    let found = libraries.into_iter().find_map(|directory| Some((loader(&directory)?, directory)));
    let (loader, library) = found.context("the C library brings no loader")?;
    let link = |target: &Path, name: &str| -> Result<()> {
        let target = target.strip_prefix(tree)?;
        Ok(std::os::unix::fs::symlink(target, tree.join(name))?)
    };
    link(&loader, "ld.so")?;
    link(&library, "lib")?;
    link(&tree.join("usr/sbin/criu"), "criu")?;
    // CRIU looks for plugins in a directory it is told; it is to find none.
    fs::create_dir(tree.join("plugins"))?;
    Ok(fs::remove_dir_all(tree.join("usr/share"))?)
}

/// The program that loads others, of the C library in a directory.
fn loader(directory: &Path) -> Option<PathBuf> {
    let mut names = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    names.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("ld-linux")))
}

/// Puts the tree where it belongs, whole or not at all.
fn place(tree: &Path) -> Result<()> {
    let fresh = format!("{HOME}.new");
    let parent = Path::new(HOME).parent().context("no parent")?;
    shell::run(shell::root_command("rm").args(["-rf", &fresh, HOME]))?;
    shell::run(shell::root_command("mkdir").arg("-p").arg(parent))?;
    shell::run(
        shell::root_command("cp")
            .args(["-R", "--preserve=mode,links", "--no-dereference"])
            .arg(tree)
            .arg(&fresh),
    )?;
    shell::run(shell::root_command("mv").args(["-T", &fresh, HOME]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_depend_on_the_machine() {
        let tree = std::env::temp_dir().join(format!("sandkeep-criu-{}", std::process::id()));
        let library = tree.join("usr/lib/some-linux-gnu");
        for directory in [&library, &tree.join("usr/share"), &tree.join("usr/lib/other")] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(library.join("ld-linux-some.so.1"), "loader").unwrap();
        arrange(&tree).unwrap();
        assert_eq!(fs::read_to_string(tree.join("ld.so")).unwrap(), "loader");
        assert!(tree.join("lib/ld-linux-some.so.1").exists() && !tree.join("usr/share").exists());
        assert!(!works(&tree));
        fs::remove_dir_all(&tree).unwrap();
    }
}
