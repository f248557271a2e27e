//! What `cargo xtask release --images` makes: an archive that a machine is set up from, and images of the daemons.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    api::{Api, Sandbox},
    layout::{self, Layout},
    paths,
    registry::Registry,
    server::{Server, Setup},
};
use serde_json::{Value, json};

/// All crates have the same version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn directory() -> Result<PathBuf> {
    let dir = paths::workspace().join("target/release-archive");
    ensure!(dir.join("SHA256SUMS").is_file(), "{}: run `cargo xtask release --images`", dir.display());
    Ok(dir)
}

/// The only file whose name begins and ends so.
fn find(start: &str, end: &str) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory()?)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with(start) && name.ends_with(end) {
            found.push(path);
        }
    }
    ensure!(found.len() == 1, "{start}…{end}: {found:?}");
    found.pop().context("one file")
}

fn output(command: &mut Command) -> Result<String> {
    let output = command.output()?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}\n{complaint}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}

/// An image's archive, whose two tables of contents must tell of the same image.
fn layout(archive: &Path, name: &str) -> Result<Layout> {
    let layout = Layout::open(archive)?;
    let annotations = layout.entry.annotations().as_ref().context("an image has a name")?;
    assert_eq!(annotations["org.opencontainers.image.ref.name"], VERSION);
    assert_eq!(annotations["io.containerd.image.name"], format!("docker.io/{name}"));
    let of_docker: Value = layout.document("manifest.json")?;
    let layers: Vec<_> = layout.manifest.layers().iter().map(layout::path).collect();
    let config = layout::path(layout.manifest.config());
    assert_eq!(of_docker, json!([{"Config": config, "RepoTags": [name], "Layers": layers}]));
    let labels = layout.configuration.labels_of_config().context("labels")?;
    assert_eq!(labels["org.opencontainers.image.version"], VERSION);
    assert_eq!(labels["org.opencontainers.image.licenses"], "Apache-2.0");
    Ok(layout)
}

#[test]
fn checksums_cover_everything_and_are_right() -> Result<()> {
    let dir = directory()?;
    output(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&dir))?;
    let sums = fs::read_to_string(dir.join("SHA256SUMS"))?;
    for entry in fs::read_dir(&dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(name == "SHA256SUMS" || sums.contains(&format!("  {name}\n")), "{name} is not in SHA256SUMS");
    }
    Ok(())
}

#[test]
fn the_archive_holds_what_a_machine_is_set_up_from() -> Result<()> {
    let archive = find("sandkeep-0", ".tar.gz")?;
    let listing =
        output(Command::new("tar").args(["--numeric-owner", "--full-time", "-tvzf"]).arg(&archive))?;
    let mut names: Vec<&str> = Vec::new();
    for line in listing.lines() {
        ensure!(line.contains(" 0/0 ") && line.contains("2026-01-01 00:00:00"), "not reproducible: {line}");
        names.push(line.rsplit(' ').next().unwrap_or_default());
    }
    ensure!(names.is_sorted(), "not sorted: {names:?}");
    let dir = tempfile::tempdir()?;
    output(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(dir.path()))?;
    let root = dir.path().join(names[0]);
    for file in ["LICENSE", "README.md", "docs/operations.md", "openapi/lifecycle.yaml", "openapi/execd.yaml"]
    {
        ensure!(fs::metadata(root.join(file))?.len() > 0, "{file} is empty");
    }
    let unit = fs::read_to_string(root.join("systemd/sandkeep.service"))?;
    ensure!(unit.contains("KillMode=process") && unit.contains("Delegate=yes"), "{unit}");
    for program in ["lifecycle-server", "execd"] {
        let version = output(Command::new(root.join("bin").join(program)).arg("--version"))?;
        ensure!(archive.to_string_lossy().contains(version.split(' ').next_back().unwrap_or("?").trim()));
    }
    // The configuration that comes along is one the server that comes along takes.
    let config = root.join("etc/config.toml");
    let text =
        fs::read_to_string(&config)? + &format!("\n[native]\nstate_dir = \"{}\"\n", dir.path().display());
    fs::write(&config, text.replacen("[native]\n", "", 1))?;
    let mut list = Command::new(root.join("bin/lifecycle-server"));
    output(list.arg("--config").arg(&config).args(["image", "list"]))?;
    Ok(())
}

