//! A sandbox from an image that lies in a registry and nowhere else.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use sandkeep_tests::{
    api::{create_body, eventually},
    paths,
    registry::{
        Auth, Endless, EndlessRegistry, Layer, Limit, PASSWORD, Proxy, Registry, USER, docker_archive, files,
        noise,
    },
    server::{Server, Setup},
};
use serde_json::{Value, json};

/// Longest wait for a pull on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Gives one member of a tar archive.
fn member(archive: &Path, name: &str) -> Result<Vec<u8>> {
    let output = Command::new("tar").arg("-xOf").arg(archive).arg(name).output()?;
    ensure!(
        output.status.success(),
        "{name} of {}: {}",
        archive.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

/// The base image's layers, as they would lie in a registry.
fn base_layers() -> Result<Vec<Layer>> {
    let archive = paths::base_image()?;
    let manifest: Value = serde_json::from_slice(&member(&archive, "manifest.json")?)?;
    let names = manifest[0]["Layers"].as_array().context("an image has layers")?;
    names
        .iter()
        .map(|name| Ok(Layer::plain(&member(&archive, name.as_str().context("a layer's name")?)?)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_pulls_with_the_callers_credentials() -> Result<()> {
    let mut registry = Registry::start().await?;
    registry.push("team/base", "v1", "amd64", &base_layers()?).await?;
    registry.guard(Auth::Htpasswd).await?;
    let server = Server::start(Setup::default().without_image())?;
    let api = server.api();
    let image = registry.name("team/base:v1");
    let create = |image: &str, password: Option<&str>| {
        let auth = password.map(|password| json!({"username": USER, "password": password}));
        let mut source = json!({"uri": image});
        if let Some(auth) = auth {
            source["auth"] = auth;
        }
        create_body(json!({"image": source}))
    };

    for (name, password) in
        [(&image, None), (&image, Some("wrong")), (&registry.name("team/base:no"), Some(PASSWORD))]
    {
        let answer = api.post("/v1/sandboxes", &create(name, password)).await?;
        let (code, message) = answer.expect_error(400).with_context(|| format!("{name} {password:?}"))?;
        assert_eq!(code, "SANDBOX::IMAGE_PULL_FAILED");
        ensure!(message.contains("team/base"), "the image is not named: {message}");
        ensure!(!message.contains("wrong"), "the password is shown: {message}");
    }
    assert_eq!(api.ids().await?, Vec::<String>::new(), "a failed pull leaves no sandbox");
    assert_eq!(api.get("/v1/images").await?.expect(200)?.json()?["items"], json!([]), "nor an image");

    let created = api.post("/v1/sandboxes", &create(&image, Some(PASSWORD))).await?.expect(202)?.json()?;
    let sandbox = sandkeep_tests::api::Sandbox {
        id: created["id"].as_str().context("an id")?.to_owned(),
        api: api.clone(),
    };
    let shown = sandbox.wait_state("Running").await?;
    ensure!(!shown.to_string().contains(PASSWORD), "the password is shown: {shown}");
    ensure!(!server.log().contains(PASSWORD), "the password is in the log");
    let execd = sandbox.execd().await?;
    let said = execd.output("echo $GREETING; id -u; pwd").await?;
    assert_eq!(said, "hi=there\n33\n/srv", "the image's environment, user and directory");

    let images = api.get("/v1/images").await?.expect(200)?.json()?;
    ensure!(images.to_string().contains("team/base:v1"), "the image is not listed: {images}");
    let delete = format!("/v1/images/{image}");
    api.delete(&delete).await?.expect_error(409).context("an image in use")?;
    // What is here needs no registry any more.
    drop(registry);
    let again = api.create(json!({"image": {"uri": image}})).await?;
    again.delete().await?;
    sandbox.delete().await?;
    api.delete(&delete).await?.expect(204)?;
    assert_eq!(api.get("/v1/images").await?.expect(200)?.json()?["items"], json!([]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_without_an_end_is_cut_off() -> Result<()> {
    /// What may be under way in the sockets' buffers comes on top of what is read.
    const TAKEN: u64 = 32 << 20;
    const KEPT_KIB: u64 = 8 << 10;
    let server = Server::start(Setup::default().without_image())?;
    let api = server.api();
    for (endless, status, why) in [
        (Endless::Manifest, 400, "a manifest of more than 4096 KiB"),
        (Endless::Config, 400, "configuration: expected sha256:"),
        (Endless::Error, 503, "answers 500"),
        (Endless::Token, 400, "a token of more than 256 KiB"),
        (Endless::TokenError, 400, "these credentials"),
    ] {
        let registry = EndlessRegistry::start(endless).await?;
        let body = create_body(json!({"image": {"uri": registry.name("team/base:v1")}}));
        let mut before = 0;
        // What the first does for the first time stays.
        for _ in 0..2 {
            before = server.private_kib()?;
            let (code, message) = api.post("/v1/sandboxes", &body).await?.expect_error(status)?;
            ensure!(code == "SANDBOX::IMAGE_PULL_FAILED" && message.contains(why), "{code}: {message}");
            ensure!(message.len() < 1000, "{} bytes of message", message.len());
            let taken = registry.take_taken();
            ensure!(taken < TAKEN, "{endless:?}: {taken} bytes were taken");
        }
        let after = server.private_kib()?;
        ensure!(after < before + KEPT_KIB, "{endless:?}: from {before} to {after} KiB");
    }
    assert_eq!(api.ids().await?, Vec::<String>::new(), "a failed pull leaves no sandbox");
    assert_eq!(api.get("/v1/images").await?.expect(200)?.json()?["items"], json!([]), "nor an image");
    for part in ["blobs", "layers", "partial", "pins", "work"] {
        let left = std::fs::read_dir(server.state().join("images").join(part))?.count();
        assert_eq!(left, 0, "nor anything on the way to one: {part}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_stalls_is_given_up_and_asked_again() -> Result<()> {
    const LAYER: usize = 4_000_000;
    let registry = Registry::start().await?;
    let layer = Layer::plain(&files(&[("data", &noise(LAYER, 1))])?);
    registry.push("team/slow", "v1", "amd64", &[layer]).await?;
    let setup = Setup::default().without_image().set("images", "stall_timeout_seconds = 1");
    let server = Server::start(setup)?;
    let api = server.api();
    // It says nothing at all, and it stops in the middle of a layer.
    for (limit, creates) in [(Limit::Stall(0), true), (Limit::Stall(LAYER as u64 / 2), false)] {
        let proxy = Proxy::start(registry.port(), limit).await?;
        let image = json!({"uri": proxy.name("team/slow:v1")});
        // The entrypoint is not there: what matters is whether a create comes as far as that.
        let body = create_body(json!({"image": image, "entrypoint": ["/no/such"]}));
        let (path, asked) = if creates { ("/v1/sandboxes", &body) } else { ("/v1/images/pull", &image) };
        let answer = api.post(path, asked).await?;
        let (code, message) = answer.expect_error(504).with_context(|| format!("{limit:?}"))?;
        ensure!(code == "SANDBOX::IMAGE_PULL_FAILED" && message.contains("team/slow"), "{code}: {message}");
        assert_eq!(api.ids().await?, Vec::<String>::new(), "a failed pull leaves no sandbox");
        assert_eq!(api.get("/v1/images").await?.expect(200)?.json()?["items"], json!([]), "nor an image");
        proxy.set_limit(Limit::Never);
        // On a busy machine a registry that is well may be silent for as long, too.
        eventually("the next pull works", PATIENCE, async || {
            let answer = api.post("/v1/sandboxes", &body).await?;
            ensure!([400, 504].contains(&answer.status), "{answer:?}");
            Ok(answer.json()?["code"] == "SANDBOX::START_FAILED")
        })
        .await?;
        let name = proxy.name("team/slow:v1");
        api.delete(&format!("/v1/images/{name}")).await?.expect(204)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn images_come_over_the_api() -> Result<()> {
    let mut registry = Registry::start().await?;
    let layers = [Layer::plain(&files(&[("etc/told", b"from the registry")])?)];
    registry.push("team/small", "v1", "amd64", &layers).await?;
    registry.guard(Auth::Htpasswd).await?;
    let server = Server::start(Setup::default().without_image())?;
    let api = server.api();
    let image = registry.name("team/small:v1");
    let refused = api.post("/v1/images/pull", &json!({"uri": image})).await?;
    ensure!((400..500).contains(&refused.status), "{refused:?}");
    assert_eq!(api.get("/v1/images").await?.expect(200)?.json()?["items"], json!([]));
    let auth = json!({"username": USER, "password": PASSWORD});
    let pulled = api.post("/v1/images/pull", &json!({"uri": image, "auth": auth})).await?.expect(200)?;
    let pulled = pulled.json()?;
    assert_eq!(pulled["names"], json!([image]));
    ensure!(pulled["sizeBytes"].as_u64() >= Some(17), "{pulled}");

    let other = [Layer::plain(&files(&[("etc/told", b"from an archive")])?)];
    let request = Request::post(format!("{}/v1/images/import?name=brought/along:v2", api.base))
        .header("open-sandbox-api-key", &api.key)
        .header("content-type", "application/x-tar")
        .body(Full::new(Bytes::from(docker_archive("its/own:name", &other)?)))?;
    let imported = api.request(request).await?.expect(200)?.json()?;
    let name = imported["items"][0]["names"][0].as_str().context("an imported image has a name")?;
    ensure!(name.ends_with("brought/along:v2"), "{imported}");
    ensure!(imported["items"][0]["id"] != pulled["id"], "two images with one id: {imported}");
    let listed = api.get("/v1/images").await?.expect(200)?.json()?;
    for image in [&pulled, &imported["items"][0]] {
        let items = listed["items"].as_array().context("a list has items")?;
        ensure!(items.iter().any(|item| item["id"] == image["id"]), "{image} is not in {listed}");
    }
    api.delete(&format!("/v1/images/{name}")).await?.expect(204)?;
    let left = api.get("/v1/images").await?.expect(200)?.json()?;
    assert_eq!(left["items"].as_array().map(Vec::len), Some(1), "{left}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_keeps_images() -> Result<()> {
    let registry = Registry::start().await?;
    registry.push("base", "latest", "amd64", &base_layers()?).await?;
    let server = Server::start(Setup::default().without_image())?;
    let image = registry.name("base:latest");
    server.cli_ok(&["image", "pull", &image])?;
    ensure!(server.cli_ok(&["image", "list"])?.contains("base"), "the pulled image is not listed");
    // The server sees at once what another process has pulled.
    drop(registry);
    let sandbox = server.api().create(json!({"image": {"uri": image}})).await?;
    let refused = server.cli(&["image", "rm", &image])?;
    ensure!(!refused.status.success(), "an image in use was removed");
    sandbox.delete().await?;
    server.cli_ok(&["image", "rm", &image])?;
    ensure!(!server.cli_ok(&["image", "list"])?.contains("base"), "the removed image is still listed");
    let missing = server.cli(&["image", "import", "/no/such.tar", "--name", "x:y"])?;
    ensure!(String::from_utf8_lossy(&missing.stderr).contains("/no/such.tar"), "{missing:?}");
    Ok(())
}
