use std::{borrow::Cow, convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

/// Phase of a sandbox's life.
///
/// The set is open: a client must cope with a name it doesn't know.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum SandboxState {
    /// Accepted, not usable yet.
    Pending,
    /// Usable.
    Running,
    /// Being stopped in a way that can be taken back.
    Pausing,
    /// Frozen: keeps its memory, uses no processor time.
    Paused,
    /// On its way back to running.
    Resuming,
    /// Without processes: files are kept, and its memory if that was asked for. An addition of ours.
    Stopped,
    /// Being removed.
    Stopping,
    /// Ended without an error.
    Terminated,
    /// Ended with an error, or never started.
    Failed,
    /// A state this version doesn't know.
    Other(String),
}

impl SandboxState {
    const KNOWN: [(&str, Self); 9] = [
        ("Pending", Self::Pending),
        ("Running", Self::Running),
        ("Pausing", Self::Pausing),
        ("Paused", Self::Paused),
        ("Resuming", Self::Resuming),
        ("Stopped", Self::Stopped),
        ("Stopping", Self::Stopping),
        ("Terminated", Self::Terminated),
        ("Failed", Self::Failed),
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Pausing => "Pausing",
            Self::Paused => "Paused",
            Self::Resuming => "Resuming",
            Self::Stopped => "Stopped",
            Self::Stopping => "Stopping",
            Self::Terminated => "Terminated",
            Self::Failed => "Failed",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for SandboxState {
    /// Names compare without regard to case.
    fn from(name: String) -> Self {
        Self::KNOWN
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name))
            .map_or(Self::Other(name), |(_, state)| state.clone())
    }
}

impl FromStr for SandboxState {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Infallible> {
        Ok(name.to_owned().into())
    }
}

impl From<SandboxState> for String {
    fn from(state: SandboxState) -> Self {
        state.as_str().to_owned()
    }
}

impl fmt::Display for SandboxState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// An enum in the document would make generated clients refuse states added later.
impl PartialSchema for SandboxState {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "Phase of a sandbox's life: Pending, Running, Pausing, Paused, Resuming, Stopped, Stopping, Terminated \
                 or Failed. The set is open: a client must cope with a name it doesn't know.",
            ))
            .examples(["Running"])
            .into()
    }
}

impl ToSchema for SandboxState {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("SandboxState")
    }
}

#[cfg(test)]
mod tests {
    use super::SandboxState;

    #[test]
    fn every_known_name_round_trips_and_ignores_case() {
        for (name, state) in SandboxState::KNOWN {
            assert_eq!(state.as_str(), name);
            assert_eq!(SandboxState::from(name.to_lowercase()), state);
        }
    }

    #[test]
    fn unknown_names_survive() {
        let state: SandboxState = serde_json::from_str("\"Hibernating\"").unwrap();
        assert_eq!(serde_json::to_string(&state).unwrap(), "\"Hibernating\"");
    }
}
