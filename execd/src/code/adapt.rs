//! Making an interpreter that waits into one of another environment.
//!
//! That is as good as starting it so as long as the difference could not have mattered yet. What has run by then is the
//! dynamic loader, the C library, the interpreter's own start and our driver: what these read from the environment must be
//! the same.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::start::{Driver, Start};
use crate::command::env::Environment;

/// Beginnings of names that the loader, the C library or Python itself read at the start.
const READ_EARLY: [&[u8]; 6] = [b"PYTHON", b"LD_", b"LC_", b"GLIBC_", b"MALLOC_", b"GCONV_"];

/// Further such names.
const READ_EARLY_WHOLE: [&[u8]; 8] =
    [b"PATH", b"HOME", b"LANG", b"LANGUAGE", b"LOCPATH", b"TZ", b"TZDIR", b"__PYVENV_LAUNCHER__"];

/// With one of these anything may run at the start, and read anything.
const RUNS_EARLY: [&str; 2] = ["LD_PRELOAD", "LD_AUDIT"];

/// What has to be changed in the environment of an interpreter that was started by `made`, for it to be what `wanted`
/// would make, as the driver reads it: `NAME=VALUE` sets and `NAME` removes a variable, each with a NUL byte at its end.
/// `None` if only a new interpreter will do.
pub(super) fn changes(made: &Start, wanted: &Start) -> Option<Vec<u8>> {
    let same = made.program == wanted.program && made.cwd == wanted.cwd && made.identity == wanted.identity;
    if !same || made.driver != wanted.driver {
        return None;
    }
    let (before, after) = (made.env(), wanted.env());
    let changes = difference(&before, &after);
    let can_change = made.driver == Driver::Python
        && !RUNS_EARLY.iter().any(|name| before.contains_key(OsStr::new(name)))
        && !changes.iter().any(|(name, _)| is_read_early(name.as_bytes()));
    if !changes.is_empty() && !can_change {
        return None;
    }
    let mut text = Vec::new();
    for (name, value) in changes {
        text.extend_from_slice(name.as_bytes());
        if let Some(value) = value {
            text.push(b'=');
            text.extend_from_slice(value.as_bytes());
        }
        text.push(0);
    }
    Some(text)
}

/// Variables that are new or different, and those that are gone.
fn difference<'a>(before: &'a Environment, after: &'a Environment) -> Vec<(&'a OsStr, Option<&'a OsStr>)> {
    let set = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    let set = set.map(|(name, value)| (name.as_os_str(), Some(value.as_os_str())));
    let gone = before.keys().filter(|name| !after.contains_key(*name)).map(|name| (name.as_os_str(), None));
    set.chain(gone).collect()
}

fn is_read_early(name: &[u8]) -> bool {
    READ_EARLY.iter().any(|beginning| name.starts_with(beginning)) || READ_EARLY_WHOLE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(driver: Driver, env: &[(&str, &str)]) -> Start {
        let env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        Start { driver, program: "/usr/bin/python3".into(), env, cwd: "/".into(), identity: None }
    }

    fn python(env: &[(&str, &str)]) -> Start {
        start(Driver::Python, env)
    }

    #[test]
    fn what_nobody_has_read_yet_is_changed() {
        let made = python(&[("A", "1"), ("B", "1"), ("PATH", "/bin")]);
        let wanted = python(&[("A", "2"), ("C", "x=y"), ("PATH", "/bin")]);
        assert_eq!(changes(&made, &wanted).unwrap(), b"A=2\0C=x=y\0B\0");
        assert_eq!(changes(&made, &made).unwrap(), b"");
    }

    #[test]
    fn what_matters_at_the_start_needs_a_new_interpreter() {
        let made = python(&[("PATH", "/bin")]);
        for name in
            ["PATH", "HOME", "LANG", "LC_ALL", "PYTHONHASHSEED", "LD_LIBRARY_PATH", "MALLOC_ARENA_MAX"]
        {
            let wanted = python(&[("PATH", "/bin"), (name, "x")]);
            assert_eq!(changes(&made, &wanted), None, "{name}");
            assert_eq!(changes(&wanted, &made), None, "{name} gone");
        }
        let preloaded = |value| python(&[("LD_PRELOAD", "/x.so"), ("A", value)]);
        assert_eq!(changes(&preloaded("1"), &preloaded("2")), None);
        assert!(changes(&preloaded("1"), &preloaded("1")).is_some());
    }

    #[test]
    fn everything_else_must_be_equal() {
        let made = python(&[]);
        assert_eq!(changes(&made, &Start { cwd: "/tmp".into(), ..made.clone() }), None);
        assert_eq!(changes(&made, &Start { program: "/python".into(), ..made.clone() }), None);
        let java = |value| start(Driver::Java, &[("A", value)]);
        assert_eq!(changes(&java("1"), &java("2")), None);
        assert_eq!(changes(&java("1"), &java("1")).unwrap(), b"");
    }
}
