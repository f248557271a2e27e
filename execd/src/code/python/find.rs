//! Finding the interpreter an image has.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::super::error::CodeError;
use crate::command::env::Environment;
use crate::process::{Program, find_in_path, null_input};
use crate::settings::Settings;

/// What is looked for.
const NAME: &str = "python3";

/// How long a version manager may take to say which interpreter it means.
const SHIM_TIME: Duration = Duration::from_secs(10);

/// Remembers which interpreter a version manager's script stands for: asking it takes longer than starting Python.
#[derive(Debug, Default)]
pub(crate) struct Finder(Mutex<HashMap<PathBuf, PathBuf>>);

impl Finder {
    /// The interpreter that `python3` is in this environment.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) async fn find(&self, settings: &Settings, env: &Environment) -> Result<PathBuf, CodeError> {
        let missing = || {
            CodeError::NotSupported(format!(
                "the sandbox has no {NAME} on its PATH, which code in Python needs"
            ))
        };
        let found = find_in_path(NAME, env).ok_or_else(missing)?;
        if !is_script(&found) {
            return Ok(found);
        }
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&found).cloned();
        if let Some(real) = known {
            return Ok(real);
        }
        let real = ask(settings, env, &found).await.unwrap_or_else(|| found.clone());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(found, real.clone());
        Ok(real)
    }
}

fn is_script(path: &Path) -> bool {
    let mut begin = [0; 2];
    File::open(path).and_then(|mut file| file.read_exact(&mut begin)).is_ok() && &begin == b"#!"
}

/// Has the script say what it runs.
async fn ask(settings: &Settings, env: &Environment, script: &Path) -> Option<PathBuf> {
    let program = Program {
        argv: vec![
            script.into(),
            "-I".into(),
            "-S".into(),
            "-c".into(),
            "import sys;print(sys.executable)".into(),
        ],
        env: env.clone(),
        cwd: settings.cwd.clone(),
        identity: settings.identity.clone(),
    };
    let mut answer = File::from(rustix::fs::memfd_create("python", rustix::fs::MemfdFlags::CLOEXEC).ok()?);
    let input = null_input().ok()?;
    let mut child = program.start([input, answer.as_fd(), input], None).ok()?;
    if tokio::time::timeout(SHIM_TIME, child.wait()).await.is_err() {
        child.group().signal(libc::SIGKILL);
        return None;
    }
    let mut path = Vec::new();
    answer.rewind().ok()?;
    answer.read_to_end(&mut path).ok()?;
    let path = PathBuf::from(OsString::from_vec(path.trim_ascii_end().to_vec()));
    path.is_absolute().then_some(path)
}
