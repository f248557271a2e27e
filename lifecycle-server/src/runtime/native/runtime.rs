//! [`NativeRuntime`]: the `Runtime` trait over everything else in this module.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{
    NativeConfig, adopt, again,
    cgroup::Cgroups,
    criu, disk, firewall, freezer,
    host::{Context, Host, keep_prepared},
    launch::{Launch, Origin},
    layer, net, room, sidecar,
    state::is_plain,
    tap::Tap,
    underway::{self, Starts},
    watch::{self, Live},
};
use crate::runtime::{
    Exit, Found, Keep, LaunchReport, LaunchSpec, Limits, Log, Logs, MemoryStop, PrivateLayer, Refusal,
    Runtime, RuntimeError, Slot, StartSpec, Traffic, Usage, oci::OciRuntime,
};

/// How long the end of the server waits for cleaning; what is not done by then, the next start does.
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(5);

/// Whoever gave a launch up usually destroys it next; only what is still there after this long is ended for them.
const DESTROY_FIRST: Duration = Duration::from_millis(100);

/// Hosts sandboxes on this machine with its own kernel and nothing else.
pub struct NativeRuntime {
    inner: Arc<Inner>,
    exits: Mutex<Option<mpsc::UnboundedReceiver<Exit>>>,
    prepare: Mutex<Option<Preparing>>,
}

/// The thread that prepares slots.
struct Preparing {
    /// Wakes it; dropping this ends it.
    wake: std_mpsc::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

pub(crate) struct Inner {
    pub host: Host,
    pub oci: Option<OciRuntime>,
    pub criu: criu::Probe,
    pub live: Mutex<HashMap<String, Live>>,
    pub starts: Starts,
    pub exits: mpsc::UnboundedSender<Exit>,
    pub logs: Logs,
}

impl Inner {
    pub(crate) fn live(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs blocking work away from the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other).context(what)?
}

impl NativeRuntime {
    /// Takes over the state directory and sets the host up: cgroups, forwarding, firewall, launcher.
    ///
    /// # Errors
    /// `Invalid` names what the host or the configuration lacks (see [`preflight`](super::preflight())); `Os` what failed.
    pub fn new(config: NativeConfig) -> Result<Arc<Self>, RuntimeError> {
        let oci = OciRuntime::find(&config)?;
        let log_bytes = config.log_bytes;
        let host = Host::new(config)?;
        let logs = Logs::new(host.paths.logs(), log_bytes);
        let (sender, receiver) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner {
            criu: criu::Probe::begin(host.config.criu.clone(), oci.is_some()),
            host,
            oci,
            live: Mutex::default(),
            starts: Starts::default(),
            exits: sender,
            logs,
        });
        Ok(Arc::new(Self { inner, exits: Mutex::new(Some(receiver)), prepare: Mutex::new(None) }))
    }

    /// Has a task of its own see to the end of a start, undoing included, even when the caller goes away.
    async fn carry_out(
        &self,
        id: &str,
        origin: Origin,
        launch: Launch,
    ) -> Result<LaunchReport, RuntimeError> {
        let given_up = CancellationToken::new();
        let (underway, token) = (underway::begin(&self.inner, id, &given_up), given_up.clone());
        let task = tokio::spawn(async move {
            let done = launch.run(token).await;
            drop(underway);
            done
        });
        let mut caller =
            Caller { inner: self.inner.clone(), id: id.to_owned(), origin, given_up, waits_for: Some(task) };
        let done = match &mut caller.waits_for {
            Some(task) => task.await,
            None => return Err(RuntimeError::StartFailed("the start was given up".into())),
        };
        caller.waits_for = None;
        self.wake_preparing();
        done.map_err(std::io::Error::other).context("launch")?
    }

    async fn freezer(
        &self,
        id: &str,
        what: &'static str,
        act: fn(&Cgroups, u16) -> std::io::Result<()>,
    ) -> Result<(), RuntimeError> {
        let slot = self.inner.live().get(id).map(|live| live.slot.number);
        let slot = slot.ok_or_else(|| RuntimeError::NotFound(id.to_owned()))?;
        let inner = self.inner.clone();
        blocking(what, move || act(&inner.host.cgroups, slot).context(what)).await
    }

    fn start_preparing(&self) -> Result<(), RuntimeError> {
        let (wake, woken) = std_mpsc::channel();
        let inner = self.inner.clone();
        let thread = std::thread::Builder::new()
            .name("prepare".into())
            .spawn(move || keep_prepared(&inner.host, &woken))
            .context("start the preparing thread")?;
        *self.prepare.lock().unwrap_or_else(PoisonError::into_inner) = Some(Preparing { wake, thread });
        Ok(())
    }

