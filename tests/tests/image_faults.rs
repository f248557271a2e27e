//! Pulls that go wrong: registries that are missing, lying, slow or cut off, full disks, killed processes. Whatever
//! happens, nothing half done is to be seen, and the next pull works.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use lifecycle_server::image::{Image, ImageError, ImageStore, Platform, ProgressSink, StoreOptions};
use sandkeep_tests::registry::{Layer, Limit, Proxy, Registry, files, noise};

const STALL: Duration = Duration::from_secs(2);
/// For pulls that are to succeed on a machine busy with other tests.
const PATIENCE: Duration = Duration::from_secs(30);
const LAYER: usize = 4_000_000;

async fn open(dir: &Path) -> ImageStore {
    open_with(dir, STALL).await
}

async fn open_with(dir: &Path, stall_timeout: Duration) -> ImageStore {
    let options = StoreOptions {
        min_free_bytes: 0,
        min_free_percent: 0,
        stall_timeout,
        connect_timeout: STALL,
        platform: Platform { os: "linux".into(), architecture: "amd64".into(), variant: None },
        ..StoreOptions::default()
    };
    ImageStore::open(dir.to_owned(), options).await.unwrap()
}

async fn pull(store: &ImageStore, name: &str) -> Result<Image, ImageError> {
    store.pull(name, None, None, None, ProgressSink::none()).await
}

fn noisy_layer(seed: u64) -> Layer {
    Layer::plain(&files(&[("data", &noise(LAYER, seed))]).unwrap())
}

fn count(dir: PathBuf) -> usize {
    fs::read_dir(dir).unwrap().count()
}

/// No image, no layer, nothing on the way to one.
async fn assert_empty(store: &ImageStore, dir: &Path) {
    assert_no_image(store, dir).await;
    assert_eq!(count(dir.join("layers")), 0);
}

