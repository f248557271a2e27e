//! `[log]`: what the server writes to standard error.

use serde::Deserialize;

use super::error::Problem;

/// What the server writes to standard error.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `DEBUG`, `INFO`, `WARNING` or `ERROR`, or a filter such as `info,lifecycle_server::proxy=debug`. Default `INFO`.
    pub level: String,
    /// Default `text`.
    pub format: LogFormat,
    file_enabled: bool,
    file_path: Option<String>,
    access_file_path: Option<String>,
    file_max_bytes: Option<u64>,
    file_backup_count: Option<u64>,
}

/// Shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "INFO".to_owned(),
            format: LogFormat::Text,
            file_enabled: false,
            file_path: None,
            access_file_path: None,
            file_max_bytes: None,
            file_backup_count: None,
        }
    }
}

impl LogConfig {
    /// The level as a filter of the tracing library.
    pub fn filter(&self) -> String {
        match self.level.to_ascii_uppercase().as_str() {
            "WARNING" => "warn".to_owned(),
            "CRITICAL" | "FATAL" => "error".to_owned(),
            _ => self.level.to_ascii_lowercase(),
        }
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.file_enabled {
            let problem = "logs go to standard error; let the service manager write them to files";
            return Err(("log.file_enabled", problem.to_owned()));
        }
        tracing_subscriber::EnvFilter::try_new(self.filter())
            .map(drop)
            .map_err(|error| ("log.level", format!("{:?} is not a level: {error}", self.level)))
    }
}
