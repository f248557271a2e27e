//! What a sandbox may reach outside.

use anyhow::Result;
use sandkeep::specs::lifecycle::{NetworkAction, PolicyStatusResponse};

use super::{
    App,
    sandboxes::{policy_of, rules},
};
use crate::{
    args::Policy,
    ids,
    output::{Table, show},
};

pub(crate) async fn policy(app: &App, action: Policy) -> Result<()> {
    let client = &app.client;
    let (Policy::Get { sandbox }
    | Policy::Set { sandbox, .. }
    | Policy::Allow { sandbox, .. }
    | Policy::Deny { sandbox, .. }
    | Policy::Rm { sandbox, .. }) = &action;
    let id = ids::resolve(client, sandbox).await?;
    match &action {
        Policy::Get { .. } => {}
        Policy::Set { allow, deny, .. } => {
            let policy = policy_of(allow, deny).unwrap_or_default();
            client.replace_network_policy(&id, &policy).await?;
        }
        Policy::Allow { targets, .. } => {
            client.patch_network_policy(&id, &rules(NetworkAction::Allow, targets)).await?;
        }
        Policy::Deny { targets, .. } => {
            client.patch_network_policy(&id, &rules(NetworkAction::Deny, targets)).await?;
        }
        Policy::Rm { targets, .. } => {
            let targets: Vec<&str> = targets.iter().map(String::as_str).collect();
            client.delete_network_rules(&id, &targets).await?;
        }
    }
    let status = client.network_policy(&id).await?;
    show(app.format, &status, || table(&status))
}

fn table(status: &PolicyStatusResponse) -> Table {
    let name = |action| match action {
        NetworkAction::Allow => "allow",
        NetworkAction::Deny => "deny",
    };
    let mut table = Table::new(["ACTION", "TARGET"]);
    let policy = status.policy.clone().unwrap_or_default();
    for rule in policy.egress.iter().flatten() {
        table.row([name(rule.action).to_owned(), rule.target.clone()]);
    }
    let default = policy.default_action.unwrap_or(NetworkAction::Deny);
    table.row([name(default).to_owned(), "(everything else)".to_owned()]);
    table
}
