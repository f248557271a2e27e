//! The certificate authority of an egress sidecar that reads TLS: made known to what runs in the sandbox.

mod authority;
mod der;
mod files;
mod java;
mod jks;
mod pkcs12;
mod roots;
mod system;

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fs, io,
    os::fd::AsFd,
    path::Path,
    time::Duration,
};

use tokio::time::{Instant, sleep, timeout};

use crate::process::{self, ExitStatus, Program, find_in_path};
use authority::Authority;
use files::Root;

/// Set where connections go through such a sidecar.
const VARIABLE: &str = "OPENSANDBOX_EGRESS_MITMPROXY_TRANSPARENT";

/// Where the sidecar puts its certificate, and where the bundle goes that holds it and all others.
const CERTIFICATE: &str = "/opt/opensandbox/mitmproxy-ca-cert.pem";
const BUNDLE: &str = "/opt/opensandbox/merged-ca-certificates.pem";

/// The certificate is waited for this long.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often it is looked for.
const POLL: Duration = Duration::from_millis(20);

/// A tool that installs it has this long.
const TOOL_LIMIT: Duration = Duration::from_secs(60);

/// Its name in stores, and of the files that are made for it.
const NAME: &str = "opensandbox-egress";

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
///
/// The tools of the image would take seconds for what is a few files; they are only run for what only they can do.
pub(super) async fn establish(env: &mut Environment) {
    let Some(authority) = wait_for(Path::new(CERTIFICATE)).await else {
        let seconds = PATIENCE.as_secs();
        tracing::warn!("{CERTIFICATE} did not appear within {seconds} s: going on without it");
        return;
    };
    match Root::open(Path::new("/")) {
        Ok(root) => install(&root, env, &authority).await,
        Err(error) => tracing::warn!("/: {error}"),
    }
    tracing::info!("the egress sidecar's certificate authority is installed");
}

async fn install(root: &Root, env: &mut Environment, authority: &Authority) {
    let earlier = system::earlier(root);
    // The roots as they were: the system's own bundle is about to change.
    let roots = roots::trusted(root, env);
    system::install(root, env, authority, earlier.as_ref());
    let left = java::install(root, env, authority);
    let others = async {
        // A store of Java's that is left may be one that the system's tool sees to, so one after the other.
        if let Some(tool) = system::more_to_do(root, env) {
            run(env, tool, &[]).await;
        }
        // After a stop its own of before are still there.
        let again = earlier.as_ref().is_some_and(|earlier| earlier.pem == authority.pem);
        if let Some(tool) = java::keytool(env).filter(|_| !left.is_empty() && !again) {
            let orders = left.iter().flat_map(|store| java::orders(store, CERTIFICATE, earlier.is_some()));
            for order in orders {
                let order: Vec<&OsStr> = order.iter().map(OsString::as_os_str).collect();
                run(env, &tool.to_string_lossy(), &order).await;
            }
        }
    };
    tokio::join!(others, install_for_browsers(env, Path::new(CERTIFICATE)));
    env.insert("NODE_EXTRA_CA_CERTS".into(), CERTIFICATE.into());
    // That sandbox's sidecar is nobody this one has reason to believe.
    let merged = system::extended(&roots, authority, earlier.as_ref());
    match write_whole(BUNDLE, &merged.unwrap_or(roots)) {
        Ok(()) => env.extend(BUNDLE_VARIABLES.map(|name| (name.into(), BUNDLE.into()))),
        Err(error) => tracing::warn!("{BUNDLE}: {error}"),
    }
}

/// Its directory may be a volume that the sidecar shares.
fn write_whole(path: &str, content: &[u8]) -> io::Result<()> {
    let fresh = format!("{path}.new");
    fs::write(&fresh, content).and_then(|()| fs::rename(&fresh, path))
}

/// The certificate once it is there in full.
async fn wait_for(path: &Path) -> Option<Authority> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = fs::read_to_string(path).ok().and_then(|text| Authority::read(&text));
        if found.is_some() || Instant::now() >= deadline {
            return found;
        }
        sleep(POLL).await;
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
    let words = ["-A", "-t", "C,,", "-n", NAME, "-i"].map(OsStr::new);
    let arguments: Vec<&OsStr> =
        [OsStr::new("-d"), name].into_iter().chain(words).chain([certificate.as_os_str()]).collect();
    run(env, "certutil", &arguments).await;
}

/// Runs a tool, which is given up in time; a failure is logged.
async fn run(env: &Environment, tool: &str, arguments: &[&OsStr]) {
    match end_of(env, tool, arguments).await {
        Ok(ExitStatus::Exited(0)) => {}
        Ok(status) => tracing::warn!("{tool} ended with status {}", status.code()),
        Err(error) => tracing::warn!("{tool}: {error}"),
    }
}

async fn end_of(env: &Environment, tool: &str, arguments: &[&OsStr]) -> io::Result<ExitStatus> {
    let argv = [OsStr::new(tool)].iter().chain(arguments).map(|word| (*word).to_owned()).collect();
    let program = Program { argv, env: env.clone(), cwd: "/".into(), identity: None };
    let null = fs::OpenOptions::new().write(true).open("/dev/null")?;
    let child = program.start([process::null_input()?, null.as_fd(), null.as_fd()], None);
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
}
