//! Java's stores of trusted certificates, wherever the image's Javas keep them.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Environment, NAME, authority::Authority, der, files::Root, jks, pkcs12};
use crate::process::find_in_path;

/// The one everybody knows.
pub(super) const PASSWORD: &str = "changeit";

/// Names in a store: ours, and the one Debian's tool gives it.
const ALIASES: [&str; 2] = [NAME, "debian:opensandbox-egress.pem"];

/// Stores that distributions share between their Javas.
const SHARED: [&str; 5] = [
    "/etc/ssl/certs/java/cacerts",
    "/etc/pki/java/cacerts",
    "/etc/pki/ca-trust/extracted/java/cacerts",
    "/etc/ca-certificates/extracted/java-cacerts.keystore",
    "/var/lib/ca-certificates/java-cacerts",
];

/// Where distributions install Javas, each in a directory of its own.
const HOMES: &str = "/usr/lib/jvm";

/// Stores of one Java; the first is preferred where it exists.
const STORES: [&str; 4] = [
    "lib/security/jssecacerts",
    "lib/security/cacerts",
    "jre/lib/security/jssecacerts",
    "jre/lib/security/cacerts",
];

/// Why a store stays as it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error(transparent)]
    File(#[from] io::Error),
    #[error("it has another password than everybody's")]
    Password,
    #[error("it is of a kind that only Java's own tool can change")]
    Unknown,
}

/// Adds the authority to every store found. Those returned are left to Java's own tool.
pub(super) fn install(root: &Root, env: &Environment, authority: &Authority) -> Vec<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let now = u64::try_from(now).unwrap_or_default();
    let (mut seen, mut left) = (BTreeSet::new(), Vec::new());
    for store in candidates(root, env) {
        let Ok(identity) = root.identity(&store) else { continue };
        if !seen.insert(identity) {
            continue;
        }
        match root.change(&store, |bytes| with(bytes, &authority.der, now)) {
            // The file is a new one now.
            Ok(_) => seen.extend(root.identity(&store)),
            Err(Refused::Unknown) => left.push(store),
            Err(error) => tracing::warn!("{}: {error}", store.display()),
        }
    }
    left
}

/// Java's tool, of whichever Java is found first.
pub(super) fn keytool(env: &Environment) -> Option<PathBuf> {
    let at_home = env.get(OsStr::new("JAVA_HOME")).map(|home| Path::new(home).join("bin/keytool"));
    at_home.filter(|tool| tool.is_file()).or_else(|| find_in_path("keytool", env))
}

/// What that tool is to be told, one call after the other: a name is given once.
pub(super) fn orders(store: &Path, certificate: &str, replaces: bool) -> Vec<Vec<OsString>> {
    let order = |words: &[&str]| -> Vec<OsString> {
        let store = ["-keystore".into(), store.into(), "-storepass".into(), PASSWORD.into()];
        words.iter().map(Into::into).chain(store).collect()
    };
    let delete = replaces.then(|| order(&["-delete", "-noprompt", "-alias", ALIASES[0]]));
    let import = order(&["-importcert", "-noprompt", "-alias", ALIASES[0], "-file", certificate]);
    delete.into_iter().chain([import]).collect()
}

fn candidates(root: &Root, env: &Environment) -> Vec<PathBuf> {
    let mut homes: Vec<PathBuf> = env.get(OsStr::new("JAVA_HOME")).map(PathBuf::from).into_iter().collect();
    // The program is in a directory of its home, wherever the links to it are.
    let programs = ["java", "keytool"].iter().filter_map(|name| find_in_path(name, env));
    let programs = programs.filter_map(|program| fs::canonicalize(program).ok());
    homes.extend(programs.filter_map(|program| program.parent()?.parent().map(Path::to_owned)));
    homes.extend(root.names(HOMES).into_iter().map(|name| Path::new(HOMES).join(name)));
    let own = homes.iter().flat_map(|home| STORES.map(|store| home.join(store)));
    own.chain(SHARED.map(PathBuf::from)).collect()
}

/// As Java writes text into stores.
pub(super) fn big_endian(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn with(store: &[u8], certificate: &[u8], now_ms: u64) -> Result<Option<Vec<u8>>, Refused> {
    if store.starts_with(&jks::MAGIC) {
        jks::with(store, &ALIASES, certificate, now_ms)
    } else if store.first() == Some(&der::SEQUENCE) {
        pkcs12::with(store, &ALIASES, certificate)
    } else {
        Err(Refused::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{super::authority::tests::made_for, *};

    fn keytool(store: &Path, arguments: &[&str]) -> String {
        let unprotected = ["macAlgorithm", "certProtectionAlgorithm"]
            .map(|name| format!("-J-Dkeystore.pkcs12.{name}=NONE"));
        let output = Command::new("keytool")
            .args(arguments)
            .args(unprotected)
            .args(["-noprompt", "-storepass", PASSWORD, "-keystore"])
            .arg(store)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// Java itself reads what is written, for a store that it has made with another certificate in it.
    #[test]
    fn java_trusts_what_is_added() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let pem = path("certificate.pem");
        let [theirs, first, second] = ["/CN=theirs", "/CN=first", "/CN=second"]
            .map(|subject| Authority::read(&made_for(directory.path(), subject).0).unwrap());
        fs::write(&pem, &theirs.pem).unwrap();
        for kind in ["JKS", "PKCS12"] {
            let home = path(kind);
            let store = home.join("lib/security/cacerts");
            fs::create_dir_all(store.parent().unwrap()).unwrap();
            let import =
                ["-importcert", "-storetype", kind, "-alias", "theirs", "-file", pem.to_str().unwrap()];
            keytool(&store, &import);
            let env = Environment::from([
                ("JAVA_HOME".into(), format!("/{kind}").into()),
                ("PATH".into(), "/none".into()),
            ]);
            let root = Root::open(directory.path()).unwrap();
            for authority in [&first, &second] {
                assert!(install(&root, &env, authority).is_empty());
                let once = fs::read(&store).unwrap();
                assert!(install(&root, &env, authority).is_empty());
                assert_eq!(fs::read(&store).unwrap(), once, "{kind}: nothing is done twice");
            }
            let listed = keytool(&store, &["-list", "-rfc"]);
            let has = |authority: &Authority| {
                let lines: String = authority.pem.lines().collect();
                listed.lines().collect::<String>().contains(&lines)
            };
            assert!(has(&theirs) && has(&second) && !has(&first), "{kind}: {listed}");
            assert_eq!(listed.matches("trustedCertEntry").count(), 2, "{kind}: {listed}");
        }
    }

    #[test]
    fn what_is_not_understood_is_left_to_java() {
        let certificate = [1, 2, 3];
        let store = |last: u8| {
            let mut store = jks::MAGIC.to_vec();
            store.extend([0, 0, 0, 2, 0, 0, 0, last]);
            store
        };
        assert!(matches!(with(b"", &certificate, 0), Err(Refused::Unknown)));
        assert!(matches!(with(&store(0), &certificate, 0), Err(Refused::Unknown)));
        let wrong = [store(0), vec![0; 20]].concat();
        assert!(matches!(with(&wrong, &certificate, 0), Err(Refused::Password)));
        let protected = der::wrap(der::SEQUENCE, &[&der::wrap(der::INTEGER, &[&[3]])]);
        assert!(matches!(with(&protected, &certificate, 0), Err(Refused::Unknown)));
    }
}
