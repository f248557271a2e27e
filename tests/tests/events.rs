//! `GET /v1/events`: what happens to sandboxes, as it happens, over restarts and however slowly it is read.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context, Result, ensure};
use sandkeep::{Client, EventQuery, SandboxEvents, specs::lifecycle::SandboxEvent};
use sandkeep_tests::{
    api::Api,
    server::{Server, Setup},
};
use serde_json::json;

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
    let labels: serde_json::Map<String, serde_json::Value> =
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
