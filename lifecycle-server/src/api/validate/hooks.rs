//! Commands tied to a sandbox's life.

use std::{collections::HashSet, ops::RangeInclusive};

use sandkeep_specs::lifecycle::{
    DEFAULT_HOOK_SECONDS, LifecycleHook, MAX_PERIODIC_HOOKS, PERIODIC_SECONDS, PRE_START_SECONDS,
    PeriodicLifecycleHook, SandboxLifecycle, Schedule,
};

use crate::{api::error::ApiError, sandbox::Hooks};

/// All hooks travel in one variable, and the kernel refuses a longer one (MAX_ARG_STRLEN, name and terminator
/// included).
const MAX_DOCUMENT: usize = 120 * 1024;

/// Checks every hook; `None` when there is none.
pub(super) fn check(mut wanted: SandboxLifecycle) -> Result<Option<Hooks>, ApiError> {
    let periodic = wanted.periodic.get_or_insert_default();
    if wanted.pre_start.is_none() && periodic.is_empty() {
        return Ok(None);
    }
    if periodic.len() > MAX_PERIODIC_HOOKS {
        let problem = format!("must be at most {MAX_PERIODIC_HOOKS} hooks, are {}", periodic.len());
        return Err(ApiError::invalid("lifecycle.periodic", problem));
    }
    let mut names = HashSet::new();
    for (index, hook) in periodic.iter_mut().enumerate() {
        let place = format!("lifecycle.periodic[{index}]");
        check_periodic(hook, &place)?;
        if !names.insert(hook.name.clone()) {
            let problem = format!("{:?} is the name of another hook too", hook.name);
            return Err(ApiError::invalid(format!("{place}.name"), problem));
        }
    }
    let pre_start_seconds = wanted.pre_start.as_ref().map_or(Ok(0), check_pre_start)?;
    let document = serde_json::to_string(&wanted)
        .map_err(|error| ApiError::invalid("lifecycle", format!("cannot be passed on: {error}")))?;
    if document.len() > MAX_DOCUMENT {
        let problem = format!("must be at most {MAX_DOCUMENT} bytes of JSON, has {}", document.len());
        return Err(ApiError::invalid("lifecycle", problem));
    }
    Ok(Some(Hooks { document, pre_start_seconds }))
}

fn check_pre_start(hook: &LifecycleHook) -> Result<u64, ApiError> {
    let place = "lifecycle.preStart";
    check_command(&hook.command, place)?;
    check_timeout(hook.timeout_seconds, &PRE_START_SECONDS, place)?;
    Ok(hook.timeout_seconds.unwrap_or(DEFAULT_HOOK_SECONDS).unsigned_abs())
}

fn check_periodic(hook: &mut PeriodicLifecycleHook, place: &str) -> Result<(), ApiError> {
    hook.name = hook.name.trim().to_owned();
    if hook.name.is_empty() {
        return Err(ApiError::invalid(format!("{place}.name"), "must not be empty"));
    }
    hook.schedule = hook.schedule.trim().to_owned();
    hook.schedule
        .parse::<Schedule>()
        .map_err(|problem| ApiError::invalid(format!("{place}.schedule"), problem))?;
    check_command(&hook.command, place)?;
    check_timeout(hook.timeout_seconds, &PERIODIC_SECONDS, place)
}

fn check_command(command: &[String], place: &str) -> Result<(), ApiError> {
    if command.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(ApiError::invalid(format!("{place}.command"), "must name a program"));
    }
    match command.iter().position(|word| word.contains('\0')) {
        Some(index) => {
            Err(ApiError::invalid(format!("{place}.command[{index}]"), "must not contain a NUL character"))
        }
        None => Ok(()),
    }
}

fn check_timeout(seconds: Option<i64>, bounds: &RangeInclusive<i64>, place: &str) -> Result<(), ApiError> {
    match seconds {
        Some(seconds) if !bounds.contains(&seconds) => {
            let problem = format!("must be from {} to {}, is {seconds}", bounds.start(), bounds.end());
            Err(ApiError::invalid(format!("{place}.timeoutSeconds"), problem))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn hooks(wanted: Value) -> Result<Option<Hooks>, ApiError> {
        check(serde_json::from_value(wanted).unwrap())
    }

    #[test]
    fn none_asked_for_is_none_at_all() {
        for wanted in [json!({}), json!({"preStart": null, "periodic": null}), json!({"periodic": []})] {
            assert_eq!(hooks(wanted).unwrap(), None);
        }
    }

    #[test]
    fn the_document_is_what_was_asked_for_with_trimmed_names() {
        let found = hooks(json!({
            "preStart": {"command": ["a", " b "]},
            "periodic": [{"name": " n ", "schedule": " */5 * * * * ", "command": ["x"], "timeoutSeconds": 300}],
        }))
        .unwrap()
        .unwrap();
        assert_eq!(found.pre_start_seconds, 60);
        let document: Value = serde_json::from_str(&found.document).unwrap();
        let expected = json!({
            "preStart": {"command": ["a", " b "]},
            "periodic": [{"name": "n", "schedule": "*/5 * * * *", "command": ["x"], "timeoutSeconds": 300}],
        });
        assert_eq!(document, expected);
        let periodic_only = json!({"periodic": [{"name": "n", "schedule": "@daily", "command": ["x"]}]});
        assert_eq!(hooks(periodic_only).unwrap().unwrap().pre_start_seconds, 0);
    }

    #[test]
    fn every_refusal_names_its_member() {
        let periodic = |patch: Value| {
            let mut hook = json!({"name": "n", "schedule": "@hourly", "command": ["x"]});
            for (key, value) in patch.as_object().unwrap() {
                hook[key] = value.clone();
            }
            json!({"periodic": [hook]})
        };
        let twice = json!({"name": "n ", "schedule": "@hourly", "command": ["x"]});
        let many: Vec<Value> = (0..=MAX_PERIODIC_HOOKS)
            .map(|number| json!({"name": number.to_string(), "schedule": "@hourly", "command": ["x"]}))
            .collect();
        for (wanted, member) in [
            (json!({"preStart": {"command": []}}), "preStart.command"),
            (json!({"preStart": {"command": [" "]}}), "preStart.command"),
            (json!({"preStart": {"command": ["x", "\u{0}"]}}), "preStart.command[1]"),
            (json!({"preStart": {"command": ["x"], "timeoutSeconds": 0}}), "preStart.timeoutSeconds"),
            (json!({"preStart": {"command": ["x"], "timeoutSeconds": 10801}}), "preStart.timeoutSeconds"),
            (periodic(json!({"name": " "})), "periodic[0].name"),
            (periodic(json!({"schedule": "now and then"})), "periodic[0].schedule"),
            (periodic(json!({"schedule": "* * 31 2 *"})), "periodic[0].schedule"),
            (periodic(json!({"command": []})), "periodic[0].command"),
            (periodic(json!({"timeoutSeconds": 301})), "periodic[0].timeoutSeconds"),
            (periodic(json!({"timeoutSeconds": -1})), "periodic[0].timeoutSeconds"),
            (json!({"periodic": [twice.clone(), twice]}), "periodic[1].name"),
            (json!({"periodic": many}), "periodic"),
        ] {
            let error = hooks(wanted.clone()).unwrap_err();
            assert!(error.message.starts_with(&format!("lifecycle.{member}: ")), "{wanted}: {error:?}");
        }
        let long = json!({"preStart": {"command": ["x", "y".repeat(MAX_DOCUMENT)]}});
        assert!(hooks(long).unwrap_err().message.starts_with("lifecycle: "));
    }
}
