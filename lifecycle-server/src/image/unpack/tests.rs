//! Unpacking on a real file system. Ownership, whiteouts and `trusted.*` attributes need root.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::PathBuf,
    sync::atomic::AtomicBool,
};

use proptest::prelude::*;
use tempfile::TempDir;

use super::{testing::TarBuilder, *};

struct Sandbox {
    _dir: TempDir,
    outside: PathBuf,
    root: PathBuf,
}

impl Sandbox {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [outside, root, discard] = ["outside", "root", "discard"].map(|name| dir.path().join(name));
        for path in [&outside, &root, &discard] {
            fs::create_dir(path).unwrap();
        }
        fs::write(outside.join("victim"), "untouched").unwrap();
        std::os::unix::fs::chown(outside.join("victim"), Some(7), Some(7)).unwrap();
        Self { _dir: dir, outside, root }
    }

    fn unpack_bounded(&self, tar: Vec<u8>, max_bytes: u64) -> Result<Unpacked, ImageError> {
        let space = Watermark { dir: self.root.clone(), min_bytes: 0, min_percent: 0 };
        let bounds = Bounds { max_bytes, space: &space, cancel: &AtomicBool::new(false), progress: &|_| {} };
        let size = tar.len() as u64;
        unpack(io::Cursor::new(tar), size, &self.root, &self.root.with_file_name("discard"), &bounds)
    }

    fn unpack(&self, tar: Vec<u8>) -> Result<Unpacked, ImageError> {
        self.unpack_bounded(tar, 1 << 30)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn assert_outside_untouched(&self) {
        let names: Vec<_> = fs::read_dir(&self.outside).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["victim"]);
        let victim = fs::symlink_metadata(self.outside.join("victim")).unwrap();
        assert_eq!((victim.nlink(), victim.len(), victim.uid()), (1, 9, 7));
        assert_ne!(victim.mtime(), 1_000_000_000, "the time of an archive's entry");
        let outside = fs::symlink_metadata(&self.outside).unwrap();
        assert_eq!((outside.mode() & 0o7777, outside.mtime() == 1_000_000_000), (0o755, false));
        assert_eq!(xattr::get(&self.outside, "trusted.overlay.opaque").unwrap(), None);
    }
}

fn unpacked(build: impl FnOnce(&mut TarBuilder)) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.unpack(tar(build)).unwrap();
    sandbox
}

/// Ends a chain of calls in a closure that returns nothing.
fn done(_: &mut TarBuilder) {}

fn tar(build: impl FnOnce(&mut TarBuilder)) -> Vec<u8> {
    let mut tar = TarBuilder::new();
    build(&mut tar);
    tar.finish()
}

#[test]
fn attributes_are_kept() {
    let capability = [1, 0, 0, 2, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let sandbox = unpacked(|tar| {
        tar.entry("./", b'5', |h| h.set_mode(0o711));
        tar.entry("d/", b'5', |h| {
            h.set_mode(0o2775);
            h.set_gid(50);
            h.set_mtime(77);
        });
        tar.pax(&[("SCHILY.xattr.security.capability", &capability), ("SCHILY.xattr.user.note", b"hi")]);
        tar.entry_with("d/suid", b'0', b"content", |h| {
            h.set_mode(0o4755);
            h.set_uid(33);
            h.set_gid(44);
        });
        tar.symlink("d/link", "/nowhere");
        tar.entry("d/pipe", b'6', |h| h.set_mode(0o620));
        tar.hard_link("e/also", "d/suid");
    });
    let dir = fs::metadata(sandbox.path("d")).unwrap();
    assert_eq!((dir.mode() & 0o7777, dir.gid(), dir.mtime()), (0o2775, 50, 77));
    assert_eq!(fs::metadata(&sandbox.root).unwrap().mode() & 0o7777, 0o711);
    let file = fs::metadata(sandbox.path("d/suid")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.uid(), file.gid(), file.mtime()), (0o4755, 33, 44, 1_000_000_000));
    assert_eq!(file.ino(), fs::metadata(sandbox.path("e/also")).unwrap().ino());
    assert_eq!(xattr::get(sandbox.path("d/suid"), "security.capability").unwrap().unwrap(), capability);
    assert_eq!(xattr::get(sandbox.path("d/suid"), "user.note").unwrap().unwrap(), b"hi");
    let link = fs::symlink_metadata(sandbox.path("d/link")).unwrap();
    assert_eq!(
        (fs::read_link(sandbox.path("d/link")).unwrap().to_str(), link.mtime()),
        (Some("/nowhere"), 1_000_000_000)
    );
    assert!(fs::metadata(sandbox.path("d/pipe")).unwrap().file_type().is_fifo());
    let implicit = fs::metadata(sandbox.path("e")).unwrap();
    assert_eq!((implicit.mode() & 0o7777, implicit.uid()), (0o755, 0));
}

