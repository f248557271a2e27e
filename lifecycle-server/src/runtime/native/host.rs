//! What the runtime holds of the host, and how a slot is made ready.

use std::{
    fs::{self, File},
    io,
    ops::ControlFlow,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use super::{
    NativeConfig,
    cgroup::{Cgroups, Layout},
    console,
    disk::{self, Disks},
    firewall, forward,
    launcher::Launcher,
    names::Names,
    net,
    overlay::Overlays,
    reaper::Reaper,
    rootfs::{self, IdMaps},
    slots::{Prepared, Slots},
    state::Paths,
    subnet, sys,
};
use crate::runtime::{Limits, RuntimeError, Slot};

/// How long the preparing thread rests after a failure (a full disk, no loop devices).
const PREPARE_RETRY: Duration = Duration::from_secs(5);
/// How long the cgroups of a sandbox that was stopped may stay busy.
const STRIP_PATIENCE: Duration = Duration::from_secs(5);
const STRIP_PAUSE: Duration = Duration::from_millis(2);
/// Rest before each slot is prepared, so that it does not compete with the start that made it necessary.
const PREPARE_PAUSE: Duration = Duration::from_millis(5);

/// Shared by everything that runs for one [`super::NativeRuntime`].
pub(crate) struct Host {
    pub config: NativeConfig,
    pub names: Names,
    pub paths: Paths,
    pub cgroups: Cgroups,
    pub slots: Arc<Slots>,
    pub reaper: Reaper,
    pub launcher: Launcher,
    pub disks: Disks,
    pub overlays: Overlays,
    /// The installed execd, to be mounted in each sandbox.
    pub execd: OwnedFd,
    pub resolvers: Vec<std::net::Ipv4Addr>,
    /// Keeps a second server off the state directory.
    _lock: File,
    /// Keeps other servers off the subnet.
    _claim: subnet::Claim,
}

/// Says what was being done when an operation failed.
pub(crate) trait Context<T> {
    fn context(self, what: &str) -> Result<T, RuntimeError>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: &str) -> Result<T, RuntimeError> {
        self.map_err(|source| RuntimeError::Os { context: what.to_owned(), source })
    }
}

impl Host {
    /// Takes hold of the state directory and brings the host into shape: cgroups, addresses, firewall.
    pub(crate) fn new(config: NativeConfig) -> Result<Self, RuntimeError> {
        if !rustix::process::geteuid().is_root() {
            return Err(RuntimeError::Invalid("the native runtime must run as root".into()));
        }
        Paths { root: config.state_dir.clone() }.create().context("create the state directory")?;
        let root = fs::canonicalize(&config.state_dir).context("resolve the state directory")?;
        let lock = lock(&root)?;
        sys::raise_open_files();
        let paths = Paths { root: root.clone() };
        let claim = subnet::claim(config.subnet, &paths.sandboxes(), &root)?;
        let names = Names::new(&config, claim.subnet, &root);
        if names.capacity == 0 {
            return Err(RuntimeError::Invalid(format!("subnet {} has no room for sandboxes", claim.subnet)));
        }
        if let Some(bytes) =
            limits(&Limits::default(), &config).disk_bytes.filter(|bytes| *bytes < disk::MIN_BYTES)
        {
            let text = format!(
                "the default disk limit of {bytes} bytes is below {}; 0 means no limit",
                disk::MIN_BYTES
            );
            return Err(RuntimeError::Invalid(text));
        }
        let layout = Layout::detect().context("read /proc/self/mountinfo")?;
        let cgroups = Cgroups::new(layout, names.cgroup_parent())
            .and_then(Cgroups::with_sidecars)
            .context("set up cgroups")?;
        if net::prepare_host(&names).context("set up the host's network")? {
            tracing::info!("switched on IPv4 forwarding (net.ipv4.ip_forward)");
        }
        firewall::apply(&names, &config).context("set up the firewall")?;
        for obstacle in forward::obstacles() {
            tracing::warn!(mend = obstacle.mend, "{}", obstacle.what);
        }
        let slots = Arc::new(Slots::new(names.clone()));
        let reaper = Reaper::start(names.clone(), cgroups.clone(), slots.clone(), paths.trash())
            .context("start the reaper thread")?;
        let launcher = Launcher::start(config.launcher.clone()).context("start the launcher")?;
        let overlays =
            Overlays::choose(config.overlay, &paths.root, &launcher, names.uid_base(0)).map_err(|error| {
                RuntimeError::Invalid(format!(
                    "this host cannot mount id-mapped overlays, which Linux 6.1 and newer can ({error})"
                ))
            })?;
        if overlays.attaches() {
            tracing::info!("mounting overlays by path: this kernel takes no detached mounts as layers");
        }
        Ok(Self {
            launcher,
            overlays,
            disks: Disks::new(
                paths.disk(),
                limits(&Limits::default(), &config).disk_bytes,
                names.uid_base(0),
            )
            .context("look after loop devices")?,
            execd: rootfs::install_execd(&config.execd, &paths.bin()).context("install execd")?,
            resolvers: config.resolvers(),
            config,
            names,
            paths,
            cgroups,
            slots,
            reaper,
            _lock: lock,
            _claim: claim,
        })
    }

