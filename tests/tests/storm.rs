//! Many clients at once at the same few sandboxes, each doing what comes to its mind: every answer is a documented one,
//! and afterwards record and reality agree.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use hyper::Method;
use sandkeep_tests::{
    api::{Answer, Api, Sandbox, create_body, eventually},
    execd::Execd,
    leaks::{Watch, first_processes},
    server::{Server, Setup},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

const CLIENTS: usize = 10;
const SANDBOXES: usize = 3;
/// No client begins anything after this time.
const STORM: Duration = Duration::from_secs(10);
/// Nobody waits longer for a command in a sandbox that somebody else pauses or stops meanwhile.
const COMMAND: Duration = Duration::from_secs(2);
/// What goes on in the background comes to rest within this time, on a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// What clients do: a word, its weight, the statuses its answers may have.
const DEEDS: [(&str, u64, &[u16]); 10] = [
    ("pause", 6, &[202, 404, 409]),
    ("resume", 6, &[202, 404, 409]),
    ("stop", 3, &[200, 404, 409]),
    ("stop with memory", 1, &[200, 404, 409]),
    ("start", 4, &[200, 404, 409, 429]),
    ("snapshot", 2, &[202, 404, 409]),
    ("run", 4, &[200, 404, 502, 504]),
    ("look", 4, &[200, 404]),
    ("rename", 2, &[200, 404]),
    ("delete", 1, &[204, 404]),
];

/// Numbers that differ from client to client, and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    fn deed(&mut self) -> (&'static str, &'static [u16]) {
        let mut at = self.below(DEEDS.iter().map(|(_, weight, _)| weight).sum());
        for (name, weight, allowed) in DEEDS {
            match at.checked_sub(weight) {
                None => return (name, allowed),
                Some(rest) => at = rest,
            }
        }
        ("look", &[200, 404])
    }
}

/// One deed; `None` if nobody waited for its answer.
async fn act(sandbox: &Sandbox, deed: &str) -> Result<Option<Answer>> {
    let (api, path) = (&sandbox.api, sandbox.path());
    let post = async |word: &str, body: Value| api.post(&format!("{path}/{word}"), &body).await;
    let answer = match deed {
        "stop with memory" => post("stop", json!({"memory": true})).await,
        "snapshot" => post("snapshots", json!({})).await,
        "look" => api.get(&path).await,
        "rename" => api.patch(&format!("{path}/metadata"), &json!({"storm": "on"})).await,
        "delete" => api.delete(&path).await,
        "run" => {
            let run = json!({"command": "echo here; echo more >> /srv/mark"});
            let proxied = format!("proxy/{}/command", Execd::PORT);
            let run = post(&proxied, run);
            match tokio::time::timeout(COMMAND, run).await {
                // Whoever was pulled away under the command breaks its stream off.
                Err(_) | Ok(Err(_)) => return Ok(None),
                Ok(answered) => answered,
            }
        }
        word => api.send(Method::POST, &format!("{path}/{word}"), None).await,
    };
    answer.map(Some)
}

async fn client(api: Api, sandboxes: &Mutex<Vec<Sandbox>>, number: u64, until: Instant) -> Result<usize> {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15 ^ (number + 1).wrapping_mul(0x2545_f491_4f6c_dd1d));
    let mut deeds = 0;
    while Instant::now() < until {
        let place = usize::try_from(dice.below(SANDBOXES as u64))?;
        let sandbox = sandboxes.lock().await[place].clone();
        let (deed, allowed) = dice.deed();
        deeds += 1;
        let Some(answer) = act(&sandbox, deed).await.with_context(|| deed.to_owned())? else { continue };
        ensure!(allowed.contains(&answer.status), "{deed} of {}: {answer:?}", sandbox.id);
        if answer.status == 204 && deed == "delete" {
            // Another one in its place, so that the storm goes on.
            let fresh = api.post("/v1/sandboxes", &create_body(json!({}))).await?.expect(202)?.json()?;
            let id = fresh["id"].as_str().context("an id")?.to_owned();
            sandboxes.lock().await[place] = Sandbox { id, api: api.clone() };
        } else if answer.status >= 400 && deed != "run" {
            let status = answer.status;
            answer.expect_error(status)?;
        }
    }
    Ok(deeds)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_clients_do_at_once_record_and_reality_agree() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let watch = Watch::new(&server).await?;
    let baseline = watch.settled().await?;
    let mut sandboxes = Vec::new();
    for _ in 0..SANDBOXES {
        sandboxes.push(api.create(json!({})).await?);
    }
    let sandboxes = Mutex::new(sandboxes);
    let until = Instant::now() + STORM;
    let clients = (0..CLIENTS as u64).map(|number| client(server.api(), &sandboxes, number, until));
    let deeds: usize = try_join_all(clients).await?.into_iter().sum();
    // A storm of a few deeds would prove nothing.
    ensure!(deeds > 5 * CLIENTS, "only {deeds} deeds");

    let mut known: Vec<String> = sandboxes.lock().await.iter().map(|sandbox| sandbox.id.clone()).collect();
    let mut listed = api.ids().await?;
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, known, "whoever was deleted is gone, and nobody else");
    let mut snapshots = Vec::new();
    eventually("no snapshot is being made", PATIENCE, async || {
        let list = api.get("/v1/snapshots?pageSize=200").await?.expect(200)?.json()?;
        snapshots.clone_from(list["items"].as_array().context("items")?);
        Ok(snapshots.iter().all(|snapshot| snapshot["status"]["state"] != "Creating"))
    })
    .await?;
    for sandbox in sandboxes.into_inner() {
        agrees(&sandbox).await.with_context(|| sandbox.id.clone())?;
        sandbox.delete().await?;
    }
    for snapshot in &snapshots {
        let id = snapshot["id"].as_str().context("an id")?;
        api.delete(&format!("/v1/snapshots/{id}")).await?.expect(204)?;
    }
    watch.returns_to(&baseline).await
}

/// The sandbox is what its record says, and can be brought from there to where it runs.
async fn agrees(sandbox: &Sandbox) -> Result<()> {
    let state = sandbox.get().await?["status"]["state"].as_str().unwrap_or_default().to_owned();
    let processes = first_processes(&sandbox.id)?;
    let expected = match state.as_str() {
        "Running" | "Paused" => 1,
        "Stopped" => 0,
        other => anyhow::bail!("it is left {other}"),
    };
    ensure!(processes == expected, "{state} with {processes} first processes");
    match state.as_str() {
        "Paused" => drop(act(sandbox, "resume").await?.context("an answer")?.expect(202)?),
        "Stopped" => drop(act(sandbox, "start").await?.context("an answer")?.expect(200)?),
        _ => {}
    }
    let said = sandbox.execd().await?.output("echo alive").await?;
    ensure!(said == "alive" && first_processes(&sandbox.id)? == 1, "after {state} it says {said:?}");
    Ok(())
}