#[test]
fn whiteouts_become_what_overlayfs_understands() {
    let sandbox = unpacked(|tar| {
        tar.file("a/.wh.gone", b"").dir("b/").file("b/.wh..wh..opq", b"").file("b/kept", b"new");
        // Hidden below and new here: the new directory must not show the old one's content.
        tar.file(".wh.c", b"").file("c/new", b"new");
        tar.file("f", b"mine").file(".wh.f", b"");
        tar.file(".wh..wh.plnk/1", b"").file(".wh..wh.aufs", b"");
    });
    let gone = fs::symlink_metadata(sandbox.path("a/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    for opaque in ["b", "c"] {
        assert_eq!(xattr::get(sandbox.path(opaque), "trusted.overlay.opaque").unwrap().unwrap(), b"y");
    }
    assert_eq!(sandbox.read("b/kept"), "new");
    assert_eq!(sandbox.read("f"), "mine");
    for aufs in [".wh..wh.aufs", ".wh..wh.plnk"] {
        assert!(!sandbox.path(aufs).exists());
    }
}

#[test]
fn only_our_own_whiteouts_exist_and_no_overlay_attribute_comes_from_outside() {
    let sandbox = unpacked(|tar| {
        let device = |h: &mut tar::Header| {
            h.set_device_major(0).unwrap();
            h.set_device_minor(0).unwrap();
        };
        tar.entry("fake-whiteout", b'3', device).entry("disk", b'4', device);
        tar.pax(&[
            ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
            ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.overlay.opaque", b"y"),
            ("SCHILY.xattr.user.ok", b"y"),
        ]);
        tar.dir("d");
    });
    assert!(fs::symlink_metadata(sandbox.path("fake-whiteout")).is_err());
    assert!(fs::symlink_metadata(sandbox.path("disk")).is_err());
    let names: Vec<_> = xattr::list(sandbox.path("d")).unwrap().filter(|n| n != "security.selinux").collect();
    assert_eq!(names, ["user.ok"]);
}

#[test]
fn later_entries_replace_earlier_ones() {
    let sandbox = unpacked(|tar| {
        tar.file("x", b"old").file("x", b"new");
        tar.file("d/deep/file", b"old").symlink("d", "x");
        tar.symlink("s", "x").dir("s").file("s/inside", b"1");
        tar.file("f", b"old").dir("f").file("f/inside", b"2");
        tar.hard_link("h", "x").file("h", b"own");
    });
    assert_eq!(sandbox.read("x"), "new");
    assert!(fs::symlink_metadata(sandbox.path("d")).unwrap().is_symlink());
    assert_eq!(sandbox.read("s/inside") + &sandbox.read("f/inside"), "12");
    assert_eq!(sandbox.read("h"), "own");
}

#[test]
fn foreign_owners_become_nobody_without_set_id() {
    let sandbox = unpacked(|tar| {
        tar.entry_with("f", b'0', b"x", |h| {
            h.set_uid(1_000_000);
            h.set_gid(65_535);
            h.set_mode(0o4755);
        });
    });
    let file = fs::metadata(sandbox.path("f")).unwrap();
    assert_eq!((file.uid(), file.gid(), file.permissions().mode() & 0o7777), (65_534, 65_535, 0o755));
}

#[test]
fn every_dialect_of_sparse_files_is_read() {
    let expected = [&[0; 1024][..], &[b'x'; 512], &[0; 2560]].concat();
    let sandbox = unpacked(|tar| {
        tar.entry_with("gnu", b'S', &[b'x'; 512], |h| {
            let gnu = h.as_gnu_mut().unwrap();
            gnu.set_real_size(4096);
            gnu.sparse[0].set_offset(1024);
            gnu.sparse[0].set_length(512);
        });
        tar.pax(&[
            ("GNU.sparse.size", b"4096"),
            ("GNU.sparse.offset", b"1024"),
            ("GNU.sparse.numbytes", b"512"),
        ]);
        tar.file("pax00", &[b'x'; 512]);
        tar.pax(&[
            ("GNU.sparse.name", b"pax01"),
            ("GNU.sparse.size", b"4096"),
            ("GNU.sparse.map", b"1024,512"),
        ]);
        tar.file("GNUSparseFile.0/pax01", &[b'x'; 512]);
        tar.pax(&[
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.name", b"pax10"),
            ("GNU.sparse.realsize", b"4096"),
        ]);
        let mut data = b"1\n1024\n512\n".to_vec();
        data.resize(512, 0);
        data.extend([b'x'; 512]);
        tar.file("GNUSparseFile.0/pax10", &data);
        tar.file("after", b"in step");
    });
    for name in ["gnu", "pax00", "pax01", "pax10"] {
        assert!(fs::read(sandbox.path(name)).unwrap() == expected, "{name}");
    }
    assert_eq!(sandbox.read("after"), "in step");
}

#[test]
fn nothing_escapes() {
    type Build = fn(&mut TarBuilder, &str);
    let attacks: [(&str, Build); 12] = [
        ("dotdot", |t, _| done(t.file("../outside/new", b"x"))),
        ("hidden dotdot", |t, _| done(t.file("a/../../outside/new", b"x"))),
        ("absolute", |t, out| done(t.file(&format!("{out}/new"), b"x"))),
        ("symlink parent", |t, out| done(t.symlink("a", out).file("a/new", b"x"))),
        ("relative symlink", |t, _| done(t.symlink("a", "../outside").file("a/new", b"x"))),
        ("symlink chain", |t, _| done(t.symlink("a", "..").symlink("b", "a/outside").file("b/new", b"x"))),
        ("proc link", |t, out| done(t.symlink("a", "/proc/self/root").file(&format!("a{out}/new"), b"x"))),
        ("whiteout through symlink", |t, out| done(t.symlink("a", out).file("a/.wh.victim", b""))),
        ("opaque through symlink", |t, out| done(t.symlink("a", out).file("a/.wh..wh..opq", b""))),
        ("write through file symlink", |t, out| {
            t.symlink("a", &format!("{out}/victim")).file("a", b"overwritten");
        }),
        ("directory over symlink", |t, out| {
            t.symlink("a", out).entry("a", b'5', |h| h.set_mode(0o777)).file("a/new", b"x");
        }),
        ("hard link", |t, out| done(t.hard_link("a", &format!("{out}/victim")).file("a", b"overwritten"))),
    ];
    for (name, build) in attacks {
        let sandbox = Sandbox::new();
        let outside = sandbox.outside.to_str().unwrap().to_owned();
        let result = sandbox.unpack(tar(|t| build(t, &outside)));
        sandbox.assert_outside_untouched();
        if !matches!(name, "absolute" | "write through file symlink" | "directory over symlink") {
            assert!(
                matches!(result, Err(ImageError::UnsafePath { .. } | ImageError::Corrupt(_))),
                "{name}: {result:?}"
            );
        }
    }
}

#[test]
fn a_symlinked_directory_of_the_same_layer_is_followed_inside() {
    let sandbox = unpacked(|tar| {
        tar.dir("usr/lib").symlink("lib", "/usr/lib").file("lib/a", b"1").hard_link("b", "lib/a");
    });
    assert_eq!(sandbox.read("usr/lib/a"), "1");
    assert_eq!(sandbox.read("b"), "1");
}

#[test]
fn whiteouts_cannot_name_their_directory_or_above() {
    for name in ["a/.wh.", "a/.wh..", "a/.wh..."] {
        let result = Sandbox::new().unpack(tar(|t| done(t.file(name, b""))));
        assert!(matches!(result, Err(ImageError::UnsafePath { .. })), "{name}: {result:?}");
    }
}

#[test]
fn links_need_a_file_of_the_same_layer() {
    for target in ["missing", "d", "gone", ""] {
        let result = Sandbox::new().unpack(tar(|t| {
            t.dir("d").file(".wh.gone", b"").hard_link("x", target);
        }));
        assert!(matches!(result, Err(ImageError::Corrupt(_))), "{target}: {result:?}");
    }
}

#[test]
fn a_bomb_is_stopped() {
    let bomb = {
        use std::io::Write;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&tar(|t| done(t.file("zeros", &vec![0; 16 << 20])))).unwrap();
        gzip.finish().unwrap()
    };
    let sandbox = Sandbox::new();
    let result = sandbox.unpack_bounded(bomb, 1 << 20);
    assert!(matches!(result, Err(ImageError::Unsupported(_))), "{result:?}");
    assert!(fs::metadata(sandbox.path("zeros")).unwrap().len() <= 1 << 20);
    // What follows the end mark counts too.
    let mut trailing = tar(|t| done(t.file("a", b"")));
    trailing.resize(4 << 20, 0);
    assert!(Sandbox::new().unpack_bounded(trailing.clone(), 1 << 20).is_err());
    assert_eq!(Sandbox::new().unpack(trailing.clone()).unwrap().diff_id, Digest::of(&trailing));
}

