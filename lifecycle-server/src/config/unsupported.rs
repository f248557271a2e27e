//! Settings that would promise something this server doesn't do.

use super::{Config, error::Problem};

/// Tables of other runtimes are ignored; a setting whose loss would surprise its author is refused.
pub(super) fn check(config: &Config) -> Result<(), Problem> {
    if text(&config.secure_runtime, "type").is_some_and(|kind| !kind.is_empty()) {
        let problem = "name the OCI runtime's program in native.oci_runtime instead";
        return Err(("secure_runtime.type", problem.to_owned()));
    }
    Ok(())
}

impl Config {
    /// Keys and tables that are present and have no effect.
    pub fn without_effect(&self) -> Vec<&'static str> {
        let tables = [("[kubernetes]", &self.kubernetes), ("[agent_sandbox]", &self.agent_sandbox)];
        let tables = tables.into_iter().filter(|(_, table)| !table.is_empty()).map(|(name, _)| name);
        self.docker.without_effect().chain(tables).collect()
    }
}

fn text<'a>(table: &'a toml::Table, key: &str) -> Option<&'a str> {
    table.get(key).and_then(toml::Value::as_str)
}
