//! The server killed at every named step of what is made ahead (pools, their hand-over, templates) and of creates that
//! are repeated with a key: nobody gets what another had, nothing is made twice, nothing is left.

use std::{collections::BTreeSet, fs, time::Duration};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    api::{Answer, Api, Sandbox, create_body, eventually},
    leaks::Watch,
    paths::BASE_IMAGE,
    server::{Server, Setup},
};
use serde_json::{Value, json};

/// The server comes to the step it is to die at, and a restarted one to rest, within this time.
const PATIENCE: Duration = Duration::from_secs(60);
const POOL: &str = "ahead";

fn pool() -> Value {
    json!({
        "name": POOL,
        "template": {"spec": {"containers": [
            {"name": "sandbox", "image": BASE_IMAGE, "resources": {"limits": {"memory": "64Mi"}}},
        ]}},
        "capacitySpec": {"bufferMin": 1, "bufferMax": 1, "poolMin": 0, "poolMax": 9},
    })
}

fn from_pool(owner: &str) -> Value {
    json!({
        "extensions": {"poolRef": POOL}, "timeout": 600, "entrypoint": ["sleep", "infinity"], "env": {"OWNER": owner},
    })
}

async fn one_waits(api: &Api) -> Result<()> {
    eventually("one member waits", PATIENCE, async || {
        let pool = api.get(&format!("/v1/pools/{POOL}")).await?.expect(200)?.json()?;
        Ok(pool["status"]["available"] == 1)
    })
    .await
}

/// The sandbox a key leads to.
async fn made_by(api: &Api, key: &str, body: &Value) -> Result<String> {
    let made = api.create_once(key, body).await?.expect(202)?.json()?;
    Ok(made["id"].as_str().context("an id")?.to_owned())
}

