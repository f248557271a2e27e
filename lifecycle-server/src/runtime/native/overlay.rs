//! Overlays of id-mapped directories, on kernels that take them as descriptors and on those that want paths.
//!
//! A kernel that takes detached mounts as descriptors (6.15) needs no place to attach anything. An older one (6.1, 6.12)
//! gets paths, in the mount namespace of one thread that sees nothing else; the result leaves it as a detached mount
//! too, so nothing else in this runtime knows the difference.

use std::{
    ffi::{CStr, CString},
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, Sender, channel},
};

use rustix::{
    fs::{CWD, Mode, OFlags, mkdirat, openat},
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount},
    process::{chdir, pivot_root},
};

use super::{
    config::OverlayWay,
    launcher::Launcher,
    rootfs::{self, EXECD_PATH, IdMaps},
    sys::{self, FsContext},
    volume,
};

/// Start of the name of a directory in which things are tried.
pub(crate) const TRIAL_PREFIX: &str = "preflight-";
/// Longest option string `mount` takes: a page less its final NUL. The 500 layers overlayfs allows need half of that.
const MAX_OPTIONS: usize = 4095;
/// Options of the thread's own root, which holds nothing but mount points.
const SCRATCH_OPTIONS: &CStr = c"mode=700,size=1m,nr_inodes=4k";
/// Where the thread attaches one sandbox's parts; detaching it detaches all of them.
const WORKSHOP: &CStr = c"/parts";

/// What a root file system is made of.
struct Parts {
    /// Detached id-mapped copies of the layers, topmost first.
    layers: Vec<OwnedFd>,
    /// The detached mount that holds the private layer.
    store: OwnedFd,
    /// Maps the private layer's files.
    files: OwnedFd,
    /// Detached read-only copy of execd.
    execd: OwnedFd,
    volumes: volume::Mounts,
}

struct Job {
    parts: Parts,
    done: Sender<io::Result<OwnedFd>>,
}

/// How this host mounts overlays.
pub(crate) struct Overlays {
    /// The thread that attaches things; `None` where descriptors are enough.
    workshop: Option<Sender<Job>>,
}

impl Overlays {
    /// Finds out which way works here by trying in `root`, the state directory.
    pub(crate) fn choose(
        way: OverlayWay,
        root: &Path,
        launcher: &Launcher,
        uid_base: u32,
    ) -> io::Result<Self> {
        let mut reasons = Vec::new();
        let ways: &[OverlayWay] = match way {
            OverlayWay::Auto => &[OverlayWay::Detached, OverlayWay::Attached],
            OverlayWay::Detached => &[OverlayWay::Detached],
            OverlayWay::Attached => &[OverlayWay::Attached],
        };
        for way in ways {
            let directory = root.join(format!("{TRIAL_PREFIX}{}-{way:?}", std::process::id()));
            let attempt = Self::of(*way, &directory)
                .and_then(|overlays| overlays.attempt(&directory, launcher, uid_base).map(|()| overlays));
            let _ = fs::remove_dir_all(&directory);
            match attempt {
                Ok(overlays) => return Ok(overlays),
                Err(error) => reasons.push(format!("{way:?}: {error}")),
            }
        }
        Err(io::Error::other(reasons.join("; ")))
    }

    fn of(way: OverlayWay, directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let workshop = (way == OverlayWay::Attached).then(|| start_workshop(directory)).transpose()?;
        Ok(Self { workshop })
    }

    /// Whether parts are attached by path, as kernels before 6.15 need it.
    pub(crate) fn attaches(&self) -> bool {
        self.workshop.is_some()
    }

    /// Goes through everything a launch does, and writes a file: some wrong maps show only then.
    fn attempt(&self, directory: &Path, launcher: &Launcher, uid_base: u32) -> io::Result<()> {
        let (store, layer, sample) =
            (directory.join("store"), directory.join("layer"), directory.join("sample"));
        fs::create_dir(&store)?;
        fs::create_dir(&layer)?;
        fs::write(&sample, b"")?;
        let execd = open_path(&sample)?;
        let store = sys::clone_tree(CWD, &path_of(&store)?)?;
        rootfs::populate(&store)?;
        let [processes, files] = launcher.user_namespaces(uid_base)?;
        let root = self.mount(
            &[layer],
            store.as_fd(),
            &IdMaps { processes, files },
            execd.as_fd(),
            volume::Mounts::none(),
        )?;
        Ok(mkdirat(&root, c"tmp/written", Mode::RWXU)?)
    }

    /// Mounts the whole root, detached: layers (topmost first), private layer (a detached mount), execd (an open file
    /// of the host).
    pub(crate) fn mount(
        &self,
        layers: &[PathBuf],
        store: BorrowedFd<'_>,
        maps: &IdMaps,
        execd: BorrowedFd<'_>,
        volumes: volume::Mounts,
    ) -> io::Result<OwnedFd> {
        let map = |layer: &PathBuf| {
            sys::clone_tree_idmapped(CWD, &path_of(layer)?, maps.processes.as_fd())
                .map_err(|error| io::Error::new(error.kind(), format!("layer {}: {error}", layer.display())))
        };
        let parts = Parts {
            layers: layers.iter().map(map).collect::<io::Result<_>>()?,
            store: store.try_clone_to_owned()?,
            files: maps.files.try_clone()?,
            execd: sys::clone_read_only(execd)?,
            volumes,
        };
        let Some(workshop) = &self.workshop else { return mount_detached(&parts) };
        let (done, waiting) = channel();
        let gone = || io::Error::other("the overlay thread is gone");
        workshop.send(Job { parts, done }).map_err(|_| gone())?;
        waiting.recv().map_err(|_| gone())?
    }
}

