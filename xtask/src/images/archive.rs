//! The docker-archive format: one tar with a manifest, a configuration and the layers.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::recipe::Recipe;
use crate::shell;

/// The date in the image's configuration; the same for every build, so that equal layers give equal ids.
const CREATED: &str = "2026-01-01T00:00:00Z";

/// Writes `layer` with its configuration and names as an archive at `to`, replacing it whole.
pub(crate) fn write(recipe: &Recipe, layer: &Path, work: &Path, to: &Path) -> Result<()> {
    let diff_id = sha256_file(layer)?;
    let config = serde_json::to_string(&config(recipe, &diff_id)?)?;
    let config_name = format!("{}.json", sha256_text(&config)?);
    let layer_name = format!("{diff_id}/layer.tar");
    let manifest = json!([{ "Config": config_name, "RepoTags": recipe.tags, "Layers": [layer_name] }]);

    let stage = work.join("archive");
    fs::create_dir_all(stage.join(&diff_id))?;
    fs::write(stage.join(&config_name), config)?;
    fs::write(stage.join("manifest.json"), manifest.to_string())?;
    fs::rename(layer, stage.join(&layer_name))?;

    let fresh = to.with_extension("tar.new");
    let mut tar = Command::new("tar");
    tar.args(["--create", "--format=gnu", "--owner=0", "--group=0", "--numeric-owner"]);
    tar.arg(format!("--mtime={CREATED}")).arg("--file").arg(&fresh).arg("--directory").arg(&stage);
    shell::run(tar.args(["manifest.json", &config_name, &layer_name]))?;
    fs::rename(&fresh, to).with_context(|| format!("cannot replace {}", to.display()))
}

fn config(recipe: &Recipe, diff_id: &str) -> Result<Value> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => anyhow::bail!("images for {other} are not made here"),
    };
    Ok(json!({
        "architecture": architecture,
        "os": "linux",
        "created": CREATED,
        "config": { "Env": recipe.env, "Cmd": ["bash"], "WorkingDir": "/" },
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        "history": [{ "created": CREATED, "created_by": "cargo xtask images" }],
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

fn sha256_file(path: &Path) -> Result<String> {
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
    use crate::images::recipe;

    #[test]
    fn digests_match_a_known_one() {
        let digest = sha256_text("abc").unwrap();
        assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn an_archive_names_what_it_holds() {
        let work = std::env::temp_dir().join(format!("xtask-archive-{}", std::process::id()));
        fs::create_dir_all(&work).unwrap();
        let layer = work.join("layer");
        fs::write(&layer, vec![0u8; 1024]).unwrap();
        let tar = work.join("image.tar");
        write(recipe::base(), &layer, &work, &tar).unwrap();

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
        let layer_name = manifest[0]["Layers"][0].as_str().unwrap();
        let diff_id = config["rootfs"]["diff_ids"][0].as_str().unwrap();
        assert_eq!(layer_name, format!("{}/layer.tar", diff_id.strip_prefix("sha256:").unwrap()));
        assert_eq!(sha256_text(&member(layer_name)).unwrap(), diff_id.strip_prefix("sha256:").unwrap());
        fs::remove_dir_all(&work).unwrap();
    }
}