#[test]
fn a_caller_that_left_stops_the_work() {
    let sandbox = Sandbox::new();
    let space = Watermark { dir: sandbox.root.clone(), min_bytes: 0, min_percent: 0 };
    let bounds =
        Bounds { max_bytes: 1 << 20, space: &space, cancel: &AtomicBool::new(true), progress: &|_| {} };
    let tar = tar(|t| done(t.file("a", b"x")));
    let discard = sandbox.root.with_file_name("discard");
    let result = unpack(io::Cursor::new(tar), 10, &sandbox.root, &discard, &bounds);
    assert!(matches!(result, Err(ImageError::Cancelled)));
}

fn part() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "a",
        "b",
        "c",
        "a",
        "b",
        "..",
        ".",
        ".wh.a",
        ".wh.victim",
        ".wh..wh..opq",
        "victim",
    ])
}

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec(part(), 1..4).prop_map(|parts| parts.join("/"))
}

/// Where links lead; `OUTSIDE` stands for a directory that must not change.
fn target() -> impl Strategy<Value = String> {
    let fixed = [
        "OUTSIDE",
        "OUTSIDE/victim",
        "../outside",
        "../outside/victim",
        "..",
        "/",
        ".",
        "a/outside",
        "/proc/self/root",
    ];
    prop_oneof![3 => prop::sample::select(fixed.to_vec()).prop_map(str::to_owned), 2 => name()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever sequence of links, directories, files and whiteouts an archive holds: nothing outside changes.
    #[test]
    fn no_sequence_of_entries_escapes(entries in prop::collection::vec((0..6_u8, name(), target()), 1..16)) {
        let sandbox = Sandbox::new();
        // Entries apply one archive each, so that a refused one does not end the sequence.
        for (kind, name, target) in entries {
            let target = target.replace("OUTSIDE", sandbox.outside.to_str().unwrap());
            let bytes = tar(|t| match kind {
                0 | 1 => done(t.file(&name, b"data")),
                2 => done(t.dir(&name)),
                3 | 4 => done(t.symlink(&name, &target)),
                _ => done(t.hard_link(&name, &target)),
            });
            let _ = sandbox.unpack(bytes);
            for left in fs::read_dir(sandbox.root.with_file_name("discard")).unwrap() {
                let left = left.unwrap().path();
                let _ = fs::remove_dir_all(left);
            }
        }
        sandbox.assert_outside_untouched();
    }

    /// Arbitrary damage to an archive is an error or a different layer, never a panic or an escape.
    #[test]
    fn damaged_archives_are_survived(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = tar(|t| {
            t.dir("d").symlink("l", "../outside").pax(&[("path", b"d/long")]).file("x", b"data").hard_link("h", "d/long");
        });
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let sandbox = Sandbox::new();
        let _ = sandbox.unpack(bytes);
        sandbox.assert_outside_untouched();
    }
}
