//! What handlers work with.

use std::sync::Arc;

use super::{
    access::Gate,
    auth::ApiKey,
    renew::RenewOnUse,
    telemetry::Telemetry,
    validate::{self, Rules},
};
use crate::{config::Config, image::ImageStore, proxy::Proxy, sandbox::Service};

/// The domain and what the configuration says about the API; cheap to clone.
#[derive(Clone)]
pub struct ApiState(Arc<Parts>);

pub struct Parts {
    pub service: Service,
    pub images: ImageStore,
    pub key: ApiKey,
    pub gate: Gate,
    pub rules: Rules,
    pub renew: RenewOnUse,
    pub telemetry: Arc<Telemetry>,
    pub proxy: Proxy,
    /// Host that proxied endpoints are announced under instead of the request's own.
    pub announced_host: Option<String>,
    pub limit_concurrency: usize,
}

impl ApiState {
    /// # Errors
    /// Only if two metrics share a name.
    pub fn new(service: Service, images: ImageStore, config: &Config) -> Result<Self, prometheus::Error> {
        let key = ApiKey::new(config.server.api_key.as_deref());
        Ok(Self(Arc::new(Parts {
            service,
            images,
            gate: Gate { key: key.clone(), public_ports: config.proxy.public_ports.clone() },
            key,
            rules: Rules {
                max_timeout: config.server.max_sandbox_timeout_seconds,
                host: validate::host_platform(),
            },
            renew: RenewOnUse::new(&config.renew_intent),
            telemetry: Arc::new(Telemetry::new()?),
            proxy: Proxy::new(&config.proxy),
            announced_host: config.server.eip.clone(),
            limit_concurrency: config.server.limit_concurrency,
        })))
    }
}

impl std::ops::Deref for ApiState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
