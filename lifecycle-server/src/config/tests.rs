use std::path::Path;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    parse_with(text, &[])
}

fn parse_with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    Config::parse(text, Path::new("test.toml"), &environment(variables)).map_err(|error| error.to_string())
}

fn environment(variables: &[(&str, &str)]) -> impl Environment {
    move |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

#[test]
fn an_empty_file_gives_the_documented_defaults() {
    let config = parse("").unwrap();
    assert_eq!((config.server.host.as_str(), config.server.port), ("0.0.0.0", 8080));
    assert_eq!(config.runtime.r#type, RuntimeKind::Native);
    assert_eq!(config.native.state_dir, Path::new("/var/lib/sandkeep"));
    assert_eq!(config.store.database(&config.native.state_dir), Path::new("/var/lib/sandkeep/sandkeep.db"));
    assert_eq!(config.proxy.read_timeout_seconds, 180);
}

#[test]
fn a_misspelt_key_is_named_with_its_line() {
    let error = parse("[server]\nport = 1\napi_kye = \"x\"\n").unwrap_err();
    assert!(error.contains("line 3") && error.contains("api_kye"), "{error}");
    let error = parse("[sevrer]\n").unwrap_err();
    assert!(error.contains("line 1") && error.contains("sevrer"), "{error}");
}

#[test]
fn the_contracts_other_tables_are_accepted_and_reported() {
    let config = parse(
        "[runtime]\ntype = \"native\"\nexecd_image = \"x\"\nexecd_run_as_init = true\n[docker]\nnetwork_mode = \
         \"bridge\"\n[egress]\nimage = \"e\"\n[server]\nthread_pool_size = 4\nloop = \"auto\"\nhttp = \"auto\"\n",
    )
    .unwrap();
    assert_eq!(config.without_effect(), ["docker.network_mode"]);
}

#[test]
fn what_docker_is_told_of_sandboxes_holds_here() {
    let told = "[docker]\nno_new_privileges = false\npids_limit = 99\nsandbox_env = { A = \"1\" }\ndrop_capabilities = \
                [\"NET_ADMIN\", \"CAP_MKNOD\"]\nseccomp_profile = \"\"\n";
    let config = parse(told).unwrap();
    assert_eq!((config.native.no_new_privileges(), config.native.default_pids()), (false, 99));
    assert_eq!(config.docker.sandbox_env["A"], "1");
    assert_eq!(config.without_effect(), [""; 0]);
    let config = parse(&format!("{told}[native]\nno_new_privileges = true\ndefault_pids = 7\n")).unwrap();
    assert_eq!((config.native.no_new_privileges(), config.native.default_pids()), (true, 7));
}

#[test]
fn settings_that_cannot_be_kept_are_refused_by_name() {
    for (text, key) in [
        ("[runtime]\ntype = \"docker\"", "runtime.type"),
        ("[tenants]\nprovider = \"http\"", "tenants.endpoint"),
        ("[tenants]\ntimeout_seconds = 0.0", "tenants.timeout_seconds"),
        ("[tenants]\nquota.cpu = \"x\"", "tenants.quota"),
        ("[tenants]\nauth_header = \"x\"", "tenants.auth_header"),
        ("[tenants]\n[server]\napi_key = \"k\"", "server.api_key"),
        ("[ingress]\nmode = \"gateway\"", "ingress.gateway"),
        ("[native]\ncriu = \"criu\"", "native.criu"),
        ("[docker]\npids_limit = 0", "docker.pids_limit"),
        ("[docker]\nsandbox_env = { \"A=B\" = \"x\" }", "docker.sandbox_env"),
        ("[docker]\ndrop_capabilities = [\"NET_ADMIN\", \"CHOWN\"]", "docker.drop_capabilities"),
        ("[docker]\ndrop_capabilities = [\"NET_ADMYN\"]", "docker.drop_capabilities"),
        ("[docker]\nseccomp_profile = \"p.json\"", "docker.seccomp_profile"),
        ("[docker]\napparmor_profile = \"p\"", "docker.apparmor_profile"),
        ("[docker]\nsandbox_binds = [\"/a:/b\"]", "docker.sandbox_binds"),
        ("[docker]\nnetwork_mode = \"none\"", "docker.network_mode"),
        ("[docker]\npid_limit = 3", "docker.pid_limit"),
        ("[secure_runtime]\ntype = \"gvisor\"", "secure_runtime.type"),
        ("[egress]\nmode = \"nft\"", "egress.mode"),
        ("[egress]\nreadiness_timeout_seconds = 0", "egress.readiness_timeout_seconds"),
        ("[egress]\ntrusted_ca = \"ca.pem\"", "egress.trusted_ca"),
        ("[egress]\ndisable_ipv6 = false", "egress.disable_ipv6"),
        ("[egress]\notlp_endpoint = \"collector:4318\"", "egress.otlp_endpoint"),
        ("[egress]\notlp_endpoint = \"http://localhost:4318\"", "egress.otlp_endpoint"),
        ("[egress]\nupstream_proxy.url = \"ftp://x\"", "egress.upstream_proxy.url"),
        ("[egress]\nupstream_proxy.url = \"http://a:b@x\"", "egress.upstream_proxy.url"),
        ("[egress]\nmode = \"dns\"\nupstream_proxy.url = \"http://x\"", "egress.upstream_proxy"),
        (
            "[egress.upstream_proxy]\nurl = \"http://x\"\nauthorization = \"a\\nb\"",
            "egress.upstream_proxy.authorization",
        ),
        (
            "[egress.upstream_proxy]\nurl = \"http://x\"\nca_cert_path = \"ca.pem\"",
            "egress.upstream_proxy.ca_cert_path",
        ),
        (
            "[egress]\ntrusted_ca = \"/a.pem\"\n[egress.upstream_proxy]\nurl = \"http://x\"\nca_cert_path = \"/b.pem\"",
            "egress.upstream_proxy.ca_cert_path",
        ),
        (
            "[egress.upstream_proxy]\nurl = \"http://x\"\nca_secret_name = \"ca\"",
            "egress.upstream_proxy.ca_secret_name",
        ),
        ("[otel]\nenabled = true\nendpoint = \"collector\"", "otel.endpoint"),
        ("[otel]\nenable = true", "otel.enable"),
        ("[otel]\nexport_interval_millis = 10", "otel.export_interval_millis"),
        ("[storage]\nallowed_host_paths = [\"relative\"]", "storage.allowed_host_paths"),
        ("[store]\ntype = \"postgresql\"", "store.postgresql.dsn"),
        ("[store]\ntype = \"postgresql\"\npostgresql.dsn = \"host=x\"", "store.postgresql.dsn"),
        ("[store.postgresql]\nmin_pool_size = 11", "store.postgresql.min_pool_size"),
        ("[store.postgresql]\nmax_pool_size = 0", "store.postgresql.max_pool_size"),
        ("[store.postgresql]\nadvertise = \"10.0.0.5:8080\"", "store.postgresql.advertise"),
        ("[store.postgresql]\npool_timeout_seconds = 0", "store.postgresql.pool_timeout_seconds"),
        ("[store]\npath = \"relative.db\"", "store.path"),
        ("[renew_intent.redis]\nenabled = true", "renew_intent.redis.enabled"),
        ("[log]\nfile_enabled = true", "log.file_enabled"),
        ("[log]\nlevel = \"a=b=c\"", "log.level"),
        ("[server]\nmax_sandbox_timeout_seconds = 5", "server.max_sandbox_timeout_seconds"),
        ("[server]\neip = \"http://x\"", "server.eip"),
        ("[native]\nstate_dir = \"state\"", "native.state_dir"),
        ("[native]\ndefault_disk = \"lots\"", "native.default_disk"),
        ("[native]\ndefault_cpu = \"fast\"", "native.default_cpu"),
    ] {
        let error = parse(text).map(drop).unwrap_err();
        assert!(error.contains(&format!("{key}: ")), "{text}: {error}");
    }
}

#[test]
fn the_environments_key_wins_even_when_it_is_empty() {
    let file = "[server]\napi_key = \"file\"";
    let key = |variables: &[(&str, &str)]| parse_with(file, variables).unwrap().server.api_key;
    assert_eq!(key(&[]).as_deref(), Some("file"));
    assert_eq!(key(&[("OPENSANDBOX_SERVER_API_KEY", "env")]).as_deref(), Some("env"));
    assert_eq!(key(&[("OPENSANDBOX_SERVER_API_KEY", "")]), None);
}

#[test]
fn serving_without_a_key_needs_consent() {
    let with = parse("[server]\napi_key = \"k\"").unwrap();
    let without = parse("[server]\napi_key = \" \"").unwrap();
    assert!(with.require_api_key(&environment(&[])).is_ok());
    assert!(without.require_api_key(&environment(&[])).is_err());
    assert!(without.require_api_key(&environment(&[("OPENSANDBOX_INSECURE_SERVER", "yes")])).is_err());
    assert!(without.require_api_key(&environment(&[("OPENSANDBOX_INSECURE_SERVER", "YES")])).is_ok());
}

#[test]
fn tenants_have_keys_of_their_own_in_a_file_the_environment_may_name() {
    let config = parse_with("[tenants]", &[("HOME", "/home/x")]).unwrap();
    assert!(config.require_api_key(&environment(&[])).is_ok());
    assert_eq!(config.tenants.unwrap().path, Path::new("/home/x/.opensandbox/tenants.toml"));
    let named = [("SANDBOX_TENANTS_CONFIG_PATH", "/etc/tenants.toml")];
    let config = parse_with("[tenants]\npath = \"/other\"", &named).unwrap();
    assert_eq!(config.tenants.unwrap().path, Path::new("/etc/tenants.toml"));
    let error = parse_with("[tenants]", &[("OPENSANDBOX_SERVER_API_KEY", "k")]).unwrap_err();
    assert!(error.contains("server.api_key"), "{error}");
    let secret = parse("[tenants]\nauth_header = \"a\"\nauth_token = \"very-secret\"").unwrap();
    assert!(!format!("{secret:?}").contains("very-secret"));
}

#[test]
fn the_file_is_found_through_the_variable_and_must_then_exist() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own.toml");
    std::fs::write(&path, "[server]\nport = 1234").unwrap();
    let file = path.to_str().unwrap();
    let config = Config::load(None, &environment(&[(PATH_VARIABLE, file)])).unwrap();
    assert_eq!(config.server.port, 1234);
    let missing = dir.path().join("none.toml");
    assert!(Config::load(Some(&missing), &environment(&[(PATH_VARIABLE, file)])).is_err());
    let home = dir.path().to_str().unwrap();
    assert_eq!(Config::load(None, &environment(&[("HOME", home)])).unwrap().server.port, 8080);
}

#[test]
fn the_key_stays_out_of_debug_output() {
    let config = parse("[server]\napi_key = \"very-secret\"").unwrap();
    assert!(!format!("{config:?}").contains("very-secret"));
    let proxy = "[egress.upstream_proxy]\nurl = \"http://x\"\nauthorization = \"very-secret\"";
    assert!(!format!("{:?}", parse(proxy).unwrap()).contains("very-secret"));
    let collector = "[egress]\notlp_endpoint = \"http://u:very-secret@c\"";
    assert!(!format!("{:?}", parse(collector).unwrap()).contains("very-secret"));
}