    /// The limits in force for a sandbox.
    pub(crate) fn limits(&self, asked: &Limits) -> Limits {
        limits(asked, &self.config)
    }

    /// Makes everything a sandbox in this slot needs that does not depend on the sandbox. Leaves nothing on failure.
    pub(crate) fn prepare(&self, slot: Slot, disk_bytes: Option<u64>) -> Result<Prepared, RuntimeError> {
        disk::check_watermark(&self.paths.root, self.config.watermark)?;
        let directory = self.paths.slots().join(slot.number.to_string());
        let made = self.prepare_in(slot, disk_bytes, &directory);
        if made.is_err() {
            let _ = self.cgroups.remove(slot.number);
            self.reaper.dispose(None, Some(&directory));
        }
        made
    }

    fn prepare_in(
        &self,
        slot: Slot,
        disk_bytes: Option<u64>,
        directory: &Path,
    ) -> Result<Prepared, RuntimeError> {
        fs::create_dir(directory).context("create the slot's directory")?;
        let base = self.names.uid_base(slot.number);
        let store = self.disks.open(directory, disk_bytes, base).context("make the sandbox's disk")?;
        rootfs::populate(&store).context("make the private layer")?;
        let console = console::create(directory, base).context("create the console")?;
        let maps = self.confine(slot)?;
        let netns = match net::create(&self.names, slot) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                self.slots.avoid([slot.address]);
                let text = format!("address {} is used by another program on this host", slot.address);
                return Err(RuntimeError::Exhausted(text));
            }
            other => other.context("make the sandbox's network")?,
        };
        Ok(Prepared { slot, directory: directory.to_owned(), netns, maps, store, console, disk_bytes })
    }

    /// The cgroups and the user ids of a slot.
    fn confine(&self, slot: Slot) -> Result<IdMaps, RuntimeError> {
        self.cgroups.create(slot.number).context("create cgroups")?;
        let base = self.names.uid_base(slot.number);
        let [processes, files] = self.launcher.user_namespaces(base).context("make user namespaces")?;
        Ok(IdMaps { processes, files })
    }

    /// Makes again what a stopped sandbox has lost, around the private layer in its `directory`. Leaves nothing but that
    /// layer on failure.
    pub(crate) fn revive(&self, slot: Slot, directory: &Path) -> Result<Prepared, RuntimeError> {
        disk::check_watermark(&self.paths.root, self.config.watermark)?;
        // A server that was killed on the way may have left half of it.
        self.strip(slot.number)?;
        let made = self.revive_in(slot, directory);
        if made.is_err() {
            let _ = self.strip(slot.number);
        }
        made
    }

    fn revive_in(&self, slot: Slot, directory: &Path) -> Result<Prepared, RuntimeError> {
        let base = self.names.uid_base(slot.number);
        // Mounting waits for the disk and the network for the kernel: neither has to wait for the other.
        let (store, netns) = std::thread::scope(|scope| {
            let network = scope.spawn(|| net::create(&self.names, slot));
            let store = self.disks.reopen(directory);
            let died = |_| Err(io::Error::other("network thread died"));
            (store, network.join().unwrap_or_else(died))
        });
        let store = store.context("open the sandbox's disk")?;
        let netns = netns.context("make the sandbox's network")?;
        rootfs::renew(&store).context("renew the private layer")?;
        let console = console::renew(directory, base).context("create the console")?;
        let maps = self.confine(slot)?;
        Ok(Prepared { slot, directory: directory.to_owned(), netns, maps, store, console, disk_bytes: None })
    }

    /// Takes a slot's network and cgroups away, whose processes are gone; its sandbox keeps the number.
    pub(crate) fn strip(&self, slot: u16) -> Result<(), RuntimeError> {
        net::delete(&self.names, &[slot]).context("delete the sandbox's network")?;
        let since = Instant::now();
        loop {
            match self.cgroups.remove(slot) {
                Err(error) if since.elapsed() > STRIP_PATIENCE => {
                    return Err(error).context("remove cgroups");
                }
                // Busy for a moment after the last process, or not the last one yet.
                Err(_) => {
                    self.cgroups.kill(slot);
                    std::thread::sleep(STRIP_PAUSE);
                }
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Gives a prepared slot another disk.
    pub(crate) fn resize(
        &self,
        prepared: &mut Prepared,
        disk_bytes: Option<u64>,
    ) -> Result<(), RuntimeError> {
        let base = self.names.uid_base(prepared.slot.number);
        self.reaper.dispose(None, Some(&prepared.directory));
        fs::create_dir(&prepared.directory).context("create the slot's directory")?;
        prepared.store =
            self.disks.open(&prepared.directory, disk_bytes, base).context("make the sandbox's disk")?;
        prepared.disk_bytes = disk_bytes;
        prepared.console = console::create(&prepared.directory, base).context("create the console")?;
        rootfs::populate(&prepared.store).context("make the private layer")
    }

    /// Undoes [`Host::prepare`].
    pub(crate) fn discard(&self, prepared: Prepared) {
        let (slot, directory) = (prepared.slot.number, prepared.directory.clone());
        drop(prepared);
        self.reaper.dispose(Some(slot), Some(&directory));
    }
}

/// Keeps `prepared_slots` slots ready until the sender of `wake` is gone.
pub(crate) fn keep_prepared(host: &Host, wake: &mpsc::Receiver<()>) {
    let disk_bytes = host.limits(&Limits::default()).disk_bytes;
    loop {
        while let Some(slot) = host.slots.wants_preparing(host.config.prepared_slots) {
            let pause = match host.prepare(slot, disk_bytes) {
                Ok(prepared) => {
                    if let Err(late) = host.slots.add_prepared(prepared) {
                        host.discard(late);
                    }
                    PREPARE_PAUSE
                }
                Err(error) => {
                    host.slots.free(slot.number);
                    tracing::warn!(%error, "cannot prepare a slot");
                    PREPARE_RETRY
                }
            };
            if rest(wake, pause).is_break() {
                return;
            }
        }
        if wake.recv().is_err() {
            return;
        }
    }
}

/// Waits, however often it is woken; breaks once the sender is gone.
pub(crate) fn rest(wake: &mpsc::Receiver<()>, pause: Duration) -> ControlFlow<()> {
    let deadline = Instant::now() + pause;
    loop {
        match wake.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(()) => {}
            Err(mpsc::RecvTimeoutError::Timeout) => return ControlFlow::Continue(()),
            Err(mpsc::RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
        }
    }
}

/// What was asked for, else the defaults; a default of zero is no limit.
fn limits(asked: &Limits, config: &NativeConfig) -> Limits {
    let default = &config.default_limits;
    let pick = |asked: Option<u64>, default: Option<u64>| asked.or(default.filter(|limit| *limit > 0));
    Limits {
        cpu_millis: pick(asked.cpu_millis, default.cpu_millis),
        memory_bytes: pick(asked.memory_bytes, default.memory_bytes),
        pids: pick(asked.pids, default.pids),
        disk_bytes: pick(asked.disk_bytes, default.disk_bytes),
        guaranteed: asked.guaranteed,
    }
}

fn lock(root: &Path) -> Result<File, RuntimeError> {
    let file = File::create(root.join("lock")).context("create the lock file")?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(RuntimeError::Invalid(format!(
            "another server uses the state directory {}; give each server its own",
            root.display()
        ))),
        Err(fs::TryLockError::Error(error)) => Err(error).context("lock the state directory"),
    }
}
