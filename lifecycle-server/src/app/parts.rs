//! From configuration to parts.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, Result, anyhow};

use crate::{
    api::Keys,
    config::{Config, NativeTable, OverlayKind, Quantity},
    image::{Guard, ImageStore, StoreOptions},
    runtime::{
        Runtime,
        native::{self, Cidr, DefaultLimits, NativeConfig, NativeRuntime, OverlayWay, Reserve, Watermark},
    },
    sandbox::CommittedMemory,
    tenant::Tenants,
};

/// Directory of the image store under the state directory.
const IMAGES: &str = "images";
/// The static program every sandbox starts with.
const EXECD: &str = "execd";
/// The program that guards what leaves a sandbox.
const EGRESS_SIDECAR: &str = "egress-sidecar";

/// The image store of this configuration; server and command line share it.
///
/// # Errors
/// When its directory cannot be used.
pub async fn open_images(config: &Config) -> Result<ImageStore> {
    open_guarded(config, None).await
}

/// The image store as callers of the API use it. Tenants could make the server ask what only its host may.
pub(super) async fn open_served_images(config: &Config) -> Result<ImageStore> {
    let guard = config.tenants.as_ref().map(|_| {
        let state_dir = config.native.state_dir.clone();
        Guard::new(move |address| {
            native::network(&state_dir).is_some_and(|network| network.contains(address))
        })
    });
    open_guarded(config, guard).await
}

async fn open_guarded(config: &Config, guard: Option<Guard>) -> Result<ImageStore> {
    let images = &config.images;
    let options = StoreOptions {
        insecure_registries: images.insecure_registries.clone(),
        guard,
        connect_timeout: images.connect_timeout(),
        stall_timeout: images.stall_timeout(),
        pull_timeout: images.pull_timeout(),
        parallel_layers: images.parallel_layers,
        min_free_bytes: images.min_free_disk.bytes()?,
        min_free_percent: images.min_free_disk_percent,
        ..StoreOptions::default()
    };
    let dir = config.native.state_dir.join(IMAGES);
    ImageStore::open(dir.clone(), options)
        .await
        .with_context(|| format!("cannot open the image store {}", dir.display()))
}

/// Whose API keys are valid.
pub(super) fn keys(config: &Config) -> Result<Keys> {
    match &config.tenants {
        None => Ok(Keys::one(config.server.api_key.as_deref())),
        Some(tenants) => Ok(Keys::of_tenants(Tenants::open(tenants).context("cannot tell tenants apart")?)),
    }
}

pub(super) fn runtime(config: &Config) -> Result<Arc<dyn Runtime>> {
    let native = native_config(&config.native)?;
    let runtime =
        NativeRuntime::new(native).map_err(|error| anyhow!("this host cannot run sandboxes: {error}"))?;
    Ok(runtime)
}

/// What the memory limits of sandboxes may add up to on this host.
pub(super) fn committed_memory(table: &NativeTable) -> Result<Option<CommittedMemory>> {
    let Some(default) = table.default_memory.as_ref().filter(|_| table.max_committed_memory_percent > 0)
    else {
        return Ok(None);
    };
    let total = rustix::system::sysinfo();
    let total = (total.totalram as u64).saturating_mul(u64::from(total.mem_unit));
    let most = total / 100 * u64::from(table.max_committed_memory_percent);
    Ok(Some(CommittedMemory { most, default: default.bytes()? }))
}