    fn wake_preparing(&self) {
        if let Some(preparing) = &*self.prepare.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = preparing.wake.send(());
        }
    }
}

/// Somebody who waits for a launch. Going away gives it up, also in the instant in which it has just succeeded.
struct Caller {
    inner: Arc<Inner>,
    id: String,
    origin: Origin,
    given_up: CancellationToken,
    waits_for: Option<JoinHandle<Result<LaunchReport, RuntimeError>>>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        let Some(task) = self.waits_for.take() else { return };
        self.given_up.cancel();
        if self.origin == Origin::Kept {
            return; // its files are somebody's: whoever lost interest stops or destroys it
        }
        let (inner, id) = (self.inner.clone(), std::mem::take(&mut self.id));
        let Ok(handle) = tokio::runtime::Handle::try_current() else { return };
        handle.spawn(async move {
            if let Ok(Ok(_)) = task.await {
                tokio::time::sleep(DESTROY_FIRST).await;
                let live = inner.live().remove(&id);
                if live.is_none() {
                    return;
                }
                if let Err(error) = watch::destroy(&inner, &id, live).await {
                    tracing::warn!(%error, %id, "a sandbox nobody waited for does not end");
                }
            }
        });
    }
}

#[async_trait]
impl Runtime for NativeRuntime {
    fn root_of(&self, slot: Slot) -> u32 {
        self.inner.host.names.uid_base(slot.number)
    }

    fn check_room(&self, memory: u64, guaranteed: u64) -> Result<(), RuntimeError> {
        let host = &self.inner.host;
        room::check(&host.config.reserve, memory, guaranteed)?;
        disk::check_watermark(&host.paths.root, host.config.watermark)
    }

    fn reserve(&self, id: &str) -> Result<Slot, RuntimeError> {
        if !is_plain(id) {
            return Err(RuntimeError::Invalid(format!("{id:?} is not a sandbox id")));
        }
        self.inner.host.slots.reserve(id)
    }

