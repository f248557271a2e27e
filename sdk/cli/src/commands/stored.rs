//! What sandboxes start from: snapshots, images, pools.

use std::path::Path;

use anyhow::{Context as _, Result};
use sandkeep::{
    Client, SnapshotQuery,
    specs::lifecycle::{CreatePoolRequest, ImageAuth, PoolCapacitySpec, PullImageRequest, StoredImage},
};
use serde_json::json;

use super::App;
use crate::{
    args::{Format, Image, Pool, Snapshot},
    ids,
    output::{self, Table, ago, bytes, show},
    progress,
};

/// Where a registry's password is taken from: arguments are for all to see.
const PASSWORD_VARIABLE: &str = "SANDKEEP_REGISTRY_PASSWORD";
/// Characters of a digest that are shown.
const SHORT_DIGEST: usize = 19;
const PAGE: u64 = 200;

pub(crate) async fn snapshot(app: &App, action: Snapshot) -> Result<()> {
    match action {
        Snapshot::Create { sandbox, name } => {
            let id = ids::resolve(&app.client, &sandbox).await?;
            let sandbox = app.connect(&id).await?;
            let made = sandbox.snapshot(name.as_deref()).await?;
            match app.format {
                Format::Table => output::write(format!("{}\n", made.id).as_bytes()),
                format => show(format, &made, Table::default),
            }
        }
        Snapshot::Ls => {
            let found = all_snapshots(&app.client).await?;
            show(app.format, &found, || {
                let mut table = Table::new(["ID", "NAME", "SANDBOX", "STATE", "AGE"]);
                for snapshot in &found {
                    table.row([
                        snapshot.id.clone(),
                        snapshot.name.clone().unwrap_or_default(),
                        snapshot.sandbox_id.clone(),
                        snapshot.status.state.to_string(),
                        ago(snapshot.created_at),
                    ]);
                }
                table
            })
        }
        Snapshot::Rm { snapshots } => {
            for id in snapshots {
                app.client.delete_snapshot(&id).await.with_context(|| id.clone())?;
                output::write(format!("{id}\n").as_bytes())?;
            }
            Ok(())
        }
    }
}

async fn all_snapshots(client: &Client) -> Result<Vec<sandkeep::specs::lifecycle::Snapshot>> {
    let mut found = Vec::new();
    for page in 1.. {
        let query = SnapshotQuery { page: Some(page), page_size: Some(PAGE), ..SnapshotQuery::default() };
        let listed = client.list_snapshots(&query).await?;
        found.extend(listed.items);
        if !listed.pagination.has_next_page {
            break;
        }
    }
    Ok(found)
}

pub(crate) async fn image(app: &App, action: Image) -> Result<()> {
    let images = app.client.images();
    match action {
        Image::Ls => show_images(app, &images.list().await?),
        Image::Pull { reference, username } => {
            let password = std::env::var(PASSWORD_VARIABLE).ok();
            let auth = username.map(|username| ImageAuth { username: Some(username), password });
            let request = PullImageRequest { uri: reference, auth, platform: None };
            let waiting = progress::waiting("pulling");
            let pulled = images.pull(&request).await;
            waiting.finish_and_clear();
            show_images(app, &[pulled?])
        }
        Image::Import { file, name } => {
            let imported = import(&app.client, &file, &name).await?;
            show_images(app, &imported)
        }
        Image::Rm { references } => {
            for reference in references {
                images.delete(&reference).await.with_context(|| reference.clone())?;
                output::write(format!("{reference}\n").as_bytes())?;
            }
            Ok(())
        }
    }
}

/// Sends an archive, showing how far it is.
pub(crate) async fn import(client: &Client, file: &Path, names: &[String]) -> Result<Vec<StoredImage>> {
    let what = || format!("cannot read {}", file.display());
    let archive = tokio::fs::File::open(file).await.with_context(what)?;
    let bar = progress::bar("importing", archive.metadata().await.with_context(what)?.len());
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sent = progress::watched(tokio_util::io::ReaderStream::new(archive), bar.clone());
    let imported = client.images().import(sent, &names).await;
    bar.finish_and_clear();
    Ok(imported?)
}

fn show_images(app: &App, images: &[StoredImage]) -> Result<()> {
    show(app.format, images, || {
        let mut table = Table::new(["NAME", "ID", "SIZE"]);
        for image in images {
            let names = if image.names.is_empty() { vec!["<none>".to_owned()] } else { image.names.clone() };
            for name in names {
                let id = image.id.chars().take(SHORT_DIGEST).collect();
                table.row([name, id, bytes(image.size_bytes)]);
            }
        }
        table
    })
}

pub(crate) async fn pool(app: &App, action: Pool) -> Result<()> {
    let pools = app.client.pools();
    match action {
        Pool::Create { name, image, size, max } => {
            let spec = json!({"spec": {"containers": [{"name": "sandbox", "image": image}]}});
            let request = CreatePoolRequest {
                name,
                template: spec.as_object().cloned().unwrap_or_default(),
                capacity_spec: PoolCapacitySpec {
                    buffer_max: size,
                    buffer_min: size,
                    pool_max: max,
                    pool_min: size,
                },
            };
            let made = pools.create_pool(&request).await?;
            match app.format {
                Format::Table => output::write(format!("{}\n", made.name).as_bytes()),
                format => show(format, &made, Table::default),
            }
        }
        Pool::Ls => {
            let found = pools.list_pools().await?;
            show(app.format, &found, || {
                let mut table = Table::new(["NAME", "TOTAL", "ALLOCATED", "READY", "MAX"]);
                for pool in &found {
                    let count = |of: fn(&sandkeep::specs::lifecycle::PoolStatus) -> u64| {
                        pool.status.as_ref().map_or("-".to_owned(), |status| of(status).to_string())
                    };
                    table.row([
                        pool.name.clone(),
                        count(|status| status.total),
                        count(|status| status.allocated),
                        count(|status| status.available),
                        pool.capacity_spec.pool_max.to_string(),
                    ]);
                }
                table
            })
        }
        Pool::Rm { pools: names } => {
            for name in names {
                pools.delete_pool(&name).await.with_context(|| name.clone())?;
                output::write(format!("{name}\n").as_bytes())?;
            }
            Ok(())
        }
    }
}
