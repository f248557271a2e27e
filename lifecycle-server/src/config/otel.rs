//! `[otel]`: traces and metrics sent to a collector.

use std::{fmt, time::Duration};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use serde::Deserialize;

use super::{
    error::Problem,
    ingest::{Environment, at_least},
};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";
/// Where collectors listen for OTLP over HTTP unless told otherwise.
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";

/// Traces and metrics sent to a collector.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtelConfig {
    /// Default false.
    pub enabled: bool,
    endpoint: Option<String>,
    /// Name the server has at the collector. Default `opensandbox-server`.
    pub service_name: String,
    export_interval_millis: u64,
    #[serde(skip)]
    targets: Option<OtelTargets>,
}

/// Where exports go, and what goes with them.
#[derive(Clone)]
pub struct OtelTargets {
    pub traces: Url,
    pub metrics: Url,
    /// Sent with each export; may hold what lets the server in.
    pub headers: HeaderMap,
    /// More that is said of this server.
    pub attributes: Vec<(String, String)>,
}

impl fmt::Debug for OtelConfig {
    /// Without addresses, which may hold a password, and what goes with exports.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OtelConfig").field("enabled", &self.enabled).finish_non_exhaustive()
    }
}

impl Default for OtelConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            endpoint: None,
            service_name: "opensandbox-server".to_owned(),
            export_interval_millis: 60_000,
            targets: None,
        }
    }
}

impl OtelConfig {
    /// Between two exports of metrics. Default a minute, at least a second.
    pub fn export_interval(&self) -> Duration {
        Duration::from_millis(self.export_interval_millis)
    }

    /// `None` unless exporting is wanted.
    pub fn targets(&self) -> Option<&OtelTargets> {
        self.targets.as_ref()
    }

    /// Puts the environment to what the file leaves open. Variables of a server that exports nothing are not looked at.
    pub(super) fn settle(&mut self, environment: &impl Environment) -> Result<(), Problem> {
        let endpoint = self.endpoint.as_deref().map(str::trim).filter(|endpoint| !endpoint.is_empty());
        let endpoint = endpoint.map(|endpoint| address("otel.endpoint", endpoint)).transpose()?;
        if !self.enabled {
            return Ok(());
        }
        let variable = |name: &'static str| {
            let value = environment.get(name).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty())
        };
        let base = match (endpoint, variable(ENDPOINT)) {
            (Some(endpoint), _) => return self.aim(signals(&endpoint), &variable),
            (None, Some(given)) => address(ENDPOINT, &given)?,
            (None, None) => address(ENDPOINT, DEFAULT_ENDPOINT)?,
        };
        let whole = |name, path| match variable(name) {
            Some(given) => address(name, &given),
            None => Ok(below(&base, path)),
        };
        let targets = (whole(TRACES_ENDPOINT, "v1/traces")?, whole(METRICS_ENDPOINT, "v1/metrics")?);
        self.aim(targets, &variable)
    }

    fn aim(
        &mut self,
        (traces, metrics): (Url, Url),
        variable: &impl Fn(&'static str) -> Option<String>,
    ) -> Result<(), Problem> {
        let headers = variable(HEADERS).map(|text| headers(&text)).transpose()?.unwrap_or_default();
        let attributes = variable(ATTRIBUTES).map(|text| pairs(ATTRIBUTES, &text)).transpose()?;
        let attributes = attributes.unwrap_or_default();
        self.targets = Some(OtelTargets { traces, metrics, headers, attributes });
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), Problem> {
        at_least("otel.export_interval_millis", self.export_interval_millis, 1000)
    }
}

/// The address of a collector.
pub(super) fn address(key: &'static str, text: &str) -> Result<Url, Problem> {
    // The text is not shown: it may hold a password.
    let problem = || (key, "is not the http or https address of a collector".to_owned());
    let url = Url::parse(text).map_err(|_| problem())?;
    let is_plain =
        matches!(url.scheme(), "http" | "https") && url.query().is_none() && url.fragment().is_none();
    if is_plain { Ok(url) } else { Err(problem()) }
}

