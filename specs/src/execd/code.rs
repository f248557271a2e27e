//! Code contexts.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A context: one interpreter with the variables, functions and imports of everything run in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CodeContext {
    /// Identifies the context; absent in a request for the language's default context.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub id: Option<String>,
    /// The language, such as `python`.
    pub language: String,
    /// Directory the interpreter was started in, when one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cwd: Option<String>,
}

/// A context to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CodeContextRequest {
    /// The language, such as `python`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Directory to start the interpreter in, made when missing; `~` and `$NAME` are expanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

/// Where code is to run: a context by its id, or a language's default context.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CodeTarget {
    /// An existing context, whose language then counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Language of the default context to use, made at its first use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Not read when running code: a context keeps the directory it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
}

/// Code to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunCodeRequest {
    /// Where it runs; absent means as a shell command, like language `command`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<CodeTarget>,
    /// The code.
    pub code: String,
}

/// Which contexts are meant.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ContextsQuery {
    /// Only contexts of this language.
    pub language: Option<String>,
}

/// Contexts of which language to delete.
#[derive(Debug, Clone, Default, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeleteContextsQuery {
    /// The language whose contexts are deleted.
    pub language: String,
}

/// Which execution to interrupt.
#[derive(Debug, Clone, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InterruptCodeQuery {
    /// Id of a context, or of a command.
    pub id: String,
}
