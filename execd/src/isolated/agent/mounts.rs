//! The file system of a session: the sandbox's own, read-only, and what the plan puts on top.

use std::{
    ffi::CString,
    fs, io,
    os::unix::{ffi::OsStringExt, fs::symlink},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
        mount_change, mount_remount, unmount,
    },
    process::{chdir, pivot_root},
};
use sandkeep_specs::execd::isolated::MountMode;

use super::Failure;
use crate::isolated::plan::{Mount, Plan, RUNS_INSIDE};

/// Size of each file system in memory; what is in it counts as the sandbox's memory.
const MEMORY_OPTIONS: &str = "mode=755,size=1g";

/// Devices of a session.
const DEVICES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

/// Builds the file system and moves into it. Returns what may be written to.
pub(super) fn build(plan: &Plan) -> Result<Vec<PathBuf>, Failure> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| Failure::refused("mount namespace", error))?;
    let tree = Tree { root: plan.root.clone() };
    mount_bind_recursive("/", &tree.root).map_err(|error| Failure::refused("binding the root", error))?;
    tree.make_readonly(Path::new("/"))?;
    tree.system(plan)?;
    let mut writable: Vec<PathBuf> = ["/dev", "/proc", "/run", "/tmp"].map(PathBuf::from).into();
    for mount in &plan.mounts {
        tree.add(mount)?;
        if mount.mode != MountMode::Ro {
            writable.push(mount.target.clone());
        }
    }
    if tree.inside(&plan.state).is_dir() {
        tree.memory(&plan.state, "mode=000,size=4k")?;
    }
    tree.move_in()?;
    Ok(writable)
}

/// The new root while it lies below the old one.
struct Tree {
    root: PathBuf,
}

impl Tree {
    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn memory(&self, path: &Path, options: &str) -> Result<(), Failure> {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let options = c_string(options)?;
        mount("tmpfs", self.inside(path), "tmpfs", flags, options.as_c_str())
            .map_err(|error| Failure::refused(format!("tmpfs on {}", path.display()), error))
    }

    fn bind(&self, source: &Path, target: &Path) -> Result<(), Failure> {
        mount_bind_recursive(source, self.inside(target))
            .map_err(|error| Failure::refused(format!("binding {}", source.display()), error))
    }

    /// `/dev`, `/proc`, `/run` and `/tmp`.
    fn system(&self, plan: &Plan) -> Result<(), Failure> {
        self.devices()?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", self.inside(Path::new("/proc")), "proc", flags, None)
            .map_err(|error| Failure::refused("/proc (is a part of the sandbox's own covered?)", error))?;
        let runs = Path::new(RUNS_INSIDE);
        fs::create_dir(self.inside(runs)).map_err(|error| Failure::refused(RUNS_INSIDE, error))?;
        self.bind(&plan.runs, runs)?;
        // Small images may lack these.
        let (run, tmp) = (Path::new("/run"), Path::new("/tmp"));
        if self.inside(run).is_dir() {
            self.memory(run, MEMORY_OPTIONS)?;
        }
        match self.inside(tmp).is_dir() {
            true if plan.private_tmp => self.memory(tmp, "mode=1777,size=1g"),
            true => self.bind(tmp, tmp),
            false => Ok(()),
        }
    }

    fn devices(&self) -> Result<(), Failure> {
        let dev = Path::new("/dev");
        let flags = MountFlags::NOSUID | MountFlags::NOEXEC;
        mount("tmpfs", self.inside(dev), "tmpfs", flags, c"mode=755,size=64k")
            .map_err(|error| Failure::refused("tmpfs on /dev", error))?;
        let make = |error: io::Error| Failure::refused("/dev", error);
        for name in DEVICES {
            let (source, target) = (dev.join(name), self.inside(&dev.join(name)));
            if source.exists() {
                fs::write(&target, "").map_err(make)?;
                mount_bind(&source, &target)
                    .map_err(|error| Failure::refused(format!("binding {}", source.display()), error))?;
            }
        }
        for (to, name) in [
            ("/proc/self/fd", "fd"),
            ("/proc/self/fd/0", "stdin"),
            ("/proc/self/fd/1", "stdout"),
            ("/proc/self/fd/2", "stderr"),
            ("pts/ptmx", "ptmx"),
        ] {
            symlink(to, self.inside(&dev.join(name))).map_err(make)?;
        }
        for name in ["pts", "shm"] {
            fs::create_dir(self.inside(&dev.join(name))).map_err(make)?;
        }
        mount(
            "devpts",
            self.inside(&dev.join("pts")),
            "devpts",
            flags,
            c"newinstance,ptmxmode=0666,mode=620",
        )
        .map_err(|error| Failure::refused("devpts", error))?;
        self.memory(&dev.join("shm"), "mode=1777,size=256m")
    }

    /// Shows one of the plan's paths.
    fn add(&self, mount: &Mount) -> Result<(), Failure> {
        self.make_place(mount)?;
        match mount.mode {
            MountMode::Overlay => self.overlay(mount),
            MountMode::Rw => self.bind(&mount.source, &mount.target),
            MountMode::Ro => {
                self.bind(&mount.source, &mount.target)?;
                self.make_readonly(&mount.target)
            }
        }
    }

