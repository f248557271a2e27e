//! `GET /v1/events`: what happens to sandboxes, as it happens, over restarts and however slowly it is read.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use sandkeep::{Client, EventQuery, SandboxEvents, specs::lifecycle::SandboxEvent};
use sandkeep_tests::{
    api::{Api, Sandbox},
    server::{Server, Setup},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn client(server: &Server) -> Result<Client> {
    Ok(Client::new(server.url(), server.key.clone())?)
}

async fn next(events: &mut SandboxEvents) -> Result<SandboxEvent> {
    let event = tokio::time::timeout(PATIENCE, events.next()).await.context("no event came")??;
    event.context("the stream ended")
}

/// Reads until the sandbox is gone; its events as `type state`.
async fn life_of(id: &str, events: &mut SandboxEvents) -> Result<Vec<SandboxEvent>> {
    let mut life = Vec::new();
    loop {
        let event = next(events).await?;
        let is_last = event.r#type == "sandbox.deleted" && event.sandbox_id.as_deref() == Some(id);
        life.push(event);
        if is_last {
            return Ok(life);
        }
    }
}

fn states(life: &[SandboxEvent]) -> Vec<String> {
    let state =
        |event: &SandboxEvent| event.state.as_ref().map_or(event.r#type.clone(), |state| state.to_string());
    life.iter().map(state).collect()
}

async fn short_life(api: &Api, group: &str) -> Result<String> {
    let sandbox = api.create(json!({"metadata": {"group": group}})).await?;
    let id = sandbox.id.clone();
    sandbox.delete().await?;
    Ok(id)
}

#[tokio::test]
async fn a_life_is_told_in_order_to_those_who_asked_for_it() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let (api, client) = (server.api(), client(&server)?);
    let mut all = client.events(&EventQuery::default()).await?;
    let blue =
        EventQuery { metadata: BTreeMap::from([("group".into(), "blue".into())]), ..EventQuery::default() };
    let mut blue = client.events(&blue).await?;
    let red = short_life(&api, "red").await?;
    let blue_one = short_life(&api, "blue").await?;
    let expected = ["Pending", "Running", "Stopping", "sandbox.deleted"];

    let life = life_of(&red, &mut all).await?;
    assert_eq!(states(&life), expected);
    ensure!(life.windows(2).all(|pair| pair[0].id < pair[1].id && pair[0].at <= pair[1].at), "{life:?}");
    let details = life[1].details.as_ref().context("a start has figures")?;
    ensure!(details["durationMs"].as_f64() > Some(0.0) && details["phases"].is_array(), "{details}");
    let life = life_of(&blue_one, &mut blue).await?;
    assert_eq!(states(&life), expected);
    ensure!(life.iter().all(|event| event.sandbox_id.as_deref() == Some(&*blue_one)), "{life:?}");
    ensure!(life.iter().all(|event| event.metadata["group"] == "blue"), "{life:?}");

    // Everything again from the start, only of one sandbox and of one type.
    let again = EventQuery {
        sandbox_ids: vec![red.clone()],
        types: vec!["sandbox.deleted".into()],
        last_event_id: Some(0),
        ..EventQuery::default()
    };
    assert_eq!(next(&mut client.events(&again).await?).await?.sandbox_id, Some(red));
    for bad in ["type=nothing", "metadata=x", "lastEventId=-1"] {
        api.get(&format!("/v1/events?{bad}")).await?.expect_error(400)?;
    }
    Ok(())
}

#[tokio::test]
async fn nothing_is_lost_when_the_server_is_killed_again_and_again() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let mut ids = Vec::new();
    let mut seen: Vec<SandboxEvent> = Vec::new();
    for round in 0..3 {
        let place = EventQuery {
            last_event_id: Some(seen.last().map_or(0, |event| event.id)),
            ..EventQuery::default()
        };
        let mut events = client(&server)?.events(&place).await?;
        ids.push(short_life(&api, "a").await?);
        // One event is read before the kill, the others only by the reader that comes after it.
        seen.push(next(&mut events).await?);
        ids.push(short_life(&api, "b").await?);
        server.kill()?;
        let ended = tokio::time::timeout(PATIENCE, async { while let Ok(Some(_)) = events.next().await {} });
        ended.await.with_context(|| format!("round {round}: the stream outlives its server"))?;
        server.restart()?;
    }
    let place = EventQuery { last_event_id: seen.last().map(|event| event.id), ..EventQuery::default() };
    let mut events = client(&server)?.events(&place).await?;
    seen.extend(life_of(ids.last().context("ids")?, &mut events).await?);
    // Piece by piece or at once from the start, it is the same.
    let all = EventQuery { last_event_id: Some(0), ..EventQuery::default() };
    let mut events = client(&server)?.events(&all).await?;
    let whole = life_of(ids.last().context("ids")?, &mut events).await?;
    for id in &ids {
        let own: Vec<SandboxEvent> =
            whole.iter().filter(|event| event.sandbox_id.as_ref() == Some(id)).cloned().collect();
        assert_eq!(states(&own), ["Pending", "Running", "Stopping", "sandbox.deleted"], "{id}");
    }
    assert_eq!(seen, whole);
    let numbers: Vec<i64> = whole.iter().map(|event| event.id).collect();
    assert_eq!(numbers, (1..=numbers.len() as i64).collect::<Vec<_>>(), "a number is missing or twice");
    Ok(())
}

