//! Keys of tables that have no effect here: a misspelt one would have none elsewhere either, and its author should know.

/// Tables of other runtimes and what may stand in them.
const TABLES: [(&str, &[&str]); 3] = [
    (
        "docker",
        &[
            "network_mode",
            "api_timeout",
            "host_ip",
            "publish_host",
            "port_range_min",
            "port_range_max",
            "drop_capabilities",
            "no_new_privileges",
            "apparmor_profile",
            "seccomp_profile",
            "pids_limit",
            "sandbox_env",
            "sandbox_binds",
        ],
    ),
    (
        "kubernetes",
        &[
            "kubeconfig_path",
            "insecure_skip_tls_verify",
            "namespace",
            "workload_provider",
            "batchsandbox_template_file",
            "image_pull_policy",
            "informer_resync_seconds",
            "informer_watch_timeout_seconds",
            "read_qps",
            "read_burst",
            "write_qps",
            "write_burst",
            "sandbox_create_timeout_seconds",
            "sandbox_create_poll_interval_seconds",
            "pool_acquisition_timeout_seconds",
            "execd_init_resources",
            "fastpath_endpoint",
            "fastpath_timeout_seconds",
            "fastpath_wait_ready_seconds",
            "fastpath_resource_pool",
            "template_s3_publish_secret",
        ],
    ),
    ("agent_sandbox", &["template_file", "shutdown_policy", "ingress_enabled"]),
];

/// A key that no server knows, with its table, and the keys that table may have.
pub(super) type Unknown = (&'static str, String, &'static [&'static str]);

pub(super) fn unknown(file: &toml::Table) -> Vec<Unknown> {
    let mut unknown = Vec::new();
    for (name, known) in TABLES {
        let Some(toml::Value::Table(table)) = file.get(name) else { continue };
        let strange = table.keys().filter(|key| !known.contains(&key.as_str()));
        unknown.extend(strange.map(|key| (name, key.clone(), known)));
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strange_keys_are_found_and_known_ones_are_not() {
        let file = "[docker]\nnetwork_mode = 'bridge'\npid_limit = 3\n[kubernetes]\nnamespace = 'x'\n[server]\nx = 1\n";
        let found = unknown(&toml::from_str(file).unwrap());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].0, found[0].1.as_str()), ("docker", "pid_limit"));
    }
}
