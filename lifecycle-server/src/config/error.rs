//! Why a configuration cannot be used.

use std::path::PathBuf;

use super::mistakes::Mistake;

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// Everything that is wrong, a line each.
    #[error("the configuration {path} is not valid:{}", list(.mistakes))]
    Mistakes { path: PathBuf, mistakes: Vec<Mistake> },
    #[error(
        "no API key is configured, so anybody who reaches the server could run programs on this machine; set \
         server.api_key or OPENSANDBOX_SERVER_API_KEY, or start with OPENSANDBOX_INSECURE_SERVER=YES to do without"
    )]
    NoApiKey,
    #[error("there is no home directory to look for the configuration in; name the file with --config")]
    NoHome,
}

fn list(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect()
}

/// A key and what is wrong with its value; the file's path is added where it is known.
pub(super) type Problem = (&'static str, String);
