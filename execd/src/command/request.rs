//! What a client asks for, checked.

use std::{path::PathBuf, time::Duration};

use sandkeep_specs::execd::command::RunCommandRequest;

use super::{
    env::{self, Environment},
    expand,
};
use crate::{
    process::{Identity, Program, find_in_path},
    reason::reason,
    settings::Settings,
    users,
};

/// Why something about commands could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The request makes no sense; the text says what and where.
    #[error("{0}")]
    Invalid(String),
    /// No command has this id.
    #[error("command {0} is not known")]
    Unknown(String),
    /// The command has ended.
    #[error("command {0} is not running any more")]
    Ended(String),
    /// The command was started without a standard input for clients to write.
    #[error("command {0} has no standard input to write to: it was not started with stdin true")]
    NoInput(String),
    /// Its standard input was closed, by a client or by the command.
    #[error("the standard input of command {0} is closed")]
    InputClosed(String),
    /// It does not read what it is sent.
    #[error(
        "command {id} has not read its standard input for {seconds} seconds; {written} bytes of this request were written"
    )]
    InputFull { id: String, seconds: u64, written: u64 },
    /// Output that is asked for is not kept any more, or does not exist yet.
    #[error("command {id}: offset {offset} is outside the output that is kept, {start} to {end}")]
    Offset { id: String, offset: u64, start: u64, end: u64 },
    /// Too many clients read the output of commands that are running.
    #[error("{0} streams are attached to commands already, the limit of attached streams")]
    TooManyStreams(usize),
    /// The command's output went to its stream and was not kept.
    #[error("command {0} ran in the foreground: its output was not kept")]
    Foreground(String),
    /// Too many commands are running.
    #[error("{0} commands are running already, the limit of running commands")]
    TooMany(usize),
    /// The system does not let us.
    #[error("{0}")]
    System(String),
}

/// A request that can be started.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) program: Program,
    /// What its status shows.
    pub(super) content: String,
    pub(super) background: bool,
    /// Whether clients write its standard input.
    pub(super) stdin: bool,
    pub(super) timeout: Option<Duration>,
}

/// Checks a request against the rules and the file system.
pub(super) fn check(request: RunCommandRequest, settings: &Settings) -> Result<Checked, CommandError> {
    refuse_nul(&request)?;
    let env = env::for_command(settings, request.envs.as_ref());
    let cwd = working_directory(request.cwd.as_deref(), &env, settings)?;
    let identity = identity(request.uid, request.gid, settings)?;
    let (argv, content) = match (request.command, request.argv) {
        (Some(_), Some(_)) => return invalid("give either command or argv, not both"),
        (None, None) => return invalid("one of command and argv is required"),
        (Some(text), None) if text.trim().is_empty() => return invalid("command is blank"),
        (None, Some(argv)) if argv.first().is_none_or(String::is_empty) => {
            return invalid("argv[0] is empty");
        }
        (None, Some(argv)) => {
            let content = argv.join(" ");
            (argv.into_iter().map(Into::into).collect(), content)
        }
        (Some(text), None) => {
            let shell = find_in_path("bash", &env).unwrap_or_else(|| "sh".into());
            (vec![shell.into_os_string(), "-c".into(), text.clone().into()], text)
        }
    };
    Ok(Checked {
        program: Program { argv, env, cwd, identity },
        content,
        background: request.background,
        stdin: request.stdin,
        timeout: request.timeout.filter(|millis| *millis > 0).map(Duration::from_millis),
    })
}

fn invalid<T>(message: impl Into<String>) -> Result<T, CommandError> {
    Err(CommandError::Invalid(message.into()))
}

fn refuse_nul(request: &RunCommandRequest) -> Result<(), CommandError> {
    let has_nul = |text: &String| text.contains('\0');
    if request.command.as_ref().is_some_and(has_nul) {
        return invalid("command contains a NUL byte");
    }
    if let Some(at) = request.argv.iter().flatten().position(has_nul) {
        return invalid(format!("argv[{at}] contains a NUL byte"));
    }
    if request.cwd.as_ref().is_some_and(has_nul) {
        return invalid("cwd contains a NUL byte");
    }
    for (key, value) in request.envs.iter().flatten() {
        if key.is_empty() || key.contains(['=', '\0']) {
            return invalid(format!("envs: {key:?} is not a variable name"));
        }
        if has_nul(value) {
            return invalid(format!("envs: the value of {key} contains a NUL byte"));
        }
    }
    Ok(())
}

