//! A bed for tests of the native runtime: root only, a network namespace of its own, images made of busybox.
//!
//! Nothing is skipped: a missing prerequisite fails the test and says what to install.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "in a test a failure may well be a panic")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use lifecycle_server::runtime::{
    Exit, LaunchReport, LaunchSpec, Limits, Runtime, RuntimeError,
    native::{NativeConfig, NativeRuntime, OverlayWay},
};
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Longest wait for anything in these tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Stands in for execd: announces that it is ready and becomes the entrypoint.
const EXECD: &str = "#!/bin/sh
while [ \"$1\" != \"--\" ]; do shift; done
shift
echo r >&3
exec 3>&-
[ $# -gt 0 ] && exec \"$@\"
exec sleep 100000
";

/// One runtime with its own state directory.
pub struct Bed {
    pub dir: Arc<TempDir>,
    pub config: NativeConfig,
    pub runtime: Arc<NativeRuntime>,
    pub exits: mpsc::UnboundedReceiver<Exit>,
    /// The four characters that mark everything this runtime makes.
    pub tag: String,
}

/// Runs a test in a network namespace of its own: neither the host nor another test can disturb it, or be disturbed.
pub fn in_own_network<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    assert!(is_root(), "these tests need root: run them with sudo");
    for (program, package) in
        [("nft", "nftables"), ("ip", "iproute2"), ("busybox", "busybox-static"), ("mkfs.ext4", "e2fsprogs")]
    {
        let found = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
            .iter()
            .any(|dir| Path::new(dir).join(program).exists());
        assert!(found, "these tests need {program}: apt-get install {package}");
    }
    let thread = std::thread::spawn(move || {
        enter_new_network();
        let threads =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        threads.block_on(test());
        threads.shutdown_timeout(Duration::from_secs(5));
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Gives the calling thread (and threads and processes it starts) an empty network namespace.
pub fn enter_new_network() {
    // SAFETY: takes one integer and concerns this thread only.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "{}", std::io::Error::last_os_error());
}

fn is_root() -> bool {
    // SAFETY: no arguments, cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Runs a command of the host and returns its output.
pub fn sh(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// An image layer with busybox and nothing else.
pub fn busybox_layer(at: &Path) -> PathBuf {
    let layer = at.join("layer");
    fs::create_dir_all(layer.join("bin")).unwrap();
    let busybox =
        ["/bin/busybox", "/usr/bin/busybox"].into_iter().find(|path| Path::new(path).exists()).unwrap();
    fs::copy(busybox, layer.join("bin/busybox")).unwrap();
    for applet in sh("busybox --list").lines().filter(|name| *name != "busybox") {
        let _ = std::os::unix::fs::symlink("busybox", layer.join("bin").join(applet));
    }
    layer
}

/// The way to mount overlays that these tests run with: what suits the kernel, or the one the environment names.
pub fn overlay_way() -> OverlayWay {
    match std::env::var("SANDKEEP_TEST_OVERLAY").as_deref() {
        Ok("attached") => OverlayWay::Attached,
        Ok("detached") => OverlayWay::Detached,
        Ok(other) => panic!("SANDKEEP_TEST_OVERLAY is {other:?}, not attached or detached"),
        Err(_) => OverlayWay::Auto,
    }
}

impl Drop for Bed {
    /// Ends what is left after a test that failed (or did not care): no later run should find it.
    fn drop(&mut self) {
        if let Ok(threads) = tokio::runtime::Handle::try_current() {
            // This thread runs the test and cannot wait here for anything asynchronous; another one can.
            std::thread::scope(|scope| {
                let shutdown = scope.spawn(|| threads.block_on(self.runtime.shutdown()));
                drop(shutdown.join());
            });
        }
        let cgroups =
            format!("find /sys/fs/cgroup -depth -type d -path '*/sandkeep-{}*' 2>/dev/null", self.tag);
        let sweep = format!(
            "for try in $(seq 50); do \
               left=$({cgroups}); [ -z \"$left\" ] && exit; \
               for dir in $left; do xargs -r kill -9 <$dir/cgroup.procs; done; \
               rmdir $left; sleep 0.1; \
             done"
        );
        let _ = Command::new("sh").args(["-c", &sweep]).stderr(std::process::Stdio::null()).status();
    }
}

impl Bed {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A bed whose configuration `change` has touched.
    pub async fn with(change: impl FnOnce(&mut NativeConfig)) -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        busybox_layer(dir.path());
        let execd = dir.path().join("execd");
        fs::write(&execd, EXECD).unwrap();
        fs::set_permissions(&execd, fs::Permissions::from_mode(0o755)).unwrap();
        let mut config = NativeConfig::new(dir.path().join("state"), execd);
        config.launcher = Some(PathBuf::from(env!("CARGO_BIN_EXE_lifecycle-server")));
        config.prepared_slots = 2;
        config.overlay = overlay_way();
        change(&mut config);
        let bed = Self::start(dir, config);
        bed.runtime.adopt().await.unwrap();
        bed
    }

    /// Starts a runtime without adopting.
    pub fn start(dir: Arc<TempDir>, config: NativeConfig) -> Self {
        let runtime = NativeRuntime::new(config.clone()).unwrap();
        let exits = runtime.exits();
        let tables = sh("nft list tables");
        let tag = tables.lines().find_map(|line| line.strip_prefix("table inet sandkeep_"));
        let tag = tag.expect("no firewall table").to_owned();
        Self { dir, config, runtime, exits, tag }
    }

    /// What to launch: `script` run by the sandbox's shell.
    pub fn spec(&self, script: &str) -> LaunchSpec {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let id = format!("{number:08x}-0000-4000-8000-{:012x}", std::process::id());
        LaunchSpec {
            slot: self.runtime.reserve(&id).unwrap(),
            id,
            layers: vec![self.dir.path().join("layer")],
            volumes: vec![],
            entrypoint: ["sh", "-c", script].map(str::to_owned).into(),
            env: vec![("GREETING".into(), "hello".into())],
            cwd: "/srv/here".into(),
            user: None,
            limits: Limits::default(),
            execd_token: "t0ken".into(),
            nested_isolation: false,
            standby: false,
            pre_start: Duration::ZERO,
            sidecar: None,
        }
    }

    pub async fn launch(&self, script: &str) -> LaunchSpec {
        let spec = self.spec(script);
        self.start_spec(&spec).await.unwrap();
        spec
    }

    pub async fn start_spec(&self, spec: &LaunchSpec) -> Result<LaunchReport, RuntimeError> {
        self.runtime.launch(spec).await
    }

    /// Runs a script to its end and returns what it printed.
    pub async fn output(&self, script: &str) -> String {
        let spec = self.launch(&format!("{{ {script}\n}} 2>&1; echo END; sleep 100000")).await;
        let text = self.printed(&spec.id, "END").await;
        self.runtime.destroy(&spec.id).await.unwrap();
        text
    }

    /// Waits until a sandbox has printed a line that is `mark`, and returns what came before it.
    pub async fn printed(&self, id: &str, mark: &str) -> String {
        let since = Instant::now();
        loop {
            let text = self.runtime.log(id).unwrap().tail(usize::MAX);
            if let Some(before) = text.strip_suffix(&format!("{mark}\n")) {
                return before.to_owned();
            }
            assert!(since.elapsed() < PATIENCE, "{mark} never came: {text}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The next end of a sandbox: its id, status, and whether the memory limit had killed something.
    pub async fn exit(&mut self) -> (String, Option<i32>, bool) {
        let exit = tokio::time::timeout(PATIENCE, self.exits.recv()).await.expect("no exit was reported");
        exit.map(|exit| (exit.id, exit.code, exit.oom_kills > 0)).unwrap()
    }

    /// Everything the runtime holds on the host, counted by kind.
    pub fn holdings(&self) -> BTreeMap<&'static str, usize> {
        let (tag, state) = (&self.tag, self.config.state_dir.display().to_string());
        let listed = |directory: &str| fs::read_dir(self.config.state_dir.join(directory)).unwrap().count();
        let cgroup = format!("sandkeep-{tag}");
        BTreeMap::from([
            ("interfaces", sh("ip -o link").matches(&format!("sk{tag}")).count()),
            ("routes", sh("ip route").lines().filter(|line| line.contains(&format!("sk{tag}"))).count()),
            (
                "cgroups",
                sh(&format!("find /sys/fs/cgroup -path '*/{cgroup}*' -type d 2>/dev/null || true"))
                    .lines()
                    .count(),
            ),
            ("firewall tables", sh("nft list tables").lines().count()),
            ("sandboxes", listed("sandboxes")),
            ("slots", listed("slots")),
            ("trash", listed("trash")),
            ("loop devices", sh("losetup --list --noheadings --output BACK-FILE").matches(&state).count()),
            ("mounts", fs::read_to_string("/proc/mounts").unwrap().matches(&state).count()),
            ("processes", sh(&format!("grep -ls '{cgroup}/' /proc/[0-9]*/cgroup || true")).lines().count()),
        ])
    }

    /// Waits until nothing is left but what is prepared for later, ends the runtime, and expects nothing at all.
    pub async fn expect_clean_end(self) {
        self.runtime.shutdown().await;
        let since = Instant::now();
        loop {
            let holdings = self.holdings();
            if holdings.values().all(|count| *count == 0) {
                return;
            }
            assert!(since.elapsed() < PATIENCE, "left behind: {holdings:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
