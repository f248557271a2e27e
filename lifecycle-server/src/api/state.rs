//! What handlers work with.

use std::sync::Arc;

use super::{
    access::Gate,
    auth::Keys,
    renew::RenewOnUse,
    telemetry::Telemetry,
    validate::{self, Rules},
};
use crate::{
    config::{Config, GatewayConfig, NativeTable},
    image::ImageStore,
    otel::Tracer,
    proxy::{Proxy, Relay},
    runtime::{Guaranteed, Limits},
    sandbox::Service,
    snapshot::Snapshots,
};

/// Where the API begins.
pub(super) const API_MOUNT: &str = "/v1";

/// The domain and what the configuration says about the API; cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Parts>);

pub struct Parts {
    pub service: Service,
    pub images: ImageStore,
    pub snapshots: Snapshots,
    pub keys: Keys,
    pub gate: Gate,
    pub rules: Rules,
    pub renew: RenewOnUse,
    pub telemetry: Arc<Telemetry>,
    pub proxy: Proxy,
    /// To the other servers on the database, if there may be any.
    pub relay: Option<Relay>,
    pub gateway: Option<Arc<GatewayConfig>>,
    /// Host that proxied endpoints are announced under instead of the request's own.
    pub announced_host: Option<String>,
    pub limit_concurrency: usize,
}

impl ApiState {
    /// # Errors
    /// Only if two metrics share a name.
    pub fn new(
        service: Service,
        images: ImageStore,
        snapshots: Snapshots,
        keys: Keys,
        config: &Config,
        tracer: Option<Tracer>,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self(Arc::new(Parts {
            relay: service.is_shared().then(Relay::default),
            service,
            images,
            snapshots,
            gate: Gate { keys: keys.clone(), public_ports: config.proxy.public_ports.clone() },
            keys,
            rules: Rules {
                max_timeout: config.server.max_sandbox_timeout_seconds,
                host: validate::host_platform(),
                default_limits: default_limits(&config.native),
                egress: validate::Guarding {
                    mode: config.egress.mode.clone(),
                    through_proxy: config.egress.upstream_proxy.is_some(),
                },
            },
            renew: RenewOnUse::new(&config.renew_intent),
            telemetry: Arc::new(Telemetry::new(tracer)?),
            proxy: Proxy::new(&config.proxy),
            gateway: config.ingress.gateway().map(Arc::new),
            announced_host: config.server.eip.clone(),
            limit_concurrency: config.server.limit_concurrency,
        })))
    }
}

impl Parts {
    /// Path under which the API is announced: a proxy in front may serve it below one of its own.
    pub fn announced_mount(&self) -> String {
        let host = self.announced_host.as_deref().unwrap_or_default();
        let path = host.find('/').map_or("", |slash| host[slash..].trim_end_matches('/'));
        if path.ends_with(API_MOUNT) { path.to_owned() } else { format!("{path}{API_MOUNT}") }
    }
}

/// The configured limits, as far as the configuration is right about them.
fn default_limits(table: &NativeTable) -> Limits {
    Limits {
        cpu_millis: table.default_cpu.as_ref().and_then(|cpu| cpu.cpu_millis().ok()),
        memory_bytes: table.default_memory.as_ref().and_then(|memory| memory.bytes().ok()),
        pids: Some(table.default_pids()),
        disk_bytes: table.default_disk.bytes().ok(),
        guaranteed: Guaranteed::NOTHING,
    }
}

impl std::ops::Deref for ApiState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
