//! What the environment asks for.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    ops::RangeInclusive,
    time::Duration,
};

use sandkeep_specs::lifecycle::{
    DEFAULT_HOOK_SECONDS, LIFECYCLE_VARIABLE, MAX_PERIODIC_HOOKS, PERIODIC_SECONDS, PRE_START_SECONDS,
    SandboxLifecycle, Schedule,
};

/// A command and how long it may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// Program and arguments, never empty.
    pub argv: Vec<OsString>,
    pub timeout: Duration,
}

/// A command that runs again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Periodic {
    pub name: String,
    pub schedule: Schedule,
    pub hook: Hook,
}

/// All hooks of a sandbox.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hooks {
    pub pre_start: Option<Hook>,
    pub periodic: Vec<Periodic>,
}

impl Hooks {
    /// The hooks of this environment; none without the variable.
    ///
    /// # Errors
    /// What is wrong with the variable, and where.
    pub fn of(env: &BTreeMap<OsString, OsString>) -> Result<Self, String> {
        let text = env.get(OsStr::new(LIFECYCLE_VARIABLE)).filter(|text| !text.is_empty());
        text.map_or_else(|| Ok(Self::default()), |text| Self::parse(text))
            .map_err(|problem| format!("{LIFECYCLE_VARIABLE}: {problem}"))
    }

    fn parse(text: &OsStr) -> Result<Self, String> {
        let asked: SandboxLifecycle =
            serde_json::from_slice(text.as_encoded_bytes()).map_err(|error| error.to_string())?;
        let pre_start = asked.pre_start.map(|wanted| {
            hook(wanted.command, wanted.timeout_seconds, &PRE_START_SECONDS)
                .map_err(|problem| format!("preStart.{problem}"))
        });
        let periodic = asked.periodic.unwrap_or_default();
        if periodic.len() > MAX_PERIODIC_HOOKS {
            return Err(format!("periodic: more than {MAX_PERIODIC_HOOKS} hooks"));
        }
        let periodic = periodic.into_iter().enumerate().map(|(index, wanted)| {
            let place = |problem: String| format!("periodic[{index}].{problem}");
            Ok(Periodic {
                name: wanted.name,
                schedule: wanted.schedule.parse().map_err(|error| place(format!("schedule: {error}")))?,
                hook: hook(wanted.command, wanted.timeout_seconds, &PERIODIC_SECONDS).map_err(place)?,
            })
        });
        Ok(Self { pre_start: pre_start.transpose()?, periodic: periodic.collect::<Result<_, String>>()? })
    }
}

fn hook(command: Vec<String>, seconds: Option<i64>, bounds: &RangeInclusive<i64>) -> Result<Hook, String> {
    if command.first().is_none_or(String::is_empty) {
        return Err("command: names no program".to_owned());
    }
    let seconds = seconds.unwrap_or(DEFAULT_HOOK_SECONDS);
    let timeout = u64::try_from(seconds).ok().filter(|_| bounds.contains(&seconds)).ok_or_else(|| {
        format!("timeoutSeconds: {seconds} is not from {} to {}", bounds.start(), bounds.end())
    })?;
    Ok(Hook { argv: command.into_iter().map(Into::into).collect(), timeout: Duration::from_secs(timeout) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hooks(text: &str) -> Result<Hooks, String> {
        Hooks::of(&[(LIFECYCLE_VARIABLE.into(), text.into())].into())
    }

    #[test]
    fn timeouts_have_a_default() {
        assert_eq!(Hooks::of(&BTreeMap::new()), Ok(Hooks::default()));
        assert_eq!(hooks("{}"), Ok(Hooks::default()));
        let text = r#"{"preStart": {"command": ["a", "b c"], "timeoutSeconds": 10800}, "periodic": [
            {"name": "n", "schedule": "@every 2s", "command": ["x"]}]}"#;
        let found = hooks(text).unwrap();
        let before = Hook { argv: vec!["a".into(), "b c".into()], timeout: Duration::from_secs(10_800) };
        assert_eq!(found.pre_start, Some(before));
        assert_eq!(found.periodic[0].schedule, Schedule::Every(Duration::from_secs(2)));
        assert_eq!(found.periodic[0].hook.timeout, Duration::from_secs(60));
    }

    #[test]
    fn mistakes_are_named() {
        for (text, place) in [
            ("[", "EOF"),
            (r#"{"postStop": {}}"#, "postStop"),
            (r#"{"preStart": {"command": []}}"#, "preStart.command: "),
            (r#"{"preStart": {"command": ["x"], "timeoutSeconds": 0}}"#, "preStart.timeoutSeconds: "),
            (r#"{"preStart": {"command": ["x"], "timeoutSeconds": 10801}}"#, "preStart.timeoutSeconds: "),
            (r#"{"periodic": [{"name": "n", "schedule": "x", "command": ["x"]}]}"#, "periodic[0].schedule: "),
            (
                r#"{"periodic": [{"name": "n", "schedule": "@daily", "command": ["x"], "timeoutSeconds": 301}]}"#,
                "periodic[0].timeoutSeconds: ",
            ),
        ] {
            let problem = hooks(text).unwrap_err();
            assert!(problem.starts_with("OPENSANDBOX_LIFECYCLE: ") && problem.contains(place), "{problem}");
        }
    }
}