/// A reader that knows nothing but server-sent events, ended with this.
struct Browser {
    process: tokio::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    fn open(server: &Server, query: &str, last: Option<&str>) -> Result<Self> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--fail", "--no-buffer"]);
        curl.arg("--header").arg(format!("OPEN-SANDBOX-API-KEY: {}", server.key));
        if let Some(last) = last {
            curl.arg("--header").arg(format!("Last-Event-ID: {last}"));
        }
        let mut process = curl
            .arg(format!("{}/v1/events?{query}", server.url()))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(process.stdout.take().context("an output")?).lines();
        Ok(Self { process, lines })
    }

    /// The next event as the format has it: its number, its name, what it says.
    async fn next(&mut self) -> Result<(String, String, Value)> {
        let (mut id, mut name, mut data) = (None, None, None);
        loop {
            let line =
                tokio::time::timeout(PATIENCE, self.lines.next_line()).await.context("no event came")??;
            let line = line.context("the stream ended")?;
            match line.split_once(": ").unwrap_or((&line, "")) {
                ("id", text) => id = Some(text.to_owned()),
                ("event", text) => name = Some(text.to_owned()),
                ("data", text) => data = Some(serde_json::from_str(text)?),
                ("", "") if data.is_some() => break,
                _ => {}
            }
        }
        Ok((id.context("a number")?, name.context("a name")?, data.context("data")?))
    }

    async fn ends(mut self) -> Result<()> {
        tokio::time::timeout(PATIENCE, self.process.wait()).await.context("the stream stays open")??;
        Ok(())
    }
}

#[tokio::test]
async fn a_browser_goes_on_where_it_was_after_a_kill_and_hears_only_what_it_asked_for() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let api = server.api();
    let labelled = async |group: &str| api.create(json!({"metadata": {"group": group, "team": "a"}})).await;
    let (blue, red, other) = (labelled("blue").await?, labelled("red").await?, labelled("blue").await?);
    // Both labels must be right, and the sandbox one of these two.
    let query = format!(
        "metadata=group%3Dblue%26team%3Da&sandboxId={}&sandboxId={}&type=sandbox.state",
        blue.id, red.id
    );
    let mut stream = Browser::open(&server, &query, Some("0"))?;
    let mut seen = Vec::new();
    for state in ["Pending", "Running"] {
        let (id, name, data) = stream.next().await?;
        assert_eq!(
            (&*name, &data["state"], &data["sandboxId"]),
            ("sandbox.state", &json!(state), &json!(blue.id))
        );
        assert_eq!(data["id"].to_string(), id);
        seen.push(id);
    }
    // Nobody reads what comes now; the server dies over it.
    let act = async |sandbox: &Sandbox, action: &str| {
        api.post(&format!("{}/{action}", sandbox.path()), &json!(null)).await?.expect(202)
    };
    for sandbox in [&red, &other, &blue] {
        act(sandbox, "pause").await?;
        sandbox.wait_state("Paused").await?;
    }
    server.kill()?;
    stream.ends().await?;
    server.restart()?;
    for sandbox in [&red, &blue, &other] {
        act(sandbox, "resume").await?;
    }
    let mut stream = Browser::open(&server, &query, seen.last().map(|id| &**id))?;
    let mut states = Vec::new();
    while states.last().is_none_or(|state| state != "Running") {
        let (id, _, data) = stream.next().await?;
        assert_eq!((&data["sandboxId"], &data["metadata"]["group"]), (&json!(blue.id), &json!("blue")));
        seen.push(id);
        states.push(data["state"].as_str().context("a state")?.to_owned());
    }
    ensure!(states.iter().any(|state| state == "Paused"), "{states:?}");
    let numbers = seen.iter().map(|id| id.parse()).collect::<Result<Vec<i64>, _>>()?;
    ensure!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    for sandbox in [blue, red, other] {
        sandbox.delete().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_stream_ends_with_the_server_and_keeps_it_from_nothing() -> Result<()> {
    // With the stream still open, the server would wait for the whole time of grace, which is more than the harness has.
    let setup = Setup::default().without_image().set("server", "timeout_graceful_shutdown = 120");
    let server = Server::start(setup)?;
    let mut events = client(&server)?.events(&EventQuery::default()).await?;
    server.stop()?;
    let ended = tokio::time::timeout(PATIENCE, events.next()).await.context("the stream stays open")?;
    ensure!(!matches!(ended, Ok(Some(_))), "an event out of nothing");
    Ok(())
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_nothing_and_loses_nothing() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let (api, client) = (server.api(), client(&server)?);
    let mut asleep = client.events(&EventQuery::default()).await?;
    let sandbox = api.create(json!({})).await?;
    // Far more than sockets hold: every change carries 15 KiB of labels.
    let labels: serde_json::Map<String, Value> =
        (0..150).map(|n| (format!("key-{n:03}-{}", "k".repeat(40)), json!("v".repeat(60)))).collect();
    api.patch(&format!("{}/metadata", sandbox.path()), &json!(labels)).await?.expect(200)?;
    const ROUNDS: usize = 400;
    for _ in 0..ROUNDS {
        api.post(&format!("{}/pause", sandbox.path()), &json!(null)).await?.expect(202)?;
        api.post(&format!("{}/resume", sandbox.path()), &json!(null)).await?.expect(202)?;
    }
    let resident = server.resident_kib()?;
    ensure!(resident < 100 << 10, "the server holds {resident} KiB");
    let id = sandbox.id.clone();
    sandbox.delete().await?;
    let life = life_of(&id, &mut asleep).await?;
    assert_eq!(life.iter().filter(|event| event.reason.as_deref() == Some("SANDBOX_PAUSED")).count(), ROUNDS);
    ensure!(life.windows(2).all(|pair| pair[0].id + 1 == pair[1].id), "a gap");
    Ok(())
}
