//! Options outside the common contract.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use crate::{
    api::error::ApiError,
    sandbox::{AUTOPAUSE, AUTORESUME, IDLE_SECONDS, PUBLIC_PORTS, idle_seconds, parse_ports},
};

/// Names the pool to take a sandbox from.
pub(super) const POOL_REF: &str = "poolRef";
const RENEW: &str = "access.renew.extend.seconds";
const RENEW_SECONDS: RangeInclusive<u64> = 300..=86_400;
/// Only extensions under this name are shown again in answers.
const ECHOED_PREFIX: &str = "opensandbox.extensions.";

/// Keeps everything, unknown names included: clients send what other servers understand.
pub(super) fn check(extensions: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ApiError> {
    if let Some(seconds) = extensions.get(AUTOPAUSE) {
        idle_seconds(seconds).ok_or_else(|| {
            let (least, most) = IDLE_SECONDS.into_inner();
            let problem = format!("must be a whole number from {least} to {most}, is {seconds:?}");
            ApiError::invalid(format_args!("extensions.{AUTOPAUSE}"), problem)
        })?;
    }
    if let Some(value) =
        extensions.get(AUTORESUME).filter(|value| !["true", "false"].contains(&value.as_str()))
    {
        let problem = format!("must be \"true\" or \"false\", is {value:?}");
        return Err(ApiError::invalid(format_args!("extensions.{AUTORESUME}"), problem));
    }
    if let Some(seconds) = extensions.get(RENEW) {
        parse_renew(seconds).ok_or_else(|| {
            let (least, most) = RENEW_SECONDS.into_inner();
            let problem = format!("must be a whole number from {least} to {most}, is {seconds:?}");
            ApiError::invalid(format_args!("extensions.{RENEW}"), problem)
        })?;
    }
    if let Some(ports) = extensions.get(PUBLIC_PORTS) {
        parse_ports(ports).ok_or_else(|| {
            let problem = format!("must be ports joined by commas, is {ports:?}");
            ApiError::invalid(format_args!("extensions.{PUBLIC_PORTS}"), problem)
        })?;
    }
    Ok(extensions)
}

/// How far each use of a sandbox moves its expiry, if it was created so.
pub(crate) fn renew_extension(extensions: &BTreeMap<String, String>) -> Option<Duration> {
    extensions.get(RENEW).and_then(|seconds| parse_renew(seconds)).map(Duration::from_secs)
}

/// The part of the extensions that answers show.
pub(crate) fn echoed(extensions: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    let echoed: BTreeMap<_, _> = extensions
        .iter()
        .filter(|(name, _)| name.starts_with(ECHOED_PREFIX))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    (!echoed.is_empty()).then_some(echoed)
}

fn parse_renew(seconds: &str) -> Option<u64> {
    seconds.trim().parse().ok().filter(|seconds| RENEW_SECONDS.contains(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn renewal_takes_five_minutes_to_a_day() {
        for (text, valid) in [("299", false), ("300", true), ("86400", true), ("86401", false), ("5m", false)]
        {
            assert_eq!(check(of(RENEW, text)).is_ok(), valid, "{text}");
            assert_eq!(renew_extension(&of(RENEW, text)).is_some(), valid, "{text}");
        }
    }

    #[test]
    fn idle_times_and_waking_are_checked() {
        for (text, valid) in
            [("0", false), ("1", true), ("86400", true), ("86401", false), ("-1", false), ("1.5", false)]
        {
            assert_eq!(check(of(AUTOPAUSE, text)).is_ok(), valid, "{text}");
        }
        for (text, valid) in [("true", true), ("false", true), ("True", false), ("", false)] {
            assert_eq!(check(of(AUTORESUME, text)).is_ok(), valid, "{text}");
        }
    }

    #[test]
    fn only_the_named_prefix_is_echoed() {
        assert_eq!(echoed(&of("x", "y")), None);
        let echo = of("opensandbox.extensions.x", "y");
        assert_eq!(echoed(&echo), Some(echo));
    }
}
