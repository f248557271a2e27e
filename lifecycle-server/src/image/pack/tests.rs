use std::{
    fs::{self, File},
    os::{
        fd::OwnedFd,
        unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink},
    },
    path::Path,
};

use rustix::fs::{CWD, Mode, mkfifoat, mknodat};

use super::*;
use crate::image::unpack::{self, Unpacked};

fn packed(directory: &Path, skip: &[&str]) -> Vec<u8> {
    let root = OwnedFd::from(File::open(directory).unwrap());
    let cancel = AtomicBool::new(false);
    pack(root, Vec::new(), &Bounds { skip, space: None, cancel: &cancel }).unwrap()
}

fn unpacked(archive: Vec<u8>, into: &Path) -> Unpacked {
    let discard = into.with_extension("discard");
    fs::create_dir(into).unwrap();
    fs::create_dir(&discard).unwrap();
    let cancel = AtomicBool::new(false);
    let space = Watermark { dir: into.to_owned(), min_bytes: 0, min_percent: 0 };
    let bounds = unpack::Bounds { max_bytes: 1 << 40, space: &space, cancel: &cancel, progress: &|_| {} };
    let size = archive.len() as u64;
    unpack::unpack(std::io::Cursor::new(archive), size, into, &discard, &bounds).unwrap()
}

fn whiteout(path: &Path) {
    mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

/// A tree with everything a layer can hold.
fn furnish(top: &Path) {
    let long = "l".repeat(120);
    fs::create_dir_all(top.join("a/b")).unwrap();
    fs::create_dir(top.join(&long)).unwrap();
    fs::write(top.join(&long).join(&long), "deep").unwrap();
    fs::write(top.join("a/plain"), "hello").unwrap();
    fs::write(top.join("a/empty"), "").unwrap();
    fs::set_permissions(top.join("a/plain"), fs::Permissions::from_mode(0o4755)).unwrap();
    std::os::unix::fs::chown(top.join("a/plain"), Some(1000), Some(65_534)).unwrap();
    fs::set_permissions(top.join("a/plain"), fs::Permissions::from_mode(0o4755)).unwrap();
    xattr::set(top.join("a/plain"), "user.note", b"x\ny=z\0").unwrap();
    xattr::set(top.join("a"), "user.dir", b"1").unwrap();
    fs::hard_link(top.join("a/plain"), top.join("a/b/second")).unwrap();
    symlink("../plain", top.join("a/b/link")).unwrap();
    symlink("t".repeat(300), top.join("a/long-link")).unwrap();
    mkfifoat(CWD, top.join("fifo"), Mode::from_raw_mode(0o600)).unwrap();
    whiteout(&top.join("a/gone"));
    fs::create_dir(top.join("opaque")).unwrap();
    xattr::set(top.join("opaque"), OPAQUE_ATTRIBUTE, b"y").unwrap();
    let sparse = File::create(top.join("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    sparse.write_all_at(b"middle", 32 << 20).unwrap();
    File::create(top.join("hole")).unwrap().set_len(1 << 20).unwrap();
}

#[test]
fn what_is_packed_comes_back_as_it_was_and_packs_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let (top, copy) = (dir.path().join("top"), dir.path().join("copy"));
    fs::create_dir(&top).unwrap();
    furnish(&top);
    let first = packed(&top, &[]);
    assert!(first.len() < 200 << 10, "holes must not be stored: {} bytes", first.len());
    unpacked(first.clone(), &copy);

    let meta = fs::metadata(copy.join("a/plain")).unwrap();
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777, meta.nlink()), (1000, 65_534, 0o4755, 2));
    assert_eq!(meta.ino(), fs::metadata(copy.join("a/b/second")).unwrap().ino());
    let original = fs::metadata(top.join("a/plain")).unwrap();
    assert_eq!((meta.mtime(), meta.mtime_nsec()), (original.mtime(), original.mtime_nsec()));
    assert_eq!(xattr::get(copy.join("a/plain"), "user.note").unwrap().unwrap(), b"x\ny=z\0");
    assert_eq!(xattr::get(copy.join("a"), "user.dir").unwrap().unwrap(), b"1");
    assert_eq!(fs::read_link(copy.join("a/long-link")).unwrap().as_os_str().len(), 300);
    let gone = fs::symlink_metadata(copy.join("a/gone")).unwrap();
    assert_eq!((FileType::from_raw_mode(gone.mode()), gone.rdev()), (FileType::CharacterDevice, 0));
    assert_eq!(xattr::get(copy.join("opaque"), OPAQUE_ATTRIBUTE).unwrap().unwrap(), b"y");
    let sparse = fs::read(copy.join("sparse")).unwrap();
    assert_eq!((sparse.len(), &sparse[32 << 20..][..6]), (64 << 20, &b"middle"[..]));
    assert!(fs::metadata(copy.join("sparse")).unwrap().blocks() * 512 < 1 << 20);
    assert_eq!(fs::metadata(copy.join("hole")).unwrap().len(), 1 << 20);
    assert_eq!(packed(&copy, &[]), first, "a layer must pack to what it came from");
}

#[test]
fn named_paths_sockets_and_names_that_mean_deletion_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (top, copy) = (dir.path().join("top"), dir.path().join("copy"));
    fs::create_dir_all(top.join("etc/keep")).unwrap();
    fs::write(top.join("etc/hosts"), "ours").unwrap();
    fs::write(top.join("hosts"), "theirs").unwrap();
    fs::write(top.join(".wh.hosts"), "a trap").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();
    unpacked(packed(&top, &["etc/hosts"]), &copy);
    assert!(copy.join("etc/keep").is_dir() && !copy.join("etc/hosts").exists());
    assert_eq!(fs::read(copy.join("hosts")).unwrap(), b"theirs");
    assert!(!copy.join("socket").exists());
}

#[test]
fn the_hosts_own_owners_become_root() {
    let dir = tempfile::tempdir().unwrap();
    let top = dir.path().join("top");
    fs::create_dir(&top).unwrap();
    fs::write(top.join("file"), "x").unwrap();
    std::os::unix::fs::chown(top.join("file"), Some(65_536), Some(65_536)).unwrap();
    let archive = packed(&top, &[]);
    assert_eq!(&archive[108..124], b"0000000\x000000000\0");
}

#[test]
fn a_caller_who_has_gone_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    let root = OwnedFd::from(File::open(dir.path()).unwrap());
    let cancel = AtomicBool::new(true);
    let bounds = Bounds { skip: &[], space: None, cancel: &cancel };
    assert!(matches!(pack(root, Vec::new(), &bounds), Err(ImageError::Cancelled)));
}