/// Directories of sandboxes, members included.
fn directories(server: &Server) -> Result<BTreeSet<String>> {
    let entries = fs::read_dir(server.state().join("sandboxes"))?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Lets the server die at `point` of `act`, and starts it again.
async fn die_at(
    server: &Server,
    point: &'static str,
    act: impl Future<Output = Result<Answer>>,
) -> Result<()> {
    tokio::task::block_in_place(|| server.restart_to_die_at(point))?;
    // Whether it is still answered depends on the point.
    let _ = act.await;
    tokio::task::block_in_place(|| {
        server.wait_for_end(PATIENCE)?;
        server.restart()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_cut_off_leaves_no_member_with_two_owners() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    api.post("/v1/pools", &pool()).await?.expect(201)?;
    one_waits(&api).await?;
    let baseline = watch.settled().await?;
    let mut owned = BTreeSet::new();
    // The first two go on at once: only where both are over the caller may have been told.
    for (point, told) in
        [("handover.handed_over", false), ("handover.recorded", false), ("handover.done", true)]
    {
        let waiting = directories(&server)?;
        ensure!(waiting.len() == 1, "{point}: one member waits, there are {waiting:?}");
        die_at(&server, point, api.create_once(point, &from_pool(point))).await.context(point)?;
        let left = api.ids().await?;
        let taken: Vec<String> = waiting.into_iter().collect();
        let survives = left == taken;
        assert!(survives || (left.is_empty() && !told), "{point}: {left:?} of {taken:?}");
        // Whoever asks again with the key gets one sandbox, and never a member that another token has opened.
        let id = made_by(&api, point, &from_pool(point)).await.context(point)?;
        assert_eq!(made_by(&api, point, &from_pool(point)).await.context(point)?, id, "{point}: asked twice");
        assert_eq!(id == taken[0], survives, "{point}: {id} and {taken:?}");
        assert_eq!(api.ids().await?, [id.as_str()], "{point}");
        ensure!(owned.insert(id.clone()), "{point}: {id} had an owner before");
        let sandbox = Sandbox { id, api: api.clone() };
        let execd = sandbox.execd().await?;
        assert_eq!(execd.output("echo $OWNER; ls /srv").await?, point);
        execd.output("touch /srv/mine").await?;
        // The next owner finds nothing of the one before.
        one_waits(&api).await?;
        let next = made_by(&api, &format!("{point}.next"), &from_pool("next")).await?;
        ensure!(owned.insert(next.clone()), "{point}: {next} had an owner before");
        let other = Sandbox { id: next, api: api.clone() };
        assert_eq!(other.execd().await?.output("echo $OWNER; ls /srv").await?, "next");
        other.delete().await?;
        sandbox.delete().await?;
        one_waits(&api).await?;
        eventually("one member is all there is", PATIENCE, async || Ok(directories(&server)?.len() == 1))
            .await
            .context(point)?;
    }
    watch.returns_to(&baseline).await?;
    api.delete(&format!("/v1/pools/{POOL}")).await?.expect(204)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_cut_off_while_it_fills_or_ends_is_whole_or_gone() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let empty = watch.settled().await?;
    let path = format!("/v1/pools/{POOL}");
    for point in ["pool.on_record", "member.registered", "member.started", "member.ready"] {
        die_at(&server, point, api.post("/v1/pools", &pool())).await.context(point)?;
        one_waits(&api).await.context(point)?;
        eventually("one member is all there is", PATIENCE, async || Ok(directories(&server)?.len() == 1))
            .await
            .context(point)?;
        ensure!(api.ids().await?.is_empty(), "{point}: a member is nobody's sandbox");
        let sandbox = Sandbox { id: made_by(&api, point, &from_pool(point)).await?, api: api.clone() };
        assert_eq!(sandbox.execd().await?.output("echo $OWNER").await?, point);
        sandbox.delete().await?;
        api.delete(&path).await?.expect(204)?;
        eventually("nothing is left", PATIENCE, async || Ok(directories(&server)?.is_empty()))
            .await
            .context(point)?;
    }
    for point in ["pool.deleting", "pool.members_ended"] {
        api.post("/v1/pools", &pool()).await?.expect(201)?;
        one_waits(&api).await?;
        die_at(&server, point, api.delete(&path)).await.context(point)?;
        api.get(&path).await?.expect_error(404)?;
        eventually("no member is left", PATIENCE, async || Ok(directories(&server)?.is_empty()))
            .await
            .context(point)?;
    }
    // Its name is free again.
    api.post("/v1/pools", &pool()).await?.expect(201)?;
    api.delete(&path).await?.expect(204)?;
    watch.returns_to(&empty).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_repeated_after_a_kill_makes_one_sandbox() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    for (point, survives) in [
        ("create.registered", false),
        ("create.key_noted", false),
        ("launch.ready", false),
        ("create.launched", false),
        ("create.recorded", true),
    ] {
        let body = create_body(json!({"env": {"OWNER": point}}));
        die_at(&server, point, api.create_once(point, &body)).await.context(point)?;
        let left = api.ids().await?;
        assert_eq!(left.len(), usize::from(survives), "{point}: {left:?}");
        // Several retry at once, as clients do whose connections broke.
        let retries = (0..3).map(|_| made_by(&api, point, &body));
        let ids: BTreeSet<_> =
            futures_util::future::try_join_all(retries).await.context(point)?.into_iter().collect();
        assert_eq!(ids.len(), 1, "{point}: {ids:?}");
        ensure!(left.iter().all(|id| ids.contains(id)), "{point}: {left:?} was there, {ids:?} was made");
        assert_eq!(api.ids().await?, ids.iter().cloned().collect::<Vec<_>>(), "{point}");
        let id = ids.into_iter().next().context("an id")?;
        let sandbox = Sandbox { id, api: api.clone() };
        assert_eq!(sandbox.execd().await?.output("echo $OWNER").await?, point);
        // The key outlasts a further start, and goes on to stand for this sandbox only.
        tokio::task::block_in_place(|| {
            server.kill()?;
            server.restart()
        })?;
        assert_eq!(made_by(&api, point, &body).await.context(point)?, sandbox.id);
        sandbox.delete().await?;
        api.create_once(point, &body).await?.expect_error(409)?;
    }
    watch.returns_to(&baseline).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_cut_off_at_any_step_of_its_build_is_built() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let leases = || -> Result<usize> { Ok(fs::read_dir(server.state().join("images/leases"))?.count()) };
    let before = leases()?;
    let body = json!({"image": BASE_IMAGE, "publish": "team/cut", "resourceLimits": {"memory": "64Mi"}});
    let templates = async || -> Result<Vec<Value>> {
        let list = api.get("/v1/templates").await?.expect(200)?.json()?;
        Ok(list["items"].as_array().context("items")?.clone())
    };
    for point in [
        "template.on_record",
        "template.building",
        "template.trial_started",
        "template.tried_out",
        "template.image_kept",
        "template.built",
        "template.erased",
    ] {
        let deletes = point == "template.erased";
        let made = match deletes {
            true => api.post("/v1/templates", &body).await?.expect(201)?.json()?["templateId"].clone(),
            false => {
                die_at(&server, point, api.post("/v1/templates", &body)).await.context(point)?;
                let listed = templates().await?;
                ensure!(listed.len() == 1, "{point}: {listed:?}");
                listed[0]["templateId"].clone()
            }
        };
        let id = made.as_str().context("an id")?;
        let path = format!("/v1/templates/{id}");
        eventually("it is built", PATIENCE, async || {
            Ok(api.get(&path).await?.expect(200)?.json()?["status"]["phase"] == "Succeeded")
        })
        .await
        .context(point)?;
        eventually("no trial is left", PATIENCE, async || Ok(directories(&server)?.is_empty()))
            .await
            .context(point)?;
        eventually(
            "the template alone keeps its image, once",
            PATIENCE,
            async || Ok(leases()? == before + 1),
        )
        .await
        .context(point)?;
        if deletes {
            die_at(&server, point, api.delete(&path)).await.context(point)?;
        } else {
            let body = json!({"templateId": id, "timeout": 600});
            let sandbox = Sandbox { id: made_by(&api, point, &body).await?, api: api.clone() };
            assert_eq!(sandbox.execd().await?.output("echo works").await?, "works");
            sandbox.delete().await?;
            api.delete(&path).await?.expect(204)?;
        }
        ensure!(templates().await?.is_empty(), "{point}: it is still listed");
        eventually("nothing keeps its image", PATIENCE, async || Ok(leases()? == before))
            .await
            .context(point)?;
    }
    watch.returns_to(&baseline).await
}
