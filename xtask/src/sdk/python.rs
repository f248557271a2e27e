//! Python: openapi-python-client with templates of ours, and the blocking half from the asynchronous one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::{paths, shell};

/// Directory of the generator, from the root of the repository.
const GENERATOR: &str = "sdk/python/generator";

pub(super) fn generate(output: &Path) -> Result<()> {
    let python = environment()?;
    let mut command = Command::new(python);
    command.arg("-B").arg(paths::root().join(GENERATOR).join("generate.py"));
    command.arg(paths::root().join("specs/openapi")).arg(output);
    shell::run_logged("sdk-python", &mut command)
}

/// Python with what the generator needs; made once for each list of requirements.
fn environment() -> Result<PathBuf> {
    let requirements = paths::root().join(GENERATOR).join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let venv = paths::output("sdk-python");
    let (python, installed) = (venv.join("bin/python"), venv.join("installed"));
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    shell::run_logged("sdk-python-venv", Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    shell::run_logged("sdk-python-install", pip.arg(&requirements))?;
    fs::write(&installed, wanted)?;
    Ok(python)
}
