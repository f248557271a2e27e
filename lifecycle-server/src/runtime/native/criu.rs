//! Whether the memory of a stopped sandbox could be kept: what CRIU, the one tool for that, can do here.

use std::{
    io::Read,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::runtime::{MemoryStop, oci::locate};

/// How long the program may take to name its version.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const PROBE_PAUSE: Duration = Duration::from_millis(5);

/// Looks for CRIU and says what stands in the way.
pub(super) fn probe() -> MemoryStop {
    let version = locate("criu").and_then(|program| {
        let mut command = Command::new(program);
        command.arg("--version");
        version(&output(command)?)
    });
    let reason = match &version {
        None => "CRIU is not installed, and without it only files outlast a stop".to_owned(),
        Some(version) => format!(
            "CRIU {version} saves processes only if all their namespaces belong to their own user namespace; a \
             sandbox's belong to the host, so that its root has no power over its network and mounts"
        ),
    };
    MemoryStop { version, reason }
}

/// What a program prints, if it ends well and in time.
fn output(mut command: Command) -> Option<String> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let since = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if since.elapsed() < PROBE_TIMEOUT => std::thread::sleep(PROBE_PAUSE),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    status.success().then_some(text)
}

fn version(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix("Version:")).map(|version| version.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_found_in_what_the_program_prints() {
        assert_eq!(version("Version: 4.2.1\nGitID: v4.2.1\n").as_deref(), Some("4.2.1"));
        assert_eq!(version("usage: criu"), None);
    }

    #[test]
    fn a_program_that_fails_or_is_missing_has_no_output() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            output(command)
        };
        assert_eq!(shell("echo Version: 1").as_deref(), Some("Version: 1\n"));
        assert_eq!(shell("echo Version: 1; exit 1"), None);
        assert_eq!(output(Command::new("/nonexistent")), None);
    }
}
