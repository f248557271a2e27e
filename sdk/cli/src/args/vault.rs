//! `sb vault`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub(crate) enum VaultAction {
    /// Show what is in it, without its secrets
    Get { sandbox: String },
    /// Put a secret in; it is read from standard input unless said otherwise, and never an argument
    Set {
        #[command(flatten)]
        edit: VaultEdit,
        /// Name of the secret
        name: String,
        /// Read it from this variable
        #[arg(long, value_name = "VARIABLE")]
        from_env: Option<String>,
        /// Read it from this file
        #[arg(long, value_name = "FILE", conflicts_with = "from_env")]
        from_file: Option<PathBuf>,
    },
    /// Say which requests get a secret, and how
    Bind(Bind),
    /// Take secrets out that nothing is bound to
    Unset {
        #[command(flatten)]
        edit: VaultEdit,
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Take bindings out
    Unbind {
        #[command(flatten)]
        edit: VaultEdit,
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Make it from a document in JSON or YAML: `credentials` and `bindings`
    Create {
        sandbox: String,
        /// `-` is standard input
        file: PathBuf,
    },
    /// Change it by a document in JSON or YAML: all of it or nothing
    Change {
        sandbox: String,
        /// `-` is standard input
        file: PathBuf,
    },
    /// Forget it with all its secrets
    Rm { sandbox: String },
}

#[derive(Debug, Args)]
pub(crate) struct VaultEdit {
    /// Sandbox, or the beginning of its id
    pub(crate) sandbox: String,
    /// Fail unless the vault has this revision
    #[arg(long)]
    pub(crate) revision: Option<i64>,
}

#[derive(Debug, Args)]
pub(crate) struct Bind {
    #[command(flatten)]
    pub(crate) edit: VaultEdit,
    /// Name of the binding; one of this name is replaced
    pub(crate) name: String,
    /// Name of the secret
    #[arg(long)]
    pub(crate) secret: String,
    /// Host whose requests get it, or `*.` and a name for all below it; the policy must allow it
    #[arg(long, required = true)]
    pub(crate) host: Vec<String>,
    /// Only requests with this method
    #[arg(long)]
    pub(crate) method: Vec<String>,
    /// Only this path; with `*` at the end all that begin so
    #[arg(long)]
    pub(crate) path: Vec<String>,
    /// For http instead of https
    #[arg(long)]
    pub(crate) plain: bool,
    /// As `Authorization: Bearer`
    #[arg(long)]
    pub(crate) bearer: bool,
    /// As `Authorization: Basic`; the secret is encoded already
    #[arg(long, conflicts_with = "bearer")]
    pub(crate) basic: bool,
    /// As the header of this name
    #[arg(long, value_name = "NAME", conflicts_with_all = ["bearer", "basic"])]
    pub(crate) header: Option<String>,
    /// In place of this mark in the request
    #[arg(long, value_name = "TEXT", requires = "within")]
    pub(crate) placeholder: Option<String>,
    /// Where the mark is replaced
    #[arg(long = "in", value_enum, value_delimiter = ',')]
    pub(crate) within: Vec<Surface>,
}

/// A part of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Surface {
    Header,
    Query,
    Path,
    Body,
}
