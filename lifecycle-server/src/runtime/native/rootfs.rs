//! The sandbox's file system: image layers below, a private layer on top, both seen through id maps.
//!
//! On disk every file keeps the ids it has inside (0 to 65535), so layers are shared as they are and a private layer
//! can move to another uid range. The overlay (see [`super::overlay`]) is a detached mount until the sandbox's own
//! namespace takes it: the host's mount table never shows it.

use std::{
    fs,
    io::{self, Write},
    net::Ipv4Addr,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::Path,
};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags, openat, openat2};
use sha2::{Digest, Sha256};

use super::overlay::open_path;

/// Where sandboxes find execd.
pub(crate) const EXECD_PATH: &str = "/opt/opensandbox/execd";
/// Where execd keeps isolated sessions, when the sandbox is prepared for them.
pub(crate) const ISOLATION_PATH: &str = "/opt/opensandbox/isolation";
/// File of extra environment variables that sandboxes may fill for their later commands.
pub(crate) const ENVS_PATH: &str = "/opt/opensandbox/.env";

/// Directories that exist in every sandbox, whatever its image holds.
const DIRECTORIES: [(&str, u32); 8] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("opt", 0o755),
    ("opt/opensandbox", 0o755),
    ("opt/opensandbox/isolation", 0o700),
    ("proc", 0o555),
    ("sys", 0o555),
    ("tmp", 0o1777),
];
/// Files that exist in every sandbox; execd is mounted over the first.
const FILES: [(&str, u32); 5] = [
    ("opt/opensandbox/execd", 0o755),
    ("opt/opensandbox/.env", 0o644),
    ("etc/resolv.conf", 0o644),
    ("etc/hosts", 0o644),
    ("etc/hostname", 0o644),
];

/// What in a private layer is the platform's: made anew for every sandbox, and no part of a snapshot.
pub(crate) const PLATFORM_PATHS: [&str; 10] = [
    "dev",
    "etc/hostname",
    "etc/hosts",
    "etc/resolv.conf",
    "opt/opensandbox/execd",
    "opt/opensandbox/isolation",
    "opt/opensandbox/merged-ca-certificates.pem",
    AUTHORITY_PATH,
    "proc",
    "sys",
];

/// Where execd finds the certificate of the authority that a sidecar reads TLS with.
const AUTHORITY_PATH: &str = "opt/opensandbox/mitmproxy-ca-cert.pem";

/// Makes the private layer's directories below `store`. Only plain directories and files of ours are made and nothing
/// of the image is followed, so no image can lead this astray.
pub(crate) fn populate(store: impl AsFd) -> io::Result<()> {
    let store = store.as_fd();
    let directory = |path: &str, mode: u32| -> io::Result<()> {
        rustix::fs::mkdirat(store, path, Mode::from_raw_mode(mode))?;
        Ok(rustix::fs::chmodat(store, path, Mode::from_raw_mode(mode), AtFlags::empty())?)
    };
    directory("upper", 0o755)?;
    directory("work", 0o755)?;
    for (path, mode) in DIRECTORIES {
        directory(&format!("upper/{path}"), mode)?;
    }
    for (path, mode) in FILES {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(store, format!("upper/{path}"), flags, Mode::from_raw_mode(mode))?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
    }
    Ok(())
}

/// Makes a private layer usable again whose overlay is gone: the one before has marked it as its own.
pub(crate) fn renew(store: impl AsFd) -> io::Result<()> {
    let store = store.as_fd();
    match fs::remove_dir_all(format!("/proc/self/fd/{}/work", store.as_raw_fd())) {
        // A server that was killed between these two steps left none.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    Ok(rustix::fs::mkdirat(store, "work", Mode::from_raw_mode(0o755))?)
}

/// Fills in what depends on the sandbox.
pub(crate) fn write_names(
    store: impl AsFd,
    hostname: &str,
    address: Ipv4Addr,
    resolvers: &[Ipv4Addr],
) -> io::Result<()> {
    let write = |path: &str, text: &str| -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = openat(&store, format!("upper/etc/{path}"), flags, Mode::empty())?;
        fs::File::from(file).write_all(text.as_bytes())
    };
    let resolv: String = resolvers.iter().map(|server| format!("nameserver {server}\n")).collect();
    write("resolv.conf", &resolv)?;
    write(
        "hosts",
        &format!("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n{address} {hostname}\n"),
    )?;
    write("hostname", &format!("{hostname}\n"))
}

/// Puts the certificate of a sidecar's authority where execd looks for it.
pub(crate) fn write_authority(store: impl AsFd, certificate: &[u8]) -> io::Result<()> {
    let (directory, name) = AUTHORITY_PATH.rsplit_once('/').unwrap_or_default();
    // A sandbox that is started again may have put anything there; nothing of it is followed.
    let directory = openat2(
        &store,
        format!("upper/{directory}"),
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )?;
    match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
        Err(rustix::io::Errno::NOENT) | Ok(()) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(&directory, name, flags, Mode::from_raw_mode(0o644))?;
    fs::File::from(file).write_all(certificate)
}

/// The user namespaces of a slot.
pub(crate) struct IdMaps {
    /// The one the sandbox's processes enter.
    pub processes: OwnedFd,
    /// The one that maps files; it knows the host's root, which does overlayfs's own writing.
    pub files: OwnedFd,
}

/// Bytes of execd written at once. The kernel keeps a file in memory in pieces as large as the writes it came from; who
/// reads one byte of a piece is charged with all of it, up to two megabytes.
const PIECE: usize = 64 * 1024;

/// Copies execd into the state directory, under a name that follows from its content: replacing the binary never
/// disturbs sandboxes that run the old one. Returns it as a place to clone mounts from.
pub(crate) fn install_execd(source: &Path, directory: &Path) -> io::Result<OwnedFd> {
    let explain = |error: io::Error| {
        io::Error::new(error.kind(), format!("execd binary {}: {error}", source.display()))
    };
    let binary = fs::read(source).map_err(explain)?;
    let digest: String = Sha256::digest(&binary).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let target = directory.join(format!("execd-{digest}"));
    if !target.exists() {
        let temporary = directory.join("execd.new");
        let mut file = fs::File::create(&temporary)?;
        binary.chunks(PIECE).try_for_each(|piece| file.write_all(piece))?;
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o755))?;
        fs::rename(&temporary, &target)?;
    }
    for entry in fs::read_dir(directory)?.flatten() {
        // Running sandboxes keep the file they have mounted.
        if entry.path() != target {
            let _ = fs::remove_file(entry.path());
        }
    }
    open_path(&target)
}