fn path_of(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// A file or directory as a place to clone mounts from.
pub(crate) fn open_path(path: &Path) -> io::Result<OwnedFd> {
    Ok(openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// A detached mount dissolves with its descriptor, so all of them stay open until overlayfs has its own copies.
fn mount_detached(parts: &Parts) -> io::Result<OwnedFd> {
    let private = sys::clone_tree_idmapped(&parts.store, c"", parts.files.as_fd())?;
    let open = |name: &CStr| {
        openat(&private, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    };
    let (upper, work) = (open(c"upper")?, open(c"work")?);
    let overlay = FsContext::new(c"overlay")?;
    for layer in &parts.layers {
        overlay.fd(c"lowerdir+", layer)?;
    }
    overlay.fd(c"upperdir", &upper)?.fd(c"workdir", &work)?;
    // Without it, ending a sandbox (and every fsync inside) would flush the whole disk it shares with the others.
    overlay.flag(c"volatile")?;
    // A snapshot of the private layer must mean the same without the layers below, whatever the kernel's defaults are.
    overlay.string(c"redirect_dir", c"off")?.string(c"metacopy", c"off")?;
    let root = overlay.mount()?;
    let target = CString::new(EXECD_PATH.trim_start_matches('/'))?;
    sys::attach(&parts.execd, &root, &target)?;
    parts.volumes.attach(&root)?;
    Ok(root)
}

/// Starts the thread that mounts by path. `directory` exists and is covered in that thread's view only.
fn start_workshop(directory: &Path) -> io::Result<Sender<Job>> {
    let (jobs, queue) = channel();
    let (told, ready) = channel();
    let directory = directory.to_owned();
    std::thread::Builder::new().name("overlay".into()).stack_size(256 * 1024).spawn(move || {
        let settled = settle(&directory);
        let fine = settled.is_ok();
        let _ = told.send(settled);
        if fine {
            work(&queue);
        }
    })?;
    ready.recv().map_err(|_| io::Error::other("the overlay thread ended"))??;
    Ok(jobs)
}

/// Leaves the host's mounts behind: this thread sees an empty root and holds no mount of the host busy.
fn settle(directory: &Path) -> io::Result<()> {
    // Takes a root and working directory of the thread's own along.
    sys::unshare(libc::CLONE_NEWNS)?;
    mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)?;
    mount(c"tmpfs", directory, c"tmpfs", MountFlags::NOSUID | MountFlags::NODEV, SCRATCH_OPTIONS)?;
    chdir(directory)?;
    pivot_root(c".", c".")?;
    unmount(c".", UnmountFlags::DETACH)?;
    chdir(c"/")?;
    Ok(rustix::fs::mkdir(WORKSHOP, Mode::RWXU)?)
}

fn work(queue: &Receiver<Job>) {
    while let Ok(Job { parts, done }) = queue.recv() {
        let root = mount_attached(&parts);
        // Whatever was attached goes at once, together with the mount below it.
        let _ = chdir(c"/");
        if let Err(error) = unmount(WORKSHOP, UnmountFlags::DETACH) {
            tracing::debug!(%error, "nothing to take down after mounting an overlay");
        }
        let _ = done.send(root);
    }
}

fn mount_attached(parts: &Parts) -> io::Result<OwnedFd> {
    mount_bind(WORKSHOP, WORKSHOP)?;
    chdir(WORKSHOP)?;
    let names: Vec<String> = (0..parts.layers.len()).map(|number| number.to_string()).collect();
    for (name, layer) in names.iter().zip(&parts.layers) {
        attach_at(layer, name)?;
    }
    attach_at(&parts.store, "store")?;
    let private = sys::clone_tree_idmapped(CWD, c"store", parts.files.as_fd())?;
    attach_at(&private, "private")?;
    let options = format!(
        "lowerdir={},upperdir=private/upper,workdir=private/work,volatile,redirect_dir=off,metacopy=off",
        names.join(":")
    );
    if options.len() > MAX_OPTIONS {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many layers"));
    }
    place("root")?;
    mount(c"overlay", "root", c"overlay", MountFlags::empty(), CString::new(options)?.as_c_str())?;
    let target = CString::new(format!("root{EXECD_PATH}"))?;
    sys::attach(&parts.execd, CWD, &target)?;
    parts.volumes.attach(&open_path(Path::new("root"))?)?;
    sys::clone_subtree(CWD, c"root")
}

/// Makes a mount point in the working directory; it stays for the next sandbox.
fn place(name: &str) -> io::Result<()> {
    match mkdirat(CWD, name, Mode::RWXU) {
        Err(error) if error != rustix::io::Errno::EXIST => Err(error.into()),
        _ => Ok(()),
    }
}

fn attach_at(mount: &OwnedFd, name: &str) -> io::Result<()> {
    place(name)?;
    sys::attach(mount, CWD, &CString::new(name)?)
}
