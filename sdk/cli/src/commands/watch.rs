//! What sandboxes do, as it happens.

use std::{
    collections::HashMap,
    io::{self, IsTerminal as _},
    time::Duration,
};

use anyhow::Result;
use futures_util::future::join_all;
use sandkeep::{
    EventQuery, ListQuery, LogQuery,
    specs::lifecycle::{SandboxEvent, SandboxMetrics},
};

use super::App;
use crate::{
    args::{Events, Format, Logs, Top},
    ids,
    output::{self, Table, bytes, show},
};

/// Apart from which two measurements make a rate, when nothing else is asked for.
const SAMPLE: Duration = Duration::from_millis(500);

pub(crate) async fn logs(app: &App, args: Logs) -> Result<()> {
    let id = ids::resolve(&app.client, &args.sandbox).await?;
    let query = LogQuery { tail: args.tail, since: args.since, timestamps: args.timestamps };
    if !args.follow {
        let logs = app.client.logs(&id, &query).await?;
        return match app.format {
            Format::Table => output::write(logs.content.unwrap_or_default().as_bytes()),
            format => show(format, &logs, Table::default),
        };
    }
    let mut stream = app.client.follow_logs(&id, &query).await?;
    while let Some(piece) = stream.next().await? {
        output::pour(&piece)?;
    }
    Ok(())
}

pub(crate) async fn events(app: &App, args: Events) -> Result<()> {
    let mut query = EventQuery { last_event_id: args.after, ..EventQuery::default() };
    for given in &args.sandboxes {
        query.sandbox_ids.push(ids::resolve(&app.client, given).await?);
    }
    let mut events = app.client.events(&query).await?;
    let mut left = args.count.unwrap_or(usize::MAX);
    while left > 0 {
        let Some(event) = events.next().await? else { break };
        output::pour(line(app.format, &event)?.as_bytes())?;
        left -= 1;
    }
    Ok(())
}

/// One event a line, whatever the form: what never ends is read line by line.
fn line(format: Format, event: &SandboxEvent) -> Result<String> {
    Ok(match format {
        Format::Json => format!("{}\n", serde_json::to_string(event)?),
        Format::Yaml => format!("---\n{}", yaml_serde::to_string(event)?),
        Format::Table => {
            let id = event.sandbox_id.as_deref().unwrap_or("-");
            let state = event.state.as_ref().map(ToString::to_string).unwrap_or_default();
            let message = event.message.as_deref().unwrap_or_default();
            let at = event.at.format("%H:%M:%S%.3f");
            format!("{} {at} {id} {} {state} {message}", event.id, event.r#type).trim_end().to_owned() + "\n"
        }
    })
}

pub(crate) async fn top(app: &App, args: Top) -> Result<()> {
    let mut chosen = Vec::new();
    for given in &args.sandboxes {
        chosen.push(ids::resolve(&app.client, given).await?);
    }
    let pause = args.watch.map_or(SAMPLE, |seconds| Duration::from_secs(seconds.max(1)));
    let mut before = measure(app, &chosen).await?;
    loop {
        tokio::time::sleep(pause).await;
        let now = measure(app, &chosen).await?;
        if args.watch.is_some() && app.format == Format::Table && io::stdout().is_terminal() {
            // Home, and nothing of the last table below.
            output::pour(b"\x1b[H\x1b[2J")?;
        }
        output::pour(output::text(app.format, &now, || table(&before, &now))?.as_bytes())?;
        if args.watch.is_none() {
            return Ok(());
        }
        before = now;
    }
}

async fn measure(app: &App, chosen: &[String]) -> Result<HashMap<String, SandboxMetrics>> {
    let query = ListQuery { states: vec!["Running".to_owned(), "Paused".to_owned()], ..ListQuery::default() };
    let running = ids::all(&app.client, query).await?.into_iter().map(|sandbox| sandbox.id);
    let asked: Vec<String> = running.filter(|id| chosen.is_empty() || chosen.contains(id)).collect();
    let measured = join_all(asked.iter().map(|id| app.client.sandbox_metrics(id))).await;
    // One that has just ended is left out.
    Ok(asked.into_iter().zip(measured).filter_map(|(id, metrics)| Some((id, metrics.ok()?))).collect())
}

fn table(before: &HashMap<String, SandboxMetrics>, now: &HashMap<String, SandboxMetrics>) -> Table {
    let mut table = Table::new(["ID", "CPU", "MEMORY", "LIMIT", "PIDS", "DISK"]);
    let mut ids: Vec<&String> = now.keys().collect();
    ids.sort();
    for id in ids {
        let metrics = &now[id];
        let share = before.get(id).and_then(|earlier| share(earlier, metrics));
        table.row([
            id.chars().take(12).collect(),
            share.map_or("-".to_owned(), |share| format!("{share:.0}%")),
            bytes(metrics.memory_bytes),
            metrics.memory_limit_bytes.map_or("-".to_owned(), bytes),
            metrics.pids.to_string(),
            metrics.disk_bytes.map_or("-".to_owned(), bytes),
        ]);
    }
    table
}

/// Percent of one processor between two measurements.
fn share(before: &SandboxMetrics, now: &SandboxMetrics) -> Option<f64> {
    let passed = (now.at - before.at).num_microseconds().filter(|micros| *micros > 0)?;
    let used = now.cpu_micros.saturating_sub(before.cpu_micros);
    Some(used as f64 * 100.0 / passed as f64)
}
