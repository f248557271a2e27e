//! Which server is meant: flags and variables first, then the configured contexts.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use sandkeep::Client;
use serde::{Deserialize, Serialize};

use crate::args::Global;

/// Names the file instead of its usual place.
const FILE_VARIABLE: &str = "SANDKEEP_CLI_CONFIG";

/// Servers by name.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Contexts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    #[serde(default)]
    pub(crate) contexts: BTreeMap<String, Server>,
}

/// One server.
#[derive(Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api_key: Option<String>,
}

/// The key stays out of sight.
impl std::fmt::Debug for Server {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Contexts {
    pub(crate) fn load() -> Result<Self> {
        Self::load_from(&file()?)
    }

    fn load_from(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text)
                .map_err(|error| anyhow!("{} is not valid: {}", path.display(), error.message())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Replaces the file at once, readable for its owner alone.
    pub(crate) fn save(&self) -> Result<()> {
        self.save_to(&file()?)
    }

    fn save_to(&self, path: &Path) -> Result<()> {
        let what = || format!("cannot write {}", path.display());
        let parent = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(parent).with_context(what)?;
        let fresh = path.with_extension("new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)
            .with_context(what)?;
        // Of a file that was left behind.
        file.set_permissions(fs::Permissions::from_mode(0o600)).with_context(what)?;
        file.write_all(toml::to_string(self)?.as_bytes()).with_context(what)?;
        fs::rename(&fresh, path).with_context(what)
    }

    /// Names a server; the first becomes the current one.
    pub(crate) fn set(&mut self, name: &str, server: Server) {
        self.contexts.insert(name.to_owned(), server);
        self.current.get_or_insert_with(|| name.to_owned());
    }

    fn chosen(&self, named: Option<&str>) -> Result<Option<&Server>> {
        match named.or(self.current.as_deref()) {
            None => Ok(None),
            Some(name) => match self.contexts.get(name) {
                Some(server) => Ok(Some(server)),
                None => bail!("there is no context {name}; `sb config ls` lists those there are"),
            },
        }
    }
}

/// A client of the server that is meant.
pub(crate) fn client(global: &Global) -> Result<Client> {
    let contexts = Contexts::load()?;
    let server = contexts.chosen(global.context())?;
    let mut builder = Client::builder();
    if let Some(url) = global.url().or(server.map(|server| server.url.as_str())) {
        builder = builder.url(url);
    }
    // A key belongs to its server: it is not sent to another one.
    let own = server.filter(|server| global.url().is_none_or(|url| url == server.url));
    if let Some(key) = global.api_key().or(own.and_then(|server| server.api_key.as_deref())) {
        builder = builder.api_key(key);
    }
    Ok(builder.build()?)
}

fn file() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(FILE_VARIABLE) {
        return Ok(path.into());
    }
    let base = std::env::var_os("XDG_CONFIG_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let base = base.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
    let base = base.context("there is no home directory to keep contexts in; set HOME")?;
    Ok(base.join("sandkeep/cli.toml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_are_kept_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/cli.toml");
        assert!(Contexts::load_from(&path).unwrap().contexts.is_empty());
        let mut contexts = Contexts::default();
        let server = |url: &str| Server { url: url.to_owned(), api_key: Some("k".to_owned()) };
        contexts.set("a", server("http://a"));
        contexts.set("b", server("http://b"));
        contexts.save_to(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Contexts::load_from(&path).unwrap();
        assert_eq!(read.chosen(None).unwrap().unwrap().url, "http://a");
        assert_eq!(read.chosen(Some("b")).unwrap().unwrap().url, "http://b");
        assert!(read.chosen(Some("c")).is_err());
        assert!(!format!("{read:?}").contains("\"k\""));
    }
}