/// Runs execd as a sandbox of its own image.
async fn run_execd(api: &Api, image: &str) -> Result<()> {
    let body = json!({
        "image": {"uri": image}, "resourceLimits": {}, "timeout": 300,
        "entrypoint": ["/execd", "--port", "44799", "--access-token", "inner"],
    });
    let sandbox = api.create(body).await?;
    let (address, _) = sandbox.endpoint(44799, false).await?;
    let url = format!("http://{address}/ping");
    let retried = ["--silent", "--fail", "--retry", "20", "--retry-connrefused", "--retry-delay", "1"];
    let header = ["--header", "X-EXECD-ACCESS-TOKEN: inner"];
    output(Command::new("curl").args(retried).args(header).arg(&url))?;
    sandbox.delete().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_of_execd_runs_from_our_own_store_and_from_a_registry() -> Result<()> {
    let archive = find("sandkeep-execd-", ".image.tar")?;
    let name = format!("sandkeep/execd:{VERSION}");
    let layout = layout(&archive, &name)?;
    let config = layout.configuration.config().as_ref().context("a configuration")?;
    assert_eq!(config.entrypoint(), &Some(vec!["/execd".to_owned()]));
    assert_eq!(config.exposed_ports(), &Some(vec!["44772/tcp".to_owned()]));
    assert_eq!(config.user().as_deref(), Some("0:0"));
    assert_eq!(
        layout.configuration.labels_of_config().map(|l| &*l["org.opencontainers.image.title"]),
        Some("execd")
    );
    assert_eq!(layout.manifest.layers().len(), 1);

    let server = Server::start(Setup::default().without_image())?;
    let imported = server.cli_ok(&["image", "import", archive.to_str().context("a path in UTF-8")?])?;
    ensure!(imported.contains(&name), "{imported}");
    run_execd(&server.api(), &name).await?;

    // A registry of others takes the very same manifest, and what comes back from it runs as well.
    let registry = Registry::start().await?;
    registry.push_layout("daemons/execd", VERSION, &layout).await?;
    let digest = layout.entry.digest();
    run_execd(&server.api(), &registry.name(&format!("daemons/execd@{digest}"))).await
}

/// Imports an archive and starts a sandbox of its image.
async fn sandbox_of(server: &Server, archive: &Path, name: &str) -> Result<Sandbox> {
    server.cli_ok(&["image", "import", archive.to_str().context("a path in UTF-8")?])?;
    let body = json!({
        "image": {"uri": name}, "resourceLimits": {}, "timeout": 300, "entrypoint": ["sleep", "infinity"],
    });
    server.api().create(body).await
}

#[tokio::test]
async fn the_image_of_the_server_has_all_that_the_server_calls() -> Result<()> {
    let archive = find("sandkeep-lifecycle-server-", ".image.tar")?;
    let name = format!("sandkeep/lifecycle-server:{VERSION}");
    let layout = layout(&archive, &name)?;
    let config = layout.configuration.config().as_ref().context("a configuration")?;
    assert_eq!(config.entrypoint(), &Some(vec!["/usr/local/bin/lifecycle-server".to_owned()]));
    assert_eq!(config.cmd(), &Some(vec!["--config".to_owned(), "/etc/sandkeep/config.toml".to_owned()]));
    assert_eq!(config.volumes(), &Some(vec!["/var/lib/sandkeep".to_owned()]));
    assert_eq!(config.user().as_deref(), Some("0:0"));
    assert_eq!(layout.manifest.layers().len(), 2);

    let server = Server::start(Setup::default().without_image())?;
    let sandbox = sandbox_of(&server, &archive, &name).await?;
    let execd = sandbox.execd().await?;
    for program in [
        "lifecycle-server --version",
        "execd --version",
        "nft --version",
        "mkfs.ext4 -V",
        "ip -V",
        "test -f /etc/ssl/certs/ca-certificates.crt",
    ] {
        let ran = execd.run(program).await?;
        ensure!(ran.exit_code == 0, "{program}: {} {}", ran.stdout, ran.stderr);
    }
    // Its configuration is valid; it refuses to serve strangers.
    let refused = execd.run("lifecycle-server --config /etc/sandkeep/config.toml").await?;
    ensure!(refused.exit_code != 0 && refused.stderr.contains("api_key"), "{}", refused.stderr);
    sandbox.delete().await
}

#[tokio::test]
async fn the_image_of_the_egress_sidecar_has_what_it_needs() -> Result<()> {
    let archive = find("sandkeep-egress-sidecar-", ".image.tar")?;
    let name = format!("sandkeep/egress-sidecar:{VERSION}");
    let layout = layout(&archive, &name)?;
    let config = layout.configuration.config().as_ref().context("a configuration")?;
    assert_eq!(config.entrypoint(), &Some(vec!["/usr/local/bin/egress-sidecar".to_owned()]));
    assert_eq!(config.exposed_ports(), &Some(vec!["18080/tcp".to_owned()]));
    assert_eq!(layout.manifest.layers().len(), 2);

    let server = Server::start(Setup::default().without_image())?;
    let sandbox = sandbox_of(&server, &archive, &name).await?;
    let execd = sandbox.execd().await?;
    let authorities = execd.run("test -s /etc/ssl/certs/ca-certificates.crt").await?;
    ensure!(authorities.exit_code == 0, "no authorities to verify destinations by");
    // A sandbox has no power over its network: the program runs as far as that, and says so.
    let refused = execd.run("timeout 20 egress-sidecar").await?;
    ensure!(![0, 124, 126, 127].contains(&refused.exit_code), "{refused:?}");
    ensure!(refused.stderr.contains("CAP_NET_ADMIN"), "{refused:?}");
    sandbox.delete().await
}
