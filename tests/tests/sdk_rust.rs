//! Parts of the Rust SDK that nothing else here uses, against a real server: sessions, isolated sessions, files of an
//! identity, requests to ports, metrics.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Result;
use sandkeep::{
    Client, CreateOptions, Error, IsolatedRun, Method, Sandbox, SessionRun, Timeouts,
    specs::execd::{
        files::Permission,
        isolated::{CreateIsolatedSessionRequest, IsolatedWorkspaceSpec, MountMode},
    },
    specs::lifecycle::{MetricsEvent, MetricsEventType},
};
use sandkeep_tests::{api::eventually, paths::BASE_IMAGE, server::Server};

/// Longer than anything here takes on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(120);

fn client(server: &Server) -> Result<Client> {
    let timeouts = Timeouts {
        connect: PATIENCE,
        request: PATIENCE,
        ready: PATIENCE,
        idle: PATIENCE,
        ..Timeouts::default()
    };
    Ok(Client::builder().url(server.url()).api_key(&server.key).timeouts(timeouts).build()?)
}

async fn sandbox(client: &Client) -> Result<Sandbox> {
    let options = CreateOptions::image(BASE_IMAGE).extension("bootstrap.execd.isolation", "enable");
    Ok(Sandbox::create(client, options.through_server(true)).await?)
}

fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Api { status: 404, .. })
}

#[tokio::test]
async fn sessions_remember() -> Result<()> {
    let client = client(Server::shared()?)?;
    let sandbox = sandbox(&client).await?;
    let sessions = sandbox.sessions();
    let id = sessions.create_session(Some("/usr")).await?;
    assert!(sessions.run_in_session(&id, "here=$PWD; cd lib").await?.is_success());
    let run = SessionRun::shell("echo $here $PWD $X; exit 4").env("X", "x");
    let told = sessions.run_in_session(&id, run).await?;
    assert_eq!((told.stdout.as_str(), told.exit_code()), ("/usr /usr/lib x\n", Some(4)));
    let slow = SessionRun::shell("sleep 1000").timeout(Duration::from_millis(100));
    assert!(sessions.run_in_session(&id, slow).await?.timed_out);
    sessions.delete_session(&id).await?;
    assert!(is_missing(&sessions.run_in_session(&id, "true").await.unwrap_err()));
    Ok(sandbox.delete().await?)
}

#[tokio::test]
async fn isolated_sessions_keep_changes_apart() -> Result<()> {
    let client = client(Server::shared()?)?;
    let sandbox = sandbox(&client).await?;
    sandbox.files().write("/app/old", "old").await?;
    let isolated = sandbox.isolated();
    assert!(isolated.isolated_capabilities().await?.available);
    let workspace = IsolatedWorkspaceSpec { path: "/app".to_owned(), mode: Some(MountMode::Overlay) };
    let request = CreateIsolatedSessionRequest { workspace: Some(workspace), ..Default::default() };
    let session = isolated.create_isolated(&request).await?;
    assert_eq!(isolated.list_isolated().await?.len(), 1);
    assert!(session.state().await?.parameters.workspace.is_some());
    let run = IsolatedRun::shell("cat old; echo $X > new").env("X", "x");
    assert_eq!(session.run_isolated(run).await?.stdout, "old");
    assert_eq!(session.files().read_text("/app/new").await?, "x\n");
    assert!(is_missing(&sandbox.files().read("/app/new").await.unwrap_err()));

    let run = session.start_isolated("echo behind; exit 3").await?;
    eventually("the run ends", PATIENCE, async || Ok(!session.run_status(&run).await?.running)).await?;
    assert_eq!(session.run_status(&run).await?.exit_code, Some(3));
    let logs = session.run_logs(&run, 0).await?;
    assert_eq!((logs.text.as_str(), logs.cursor), ("behind\n", 7));

    assert!(session.diff().await?.collect().await?.starts_with(b"\x1f\x8b"), "the changes are packed");
    assert!(session.commit().await?.written >= 1);
    assert_eq!(sandbox.files().read_text("/app/new").await?, "x\n");
    session.delete_isolated().await?;
    assert!(is_missing(&session.state().await.unwrap_err()));
    Ok(sandbox.delete().await?)
}

#[tokio::test]
async fn identities_ports_and_metrics() -> Result<()> {
    let server = Server::shared()?;
    let client = client(server)?;
    let sandbox = sandbox(&client).await?;
    sandbox.commands().run("install -d -o 1234 -g 1235 /theirs; install -m 600 /dev/null /ours").await?;
    let theirs = sandbox.execd().files_as(1234, 1235);
    theirs.write("/theirs/a", "a").await?;
    let owner = sandbox.commands().run("stat -c %u:%g /theirs/a").await?;
    assert_eq!(owner.stdout, "1234:1235\n");
    assert!(theirs.read("/ours").await.is_err(), "another user's file is read");
    theirs.create_directories(&BTreeMap::from([("/theirs/d".to_owned(), Permission::default())])).await?;
    assert_eq!(theirs.list("/theirs", 1).await?.len(), 2);

    sandbox.files().write("/site/page", "hello").await?;
    let web = sandbox.commands().start("cd /site && exec python3 -m http.server 8123").await?;
    eventually("a page", PATIENCE, async || {
        let answer = sandbox.port_request(8123, Method::GET, "/page?x=1")?.send().await?;
        Ok(answer.status() == 200 && answer.text().await? == "hello")
    })
    .await?;
    assert!(sandbox.port_request(8123, Method::GET, "page").is_err());
    sandbox.commands().interrupt(&web).await?;

    assert!(sandbox.execd().prometheus().await?.contains("# TYPE"));
    assert!(client.prometheus().await?.contains("# TYPE"));
    let event = MetricsEvent {
        event_type: MetricsEventType::SandboxCreate,
        create_duration_ms: 5,
        success: true,
        sandbox_id: None,
        image: None,
    };
    client.report_event(&event).await?;
    Ok(sandbox.delete().await?)
}
