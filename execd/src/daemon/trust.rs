//! The certificate authority of an egress sidecar that reads TLS: made known to what runs in the sandbox.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs, io,
    os::fd::AsFd,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use crate::process::{self, ExitStatus, Program, find_in_path};

/// Set where connections go through such a sidecar.
const VARIABLE: &str = "OPENSANDBOX_EGRESS_MITMPROXY_TRANSPARENT";

/// Where the sidecar puts its certificate, and where the bundle goes that holds it and all others.
const CERTIFICATE: &str = "/opt/opensandbox/mitmproxy-ca-cert.pem";
const BUNDLE: &str = "/opt/opensandbox/merged-ca-certificates.pem";

/// The certificate is waited for this long.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often it is looked for.
const POLL: Duration = Duration::from_millis(100);

/// A tool that installs it has this long.
const TOOL_LIMIT: Duration = Duration::from_secs(60);

/// Its name in stores that want one.
const ALIAS: &str = "opensandbox-egress";
/// The name Debian's store gives it in Java's.
const DEBIAN_ALIAS: &str = "debian:opensandbox-egress.pem";

/// The bundles of the distributions.
const SYSTEM_BUNDLES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Programs that rebuild a distribution's store, with arguments, and where they take additions from.
const SYSTEM_STORES: [(&str, &[&str], &str); 2] = [
    ("update-ca-certificates", &[], "/usr/local/share/ca-certificates"),
    ("update-ca-trust", &["extract"], "/etc/pki/ca-trust/source/anchors"),
];

/// Variables that name a bundle: of Python's requests, OpenSSL, curl, git and gRPC.
const BUNDLE_VARIABLES: [&str; 5] = [
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH",
];

type Environment = BTreeMap<OsString, OsString>;

/// Whether the environment asks for it.
pub(super) fn is_wanted(env: &Environment) -> bool {
    let value = env.get(OsStr::new(VARIABLE)).and_then(|value| value.to_str()).unwrap_or_default();
    matches!(value.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}

/// Waits for the certificate, installs it wherever this image has a place for it, and adds to the environment what
/// points programs to it. What does not work is logged: the sandbox starts all the same.
pub(super) async fn establish(env: &mut Environment) {
    let certificate = Path::new(CERTIFICATE);
    let Some(text) = wait_for(certificate).await else {
        let seconds = PATIENCE.as_secs();
        tracing::warn!("{CERTIFICATE} did not appear within {seconds} s: going on without it");
        return;
    };
    let earlier = earlier();
    // The roots as they were: the system's own bundle is about to change.
    let roots = without(&roots(env).await, &earlier);
    install_in_system(env, &text).await;
    install_for_browsers(env, certificate).await;
    // Its own of before a stop may stay.
    let replaces = !earlier.is_empty() && earlier.trim() != text.trim();
    install_for_java(env, certificate, replaces).await;
    env.insert("NODE_EXTRA_CA_CERTS".into(), CERTIFICATE.into());
    match fs::write(BUNDLE, merged(&roots, &text)) {
        Ok(()) => env.extend(BUNDLE_VARIABLES.map(|name| (name.into(), BUNDLE.into()))),
        Err(error) => tracing::warn!("{BUNDLE}: {error}"),
    }
    tracing::info!("the egress sidecar's certificate authority is installed");
}

/// The certificate once it is there in full.
async fn wait_for(path: &Path) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fs::read_to_string(path) {
            Ok(text) if text.contains("-----END CERTIFICATE-----") => return Some(text),
            _ if Instant::now() >= deadline => return None,
            _ => sleep(POLL).await,
        }
    }
}

/// The certificates trusted so far: those of Python's certifi if it is there, else the system's.
async fn roots(env: &Environment) -> String {
    const WHERE: &str = "import certifi; print(certifi.where())";
    let mut places: Vec<PathBuf> = SYSTEM_BUNDLES.iter().map(PathBuf::from).collect();
    if let Some(printed) = output_of(env, "python3", &["-c".as_ref(), WHERE.as_ref()]).await {
        places.insert(0, printed.trim().into());
    }
    places.iter().find_map(|place| fs::read_to_string(place).ok()).unwrap_or_default()
}

/// What an earlier sandbox installed whose files this one has got, by a snapshot or by a start after a stop.
fn earlier() -> String {
    let paths = SYSTEM_STORES.map(|(_, _, directory)| in_store(directory));
    paths.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default()
}

/// That sandbox's sidecar is nobody this one has reason to believe.
fn without(roots: &str, earlier: &str) -> String {
    match earlier.trim() {
        "" => roots.to_owned(),
        earlier => roots.replace(earlier, ""),
    }
}

fn in_store(directory: &str) -> PathBuf {
    Path::new(directory).join(format!("{ALIAS}.crt"))
}

fn merged(roots: &str, certificate: &str) -> String {
    let mut text = roots.trim_end().to_owned();
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(certificate.trim());
    text.push('\n');
    text
}

async fn install_in_system(env: &Environment, certificate: &str) {
    for (tool, arguments, directory) in SYSTEM_STORES {
        if find_in_path(tool, env).is_none() {
            continue;
        }
        let path = in_store(directory);
        let written = fs::create_dir_all(directory).and_then(|()| fs::write(&path, certificate));
        match written {
            Ok(()) => {
                let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
                run(env, tool, &arguments).await;
            }
            Err(error) => tracing::warn!("{}: {error}", path.display()),
        }
        return;
    }
}

