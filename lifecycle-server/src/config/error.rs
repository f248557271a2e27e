//! Why a configuration cannot be used.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// The text names line and column.
    #[error("the configuration {path} is not valid: {source}")]
    Syntax { path: PathBuf, source: Box<toml::de::Error> },
    #[error("the configuration {path} is not valid: {key}: {problem}")]
    Value { path: PathBuf, key: &'static str, problem: String },
    #[error(
        "no API key is configured, so anybody who reaches the server could run programs on this machine; set \
         server.api_key or OPENSANDBOX_SERVER_API_KEY, or start with OPENSANDBOX_INSECURE_SERVER=YES to do without"
    )]
    NoApiKey,
    #[error("there is no home directory to look for the configuration in; name the file with --config")]
    NoHome,
}

/// A key and what is wrong with its value; the file's path is added where it is known.
pub(super) type Problem = (&'static str, String);
