//! From files and variables to a checked [`Config`].

use std::path::{Path, PathBuf};

use super::{Config, ConfigError, error::Problem, mistakes, unsupported};

/// Names the file when `--config` doesn't.
pub const PATH_VARIABLE: &str = "SANDBOX_CONFIG_PATH";
/// The file in the home directory that is read when nothing names one.
pub const DEFAULT_FILE: &str = ".sandbox.toml";

const API_KEY_VARIABLE: &str = "OPENSANDBOX_SERVER_API_KEY";
const INSECURE_VARIABLE: &str = "OPENSANDBOX_INSECURE_SERVER";
const TENANTS_VARIABLE: &str = "SANDBOX_TENANTS_CONFIG_PATH";
const SECURE_KEYS_VARIABLE: &str = "OPENSANDBOX_SECURE_ACCESS_KEYS";
const SECURE_ACTIVE_VARIABLE: &str = "OPENSANDBOX_SECURE_ACCESS_ACTIVE_KEY";
const POSTGRESQL_VARIABLE: &str = "OPENSANDBOX_STORE_POSTGRESQL_DSN";

/// Where variables come from: the process, or a test's own list.
pub trait Environment {
    fn get(&self, name: &str) -> Option<String>;
}

impl<F: Fn(&str) -> Option<String>> Environment for F {
    fn get(&self, name: &str) -> Option<String> {
        self(name)
    }
}

impl Config {
    /// Reads the file named by `explicit`, else by `SANDBOX_CONFIG_PATH`, else `~/.sandbox.toml`. Only the last may be
    /// missing, which is the same as empty.
    pub fn load(explicit: Option<&Path>, environment: &impl Environment) -> Result<Self, ConfigError> {
        let named =
            explicit.map(Path::to_owned).or_else(|| environment.get(PATH_VARIABLE).map(PathBuf::from));
        let (path, may_be_missing) = match named {
            Some(path) => (path, false),
            None => (default_path(environment)?, true),
        };
        let text = match std::fs::read_to_string(&path) {
            Err(error) if may_be_missing && error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(|source| ConfigError::Read { path: path.clone(), source })?,
        };
        Self::parse(&text, &path, environment)
    }

    /// Reads `text`, puts the environment on top and checks every value. `path` is for messages only.
    pub fn parse(text: &str, path: &Path, environment: &impl Environment) -> Result<Self, ConfigError> {
        mistakes::read(text, |config| config.complete(environment))
            .map_err(|mistakes| ConfigError::Mistakes { path: path.to_owned(), mistakes })
    }

    fn complete(mut self, environment: &impl Environment) -> Result<Self, Problem> {
        let config = &mut self;
        // A variable that is set but empty counts: it takes the key away.
        if let Some(key) = environment.get(API_KEY_VARIABLE) {
            config.server.api_key = Some(key);
        }
        config.server.api_key = config.server.api_key.take().filter(|key| !key.trim().is_empty());
        if let Some(tenants) = &mut config.tenants {
            tenants.settle(environment.get(TENANTS_VARIABLE), environment.get("HOME"));
        }
        let secrets = (environment.get(SECURE_KEYS_VARIABLE), environment.get(SECURE_ACTIVE_VARIABLE));
        config.ingress.settle(secrets.0.as_deref(), secrets.1.as_deref())?;
        if let Some(dsn) = environment.get(POSTGRESQL_VARIABLE) {
            config.store.postgresql.dsn = Some(dsn);
        }
        config.otel.settle(environment)?;
        config.egress.settle()?;
        config.native.settle(&config.docker);
        self.check()?;
        Ok(self)
    }

    /// Serving without a key must be somebody's explicit wish.
    pub fn require_api_key(&self, environment: &impl Environment) -> Result<(), ConfigError> {
        if self.tenants.is_some() {
            return Ok(());
        }
        let insecure = environment.get(INSECURE_VARIABLE).is_some_and(|value| value == "YES");
        if self.server.api_key.is_some() || insecure { Ok(()) } else { Err(ConfigError::NoApiKey) }
    }

    fn check(&self) -> Result<(), Problem> {
        self.server.check()?;
        self.proxy.check()?;
        self.log.check()?;
        self.runtime.check()?;
        self.docker.check()?;
        self.native.check()?;
        self.images.check()?;
        self.storage.check()?;
        self.egress.check()?;
        self.store.check()?;
        self.renew_intent.check()?;
        self.ingress.check()?;
        self.otel.check()?;
        if let Some(tenants) = &self.tenants {
            tenants.check()?;
            if self.server.api_key.is_some() {
                let problem = "cannot stand beside [tenants], where every tenant has keys of its own";
                return Err(("server.api_key", problem.to_owned()));
            }
        }
        unsupported::check(self)
    }
}

fn default_path(environment: &impl Environment) -> Result<PathBuf, ConfigError> {
    let home = environment.get("HOME").filter(|home| !home.is_empty()).ok_or(ConfigError::NoHome)?;
    Ok(Path::new(&home).join(DEFAULT_FILE))
}

/// Refuses a value below `least`.
pub(super) fn at_least(key: &'static str, value: u64, least: u64) -> Result<(), Problem> {
    if value < least { Err((key, format!("must be at least {least}, is {value}"))) } else { Ok(()) }
}

/// Refuses a share that would leave nothing.
pub(super) fn percent(key: &'static str, value: u8) -> Result<(), Problem> {
    if value > 99 { Err((key, format!("must be below 100, is {value}"))) } else { Ok(()) }
}