fn native_config(table: &NativeTable) -> Result<NativeConfig> {
    let execd = match &table.execd {
        Some(path) => path.clone(),
        None => beside_own_program(EXECD)?,
    };
    // A server without one refuses sandboxes with a network policy, and only those.
    let egress_sidecar = match &table.egress_sidecar {
        Some(path) => Some(path.clone()),
        None => beside_own_program(EGRESS_SIDECAR).ok(),
    };
    let defaults = NativeConfig::new(&table.state_dir, execd);
    let mut deny_cidrs = defaults.deny_cidrs.clone();
    for text in &table.deny_cidrs {
        deny_cidrs.push(cidr("native.deny_cidrs", text)?);
    }
    Ok(NativeConfig {
        egress_sidecar,
        subnet: table.subnet.as_deref().map(|text| cidr("native.subnet", text)).transpose()?,
        oci_runtime: table.oci_runtime.clone(),
        criu: table.criu.clone().unwrap_or(defaults.criu),
        no_new_privileges: table.no_new_privileges(),
        default_limits: DefaultLimits {
            cpu_millis: table.default_cpu.as_ref().map(Quantity::cpu_millis).transpose()?,
            memory_bytes: table.default_memory.as_ref().map(Quantity::bytes).transpose()?,
            pids: Some(table.default_pids()),
            disk_bytes: Some(table.default_disk.bytes()?),
        },
        watermark: Watermark {
            free_bytes: table.min_free_disk.bytes()?,
            free_percent: table.min_free_disk_percent,
        },
        reserve: Reserve {
            memory_bytes: table.min_free_memory.bytes()?,
            memory_percent: table.min_free_memory_percent,
            tasks: table.min_free_pids,
        },
        dns_servers: table.dns.iter().copied().map(ipv4).collect::<Result<_>>()?,
        deny_cidrs,
        uid_base: table.uid_base,
        prepared_slots: table.prepared_slots,
        overlay: match table.overlay {
            OverlayKind::Auto => OverlayWay::Auto,
            OverlayKind::Detached => OverlayWay::Detached,
            OverlayKind::Attached => OverlayWay::Attached,
        },
        max_flows: table.max_flows,
        log_bytes: table.log_size.bytes()?,
        ..defaults
    })
}

fn cidr(key: &str, text: &str) -> Result<Cidr> {
    text.parse().map_err(|problem| anyhow!("{key}: {problem}"))
}

fn ipv4(address: IpAddr) -> Result<std::net::Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(anyhow!("native.dns: sandboxes have no IPv6, so {address} cannot serve them")),
    }
}

fn beside_own_program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find the server's own program")?;
    let path = own.parent().unwrap_or(Path::new("/")).join(name);
    anyhow::ensure!(
        path.is_file(),
        "there is no {} beside the server; build it or name it with native.execd",
        path.display()
    );
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configured_networks_are_denied_besides_the_built_in_ones() {
        let table = NativeTable {
            execd: Some(PathBuf::from("/execd")),
            deny_cidrs: vec!["10.0.0.0/8".to_owned()],
            ..NativeTable::default()
        };
        let denied: Vec<_> =
            native_config(&table).unwrap().deny_cidrs.iter().map(ToString::to_string).collect();
        assert!(denied.contains(&"169.254.0.0/16".to_owned()), "{denied:?}");
        assert!(denied.contains(&"10.0.0.0/8".to_owned()), "{denied:?}");
    }

    #[test]
    fn the_tables_defaults_are_the_runtimes() {
        let table = NativeTable { execd: Some(PathBuf::from("/execd")), ..NativeTable::default() };
        let (ours, theirs) =
            (native_config(&table).unwrap(), NativeConfig::new("/var/lib/sandkeep", "/execd"));
        assert_eq!(format!("{ours:?}"), format!("{theirs:?}"));
    }

    #[test]
    fn mistakes_name_their_key() {
        for (table, key) in [
            (NativeTable { subnet: Some("10.0.0.0".to_owned()), ..NativeTable::default() }, "native.subnet"),
            (NativeTable { deny_cidrs: vec!["x".to_owned()], ..NativeTable::default() }, "native.deny_cidrs"),
            (NativeTable { dns: vec![IpAddr::from([0; 16])], ..NativeTable::default() }, "native.dns"),
        ] {
            let table = NativeTable { execd: Some(PathBuf::from("/execd")), ..table };
            let error = native_config(&table).map(drop).unwrap_err();
            assert!(error.to_string().starts_with(key), "{error}");
        }
    }
}
