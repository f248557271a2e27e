//! The docker-archive format: one tar with a manifest, a configuration and the layers.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::shell;

/// The date of everything made here; the same for every build, so that equal content gives equal archives.
pub(crate) const CREATED: &str = "2026-01-01T00:00:00Z";

/// What an archive says about its image besides the layers.
pub(crate) struct Description<'a> {
    /// Names the image is loaded under.
    pub(crate) tags: &'a [&'a str],
    /// The `config` member of the image's configuration.
    pub(crate) config: Value,
    /// The chore that made it.
    pub(crate) created_by: &'a str,
}

/// Writes the uncompressed `layers`, lowest first, with their description as an archive at `to`, replacing it whole.
/// The layers' files are moved away.
pub(crate) fn write(image: Description<'_>, layers: &[&Path], work: &Path, to: &Path) -> Result<()> {
    let stage = work.join("archive");
    fs::create_dir_all(&stage)?;
    let mut diff_ids = Vec::new();
    let mut names = Vec::new();
    for layer in layers {
        let diff_id = sha256_file(layer)?;
        fs::create_dir_all(stage.join(&diff_id))?;
        let name = format!("{diff_id}/layer.tar");
        fs::rename(layer, stage.join(&name))?;
        diff_ids.push(format!("sha256:{diff_id}"));
        names.push(name);
    }
    let manifest_tags = json!(image.tags);
    let config = serde_json::to_string(&config(image, &diff_ids)?)?;
    let config_name = format!("{}.json", sha256_text(&config)?);
    let manifest = json!([{ "Config": config_name, "RepoTags": manifest_tags, "Layers": names }]);
    fs::write(stage.join(&config_name), config)?;
    fs::write(stage.join("manifest.json"), manifest.to_string())?;

    let fresh = to.with_extension("tar.new");
    let mut tar = plain_tar(&fresh, &stage);
    tar.args(["manifest.json", &config_name]).args(&names);
    shell::run(&mut tar)?;
    fs::rename(&fresh, to).with_context(|| format!("cannot replace {}", to.display()))
}

/// A tar command that writes members named by the caller, below `dir`, with nothing of this machine and moment in them.
pub(crate) fn plain_tar(to: &Path, dir: &Path) -> Command {
    let mut tar = Command::new("tar");
    tar.args(["--create", "--format=gnu", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg(format!("--mtime={CREATED}")).arg("--file").arg(to).arg("--directory").arg(dir);
    tar
}

fn config(image: Description<'_>, diff_ids: &[String]) -> Result<Value> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => anyhow::bail!("images for {other} are not made here"),
    };
    let history = vec![json!({ "created": CREATED, "created_by": image.created_by }); diff_ids.len()];
    Ok(json!({
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": image.config,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    }))
}

/// SHA-256 of a text, in hex.
pub(crate) fn sha256_text(text: &str) -> Result<String> {
    let mut child = Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start sha256sum")?;
    child.stdin.take().context("sha256sum has no input")?.write_all(text.as_bytes())?;
    first_word(&String::from_utf8(child.wait_with_output()?.stdout)?)
}

/// SHA-256 of a file, in hex.
pub(crate) fn sha256_file(path: &Path) -> Result<String> {
    first_word(&shell::capture(Command::new("sha256sum").arg(path))?)
}

fn first_word(line: &str) -> Result<String> {
    let word = line.split_whitespace().next().unwrap_or_default();
    ensure!(word.len() == 64, "sha256sum printed {line:?}");
    Ok(word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_match_a_known_one() {
        let digest = sha256_text("abc").unwrap();
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn an_archive_names_what_it_holds() {
        let work = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        fs::create_dir_all(&work).unwrap();
        let (lower, upper) = (work.join("lower"), work.join("upper"));
        fs::write(&lower, vec![0u8; 1024]).unwrap();
        fs::write(&upper, vec![0u8; 2048]).unwrap();
        let tar = work.join("image.tar");
        let config = json!({ "Cmd": ["bash"] });
        let image = Description { tags: &["sandkeep/base:latest"], config, created_by: "a test" };
        write(image, &[&lower, &upper], &work, &tar).unwrap();

        let member = |name: &str| {
            let mut command = Command::new("tar");
            command.arg("--extract").arg("--to-stdout").arg("--file").arg(&tar).arg(name);
            shell::capture(&mut command).unwrap()
        };
        let manifest: Value = serde_json::from_str(&member("manifest.json")).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "sandkeep/base:latest");
        let config_name = manifest[0]["Config"].as_str().unwrap();
        let config = member(config_name);
        assert_eq!(config_name, format!("{}.json", sha256_text(&config).unwrap()));
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["config"]["Cmd"][0], "bash");
        for index in 0..2 {
            let layer_name = manifest[0]["Layers"][index].as_str().unwrap();
            let diff_id = config["rootfs"]["diff_ids"][index].as_str().unwrap();
            let digest = diff_id.strip_prefix("sha256:").unwrap();
            assert_eq!(layer_name, format!("{digest}/layer.tar"));
            let layer = member(layer_name);
            assert_eq!(sha256_text(&layer).unwrap(), digest);
            assert_eq!(layer.len(), 1024 * (index + 1));
        }
        fs::remove_dir_all(&work).unwrap();
    }
}
