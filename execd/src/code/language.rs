//! Languages by name.

use super::error::CodeError;

/// What the contract knows but nothing here runs.
const NOT_OFFERED: [&str; 1] = ["sql"];

/// What is offered, for error messages.
const OFFERED: &str = "python, bash, javascript, typescript, java, go, command and background-command";

/// Where a piece of code goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    /// A shell command, run like `POST /command`.
    Command,
    /// The same in the background.
    BackgroundCommand,
    /// A shell that keeps its state.
    Bash,
    /// An interpreter that keeps its state.
    Python,
    /// Node.
    JavaScript,
    /// Node as well, after leaving out the types.
    TypeScript,
    /// A Java shell.
    Java,
    /// Programs that Go compiles, one after the other.
    Go,
}

impl Language {
    /// The language of this name; none means a shell command.
    ///
    /// # Errors
    /// When it is not offered, or no language.
    pub(crate) fn parse(name: Option<&str>) -> Result<Self, CodeError> {
        match name.unwrap_or_default() {
            "" | "command" => Ok(Self::Command),
            "background-command" => Ok(Self::BackgroundCommand),
            "bash" => Ok(Self::Bash),
            "python" => Ok(Self::Python),
            "javascript" => Ok(Self::JavaScript),
            "typescript" => Ok(Self::TypeScript),
            "java" => Ok(Self::Java),
            "go" => Ok(Self::Go),
            other if NOT_OFFERED.contains(&other) => {
                Err(CodeError::NotSupported(format!("language {other:?} is not offered here; {OFFERED} are")))
            }
            other => Err(CodeError::Invalid(format!("unknown language {other:?}; {OFFERED} are offered"))),
        }
    }

    /// The language of a context: one whose code has state to keep.
    ///
    /// # Errors
    /// When it is not offered, no language, or keeps no state.
    pub(crate) fn of_context(name: Option<&str>) -> Result<Self, CodeError> {
        match Self::parse(name)? {
            Self::Command | Self::BackgroundCommand => {
                let name = name.unwrap_or_default();
                Err(CodeError::Invalid(format!("language {name:?} has no contexts: it keeps nothing")))
            }
            language => Ok(language),
        }
    }

    /// Its name on the wire.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::BackgroundCommand => "background-command",
            Self::Bash => "bash",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::TypeScript => "typescript",
            Self::Java => "java",
            Self::Go => "go",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for language in [
            Language::Command,
            Language::BackgroundCommand,
            Language::Bash,
            Language::Python,
            Language::JavaScript,
            Language::TypeScript,
            Language::Java,
            Language::Go,
        ] {
            assert_eq!(Language::parse(Some(language.name())), Ok(language));
        }
        assert_eq!(Language::parse(None), Ok(Language::Command));
        assert!(
            matches!(Language::parse(Some("sql")), Err(CodeError::NotSupported(text)) if text.contains("sql"))
        );
        assert!(matches!(Language::parse(Some("cobol")), Err(CodeError::Invalid(_))));
        assert!(matches!(Language::of_context(None), Err(CodeError::Invalid(_))));
        assert!(matches!(Language::of_context(Some("command")), Err(CodeError::Invalid(_))));
    }
}
