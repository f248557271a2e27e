//! Command line and environment.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::code::Prestart;

/// Runs inside a sandbox: commands, code and files over HTTP with live output.
#[derive(Debug, Parser)]
#[command(name = "execd", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    #[command(subcommand)]
    pub action: Option<Action>,

    /// TCP port to listen on
    #[arg(long, default_value_t = 44772, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,

    /// Token every request must carry in X-EXECD-ACCESS-TOKEN; without one execd listens on 127.0.0.1 only
    #[arg(long, env = "EXECD_ACCESS_TOKEN", hide_env_values = true)]
    pub access_token: Option<String>,

    /// 0 to 2 off, 3 error, 4 warn, 5 and 6 info, 7 and above debug; or a name
    #[arg(long, default_value = "6", value_parser = log_level)]
    pub log_level: LevelFilter,

    /// How long running commands may go on after SIGTERM, such as 500ms or 1s
    #[arg(long, env = "EXECD_API_GRACE_SHUTDOWN", default_value = "1s", value_parser = duration)]
    pub graceful_shutdown_timeout: Duration,

    /// Accepted and ignored: code runs without Jupyter
    #[arg(long, hide = true)]
    jupyter_host: Option<String>,

    /// Accepted and ignored: code runs without Jupyter
    #[arg(long, hide = true)]
    jupyter_token: Option<String>,

    /// Accepted and ignored: code runs without Jupyter
    #[arg(long, hide = true)]
    jupyter_idle_poll_interval: Option<String>,

    /// KEY=VALUE file merged into the environment of every command
    #[arg(long, env = "EXECD_ENVS", hide = true)]
    pub env_file: Option<PathBuf>,

    /// Interpreters of code contexts that are started before they are asked for: those of languages used before (used),
    /// also these from the start (a list such as python,java), or none (off)
    #[arg(long, env = "EXECD_PRESTART", default_value = "used")]
    pub prestart: Prestart,

    /// Log to this file instead of standard error
    #[arg(long, env = "EXECD_LOG_FILE", hide = true)]
    pub log_file: Option<PathBuf>,

    /// Be the sandbox's first process: reap, pass signals on, run the entrypoint and end with it
    #[arg(long, env = "EXECD_INIT", num_args = 0..=1, default_missing_value = "true", default_value = "false",
          value_parser = switch, require_equals = true)]
    pub init: bool,

    /// Descriptor that gets one byte and is closed once execd listens
    #[arg(long)]
    pub ready_fd: Option<u16>,

    /// Run the entrypoint and commands as `USER[:GROUP]`, names or numbers of the image
    #[arg(long)]
    pub user: Option<String>,

    /// Run the entrypoint and commands in this directory
    #[arg(long)]
    pub cwd: Option<PathBuf>,

    /// Program to run with --init, and its arguments
    #[arg(last = true)]
    pub entrypoint: Vec<OsString>,
}

/// Things to do instead of serving.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Print the OpenAPI document as YAML
    Openapi,
}

fn switch(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err("expected 1, true, yes, on, 0, false, no or off".to_owned()),
    }
}

fn log_level(text: &str) -> Result<LevelFilter, String> {
    match text.parse::<u8>() {
        Ok(0..=2) => Ok(LevelFilter::OFF),
        Ok(3) => Ok(LevelFilter::ERROR),
        Ok(4) => Ok(LevelFilter::WARN),
        Ok(5 | 6) => Ok(LevelFilter::INFO),
        Ok(_) => Ok(LevelFilter::DEBUG),
        Err(_) => text
            .parse()
            .map_err(|_| "expected a number or one of off, error, warn, info, debug, trace".to_owned()),
    }
}

/// Numbers with units, such as `1s`, `1.5s`, `500ms` or `1m30s`.
fn duration(text: &str) -> Result<Duration, String> {
    const MAX_SECONDS: f64 = 86_400.0;
    let refuse = || format!("{text:?} is not a duration such as 500ms, 1s or 1m30s");
    let mut seconds = 0.0;
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(refuse());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refuse)?;
        let number: f64 = rest[..digits].parse().map_err(|_| refuse())?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        seconds += number
            * match &rest[..unit] {
                "ns" => 1e-9,
                "us" | "µs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(refuse()),
            };
        rest = &rest[unit..];
    }
    if seconds > MAX_SECONDS {
        return Err(format!("{text:?} is more than a day"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn init_with_an_entrypoint() {
        let words = [
            "execd",
            "--init",
            "--ready-fd",
            "3",
            "--user",
            "ann:1",
            "--cwd",
            "/x",
            "--",
            "sh",
            "-c",
            "--port",
        ];
        let cli = Cli::try_parse_from(words).unwrap();
        assert!(cli.init && cli.action.is_none());
        assert_eq!((cli.ready_fd, cli.user.as_deref()), (Some(3), Some("ann:1")));
        assert_eq!(cli.entrypoint, ["sh", "-c", "--port"]);
    }

    #[test]
    fn bad_values_are_refused() {
        for words in [
            &["--port", "0"][..],
            &["--port", "70000"],
            &["--port", "x"],
            &["--graceful-shutdown-timeout", "1"],
            &["--graceful-shutdown-timeout", "-1s"],
            &["--graceful-shutdown-timeout", "25h"],
            &["--log-level", "loud"],
            &["--ready-fd", "-1"],
            &["--init=maybe"],
            &["--unknown"],
            &["stray"],
        ] {
            assert!(Cli::try_parse_from(["execd"].iter().chain(words)).is_err(), "{words:?}");
        }
    }

    #[test]
    fn what_is_for_jupyter_is_accepted() {
        let words = [
            "execd",
            "--jupyter-host",
            "nonsense",
            "--jupyter-token=t",
            "--jupyter-idle-poll-interval",
            "1ms",
            "--port=1",
        ];
        assert_eq!(Cli::try_parse_from(words).unwrap().port, 1);
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1.5s").unwrap(), Duration::from_millis(1500));
        assert_eq!(duration("0").unwrap(), Duration::ZERO);
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        for bad in ["", "s", "1", "1x", "1.2.3s", "ms1", "-1s", "1e9s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn log_levels() {
        assert_eq!(log_level("0").unwrap(), LevelFilter::OFF);
        assert_eq!(log_level("6").unwrap(), LevelFilter::INFO);
        assert_eq!(log_level("99").unwrap(), LevelFilter::DEBUG);
        assert_eq!(log_level("warn").unwrap(), LevelFilter::WARN);
    }
}
