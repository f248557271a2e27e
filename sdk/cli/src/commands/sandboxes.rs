//! Sandboxes as a whole.

use anyhow::{Result, bail};
use futures_util::future::join_all;
use sandkeep::{
    Client, CreateOptions, ListQuery,
    specs::lifecycle::{NetworkAction, NetworkPolicy, NetworkRule, Sandbox},
};

use super::App;
use crate::{
    args::{Create, Format, Many, Ps, Recipe},
    ids,
    output::{self, Table, ago, show, span},
};

/// States of sandboxes that are over.
const OVER: [&str; 2] = ["Terminated", "Failed"];
/// Characters of an id that a list shows: enough to type.
const SHORT: usize = 12;

pub(crate) async fn create(app: &App, args: Create) -> Result<()> {
    let options = match (&args.image, &args.snapshot, &args.pool, &args.template) {
        (_, Some(id), ..) => CreateOptions::snapshot(id),
        (_, _, Some(name), _) => CreateOptions::pool(name),
        (.., Some(id)) => CreateOptions::template(id),
        (image, ..) => CreateOptions::image(image.clone().unwrap_or_default()),
    };
    let mut options = options_of(options, args.recipe);
    if !args.command.is_empty() {
        options = options.entrypoint(args.command);
    }
    let sandbox = sandkeep::Sandbox::create(&app.client, options.through_server(app.proxy)).await?;
    match app.format {
        Format::Table => output::write(format!("{}\n", sandbox.id()).as_bytes()),
        format => show(format, &sandbox.get().await?, Table::default),
    }
}

/// The options that flags stand for.
pub(crate) fn options_of(mut options: CreateOptions, recipe: Recipe) -> CreateOptions {
    for (name, value) in recipe.env {
        options = options.env(name, value);
    }
    for (key, value) in recipe.label {
        options = options.metadata(key, value);
    }
    for (key, value) in recipe.extension {
        options = options.extension(key, value);
    }
    for (resource, amount) in [("cpu", recipe.cpu), ("memory", recipe.memory), ("disk", recipe.disk)] {
        if let Some(amount) = amount {
            options = options.limit(resource, amount);
        }
    }
    if let Some(policy) = policy_of(&recipe.allow, &recipe.deny) {
        options = options.network_policy(policy);
    }
    if recipe.credential_proxy {
        options = options.credential_proxy();
    }
    match recipe.timeout {
        0 => options.immortal(),
        seconds => options.lifetime(std::time::Duration::from_secs(seconds)),
    }
}

/// What is allowed closes all else; what is denied alone leaves it open.
pub(crate) fn policy_of(allow: &[String], deny: &[String]) -> Option<NetworkPolicy> {
    let default = match (allow.is_empty(), deny.is_empty()) {
        (true, true) => return None,
        (true, false) => NetworkAction::Allow,
        (false, _) => NetworkAction::Deny,
    };
    Some(NetworkPolicy {
        default_action: Some(default),
        egress: Some([rules(NetworkAction::Deny, deny), rules(NetworkAction::Allow, allow)].concat()),
    })
}

pub(crate) fn rules(action: NetworkAction, targets: &[String]) -> Vec<NetworkRule> {
    targets.iter().map(|target| NetworkRule { action, target: target.clone() }).collect()
}

pub(crate) async fn ps(app: &App, args: Ps) -> Result<()> {
    let query = ListQuery { metadata: args.label.into_iter().collect(), ..ListQuery::default() };
    let mut found = ids::all(&app.client, query).await?;
    if !args.all {
        found.retain(|sandbox| !OVER.contains(&state(sandbox).as_str()));
    }
    if args.quiet {
        let ids: String = found.iter().map(|sandbox| format!("{}\n", sandbox.id)).collect();
        return output::write(ids.as_bytes());
    }
    show(app.format, &found, || {
        let mut table = Table::new(["ID", "FROM", "STATE", "AGE", "EXPIRES", "LABELS"]);
        for sandbox in &found {
            let labels = sandbox.metadata.iter().flatten().map(|(key, value)| format!("{key}={value}"));
            table.row([
                sandbox.id.chars().take(SHORT).collect(),
                from(sandbox),
                state(sandbox),
                ago(sandbox.created_at),
                sandbox
                    .expires_at
                    .map_or("never".to_owned(), |at| format!("in {}", span(at - chrono::Utc::now()))),
                labels.collect::<Vec<_>>().join(","),
            ]);
        }
        table
    })
}

fn state(sandbox: &Sandbox) -> String {
    sandbox.status.state.to_string()
}

fn from(sandbox: &Sandbox) -> String {
    match (&sandbox.image, &sandbox.snapshot_id) {
        (_, Some(id)) => format!("snapshot {id}"),
        (Some(image), None) => image.uri.clone(),
        (None, None) => String::new(),
    }
}

pub(crate) async fn inspect(app: &App, given: &str) -> Result<()> {
    let id = ids::resolve(&app.client, given).await?;
    match app.format {
        Format::Table => output::write(app.client.inspect(&id).await?.as_bytes()),
        format => show(format, &app.client.get_sandbox(&id).await?, Table::default),
    }
}

/// What can be done to several sandboxes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Delete,
    Pause,
    Resume,
    Stop { memory: bool },
    Start,
}

impl Act {
    async fn on(self, client: &Client, given: &str) -> Result<String> {
        let id = ids::resolve(client, given).await?;
        match self {
            Self::Delete => client.delete_sandbox(&id).await?,
            Self::Pause => client.pause_sandbox(&id).await?,
            Self::Resume => client.resume_sandbox(&id).await?,
            Self::Start => {
                client.start_sandbox(&id).await?;
            }
            Self::Stop { memory } => {
                let stopped = client.stop_sandbox(&id, memory).await?;
                if let Some(reason) = stopped.reason.filter(|_| memory && !stopped.memory) {
                    eprintln!("{id}: its memory was not kept: {reason}");
                }
            }
        }
        Ok(id)
    }
}

/// Does it to all at once and prints the ids it worked for; each failure is told.
pub(crate) async fn each(app: &App, args: &Many, act: Act) -> Result<()> {
    let done = join_all(args.sandboxes.iter().map(|given| act.on(&app.client, given))).await;
    let mut failed = 0;
    for (given, done) in args.sandboxes.iter().zip(done) {
        match done {
            Ok(id) => output::write(format!("{id}\n").as_bytes())?,
            Err(error) if args.sandboxes.len() == 1 => return Err(error),
            Err(error) => {
                failed += 1;
                eprintln!("{given}: {error:#}");
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} failed", args.sandboxes.len());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowing_closes_the_rest_and_denying_does_not() {
        let list = |text: &str| vec![text.to_owned()];
        assert!(policy_of(&[], &[]).is_none());
        let closed = policy_of(&list("a.example"), &list("b.a.example")).unwrap();
        assert_eq!(closed.default_action, Some(NetworkAction::Deny));
        assert_eq!(closed.egress.unwrap()[0].target, "b.a.example", "a denial must come first");
        assert_eq!(policy_of(&[], &list("x")).unwrap().default_action, Some(NetworkAction::Allow));
    }
}