fn working_directory(
    asked: Option<&str>,
    env: &Environment,
    settings: &Settings,
) -> Result<PathBuf, CommandError> {
    let Some(asked) = asked.filter(|cwd| !cwd.is_empty()) else {
        return Ok(settings.cwd.clone());
    };
    let expanded = expand::directory(asked, env, settings.home())
        .or_else(|name| invalid(format!("cwd {asked:?}: variable {name} is not defined")))?;
    let cwd = settings.cwd.join(expanded);
    match cwd.metadata() {
        Ok(found) if found.is_dir() => Ok(cwd),
        Ok(_) => invalid(format!("cwd {} is not a directory", cwd.display())),
        Err(error) => invalid(format!("cwd {}: {}", cwd.display(), reason(&error))),
    }
}

fn identity(
    uid: Option<u32>,
    gid: Option<u32>,
    settings: &Settings,
) -> Result<Option<Identity>, CommandError> {
    // The kernel reads this number as "leave unchanged".
    const NOBODY: Option<u32> = Some(u32::MAX);
    match (uid, gid) {
        (NOBODY, _) | (_, NOBODY) => invalid("uid and gid must be below 4294967295"),
        (None, Some(_)) => invalid("gid needs uid"),
        (Some(uid), gid) => Ok(Some(users::by_number(uid, gid))),
        (None, None) => Ok(settings.identity.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn settings() -> Settings {
        Settings {
            access_token: None,
            env_file: None,
            identity: None,
            cwd: "/".into(),
            env: Environment::from([("PATH".into(), "/usr/bin:/bin".into()), ("HOME".into(), "/tmp".into())]),
            owner: Default::default(),
        }
    }

    fn refusal(request: RunCommandRequest) -> String {
        check(request, &settings()).unwrap_err().to_string()
    }

    fn command(text: &str) -> RunCommandRequest {
        RunCommandRequest { command: Some(text.to_owned()), ..RunCommandRequest::default() }
    }

    fn argv(words: &[&str]) -> RunCommandRequest {
        RunCommandRequest {
            argv: Some(words.iter().map(|&word| word.to_owned()).collect()),
            ..RunCommandRequest::default()
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert!(refusal(RunCommandRequest::default()).contains("required"));
        assert!(
            refusal(RunCommandRequest { argv: Some(vec!["a".into()]), ..command("a") }).contains("not both")
        );
        assert!(refusal(command(" \n")).contains("blank"));
        assert!(refusal(argv(&[])).contains("argv[0]"));
        assert!(refusal(argv(&["", "x"])).contains("argv[0]"));
        assert!(refusal(argv(&["a", "b\0"])).contains("argv[1]"));
        assert!(refusal(command("a\0")).contains("NUL"));
        assert!(refusal(RunCommandRequest { gid: Some(1), ..command("a") }).contains("gid needs uid"));
        assert!(refusal(RunCommandRequest { uid: Some(u32::MAX), ..command("a") }).contains("below"));
        let cwd = |cwd: &str| RunCommandRequest { cwd: Some(cwd.to_owned()), ..command("a") };
        assert!(refusal(cwd("/no/such/dir")).contains("/no/such/dir"));
        assert!(refusal(cwd("/etc/passwd")).contains("not a directory"));
        assert!(refusal(cwd("$MISSING/x")).contains("MISSING"));
        assert!(refusal(cwd("/\0")).contains("cwd"));
        let envs = |key: &str, value: &str| {
            let envs = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            RunCommandRequest { envs: Some(envs), ..command("a") }
        };
        assert!(refusal(envs("A=B", "x")).contains("A=B"));
        assert!(refusal(envs("", "x")).contains("variable name"));
        assert!(refusal(envs("A", "\0")).contains("value of A"));
    }

    #[test]
    fn a_sound_request_becomes_a_program() {
        let request = RunCommandRequest {
            cwd: Some("$WHERE".to_owned()),
            timeout: Some(0),
            uid: Some(0),
            envs: Some(BTreeMap::from([("WHERE".to_owned(), "/etc".to_owned())])),
            ..command("echo hi")
        };
        let checked = check(request, &settings()).unwrap();
        assert_eq!(checked.program.cwd, PathBuf::from("/etc"));
        assert_eq!(checked.program.argv[1..], ["-c", "echo hi"]);
        assert_eq!(checked.program.identity.as_ref().unwrap().uid, 0);
        assert_eq!((checked.timeout, checked.content.as_str()), (None, "echo hi"));
        assert_eq!(check(argv(&["ls", "-l"]), &settings()).unwrap().content, "ls -l");
    }
}
