//! Keys of tables that are not read here, or only in part: a misspelt one has no effect anywhere, and its author should know.

/// Such tables and what may stand in them.
const TABLES: [(&str, &[&str]); 4] = [
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
    ("renew_intent.redis", &["enabled", "dsn", "queue_key", "consumer_concurrency"]),
    ("secure_runtime", &["type", "docker_runtime", "k8s_runtime_class"]),
];

/// A key that no server knows, with its table, and the keys that table may have.
pub(super) type Unknown = (&'static str, String, &'static [&'static str]);

pub(super) fn unknown(file: &toml::Table) -> Vec<Unknown> {
    let mut unknown = Vec::new();
    for (name, known) in TABLES {
        let mut steps = name.split('.');
        let Some(table) = steps.try_fold(file, |table, step| table.get(step)?.as_table()) else { continue };
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
        let file = "[kubernetes]\nnamespace = 'x'\nread_pqs = 3\n[server]\nx = 1\n\
                    [renew_intent.redis]\nurl = 'x'\n";
        let found = unknown(&toml::from_str(file).unwrap());
        let names: Vec<_> = found.iter().map(|(table, key, _)| format!("{table}.{key}")).collect();
        assert_eq!(names, ["kubernetes.read_pqs", "renew_intent.redis.url"]);
    }
}
