//! Python interpreters.

mod find;

use std::ffi::OsString;
use std::path::Path;

use crate::command::env::Environment;

pub(crate) use find::Finder;

/// The program that runs inside the interpreter, behind a text that it reads only when it needs it.
pub(crate) const DRIVER: &str =
    concat!("EXTRAS = r\"\"\"", include_str!("extras.py"), "\"\"\"\n", include_str!("driver.py"));

/// Keeps matplotlib from looking for a screen; the driver shows the figures.
const PLOT_BACKEND: (&str, &str) = ("MPLBACKEND", "Agg");

/// The driver is the first thing on the channel. `-S` leaves out what the driver does later, when it is needed.
pub(crate) fn argv(python: &Path) -> Vec<OsString> {
    let boot = format!(
        "import posix;exec(compile(posix.read(3,{}),'<sandkeep>','exec'),{{'__name__':'_sandkeep'}})",
        DRIVER.len()
    );
    vec![python.into(), "-S".into(), "-c".into(), boot.into()]
}

/// The environment with what suits code that has no screen.
pub(crate) fn env(mut env: Environment) -> Environment {
    let (name, value) = PLOT_BACKEND;
    env.entry(name.into()).or_insert_with(|| value.into());
    env
}
