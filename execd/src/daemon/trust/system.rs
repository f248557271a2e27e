//! The system's store: the bundles that programs read whole, the directories in which OpenSSL looks a certificate up by
//! a number, and the directory from which the distribution's own tool makes both again.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::{Environment, NAME, authority::Authority, files::Root};
use crate::process::find_in_path;

/// The bundles of the distributions.
pub(super) const BUNDLES: [&str; 8] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/pki/tls/cert.pem",
    "/etc/ca-certificates/extracted/tls-ca-bundle.pem",
    "/var/lib/ca-certificates/ca-bundle.pem",
];

/// Directories with a link for every certificate, named by its number.
const BY_NUMBER: [&str; 4] = [
    "/etc/ssl/certs",
    "/etc/pki/ca-trust/extracted/pem/directory-hash",
    "/etc/ca-certificates/extracted/cadir",
    "/var/lib/ca-certificates/openssl",
];

/// From where `update-ca-trust` takes additions: of Fedora, SUSE and Arch.
const ANCHORS: [&str; 3] = [
    "/etc/pki/ca-trust/source/anchors",
    "/etc/pki/trust/anchors",
    "/etc/ca-certificates/trust-source/anchors",
];
/// From where `update-ca-certificates` does: of Debian, Alpine and their relatives.
const LOCAL: &str = "/usr/local/share/ca-certificates";
const LOCAL_TOOL: &str = "update-ca-certificates";
const LOCAL_MARKS: [&str; 2] = ["/etc/debian_version", ALPINE];
const ALPINE: &str = "/etc/alpine-release";

/// What that tool runs after its own work, and what of it is done here as well.
const HOOKS: &str = "/etc/ca-certificates/update.d";
const KNOWN_HOOKS: [&str; 3] = ["certhash", "java-cacerts", "jks-keystore"];

/// Certificates with the same number in one directory.
const SAME_NUMBER: usize = 16;
const MODE: u32 = 0o644;

/// What an earlier sandbox installed whose files this one has got, by a snapshot or by a start after a stop.
pub(super) fn earlier(root: &Root) -> Option<Authority> {
    let sources = ANCHORS.iter().chain([&LOCAL]).map(|directory| source(directory));
    let copies = BY_NUMBER.iter().map(|directory| Path::new(directory).join(NAME).with_extension("pem"));
    let texts = sources.chain(copies).filter_map(|path| root.read(path).ok());
    texts.filter_map(|text| Authority::read(&String::from_utf8_lossy(&text))).next()
}

/// Puts the authority wherever this image has a place for it, and takes an earlier one away.
pub(super) fn install(root: &Root, env: &Environment, authority: &Authority, earlier: Option<&Authority>) {
    let source = directory(root, env).map(source);
    if let Some(source) = &source {
        let text = format!("{}\n", authority.pem);
        told(source, root.put(source, text.as_bytes(), MODE));
    }
    let earlier = earlier.filter(|earlier| earlier.pem != authority.pem);
    for bundle in BUNDLES {
        let edit = |old: &[u8]| io::Result::Ok(extended(old, authority, earlier));
        match root.change(bundle, edit) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => told(Path::new(bundle), done.map(drop)),
        }
    }
    let mut seen = BTreeSet::new();
    for directory in BY_NUMBER.map(Path::new) {
        if root.identity(directory).is_ok_and(|identity| seen.insert(identity)) {
            told(directory, enter(root, directory, source.as_deref(), authority));
        }
    }
}

/// Whether the image has its tool do more than is done here.
pub(super) fn more_to_do(root: &Root, env: &Environment) -> Option<&'static str> {
    let unknown = |name: &PathBuf| !KNOWN_HOOKS.iter().any(|known| name.as_os_str() == *known);
    let wanted = root.names(HOOKS).iter().any(unknown) && find_in_path(LOCAL_TOOL, env).is_some();
    wanted.then_some(LOCAL_TOOL)
}

/// A bundle's text without the earlier authority and with this one; `None` if that is what it is.
pub(super) fn extended(bundle: &[u8], authority: &Authority, earlier: Option<&Authority>) -> Option<Vec<u8>> {
    let has = |pem: &str| memchr::memmem::find(bundle, pem.as_bytes());
    let mut kept = match earlier.and_then(|earlier| Some((has(&earlier.pem)?, earlier.pem.len()))) {
        Some((at, length)) => [&bundle[..at], bundle[at + length..].trim_ascii_start()].concat(),
        None if has(&authority.pem).is_some() => return None,
        None => bundle.to_vec(),
    };
    kept.truncate(kept.trim_ascii_end().len());
    if !kept.is_empty() {
        kept.push(b'\n');
    }
    kept.extend(authority.pem.as_bytes());
    kept.push(b'\n');
    Some(kept)
}