/// Where traces and metrics go. OpenSandbox's server wants the address of metrics here; traces have their place beside
/// them. The collector's own address will do, too.
pub(super) fn signals(endpoint: &Url) -> (Url, Url) {
    let path = endpoint.path().trim_end_matches('/');
    for signal in ["metrics", "traces"] {
        let Some(directory) = path.strip_suffix(signal).filter(|directory| directory.ends_with('/')) else {
            continue;
        };
        return (at(endpoint, &format!("{directory}traces")), at(endpoint, &format!("{directory}metrics")));
    }
    (below(endpoint, "v1/traces"), below(endpoint, "v1/metrics"))
}

fn below(base: &Url, path: &str) -> Url {
    at(base, &format!("{}/{path}", base.path().trim_end_matches('/')))
}

fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(path);
    url
}

fn headers(text: &str) -> Result<HeaderMap, Problem> {
    let header = |(name, value): (String, String)| {
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    };
    let headers: Option<HeaderMap> = pairs(HEADERS, text)?.into_iter().map(header).collect();
    headers.ok_or_else(|| (HEADERS, "holds what cannot be a header".to_owned()))
}

/// `name=value,other=value`, with what is special in values percent-encoded.
fn pairs(key: &'static str, text: &str) -> Result<Vec<(String, String)>, Problem> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        let name = name.trim();
        (!name.is_empty()).then(|| (name.to_owned(), value.into_owned()))
    };
    let given = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs: Option<Vec<_>> = given.map(pair).collect();
    pairs.ok_or_else(|| (key, "is not a list such as name=value,other=value".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Result<OtelTargets, Problem> {
        let endpoint = endpoint.map(str::to_owned);
        let mut config = OtelConfig { enabled: true, endpoint, ..OtelConfig::default() };
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        config.settle(&get)?;
        Ok(config.targets.unwrap())
    }

    fn targets(endpoint: Option<&str>, variables: &[(&str, &str)]) -> [String; 2] {
        let targets = settled(endpoint, variables).unwrap();
        [targets.traces.to_string(), targets.metrics.to_string()]
    }

    #[test]
    fn each_signal_has_its_place() {
        let usual = ["http://localhost:4318/v1/traces", "http://localhost:4318/v1/metrics"];
        assert_eq!(targets(None, &[(ENDPOINT, "")]), usual);
        for given in ["http://localhost:4318", "http://localhost:4318/", "http://localhost:4318/v1/metrics"] {
            assert_eq!(targets(Some(given), &[(ENDPOINT, "http://other")]), usual, "{given}");
        }
        let beside = targets(Some("https://c.example/otlp/metrics"), &[]);
        assert_eq!(beside, ["https://c.example/otlp/traces", "https://c.example/otlp/metrics"]);
        let variables = [(ENDPOINT, "http://c/x/"), (METRICS_ENDPOINT, "http://m/y")];
        assert_eq!(targets(None, &variables), ["http://c/x/v1/traces", "http://m/y"]);
    }

    #[test]
    fn only_http_addresses_are_taken() {
        for bad in ["collector:4317", "grpc://c:4317", "http://c/?a=b", "http://"] {
            assert_eq!(settled(Some(bad), &[]).map(drop).unwrap_err().0, "otel.endpoint", "{bad}");
            assert_eq!(
                settled(None, &[(TRACES_ENDPOINT, bad)]).map(drop).unwrap_err().0,
                TRACES_ENDPOINT,
                "{bad}"
            );
        }
    }

    #[test]
    fn what_goes_along_is_from_the_environment_and_hidden() {
        let variables =
            [(HEADERS, "Authorization=Basic%20YTpi+c==, x-team = a"), (ATTRIBUTES, "deployment=one%2Ctwo,")];
        let targets = settled(None, &variables).unwrap();
        assert_eq!(targets.headers["authorization"], "Basic YTpi+c==");
        assert_eq!(targets.headers["x-team"], "a");
        assert!(targets.headers.values().all(HeaderValue::is_sensitive));
        assert_eq!(targets.attributes, [("deployment".to_owned(), "one,two".to_owned())]);
        for (name, bad) in [(HEADERS, "no value"), (HEADERS, "a b=c"), (ATTRIBUTES, "=x"), (HEADERS, "a=%00")]
        {
            let (key, problem) = settled(None, &[(name, bad)]).map(drop).unwrap_err();
            assert!(key == name && !problem.contains(bad), "{problem}");
        }
    }
}
