//! Command line and environment.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::code::Prestart;

/// What the help says about variables that no flag stands for.
const ENVIRONMENT: &str = "\
Environment without a flag:
  EXECD_CLONE3_COMPAT          1, true, yes or on: clone3 does not exist for execd and all it starts (a seccomp filter);
                               reexec: the same, and execd executes itself again. Default: off
  EXECD_ISOLATION_UPPER_ROOT   directory for what isolated sessions write. Default: a temporary one
  EXECD_ISOLATION_ALLOWED_WRITABLE
                               where isolated sessions may be given directories to write, separated by colons. Default: all but
                               those of the system
  JUPYTER_PORT                 port on 127.0.0.1 that accepts connections and says nothing, for code-interpreter clients
                               that wait for it. Default: 44771
  JUPYTER_HOST, JUPYTER_TOKEN, EXECD_JUPYTER_IDLE_POLL_INTERVAL
                               accepted and ignored: code runs without Jupyter
  OPENSANDBOX_ID               the sandbox's id, for programs in it
  OPENSANDBOX_EXECD_METRICS_EXTRA_ATTRS
                               labels for the figures of /metrics/prometheus, such as team=a,region=b
  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT
                               accepted and left to programs in the sandbox: execd pushes no metrics, it is asked for
                               them at /metrics/prometheus

Environment with --init:
  EXECD_BOOTSTRAP_PRE_SCRIPT   file a shell reads before execd starts: its exports reach everything. Default: none
  BOOTSTRAP_CMD                shell text to run as the entrypoint, instead of the one on the command line
  BOOTSTRAP_SHELL              the shell for both. Default: bash, or sh where there is no bash
  OPENSANDBOX_LIFECYCLE        hooks as JSON: preStart before the entrypoint, periodic ones beside it. Default: none
  OPENSANDBOX_EGRESS_MITMPROXY_TRANSPARENT
                               1, true, yes or on: wait up to 300 s for /opt/opensandbox/mitmproxy-ca-cert.pem, install
                               it in the stores of the system, of NSS and of Java, and set NODE_EXTRA_CA_CERTS,
                               REQUESTS_CA_BUNDLE, SSL_CERT_FILE, CURL_CA_BUNDLE and GIT_SSL_CAINFO. Default: off";

/// Runs inside a sandbox: commands, code and files over HTTP with live output.
#[derive(Debug, Parser)]
#[command(name = "execd", version, args_conflicts_with_subcommands = true, after_help = ENVIRONMENT)]
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
    #[arg(long)]
    jupyter_host: Option<String>,

    /// Accepted and ignored: code runs without Jupyter
    #[arg(long)]
    jupyter_token: Option<String>,

    /// Accepted and ignored: code runs without Jupyter
    #[arg(long)]
    jupyter_idle_poll_interval: Option<String>,

    /// File of KEY=VALUE lines, read anew for each command and merged into its environment; with --init by default
    /// /opt/opensandbox/.env where there is that directory
    #[arg(long, env = "EXECD_ENVS")]
    pub env_file: Option<PathBuf>,

    /// Interpreters of code contexts that are started before they are asked for: those of languages used before (used),
    /// also these from the start (a list such as python,java), or none (off)
    #[arg(long, env = "EXECD_PRESTART", default_value = "used")]
    pub prestart: Prestart,

    /// Log to this file instead of standard error
    #[arg(long, env = "EXECD_LOG_FILE")]
    pub log_file: Option<PathBuf>,

    /// Be the sandbox's first process: reap, pass signals on, run the entrypoint and end with it
    #[arg(long, env = "EXECD_INIT", num_args = 0..=1, default_missing_value = "true", default_value = "false",
          value_parser = switch, require_equals = true)]
    pub init: bool,

    /// Wait, after the start, to be handed over to an owner with an environment and a program of his own
    #[arg(long, requires = "init")]
    pub standby: bool,

    /// Descriptor that gets one byte and is closed once execd listens
    #[arg(long)]
    pub ready_fd: Option<u16>,

    /// Names of files of the sandbox's control group, open as descriptors from 4 on, to measure with
    #[arg(long, env = "EXECD_GAUGES", value_delimiter = ',', value_name = "NAMES")]
    pub gauges: Vec<String>,

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
    fn the_help_tells_every_variable() {
        let help = Cli::command().render_long_help().to_string();
        for name in [
            "EXECD_ACCESS_TOKEN",
            "EXECD_API_GRACE_SHUTDOWN",
            "EXECD_ENVS",
            "EXECD_LOG_FILE",
            "EXECD_CLONE3_COMPAT",
            "EXECD_INIT",
            "OPENSANDBOX_ID",
            "OPENSANDBOX_EXECD_METRICS_EXTRA_ATTRS",
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "EXECD_BOOTSTRAP_PRE_SCRIPT",
            "BOOTSTRAP_CMD",
            "BOOTSTRAP_SHELL",
            "JUPYTER_HOST",
            "EXECD_JUPYTER_IDLE_POLL_INTERVAL",
            "--jupyter-host",
            "--jupyter-idle-poll-interval",
            "--graceful-shutdown-timeout",
        ] {
            assert!(help.contains(name), "{name}");
        }
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