    /// Something to mount on, made where the session can write.
    fn make_place(&self, mount: &Mount) -> Result<(), Failure> {
        let place = self.inside(&mount.target);
        if place.exists() {
            return Ok(());
        }
        let made = if mount.source.is_dir() {
            fs::create_dir_all(&place)
        } else {
            place.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&place, ""))
        };
        made.map_err(|error| {
            let reason = crate::reason::reason(&error);
            Failure::invalid(format!(
                "{} does not exist and cannot be made: {reason}",
                mount.target.display()
            ))
        })
    }

    fn overlay(&self, mount: &Mount) -> Result<(), Failure> {
        let place = self.inside(&mount.target);
        let fail = |what: &str, error: io::Error| {
            Failure::refused(format!("overlay on {}{what}", mount.target.display()), error)
        };
        // The old root is still there to mount something on that is gone once the new one is entered.
        let layer = match &mount.layer {
            Some(layer) => layer.clone(),
            None => {
                let scratch = self.inside(Path::new("/dev/.layer"));
                fs::create_dir_all(&scratch).map_err(|error| fail("", error))?;
                rustix::mount::mount("tmpfs", &scratch, "tmpfs", MountFlags::NODEV, c"mode=700,size=1g")
                    .map_err(|error| fail("", error.into()))?;
                for name in ["upper", "work"] {
                    fs::create_dir(scratch.join(name)).map_err(|error| fail("", error))?;
                }
                copy_attributes(&mount.source, &scratch.join("upper")).map_err(|error| fail("", error))?;
                scratch
            }
        };
        // Through descriptors, as a path may contain what separates options.
        let open = |path: &Path| {
            rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                .map_err(|error| fail("", error.into()))
        };
        let (lower, upper, work) =
            (open(&mount.source)?, open(&layer.join("upper"))?, open(&layer.join("work"))?);
        let path = |descriptor: &std::os::fd::OwnedFd| {
            format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(descriptor))
        };
        let options =
            format!("lowerdir={},upperdir={},workdir={},userxattr", path(&lower), path(&upper), path(&work));
        let options = c_string(&options)?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        rustix::mount::mount("overlay", &place, "overlay", flags, options.as_c_str()).map_err(|error| {
            fail(" (the upper directory needs a file system that is no overlay itself)", error.into())
        })?;
        drop((upper, work));
        if mount.layer.is_none() {
            unmount(&layer, UnmountFlags::DETACH).map_err(|error| fail("", error.into()))?;
            fs::remove_dir(&layer).map_err(|error| fail("", error))?;
        }
        Ok(())
    }

    /// Makes the mount at a path, and all below, read-only.
    fn make_readonly(&self, path: &Path) -> Result<(), Failure> {
        let top = self.inside(path);
        let table =
            fs::read("/proc/self/mountinfo").map_err(|error| Failure::refused("mount table", error))?;
        for found in table.split(|&byte| byte == b'\n').filter_map(Mounted::parse) {
            if !found.path.starts_with(&top) {
                continue;
            }
            let flags = found.flags | MountFlags::BIND | MountFlags::RDONLY;
            match mount_remount(&found.path, flags, "") {
                Ok(()) => {}
                // One that is covered by another one or not for us to enter is out of reach anyway.
                Err(rustix::io::Errno::ACCESS | rustix::io::Errno::INVAL | rustix::io::Errno::NOENT)
                    if found.path != top => {}
                Err(error) => {
                    return Err(Failure::refused(format!("read-only {}", found.path.display()), error));
                }
            }
        }
        Ok(())
    }

    /// Makes the tree the root and lets go of the old one.
    fn move_in(&self) -> Result<(), Failure> {
        chdir(&self.root)
            .and_then(|()| pivot_root(".", "."))
            .and_then(|()| unmount(".", UnmountFlags::DETACH))
            .and_then(|()| chdir("/"))
            .map_err(|error| Failure::refused("changing the root", error))
    }
}

/// An overlay's root has the owner and mode of its upper directory.
pub(in crate::isolated) fn copy_attributes(from: &Path, to: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let found = fs::metadata(from)?;
    chown(to, Some(found.uid()), Some(found.gid()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(found.permissions().mode() & 0o7777))
}

fn c_string(text: &str) -> Result<CString, Failure> {
    CString::new(text).map_err(|_| Failure::invalid(format!("{text:?} contains a NUL byte")))
}

/// A line of the mount table.
#[derive(Debug, PartialEq)]
struct Mounted {
    path: PathBuf,
    /// Flags that a namespace with fewer rights must not drop.
    flags: MountFlags,
}

impl Mounted {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ').skip(4);
        let path = PathBuf::from(std::ffi::OsString::from_vec(unescape(fields.next()?)));
        let flags = fields.next()?.split(|&byte| byte == b',').fold(MountFlags::empty(), |flags, option| {
            flags
                | match option {
                    b"nosuid" => MountFlags::NOSUID,
                    b"nodev" => MountFlags::NODEV,
                    b"noexec" => MountFlags::NOEXEC,
                    b"noatime" => MountFlags::NOATIME,
                    b"nodiratime" => MountFlags::NODIRATIME,
                    b"relatime" => MountFlags::RELATIME,
                    _ => MountFlags::empty(),
                }
        });
        Some(Self { path, flags })
    }
}

/// The kernel writes spaces, tabs, line ends and backslashes as three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let code =
            after.get(..3).filter(|_| byte == b'\\').and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(code) => {
                out.push(code);
                rest = &after[3..];
            }
            None => {
                out.push(byte);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn the_mount_table_is_understood() {
        let line = br"36 35 98:0 /mnt1 /mnt\040two\134x rw,noatime,nosuid master:1 - ext3 /dev/root rw";
        let found = Mounted::parse(line).unwrap();
        assert_eq!(found.path.as_os_str().as_bytes(), br"/mnt two\x");
        assert_eq!(found.flags, MountFlags::NOATIME | MountFlags::NOSUID);
        assert_eq!(Mounted::parse(b""), None);
        assert_eq!(unescape(br"a\9"), br"a\9");
    }
}