/// Programs that use NSS look into the user's own database.
async fn install_for_browsers(env: &Environment, certificate: &Path) {
    if find_in_path("certutil", env).is_none() {
        return;
    }
    let home = env.get(OsStr::new("HOME")).map_or(Path::new("/root"), |home| Path::new(home));
    let database = home.join(".pki/nssdb");
    if let Err(error) = fs::create_dir_all(&database) {
        tracing::warn!("{}: {error}", database.display());
        return;
    }
    let mut name = OsString::from("sql:");
    name.push(&database);
    let name = name.as_os_str();
    if !database.join("cert9.db").exists() {
        run(env, "certutil", &["-d".as_ref(), name, "-N".as_ref(), "--empty-password".as_ref()]).await;
    }
    let words = ["-A", "-t", "C,,", "-n", ALIAS, "-i"].map(OsStr::new);
    let arguments: Vec<&OsStr> =
        [OsStr::new("-d"), name].into_iter().chain(words).chain([certificate.as_os_str()]).collect();
    run(env, "certutil", &arguments).await;
}

/// Java has a store of its own, with a password everybody knows.
async fn install_for_java(env: &Environment, certificate: &Path, replaces: bool) {
    let at_home = env.get(OsStr::new("JAVA_HOME")).map(|home| Path::new(home).join("bin/keytool"));
    let found = at_home.filter(|tool| tool.is_file()).or_else(|| find_in_path("keytool", env));
    let Some(tool) = found else { return };
    let tool = tool.to_string_lossy();
    let store = ["-noprompt", "-cacerts", "-storepass", "changeit", "-alias"].map(OsStr::new);
    if replaces {
        // A name is given once. Each call takes as long as Java takes to start.
        for alias in [ALIAS, DEBIAN_ALIAS] {
            run(env, &tool, &[&[OsStr::new("-delete")], &store[..], &[OsStr::new(alias)]].concat()).await;
        }
    }
    let import = [OsStr::new("-importcert"), OsStr::new("-file"), certificate.as_os_str()];
    run(env, &tool, &[&import[..], &store[..], &[OsStr::new(ALIAS)]].concat()).await;
}

/// Runs a tool, which is given up in time; a failure is logged.
async fn run(env: &Environment, tool: &str, arguments: &[&OsStr]) {
    let ended = async {
        let null = fs::OpenOptions::new().write(true).open("/dev/null")?;
        start(env, tool, arguments, null.as_fd()).await
    };
    match ended.await {
        Ok(ExitStatus::Exited(0)) => {}
        Ok(status) => tracing::warn!("{tool} ended with status {}", status.code()),
        Err(error) => tracing::warn!("{tool}: {error}"),
    }
}

/// What a tool prints, if it succeeds.
async fn output_of(env: &Environment, tool: &str, arguments: &[&OsStr]) -> Option<String> {
    find_in_path(tool, env)?;
    // It prints less than a pipe holds.
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).ok()?;
    let status = start(env, tool, arguments, write.as_fd()).await.ok()?;
    drop(write);
    rustix::io::ioctl_fionbio(&read, true).ok()?;
    let mut text = [0; 4096];
    let count = rustix::io::read(&read, &mut text[..]).ok()?;
    (status == ExitStatus::Exited(0)).then(|| String::from_utf8_lossy(&text[..count]).into_owned())
}

async fn start(
    env: &Environment,
    tool: &str,
    arguments: &[&OsStr],
    output: std::os::fd::BorrowedFd<'_>,
) -> io::Result<ExitStatus> {
    let argv = [OsStr::new(tool)].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
    let program = Program { argv, env: env.clone(), cwd: "/".into(), identity: None };
    let null = fs::OpenOptions::new().write(true).open("/dev/null")?;
    let child = program.start([process::null_input()?, output, null.as_fd()], None);
    let mut child = child.map_err(|error| error.cause)?;
    match timeout(TOOL_LIMIT, child.wait()).await {
        Ok(status) => status,
        Err(_) => {
            child.group().signal(libc::SIGKILL);
            child.wait().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_true_values_ask_for_it() {
        let wanted = |value: &str| is_wanted(&Environment::from([(VARIABLE.into(), value.into())]));
        assert!(wanted("true") && wanted("1"));
        assert!(!wanted("false") && !wanted("") && !is_wanted(&Environment::new()));
    }

    #[test]
    fn the_bundle_holds_both() {
        assert_eq!(merged("A\n\n", "B"), "A\nB\n");
        assert_eq!(merged("", "B\n"), "B\n");
    }

    #[test]
    fn what_was_believed_before_is_no_longer() {
        assert_eq!(merged(&without("A\nold\n", "old\n"), "new"), "A\nnew\n");
        assert_eq!(without("A\n", ""), "A\n");
    }

    #[tokio::test]
    async fn tools_are_heard() {
        let env = Environment::from([("PATH".into(), "/usr/bin:/bin".into())]);
        assert_eq!(output_of(&env, "echo", &["hi".as_ref()]).await.as_deref(), Some("hi\n"));
        assert_eq!(output_of(&env, "false", &[]).await, None);
        assert_eq!(output_of(&env, "no-such-tool", &[]).await, None);
    }
}
