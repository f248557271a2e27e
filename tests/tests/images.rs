//! The image store against a real registry. Needs root and Debian's `docker-registry` and `openssl`.
#![expect(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use lifecycle_server::image::{
    Credentials, ImageError, ImageStore, Phase, Platform, ProgressSink, StoreOptions,
};
use sandkeep_tests::registry::{
    Auth, Layer, Limit, PASSWORD, Proxy, Registry, USER, docker_archive, files, noise, oci_archive, tar,
};

fn options() -> StoreOptions {
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), variant: None };
    StoreOptions { min_free_bytes: 0, min_free_percent: 0, platform, ..StoreOptions::default() }
}

async fn store(dir: &Path) -> ImageStore {
    ImageStore::open(dir.join("store"), options()).await.unwrap()
}

async fn pull(store: &ImageStore, name: &str) -> Result<lifecycle_server::image::Image, ImageError> {
    store.pull(name, None, None, None, ProgressSink::none()).await
}

/// Three layers, each compressed another way; the last hides things in the first.
fn three_layers() -> Vec<Layer> {
    let base = tar(|t| {
        for dir in ["etc", "data"] {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Directory);
            header.set_mode(0o755);
            header.set_size(0);
            t.append_data(&mut header, dir, std::io::empty())?;
        }
        for (name, content) in [("etc/name", "base"), ("etc/gone", "old"), ("data/old", "old")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o4755);
            header.set_uid(33);
            header.set_gid(44);
            t.append_data(&mut header, name, content.as_bytes())?;
        }
        Ok(())
    });
    let middle = files(&[("big", &noise(300_000, 1))]);
    let top = files(&[
        ("etc/name", b"top"),
        ("etc/.wh.gone", b""),
        ("data/.wh..wh..opq", b""),
        ("data/new", b"new"),
    ]);
    vec![
        Layer::gzip(&base.unwrap()).unwrap(),
        Layer::zstd(&middle.unwrap()).unwrap(),
        Layer::plain(&top.unwrap()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_found_and_stacked() {
    let registry = Registry::start().await.unwrap();
    registry.push("app", "1", "amd64", &three_layers()).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let name = registry.name("app:1");
    assert_eq!(store.find(&name).await.unwrap(), None);
    let phases = Arc::new(Mutex::new(Vec::new()));
    let sink = ProgressSink::new({
        let phases = Arc::clone(&phases);
        move |progress| phases.lock().unwrap().push(progress)
    });
    let image = store.pull(&name, None, None, None, sink).await.unwrap();
    let phases = std::mem::take(&mut *phases.lock().unwrap());
    assert_eq!(phases.iter().filter(|p| p.phase == Phase::Done).count(), 3);
    assert!(phases.iter().any(|p| p.phase == Phase::Downloading && Some(p.bytes) == p.total));

    assert_eq!(image.names, std::slice::from_ref(&name));
    assert_eq!(image.layers.len(), 3);
    assert_eq!(fs::read_to_string(image.layers[0].join("etc/name")).unwrap(), "top");
    assert_eq!(image.config.env[1], ("GREETING".into(), "hi=there".into()));
    assert_eq!((image.config.user.as_str(), image.config.working_dir.as_str()), ("33", "/srv"));
    assert!(image.size_bytes > 300_000);
    for reference in [&name, &image.id, &image.digests[0]] {
        assert_eq!(store.find(reference).await.unwrap().as_ref(), Some(&image), "{reference}");
    }
    assert_merged_view(&image.layers, dir.path());
}

/// What a sandbox would see.
fn assert_merged_view(layers: &[std::path::PathBuf], dir: &Path) {
    let merged = dir.join("merged");
    fs::create_dir(&merged).unwrap();
    let lower: Vec<_> = layers.iter().map(|layer| layer.to_str().unwrap()).collect();
    let mount = |args: &[&str]| {
        assert!(Command::new(args[0]).args(&args[1..]).arg(&merged).status().unwrap().success())
    };
    mount(&["mount", "-t", "overlay", "overlay", "-o", &format!("ro,lowerdir={}", lower.join(":"))]);
    let listing = |sub: &str| {
        let mut names: Vec<_> = fs::read_dir(merged.join(sub))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names.join(" ")
    };
    let (etc, data, root) = (listing("etc"), listing("data"), listing(""));
    mount(&["umount"]);
    assert_eq!((etc.as_str(), data.as_str(), root.as_str()), ("name", "new", "big data etc"));
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_shared_between_images() {
    let registry = Registry::start().await.unwrap();
    let shared = Layer::gzip(&files(&[("big", &noise(2_000_000, 2))]).unwrap()).unwrap();
    let own = |text: &str| Layer::plain(&files(&[("own", text.as_bytes())]).unwrap());
    registry.push("a", "1", "amd64", &[shared.clone(), own("a")]).await.unwrap();
    registry.push("b", "1", "amd64", &[shared.clone(), own("b")]).await.unwrap();
    let proxy = Proxy::start(registry.port(), Limit::Never).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let a = pull(&store, &proxy.name("a:1")).await.unwrap();
    assert!(proxy.take_passed() > 2_000_000);
    let b = pull(&store, &proxy.name("b:1")).await.unwrap();
    assert!(proxy.take_passed() < 50_000);
    assert_eq!(a.layers[1], b.layers[1]);
    // Removing one leaves what the other needs.
    let removed = store.remove(&proxy.name("a:1")).await.unwrap();
    assert_eq!((removed.deleted, removed.freed.layers), (Some(a.id), 1));
    assert!(b.layers.iter().all(|layer| layer.exists()));
    let removed = store.remove(&b.id).await.unwrap();
    assert!(removed.freed.bytes > 2_000_000);
    assert_eq!(fs::read_dir(dir.path().join("store/layers")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(dir.path().join("store/blobs")).unwrap().count(), 0);
}

async fn assert_guarded(auth: Auth) {
    let mut registry = Registry::start().await.unwrap();
    registry.push("team/app", "1", "amd64", &three_layers()).await.unwrap();
    registry.guard(auth).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let name = registry.name("team/app:1");
    let with = |password: &str| Some(Credentials::Basic { username: USER.into(), password: password.into() });
    for wrong in [None, with("hunter2")] {
        let error = store.pull(&name, wrong, None, None, ProgressSink::none()).await.unwrap_err();
        assert!(matches!(error, ImageError::Unauthorized(_)), "{error:?}");
        assert!(
            error.to_string().contains("team/app:1") && !error.to_string().contains("hunter2"),
            "{error}"
        );
    }
    let image = store.pull(&name, with(PASSWORD), None, None, ProgressSink::none()).await.unwrap();
    assert_eq!(image.layers.len(), 3);
    // Credentials are not remembered for the next caller.
    assert!(matches!(pull(&store, &name).await, Err(ImageError::Unauthorized(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_passwords_is_served_with_the_right_one() {
    assert_guarded(Auth::Htpasswd).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_tokens_is_served_with_the_right_password() {
    assert_guarded(Auth::Token).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platform_is_chosen_from_a_list() {
    let registry = Registry::start().await.unwrap();
    let layer = |text: &str| Layer::plain(&files(&[("arch", text.as_bytes())]).unwrap());
    let amd = registry.push("multi", "amd", "amd64", &[layer("amd64")]).await.unwrap();
    let arm = registry.push("multi", "arm", "arm64", &[layer("arm64")]).await.unwrap();
    registry.push_index("multi", "latest", &[arm, amd]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let name = registry.name("multi");
    let asked = |architecture: &str| {
        Some(Platform { os: "linux".into(), architecture: architecture.into(), variant: None })
    };
    for (platform, expected) in [(None, "amd64"), (asked("arm64"), "arm64")] {
        let image = store.pull(&name, None, platform, None, ProgressSink::none()).await.unwrap();
        assert_eq!(fs::read_to_string(image.layers[0].join("arch")).unwrap(), expected);
        assert_eq!(image.platform.architecture, expected);
    }
    for (name, platform) in [(name, "s390x"), (registry.name("multi:arm"), "amd64")] {
        let error = store.pull(&name, None, asked(platform), None, ProgressSink::none()).await.unwrap_err();
        assert!(matches!(error, ImageError::NotFound(_)), "{error:?}");
        assert!(error.to_string().contains(platform) && error.to_string().contains("linux/arm64"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_are_imported_and_seen_by_others() {
    let dir = tempfile::tempdir().unwrap();
    let (server, cli) = (store(dir.path()).await, store(dir.path()).await);
    assert_eq!(server.find("app:1").await.unwrap(), None);
    let docker = dir.path().join("docker.tar");
    fs::write(&docker, docker_archive("app:1", &three_layers()).unwrap()).unwrap();
    let [image] = &cli.import(docker.clone(), &[]).await.unwrap()[..] else { panic!() };
    assert_eq!(image.names, ["docker.io/library/app:1"]);
    assert_eq!(server.find("app:1").await.unwrap().as_ref(), Some(image));

    // The same image again, compressed, under two other names; nothing is unpacked twice.
    let archive = oci_archive(&three_layers()).unwrap();
    let names = ["other:2".to_owned(), "ghcr.io/x/y:3".to_owned()];
    let compressed = Layer::gzip(&archive).unwrap().blob;
    let again = server.import_stream(&compressed[..], &names).await.unwrap();
    assert_eq!(again[0].id, image.id);
    assert_eq!(cli.find("ghcr.io/x/y:3").await.unwrap().unwrap().names.len(), 3);
    assert_eq!(cli.list().await.unwrap().len(), 1);

    for (archive, names) in [(archive, vec![]), (fs::read(docker).unwrap(), vec!["bad name".to_owned()])] {
        let error = cli.import_stream(&archive[..], &names).await.unwrap_err();
        assert!(matches!(error, ImageError::InvalidReference { .. }), "{error:?}");
    }
    for junk in [&b""[..], b"junk", &[0x1f, 0x8b, 0, 0], &noise(100_000, 3)] {
        let error = cli.import_stream(junk, &["x".to_owned()]).await.unwrap_err();
        assert!(matches!(error, ImageError::Corrupt(_) | ImageError::Unsupported(_)), "{error:?}");
    }
    assert_eq!(fs::read_dir(dir.path().join("store/work")).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_a_sandbox_uses_is_collected() {
    let registry = Registry::start().await.unwrap();
    let layer = |text: &str| Layer::plain(&files(&[("version", text.as_bytes())]).unwrap());
    registry.push("app", "latest", "amd64", &[layer("one")]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let name = registry.name("app");
    let one = pull(&store, &name).await.unwrap();
    store.lease(&one.id, "sandbox-1").await.unwrap();
    assert!(matches!(store.remove(&name).await, Err(ImageError::InUse(text)) if text.contains("sandbox-1")));
    assert!(store.find(&name).await.unwrap().is_some());

    // The tag moves on; the sandbox keeps what it has, across a restart of the server.
    registry.push("app", "latest", "amd64", &[layer("two")]).await.unwrap();
    let two = pull(&store, &name).await.unwrap();
    drop(store);
    let store = self::store(dir.path()).await;
    assert_eq!(store.leases().await.unwrap()[0].owner, "sandbox-1");
    assert_eq!(store.gc().await.unwrap(), Default::default());
    assert_eq!(fs::read_to_string(one.layers[0].join("version")).unwrap(), "one");
    assert_eq!(store.list().await.unwrap().len(), 2);

    store.release("sandbox-1").await.unwrap();
    store.release("sandbox-1").await.unwrap();
    let freed = store.gc().await.unwrap();
    assert_eq!((freed.images, freed.layers), (1, 1));
    assert!(!one.layers[0].exists() && two.layers[0].exists());
    assert!(matches!(store.lease(&one.id, "late").await, Err(ImageError::NotFound(_))));
    assert!(matches!(store.lease(&two.id, "../../x").await, Err(ImageError::InvalidReference { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_at_once_share_one_transfer() {
    let registry = Registry::start().await.unwrap();
    let layers: Vec<_> =
        (0..4).map(|i| Layer::plain(&files(&[("data", &noise(1_000_000, 10 + i))]).unwrap())).collect();
    registry.push("app", "1", "amd64", &layers).await.unwrap();
    let proxy = Proxy::start(registry.port(), Limit::Never).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    // As two processes would.
    let stores = [store(dir.path()).await, store(dir.path()).await];
    let name = proxy.name("app:1");
    let pulls: Vec<_> = (0..8)
        .map(|i| {
            let (store, name) = (stores[i % 2].clone(), name.clone());
            tokio::spawn(async move { pull(&store, &name).await })
        })
        .collect();
    for task in pulls {
        assert_eq!(task.await.unwrap().unwrap().layers.len(), 4);
    }
    let passed = proxy.take_passed();
    assert!(passed < 4_400_000, "{passed} bytes for an image of 4 MB");
}

#[tokio::test(flavor = "multi_thread")]
async fn finding_an_image_costs_next_to_nothing() {
    const ROUNDS: u32 = 5000;
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path()).await;
    let archive = docker_archive("python:3.12", &three_layers()).unwrap();
    store.import_stream(&archive[..], &[]).await.unwrap();
    let start = Instant::now();
    for _ in 0..ROUNDS {
        assert!(store.find("python:3.12").await.unwrap().is_some());
    }
    let each = start.elapsed() / ROUNDS;
    println!("find: {each:?}");
    // An optimised build takes a tenth of this.
    assert!(each < Duration::from_micros(500), "{each:?}");
}
