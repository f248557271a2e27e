//! Variables by their names without the prefix.

use std::path::PathBuf;

use sandkeep_specs::egress::settings;

use super::{ConfigError, PREFIX};

/// Reads variables; a blank one counts as absent.
pub(super) struct Environment<'a> {
    get: &'a dyn Fn(&str) -> Option<String>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(get: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { get }
    }

    /// A variable by its whole name.
    pub(super) fn whole(&self, name: &str) -> Option<String> {
        (self.get)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.whole(&format!("{PREFIX}{name}"))
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.text(name).map(PathBuf::from)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        let value = self.text(name).map(|value| value.to_lowercase());
        matches!(value.as_deref(), Some("1" | "true" | "yes" | "y" | "on"))
    }

    pub(super) fn parsed<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let refused = |reason| ConfigError { name: format!("{PREFIX}{name}"), reason };
        self.text(name).map(|text| parse(&text).map_err(refused)).transpose()
    }

    /// Parts between commas.
    pub(super) fn list<T>(
        &self,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, ConfigError> {
        let parts = |text: &str| settings::parts(text).map(&parse).collect();
        Ok(self.parsed(name, parts)?.unwrap_or_default())
    }
}
