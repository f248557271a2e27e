//! Sandboxes: what they are made of, which ones are meant, and what is to be seen of them.

use clap::Args;

use super::values::pair;

/// What a sandbox is made of.
#[derive(Debug, Args)]
pub(crate) struct Recipe {
    /// Variable of the sandbox
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) env: Vec<(String, String)>,
    /// Label
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) label: Vec<(String, String)>,
    /// Processors, such as 2 or 500m
    #[arg(long)]
    pub(crate) cpu: Option<String>,
    /// Memory, such as 512Mi
    #[arg(long)]
    pub(crate) memory: Option<String>,
    /// Disk space, such as 4Gi
    #[arg(long)]
    pub(crate) disk: Option<String>,
    /// Seconds until it is deleted, 0 for never
    #[arg(long, default_value_t = 600)]
    pub(crate) timeout: u64,
    /// A name, address or network it may reach outside; nothing else then
    #[arg(long, value_name = "TARGET")]
    pub(crate) allow: Vec<String>,
    /// A name, address or network it may not reach; all else, unless something is allowed
    #[arg(long, value_name = "TARGET")]
    pub(crate) deny: Vec<String>,
    /// Have secrets put into its requests on their way; `sb vault` keeps them. Needs --allow or --deny
    #[arg(long)]
    pub(crate) credential_proxy: bool,
    /// Extension of the create request
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) extension: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Image to start from
    #[arg(required_unless_present_any = ["snapshot", "pool", "template"])]
    pub(crate) image: Option<String>,
    /// Snapshot to start from
    #[arg(long, conflicts_with_all = ["image", "pool", "template"])]
    pub(crate) snapshot: Option<String>,
    /// Pool to take it from
    #[arg(long, conflicts_with_all = ["image", "template"])]
    pub(crate) pool: Option<String>,
    /// Template to make it from
    #[arg(long, conflicts_with = "image")]
    pub(crate) template: Option<String>,
    #[command(flatten)]
    pub(crate) recipe: Recipe,
    /// Program of the sandbox, which ends with it [default: one that waits]
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// Those that have ended as well
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Only with this label
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) label: Vec<(String, String)>,
    /// Only ids
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct One {
    /// Sandbox, or the beginning of its id
    pub(crate) sandbox: String,
}

#[derive(Debug, Args)]
pub(crate) struct Many {
    /// Sandboxes, or beginnings of their ids
    #[arg(required = true)]
    pub(crate) sandboxes: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    pub(crate) many: Many,
    /// Keep their memory, where the server can
    #[arg(long)]
    pub(crate) memory: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    /// Sandbox, or the beginning of its id
    pub(crate) sandbox: String,
    /// Go on with what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Lines from the end
    #[arg(short = 'n', long)]
    pub(crate) tail: Option<u32>,
    /// Only what came within this time, such as 10m
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Begin lines with the instant they came
    #[arg(short, long)]
    pub(crate) timestamps: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Only of these sandboxes
    pub(crate) sandboxes: Vec<String>,
    /// Begin after the event of this number; 0 is the oldest there is
    #[arg(long)]
    pub(crate) after: Option<i64>,
    /// End after this many events
    #[arg(long)]
    pub(crate) count: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct Top {
    /// Only these
    pub(crate) sandboxes: Vec<String>,
    /// Measure again and again, this many seconds apart
    #[arg(long, value_name = "SECONDS")]
    pub(crate) watch: Option<u64>,
}
