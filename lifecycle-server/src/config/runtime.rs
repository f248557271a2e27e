//! `[runtime]`: what hosts the sandboxes.

use serde::Deserialize;

use super::error::Problem;

/// What hosts the sandboxes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// Default `native`.
    pub r#type: RuntimeKind,
    // Here execd is a program beside the server and always the first process of a sandbox.
    execd_image: Option<String>,
    execd_run_as_init: Option<bool>,
}

/// The kinds of runtime a file may name.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// Namespaces and control groups on this machine.
    #[default]
    Native,
    Docker,
    Kubernetes,
}

impl RuntimeConfig {
    pub(super) fn check(&self) -> Result<(), Problem> {
        match self.r#type {
            RuntimeKind::Native => Ok(()),
            RuntimeKind::Docker | RuntimeKind::Kubernetes => Err((
                "runtime.type",
                "this server hosts sandboxes itself; set it to \"native\" or leave it out".to_owned(),
            )),
        }
    }
}