/// No image; at most layers that are complete, which the next pull uses.
async fn assert_no_image(store: &ImageStore, dir: &Path) {
    assert_eq!(store.list().await.unwrap(), []);
    for part in ["work", "pins", "blobs"] {
        let part = dir.join(part);
        let left: Vec<_> = fs::read_dir(&part).unwrap().map(|e| e.unwrap().file_name()).collect();
        // A lock that was held by a task that was cut is an empty file, taken by the next collection.
        assert!(
            left.iter().all(|name| name.to_string_lossy().ends_with(".lock")),
            "{}: {left:?}",
            part.display()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_said_so() {
    let registry = Registry::start().await.unwrap();
    registry.push("app", "1", "amd64", &[]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    for name in [registry.name("app:2"), registry.name("nothing/here:1")] {
        let error = pull(&store, &name).await.unwrap_err();
        assert!(matches!(error, ImageError::NotFound(_)), "{error:?}");
        assert!(error.to_string().contains(&name), "{error}");
    }
    let error = pull(&store, "127.0.0.1:1/app").await.unwrap_err();
    assert!(matches!(error, ImageError::RegistryUnreachable(_)), "{error:?}");
    assert!(matches!(pull(&store, "NOT//A NAME").await, Err(ImageError::InvalidReference { .. })));
    assert_empty(&store, dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_not_what_its_digest_says_is_refused() {
    let registry = Registry::start().await.unwrap();
    let layer = noisy_layer(1);
    registry.push("app", "1", "amd64", std::slice::from_ref(&layer)).await.unwrap();
    let path = registry.blob_file(&layer.blob_digest());
    let good = fs::read(&path).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let name = registry.name("app:1");
    let mut changed = good.clone();
    changed[LAYER / 2] ^= 1;
    let longer = [&good[..], b"more"].concat();
    for bad in [&changed, &longer] {
        fs::write(&path, bad).unwrap();
        let error = pull(&store, &name).await.unwrap_err();
        assert!(matches!(error, ImageError::DigestMismatch { .. }), "{error:?}");
        assert!(error.to_string().contains(&layer.blob_digest()[..19]), "{error}");
        assert_empty(&store, dir.path()).await;
        assert_eq!(count(dir.path().join("partial")), 0);
    }
    fs::write(&path, &good[..LAYER / 2]).unwrap();
    let error = pull(&store, &name).await.unwrap_err();
    assert!(
        matches!(error, ImageError::RegistryUnreachable(_) | ImageError::DigestMismatch { .. }),
        "{error:?}"
    );
    assert_empty(&store, dir.path()).await;
    fs::write(&path, &good).unwrap();
    assert_eq!(pull(&store, &name).await.unwrap().size_bytes, LAYER as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_is_not_the_one_of_the_configuration_is_refused() {
    let registry = Registry::start().await.unwrap();
    let mut lying = noisy_layer(1);
    lying.diff_id = noisy_layer(2).diff_id;
    registry.push("app", "1", "amd64", &[lying]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let error = pull(&store, &registry.name("app:1")).await.unwrap_err();
    assert!(matches!(error, ImageError::DigestMismatch { .. }), "{error:?}");
    assert_empty(&store, dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_registry_is_given_up_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let name = format!("{}/app", listener.local_addr().unwrap());
    let start = Instant::now();
    let error = pull(&store, &name).await.unwrap_err();
    assert!(matches!(error, ImageError::Stalled(_)), "{error:?}");
    assert!(error.to_string().contains(&name), "{error}");
    assert!(start.elapsed() < STALL * 4, "{:?}", start.elapsed());
    assert_empty(&store, dir.path()).await;
}

/// Breaks a pull of 8 MB when half has passed, and counts what the second takes.
async fn assert_resumed(limit: fn(u64) -> Limit) {
    let registry = Registry::start().await.unwrap();
    registry.push("app", "1", "amd64", &[noisy_layer(1), noisy_layer(2)]).await.unwrap();
    let half = LAYER as u64;
    let proxy = Proxy::start(registry.port(), limit(half)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let name = proxy.name("app:1");
    let start = Instant::now();
    let error = pull(&store, &name).await.unwrap_err();
    match limit(half) {
        Limit::Stall(_) => assert!(matches!(error, ImageError::Stalled(_)), "{error:?}"),
        _ => assert!(matches!(error, ImageError::RegistryUnreachable(_)), "{error:?}"),
    }
    assert!(start.elapsed() < STALL * 6, "{:?}", start.elapsed());
    assert_no_image(&store, dir.path()).await;
    assert!(proxy.take_passed() >= half);
    proxy.set_limit(Limit::Never);
    let image = pull(&store, &name).await.unwrap();
    let again = proxy.take_passed();
    assert!(again < LAYER as u64 * 2 * 60 / 100, "{again} bytes again");
    assert_eq!(image.size_bytes, LAYER as u64 * 2);
    assert!(fs::read(image.layers[0].join("data")).unwrap() == noise(LAYER, 2));
    assert_eq!(count(dir.path().join("partial")), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_stalled_at_half_is_continued() {
    assert_resumed(Limit::Stall).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_that_was_cut_at_half_is_continued() {
    assert_resumed(Limit::Cut).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_partial_download_is_begun_again() {
    let registry = Registry::start().await.unwrap();
    let layer = noisy_layer(1);
    registry.push("app", "1", "amd64", std::slice::from_ref(&layer)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let hex = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
    for length in [LAYER / 2, LAYER * 2] {
        let partial = format!("{}-{}", hex(&layer.blob_digest()), hex(&layer.diff_id));
        fs::write(dir.path().join("partial").join(partial), vec![7; length]).unwrap();
        pull(&store, &registry.name("app:1")).await.unwrap();
        store.remove(&registry.name("app:1")).await.unwrap();
    }
}

/// A file system of a few megabytes.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(dir: &Path) -> Self {
        fs::create_dir(dir).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=10m", "tmpfs"]).arg(dir).status();
        assert!(mounted.unwrap().success());
        Self(dir.to_owned())
    }

    fn used_kib(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        (stat.f_blocks - stat.f_bfree) * stat.f_frsize / 1024
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_reported_and_given_back() {
    let registry = Registry::start().await.unwrap();
    // One that is too large to download, one that is too large only when unpacked.
    let too_large = Layer::plain(&files(&[("data", &noise(20_000_000, 1))]).unwrap());
    let grows = Layer::gzip(&files(&[("a", &vec![b'a'; 8_000_000]), ("b", &vec![b'b'; 8_000_000])]).unwrap())
        .unwrap();
    registry.push("download", "1", "amd64", &[too_large]).await.unwrap();
    registry.push("unpack", "1", "amd64", &[grows]).await.unwrap();
    registry.push("fits", "1", "amd64", &[noisy_layer(3)]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(&dir.path().join("disk"));
    let store = open(&disk.0).await;
    for name in ["download:1", "unpack:1"] {
        let error = pull(&store, &registry.name(name)).await.unwrap_err();
        assert!(matches!(error, ImageError::DiskFull(_)), "{error:?}");
        assert_empty(&store, &disk.0).await;
        assert!(disk.used_kib() < 200, "{} KiB are left after {name}", disk.used_kib());
    }
    let archive = noise(20_000_000, 1);
    assert!(matches!(
        store.import_stream(&archive[..], &["x".to_owned()]).await,
        Err(ImageError::DiskFull(_) | ImageError::Corrupt(_))
    ));
    assert!(disk.used_kib() < 200, "{} KiB are left after an import", disk.used_kib());
    let image = pull(&store, &registry.name("fits:1")).await.unwrap();

    // Without room for a single byte nothing is begun, and what is held stays held.
    store.lease(&image.id, "held").await.unwrap();
    let ballast = dir.path().join("disk/ballast");
    fs::write(&ballast, noise(20_000_000, 2)).unwrap_err();
    for name in ["download:1", "unpack:1"] {
        let error = pull(&store, &registry.name(name)).await.unwrap_err();
        assert!(matches!(error, ImageError::DiskFull(_)), "{error:?}");
        assert_eq!(count(disk.0.join("pins")), 0, "after {name}");
    }
    assert!(matches!(store.lease(&image.id, "other").await, Err(ImageError::DiskFull(_))));
    store.lease(&image.id, "held").await.unwrap();
    let held: Vec<_> = store.leases().await.unwrap().into_iter().map(|lease| lease.owner).collect();
    assert_eq!((held, count(disk.0.join("leases"))), (vec!["held".to_owned()], 1));
    fs::remove_file(ballast).unwrap();
    store.lease(&image.id, "other").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserve_is_left_on_the_disk() {
    let registry = Registry::start().await.unwrap();
    registry.push("app", "1", "amd64", &[noisy_layer(1)]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let options = StoreOptions { min_free_bytes: u64::MAX / 2, ..StoreOptions::default() };
    let store = ImageStore::open(dir.path().to_owned(), options).await.unwrap();
    let error = pull(&store, &registry.name("app:1")).await.unwrap_err();
    assert!(matches!(&error, ImageError::DiskFull(text) if text.contains("reserve")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_leaves_stops_the_pull() {
    let registry = Registry::start().await.unwrap();
    registry.push("app", "1", "amd64", &[noisy_layer(1)]).await.unwrap();
    let proxy = Proxy::start(registry.port(), Limit::Stall(2_000_000)).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let name = proxy.name("app:1");
    assert!(tokio::time::timeout(STALL / 2, pull(&store, &name)).await.is_err());
    assert_empty(&store, dir.path()).await;
    proxy.set_limit(Limit::Never);
    pull(&store, &name).await.unwrap();
}

const CHILD_STORE: &str = "IMAGE_FAULTS_CHILD_STORE";
const CHILD_IMAGE: &str = "IMAGE_FAULTS_CHILD_IMAGE";

/// Not a test of its own: what [`a_killed_pull_leaves_nothing_in_sight`] kills.
#[tokio::test(flavor = "multi_thread")]
async fn child_that_pulls() {
    let (Ok(dir), Ok(image)) = (std::env::var(CHILD_STORE), std::env::var(CHILD_IMAGE)) else { return };
    let store = open_with(Path::new(&dir), PATIENCE).await;
    pull(&store, &image).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_pull_leaves_nothing_in_sight() {
    const ROUNDS: u64 = 12;
    // Memory: on a disk most of the time would go into deleting what earlier rounds made.
    const DISK: &str = "/dev/shm";
    let registry = Registry::start().await.unwrap();
    let many: Vec<_> = (0..2000).map(|i| (format!("d{}/f{i}", i % 50), noise(1000, i))).collect();
    let many: Vec<_> = many.iter().map(|(name, content)| (name.as_str(), content.as_slice())).collect();
    let layers = [noisy_layer(1), Layer::gzip(&files(&many).unwrap()).unwrap(), noisy_layer(2)];
    registry.push("app", "1", "amd64", &layers).await.unwrap();
    let name = registry.name("app:1");
    let mut unfinished = 0;
    for round in 0..ROUNDS {
        let dir = tempfile::tempdir_in(DISK).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_pulls"])
            .env(CHILD_STORE, dir.path())
            .env(CHILD_IMAGE, &name)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_millis(20 + round * 35)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open_with(dir.path(), PATIENCE).await;
        match &store.list().await.unwrap()[..] {
            [] => {
                unfinished += 1;
                // Layers that were complete may stay until they are collected; nothing else may.
                assert_eq!(count(dir.path().join("work")), 0);
                store.gc().await.unwrap();
                assert_eq!(count(dir.path().join("layers")) + count(dir.path().join("pins")), 0);
            }
            [image] => assert_eq!(image.layers.len(), 3),
            more => panic!("{more:?}"),
        }
        let image = pull(&store, &name).await.unwrap();
        assert!(fs::read(image.layers[0].join("data")).unwrap() == noise(LAYER, 2));
        assert_eq!(fs::read_dir(image.layers[1].join("d7")).unwrap().count(), 40);
    }
    assert!(unfinished > 0, "every pull was finished before it was killed");
}
