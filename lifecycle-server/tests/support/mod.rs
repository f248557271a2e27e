//! A runtime and an image source that live in memory, for tests of what stands above them.

#![allow(dead_code, unreachable_pub, reason = "every test binary uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a failed test is what a broken assumption should be")]

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::Ipv4Addr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use lifecycle_server::{
    runtime::{
        Exit, Found, Keep, LaunchReport, LaunchSpec, Limits, MemoryStop, PrivateLayer, Run, Runtime,
        RuntimeError, Slot, StartSpec, Traffic, Usage,
    },
    sandbox::{CreateSpec, ImageProblem, ImageRequest, Images, Origin, PreparedImage, ProblemKind},
};
use tokio::sync::{Notify, mpsc};

/// Remembers what it was told; every sandbox has the loopback address, so that a test can serve as its execd.
pub struct MemoryRuntime {
    pub reserved: Mutex<HashMap<String, Slot>>,
    pub alive: Mutex<HashMap<String, Slot>>,
    runs: Mutex<HashMap<String, Run>>,
    pub frozen: Mutex<HashSet<String>>,
    /// What `adopt` finds.
    pub found: Mutex<Vec<Found>>,
    pub fail_launch: AtomicBool,
    /// What every command asked for as a probe comes to.
    pub probes_fail: AtomicBool,
    exit_sender: mpsc::UnboundedSender<Exit>,
    exit_receiver: Mutex<Option<mpsc::UnboundedReceiver<Exit>>>,
}

impl Default for MemoryRuntime {
    fn default() -> Self {
        let (exit_sender, exit_receiver) = mpsc::unbounded_channel();
        Self {
            reserved: Mutex::default(),
            alive: Mutex::default(),
            runs: Mutex::default(),
            frozen: Mutex::default(),
            found: Mutex::default(),
            fail_launch: AtomicBool::new(false),
            probes_fail: AtomicBool::new(false),
            exit_sender,
            exit_receiver: Mutex::new(Some(exit_receiver)),
        }
    }
}

impl MemoryRuntime {
    pub fn end(&self, id: &str, code: Option<i32>) {
        let run = self.runs.lock().unwrap().entry(id.to_owned()).or_default().clone();
        let exit = Exit { id: id.to_owned(), run, code, oom_kills: 0 };
        self.exit_sender.send(exit).expect("the service listens");
    }

    fn end_run(&self, id: &str) {
        self.alive.lock().unwrap().remove(id);
        if let Some(run) = self.runs.lock().unwrap().remove(id) {
            run.finish();
        }
    }

    pub fn is_empty(&self) -> bool {
        self.reserved.lock().unwrap().is_empty() && self.alive.lock().unwrap().is_empty()
    }
}

#[async_trait]
impl Runtime for MemoryRuntime {
    fn reserve(&self, id: &str) -> Result<Slot, RuntimeError> {
        let mut reserved = self.reserved.lock().unwrap();
        let number = u16::try_from(reserved.len() + 1).unwrap();
        let slot = Slot { number, address: Ipv4Addr::LOCALHOST };
        reserved.insert(id.to_owned(), slot);
        Ok(slot)
    }

    fn release(&self, id: &str) {
        self.reserved.lock().unwrap().remove(id);
    }

    async fn launch(&self, spec: &LaunchSpec) -> Result<LaunchReport, RuntimeError> {
        if self.fail_launch.load(Ordering::SeqCst) {
            return Err(RuntimeError::StartFailed("no such program".to_owned()));
        }
        self.alive.lock().unwrap().insert(spec.id.clone(), spec.slot);
        Ok(LaunchReport::default())
    }

    async fn destroy(&self, id: &str) -> Result<(), RuntimeError> {
        self.end_run(id);
        self.frozen.lock().unwrap().remove(id);
        self.release(id);
        Ok(())
    }

    async fn adopt(&self) -> Result<Vec<Found>, RuntimeError> {
        let found = self.found.lock().unwrap().clone();
        for sandbox in found.iter().filter(|sandbox| sandbox.alive) {
            self.alive.lock().unwrap().insert(sandbox.id.clone(), sandbox.slot);
        }
        Ok(found)
    }

