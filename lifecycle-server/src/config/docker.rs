//! `[docker]`: another runtime's table. What it says of sandboxes themselves holds here too, or is refused.

use std::collections::BTreeMap;

use oci_spec::runtime::Capability;
use serde::Deserialize;

use super::{error::Problem, ingest::at_least};

/// What a sandbox's root needs to be of any use. All others are absent, or (`AUDIT_WRITE`, `MKNOD`, `NET_RAW`) have no
/// power over anything in a user namespace.
const KEPT: [Capability; 11] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fowner,
    Capability::Fsetid,
    Capability::Kill,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Setfcap,
];

/// The table `[docker]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DockerTable {
    /// Stands in for `native.no_new_privileges`.
    pub(super) no_new_privileges: Option<bool>,
    /// Stands in for `native.default_pids`.
    pub(super) pids_limit: Option<u64>,
    /// Variables of every sandbox: stronger than its image's, weaker than its request's.
    pub sandbox_env: BTreeMap<String, String>,
    drop_capabilities: Vec<Capability>,
    apparmor_profile: Option<String>,
    seccomp_profile: Option<String>,
    sandbox_binds: Vec<String>,
    network_mode: Option<String>,
    // Of Docker's own interface, and of ports of the host that sandboxes are reached by there.
    api_timeout: Option<toml::Value>,
    host_ip: Option<toml::Value>,
    publish_host: Option<toml::Value>,
    port_range_min: Option<toml::Value>,
    port_range_max: Option<toml::Value>,
}

impl DockerTable {
    pub(super) fn check(&self) -> Result<(), Problem> {
        at_least("docker.pids_limit", self.pids_limit.unwrap_or(1), 1)?;
        for (name, value) in &self.sandbox_env {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(("docker.sandbox_env", format!("{name:?} cannot be a variable")));
            }
        }
        if let Some(capability) = self.drop_capabilities.iter().find(|one| KEPT.contains(one)) {
            let problem = format!("sandboxes have {capability} here, in a user namespace of their own");
            return Err(("docker.drop_capabilities", problem));
        }
        let is_set = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let refused = [
            (
                "docker.seccomp_profile",
                is_set(&self.seccomp_profile),
                "sandboxes have this server's own filter of system calls",
            ),
            (
                "docker.apparmor_profile",
                is_set(&self.apparmor_profile),
                "sandboxes are not confined by AppArmor here",
            ),
            (
                "docker.sandbox_binds",
                !self.sandbox_binds.is_empty(),
                "allow the paths in storage.allowed_host_paths, and have requests mount them as volumes",
            ),
            (
                "docker.network_mode",
                self.network_mode.as_deref() == Some("none"),
                "each sandbox has a network here; a request's networkPolicy closes it",
            ),
        ];
        match refused.into_iter().find(|(_, is_set, _)| *is_set) {
            Some((key, _, why)) => Err((key, why.to_owned())),
            None => Ok(()),
        }
    }

    /// Keys that are present and mean nothing here.
    pub(super) fn without_effect(&self) -> impl Iterator<Item = &'static str> {
        [
            ("docker.network_mode", self.network_mode.is_some()),
            ("docker.api_timeout", self.api_timeout.is_some()),
            ("docker.host_ip", self.host_ip.is_some()),
            ("docker.publish_host", self.publish_host.is_some()),
            ("docker.port_range_min", self.port_range_min.is_some()),
            ("docker.port_range_max", self.port_range_max.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, is_set)| is_set.then_some(key))
    }
}