/// Where the distribution's tool takes additions from.
fn directory(root: &Root, env: &Environment) -> Option<&'static str> {
    let local = || {
        root.is_directory(LOCAL)
            || LOCAL_MARKS.iter().any(|mark| root.is_file(mark))
            || find_in_path(LOCAL_TOOL, env).is_some()
    };
    let anchors = ANCHORS.into_iter().find(|directory| root.is_directory(directory));
    anchors.or_else(|| local().then_some(LOCAL))
}

fn source(directory: &str) -> PathBuf {
    Path::new(directory).join(NAME).with_extension("crt")
}

/// Makes it known to those who look for its number in this directory.
fn enter(root: &Root, directory: &Path, source: Option<&Path>, authority: &Authority) -> io::Result<()> {
    // As the distribution's tool would call it, so that it finds its own work done.
    let name = match root.is_file(ALPINE) {
        true => format!("ca-cert-{NAME}.pem"),
        false => format!("{NAME}.pem"),
    };
    let file = directory.join(&name);
    match source {
        Some(source) if root.target(&file).ok().flatten().as_deref() == Some(source) => {}
        Some(source) => root.link(source, &file)?,
        None => root.put(&file, authority.pem.as_bytes(), MODE)?,
    }
    let Some(number) = authority.subject_hash() else {
        return Err(io::Error::other("the authority's name is written in a way that has no known number"));
    };
    for nth in 0..SAME_NUMBER {
        let link = directory.join(format!("{number:08x}.{nth}"));
        match root.target(&link) {
            Ok(None) => return root.link(&name, &link),
            Ok(Some(target)) if target.file_name() == Some(OsStr::new(&name)) => return Ok(()),
            // Another certificate's; a file instead of a link may be one as well.
            Ok(Some(_)) => {}
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many certificates have the same number"))
}

fn told(path: &Path, done: io::Result<()>) {
    if let Err(error) = done {
        tracing::warn!("{}: {error}", path.display());
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::{super::authority::tests::made_for, *};

    fn authority(name: &str) -> Authority {
        Authority { pem: format!("-{name}-"), der: Vec::new() }
    }

    #[test]
    fn a_bundle_holds_one_authority_at_a_time() {
        let (old, new) = (authority("old"), authority("new"));
        let with = |bundle: &str, earlier| {
            extended(bundle.as_bytes(), &new, earlier).map(|text| String::from_utf8(text).unwrap())
        };
        assert_eq!(with("A\n\n", None).as_deref(), Some("A\n-new-\n"));
        assert_eq!(with("", None).as_deref(), Some("-new-\n"));
        assert_eq!(with("A\n-new-\nB\n", None), None);
        assert_eq!(with("A\n-old-\nB\n", Some(&old)).as_deref(), Some("A\nB\n-new-\n"));
        assert_eq!(with("-new-\n", Some(&old)), None);
    }

    #[test]
    fn a_store_holds_one_authority_where_programs_look_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        for path in ["etc/ssl/certs", "etc/pki/tls", "made"] {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("etc/debian_version"), "12\n").unwrap();
        fs::write(at("etc/ssl/certs/ca-certificates.crt"), "others\n").unwrap();
        symlink("certs/ca-certificates.crt", at("etc/ssl/cert.pem")).unwrap();
        let root = Root::open(directory.path()).unwrap();
        let env = Environment::from([("PATH".into(), "/none".into())]);
        let (other, number) = made_for(&at("made"), "/CN=Sandkeep egress sidecar");
        fs::write(at(&format!("etc/ssl/certs/{number}.0")), other).unwrap();
        let made = || Authority::read(&made_for(&at("made"), "/CN=Sandkeep egress sidecar").0).unwrap();
        for authority in [made(), made()] {
            for _ in 0..2 {
                install(&root, &env, &authority, earlier(&root).as_ref());
                let bundle = fs::read_to_string(at("etc/ssl/cert.pem")).unwrap();
                assert_eq!(bundle, format!("others\n{}\n", authority.pem));
                assert_eq!(earlier(&root).unwrap().pem, authority.pem);
            }
        }
        let link = |name: &str| fs::read_link(at("etc/ssl/certs").join(name)).unwrap();
        assert_eq!(link(&format!("{number}.1")), Path::new("opensandbox-egress.pem"));
        assert_eq!(link("opensandbox-egress.pem"), source(LOCAL));
        assert!(at("etc/ssl/cert.pem").is_symlink());
        assert_eq!(more_to_do(&root, &env), None);
    }
}