    fn exits(&self) -> mpsc::UnboundedReceiver<Exit> {
        self.exit_receiver.lock().unwrap().take().expect("taken once")
    }

    async fn stop(&self, id: &str, _keep: Keep) -> Result<bool, RuntimeError> {
        self.end_run(id);
        Ok(false)
    }

    async fn start(&self, wish: &StartSpec) -> Result<LaunchReport, RuntimeError> {
        if self.fail_launch.load(Ordering::SeqCst) {
            return Err(RuntimeError::StartFailed("no such program".to_owned()));
        }
        let slot = self.reserved.lock().unwrap()[&wish.id];
        self.alive.lock().unwrap().insert(wish.id.clone(), slot);
        Ok(LaunchReport::default())
    }

    async fn answers(&self, _slot: Slot, _execd_token: &str) -> bool {
        true
    }

    async fn succeeds(
        &self,
        _slot: Slot,
        _execd_token: &str,
        _command: &str,
        _limit: Duration,
    ) -> Result<bool, RuntimeError> {
        Ok(!self.probes_fail.load(Ordering::SeqCst))
    }

    async fn memory_stop(&self) -> MemoryStop {
        MemoryStop { version: None, reason: Some("nothing here has memory".to_owned()) }
    }

    async fn freeze(&self, id: &str) -> Result<(), RuntimeError> {
        self.frozen.lock().unwrap().insert(id.to_owned());
        Ok(())
    }

    async fn thaw(&self, id: &str) -> Result<(), RuntimeError> {
        self.frozen.lock().unwrap().remove(id);
        Ok(())
    }

    fn traffic(&self, _id: &str) -> Result<Arc<dyn Traffic>, RuntimeError> {
        Ok(Arc::new(Silence))
    }

    async fn private_layer(&self, id: &str) -> Result<PrivateLayer, RuntimeError> {
        Err(RuntimeError::NotFound(id.to_owned()))
    }

    async fn usage(&self, _id: &str) -> Result<Usage, RuntimeError> {
        Ok(Usage::default())
    }

    async fn shutdown(&self) {}
}

/// A network on which nothing happens.
struct Silence;

#[async_trait]
impl Traffic for Silence {
    fn moved(&self) -> bool {
        false
    }

    async fn arrival(&self) {
        std::future::pending().await
    }
}

/// Has every image but those named `missing…`; those named `slow…` come when the test says so.
#[derive(Default)]
pub struct MemoryImages {
    pub owners: Mutex<HashSet<String>>,
    pub slow_ones: Notify,
}

#[async_trait]
impl Images for MemoryImages {
    async fn acquire(&self, request: &ImageRequest, owner: &str) -> Result<PreparedImage, ImageProblem> {
        if request.reference.starts_with("missing") {
            let message = format!("image {} does not exist", request.reference);
            return Err(ImageProblem { kind: ProblemKind::NotFound, message });
        }
        self.owners.lock().unwrap().insert(owner.to_owned());
        if request.reference.starts_with("slow") {
            self.slow_ones.notified().await;
        }
        Ok(PreparedImage {
            id: request.reference.clone(),
            layers: vec![],
            env: vec![],
            working_dir: String::new(),
            user: None,
        })
    }

    async fn release(&self, owner: &str) -> Result<(), ImageProblem> {
        self.owners.lock().unwrap().remove(owner);
        Ok(())
    }

    async fn owners(&self) -> Result<Vec<String>, ImageProblem> {
        Ok(self.owners.lock().unwrap().iter().cloned().collect())
    }
}

/// A small valid wish.
pub fn spec(image: &str) -> CreateSpec {
    CreateSpec {
        image: ImageRequest {
            reference: image.to_owned(),
            id: None,
            credentials: None,
            platform: None,
            tenant: None,
        },
        snapshot_id: None,
        volumes: vec![],
        entrypoint: vec!["sleep".to_owned(), "inf".to_owned()],
        env: BTreeMap::new(),
        metadata: BTreeMap::new(),
        timeout: Some(Duration::from_secs(600)),
        limits: Limits::default(),
        extensions: BTreeMap::new(),
        platform: None,
        hooks: None,
        readiness: None,
        secure_access: false,
        egress: None,
        owner: None,
        origin: Origin::Image,
        key: None,
    }
}