    fn release(&self, id: &str) {
        self.inner.host.slots.release(id);
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<LaunchReport, RuntimeError> {
        if self.inner.host.slots.slot_of(&spec.id) != Some(spec.slot) {
            return Err(RuntimeError::Invalid(format!(
                "sandbox {} does not hold slot {}",
                spec.id, spec.slot.number
            )));
        }
        self.carry_out(&spec.id, Origin::Image, Launch::new(self.inner.clone(), spec.clone())).await
    }

    async fn stop(&self, id: &str, keep: Keep) -> Result<bool, RuntimeError> {
        again::stop(&self.inner, id, keep).await
    }

    async fn start(&self, wish: &StartSpec) -> Result<LaunchReport, RuntimeError> {
        let slot = self.inner.host.slots.slot_of(&wish.id).filter(|_| is_plain(&wish.id));
        let slot = slot.ok_or_else(|| RuntimeError::NotFound(wish.id.clone()))?;
        let spec = LaunchSpec {
            standby: false,
            id: wish.id.clone(),
            slot,
            layers: again::record(&self.inner.host, &wish.id)?.layers,
            volumes: wish.volumes.clone(),
            limits: wish.limits,
            pre_start: wish.pre_start,
            // The rest is in the sandbox's own document.
            entrypoint: Vec::new(),
            env: Vec::new(),
            cwd: String::new(),
            user: None,
            execd_token: String::new(),
            nested_isolation: false,
            sidecar: None,
        };
        let memory = criu::Memory::of(&self.inner.host.paths.sandbox(&wish.id));
        if !wish.memory {
            blocking("give a memory up", move || memory.clear().context("give a memory up")).await?;
        } else if memory.is_whole() {
            let inner = self.inner.clone();
            // To its end, whether the caller waits or not.
            let underway = underway::begin(&inner, &wish.id, &CancellationToken::new());
            let task = tokio::spawn(async move {
                let done = criu::restore(&inner, &spec).await;
                drop(underway);
                done
            });
            return task.await.map_err(std::io::Error::other).context("restore")?;
        }
        self.carry_out(&wish.id, Origin::Kept, Launch::again(self.inner.clone(), spec, wish.owner.clone()))
            .await
    }

    async fn memory_stop(&self) -> MemoryStop {
        self.inner.criu.found().await.report()
    }

    async fn destroy(&self, id: &str) -> Result<(), RuntimeError> {
        if !is_plain(id) {
            return Ok(());
        }
        underway::give_up(&self.inner, id).await;
        let live = self.inner.live().remove(id);
        let destroyed = watch::destroy(&self.inner, id, live).await;
        // A start that was given up has used a prepared slot as well.
        self.wake_preparing();
        destroyed
    }

    async fn adopt(&self) -> Result<Vec<Found>, RuntimeError> {
        let inner = self.inner.clone();
        let survivors = blocking("adopt", move || adopt::survey(&inner)).await?;
        let found = adopt::take_over(&self.inner, survivors)?;
        self.start_preparing()?;
        Ok(found)
    }

    fn exits(&self) -> mpsc::UnboundedReceiver<Exit> {
        let taken = self.exits.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.unwrap_or_else(|| mpsc::unbounded_channel().1)
    }

    async fn freeze(&self, id: &str) -> Result<(), RuntimeError> {
        self.freezer(id, "freeze a sandbox", freezer::freeze).await
    }

    async fn thaw(&self, id: &str) -> Result<(), RuntimeError> {
        self.freezer(id, "thaw a sandbox", freezer::thaw).await
    }

    fn traffic(&self, id: &str) -> Result<Arc<dyn Traffic>, RuntimeError> {
        let slot = self.inner.live().get(id).map(|live| live.slot.number);
        let slot = slot.ok_or_else(|| RuntimeError::NotFound(id.to_owned()))?;
        let interface = self.inner.host.names.interface(slot);
        Ok(Arc::new(Tap::open(&interface).context("listen on the sandbox's interface")?))
    }

    async fn private_layer(&self, id: &str) -> Result<PrivateLayer, RuntimeError> {
        if !is_plain(id) {
            return Err(RuntimeError::NotFound(id.to_owned()));
        }
        let (inner, directory) = (self.inner.clone(), self.inner.host.paths.sandbox(id));
        blocking("open a sandbox's files", move || {
            layer::open(&inner.host.disks, &directory).context("open a sandbox's files")
        })
        .await
    }

    async fn usage(&self, id: &str) -> Result<Usage, RuntimeError> {
        let slot = self.inner.host.slots.slot_of(id).filter(|_| is_plain(id));
        let slot = slot.ok_or_else(|| RuntimeError::NotFound(id.to_owned()))?;
        let (inner, id) = (self.inner.clone(), id.to_owned());
        blocking("usage", move || {
            let host = &inner.host;
            let disk_bytes = host.disks.used(&host.paths.sandbox(&id), host.names.uid_base(slot.number));
            let disk_free_bytes = inner.live().get(&id).and_then(watch::disk_free);
            Ok(Usage { disk_bytes, disk_free_bytes, ..host.cgroups.usage(slot.number) })
        })
        .await
    }

    async fn kept_memory(&self, id: &str) -> u64 {
        if !is_plain(id) {
            return 0;
        }
        let memory = criu::Memory::of(&self.inner.host.paths.sandbox(id));
        blocking("measure a memory", move || Ok(memory.bytes())).await.unwrap_or_default()
    }

    fn effective(&self, limits: Limits) -> Limits {
        self.inner.host.limits(&limits)
    }

    async fn refusals(&self, id: &str) -> Result<Vec<Refusal>, RuntimeError> {
        let directory = self.inner.host.paths.sandbox(id);
        blocking("refusals", move || sidecar::refusals(&directory).context("read what was refused")).await
    }

    fn log(&self, id: &str) -> Option<Arc<Log>> {
        is_plain(id).then(|| self.inner.logs.get(id))
    }

    fn forget_logs(&self, id: &str) {
        if is_plain(id) {
            self.inner.logs.remove(id);
        }
    }

    fn keep_logs(&self, keep: &dyn Fn(&str) -> bool) {
        self.inner.logs.retain(keep);
    }

    async fn shutdown(&self) {
        let preparing = self.prepare.lock().unwrap_or_else(PoisonError::into_inner).take();
        let inner = self.inner.clone();
        let _ = blocking("shutdown", move || {
            inner.host.slots.close().into_iter().for_each(|prepared| inner.host.discard(prepared));
            if let Some(Preparing { wake, thread }) = preparing {
                drop(wake);
                // A slot it was busy with is discarded as well, and has to be gone below.
                let _ = thread.join();
            }
            inner.host.reaper.flush(SHUTDOWN_PATIENCE);
            inner.host.disks.release(SHUTDOWN_PATIENCE);
            // With no sandbox left, the host gets back what the next start makes again anyway.
            if inner.host.slots.is_idle() {
                inner.host.cgroups.remove_parents();
                firewall::remove(&inner.host.names);
                if let Err(error) = net::release_host(&inner.host.names) {
                    tracing::warn!(%error, "cannot take the sandboxes' gateway address away");
                }
            }
            Ok(())
        })
        .await;
    }
}
