//! What has to happen before the daemon is one: by executing itself again, in surroundings that were changed.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::OpenOptions,
    io,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::PathBuf,
    process::Command,
};

use super::{clone3, setup::StartFailure};
use crate::{cli::Cli, process::find_in_path};

/// A file of shell text whose exports reach everything in the sandbox.
const PRE_SCRIPT: &str = "EXECD_BOOTSTRAP_PRE_SCRIPT";

/// Shell text to run instead of the entrypoint, and the shell for it.
const BOOTSTRAP_COMMAND: &str = "BOOTSTRAP_CMD";
const BOOTSTRAP_SHELL: &str = "BOOTSTRAP_SHELL";

/// Where the environment of commands is, unless said otherwise.
const DEFAULT_ENV_FILE: &str = "/opt/opensandbox/.env";

/// Set for the execution after the first one, and then removed: what it lists was done.
const DONE: &str = "EXECD_PRELUDE";

/// Does what the environment asks for before anything else, and adjusts the command line to it.
pub(super) fn run(cli: &mut Cli) -> Result<(), StartFailure> {
    let done = env::var(DONE).unwrap_or_default();
    forget(DONE);
    if cli.init && done.is_empty() {
        source(env::var_os(PRE_SCRIPT).map(PathBuf::from))?;
    }
    hide_clone3(&done)?;
    if cli.init {
        // Whoever runs execd inside must not repeat it.
        forget(PRE_SCRIPT);
        take_env_file(cli);
        take_bootstrap_command(cli);
    }
    Ok(())
}

fn forget(name: &str) {
    // SAFETY: there is one thread yet.
    unsafe { env::remove_var(name) };
}

fn set(name: &str, value: &OsStr) {
    // SAFETY: there is one thread yet.
    unsafe { env::set_var(name, value) };
}

/// Has a shell read the script and become execd again.
fn source(script: Option<PathBuf>) -> Result<(), StartFailure> {
    let Some(script) = script.filter(|path| !path.as_os_str().is_empty()) else { return Ok(()) };
    if !script.is_file() {
        tracing::warn!("{PRE_SCRIPT}: {} is not a file, going on without it", script.display());
        return Ok(());
    }
    let program = own_program().map_err(|error| StartFailure::system("cannot find execd itself", &error))?;
    let mut command = Command::new(shell());
    command.args(["-c", r#"script=$1; shift; . "$script"; exec "$@""#, "execd"]);
    command.arg(script).arg(program).args(env::args_os().skip(1)).env(DONE, "script");
    Err(StartFailure::system("cannot run a shell for the pre-script", &command.exec()))
}

fn hide_clone3(done: &str) -> Result<(), StartFailure> {
    let asked = env::var_os(clone3::VARIABLE).unwrap_or_default();
    let Some(mode) = asked.to_str().and_then(clone3::Mode::parse) else {
        let message = format!(
            "{}: {asked:?} is not one of 1, true, yes, on, reexec, 0, false, no, off",
            clone3::VARIABLE
        );
        return Err(StartFailure { status: 1, message });
    };
    if mode == clone3::Mode::Off || done == "clone3" {
        return Ok(());
    }
    clone3::hide().map_err(|error| StartFailure::system("cannot hide clone3", &error))?;
    if mode == clone3::Mode::Reexec {
        let program =
            own_program().map_err(|error| StartFailure::system("cannot find execd itself", &error))?;
        let error = Command::new(program).args(env::args_os().skip(1)).env(DONE, "clone3").exec();
        return Err(StartFailure::system("cannot execute execd again", &error));
    }
    Ok(())
}

fn own_program() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    // The name may lead nowhere any more; the file behind it is still there.
    Ok(if program.exists() { program } else { "/proc/self/exe".into() })
}

/// The file of commands' environment is there for users to write to, and they find it by its variable.
fn take_env_file(cli: &mut Cli) {
    let named = cli.env_file.clone().filter(|path| !path.as_os_str().is_empty());
    let path = named.unwrap_or_else(|| DEFAULT_ENV_FILE.into());
    // Where its directory is missing, or may not be written, there is no such file, which is nothing wrong.
    if OpenOptions::new().append(true).create(true).mode(0o644).open(&path).is_ok() {
        set("EXECD_ENVS", path.as_os_str());
        cli.env_file = Some(path);
    }
}

fn take_bootstrap_command(cli: &mut Cli) {
    if let Some(text) = env::var_os(BOOTSTRAP_COMMAND).filter(|text| !text.is_empty()) {
        cli.entrypoint = vec![shell(), "-c".into(), text];
    }
}

/// The shell of the environment's choice, else bash, else sh.
fn shell() -> OsString {
    if let Some(named) = env::var_os(BOOTSTRAP_SHELL).filter(|name| !name.is_empty()) {
        return named;
    }
    find_in_path("bash", &env::vars_os().collect()).map_or_else(|| "sh".into(), PathBuf::into_os_string)
}
