//! What a sandbox may reach outside.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Show what is in force
    Get { sandbox: String },
    /// Replace all of it
    Set {
        sandbox: String,
        /// A name, address or network it may reach; nothing else then
        #[arg(long, value_name = "TARGET")]
        allow: Vec<String>,
        /// One it may not reach; all else, unless something is allowed
        #[arg(long, value_name = "TARGET", required_unless_present = "allow")]
        deny: Vec<String>,
    },
    /// Let it reach more
    Allow {
        sandbox: String,
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Let it reach less
    Deny {
        sandbox: String,
        #[arg(required = true)]
        targets: Vec<String>,
    },
    /// Remove rules
    Rm {
        sandbox: String,
        #[arg(required = true)]
        targets: Vec<String>,
    },
}
