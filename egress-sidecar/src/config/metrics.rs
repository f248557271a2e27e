//! Where metrics go, and what goes with them: OpenTelemetry's own variables, and one of OpenSandbox's.

use std::{collections::BTreeSet, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::{
    HeaderMap, Uri,
    header::{self, HeaderName, HeaderValue},
    http::uri::{Authority, PathAndQuery},
};
use percent_encoding::percent_decode_str;
use sandkeep_specs::egress::settings;

use super::{ConfigError, PREFIX, environment::Environment};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const METRICS_HEADERS: &str = "OTEL_EXPORTER_OTLP_METRICS_HEADERS";
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const PROTOCOL: &str = "http/protobuf";
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const SERVICE_ATTRIBUTE: &str = "service.name";
/// Without the prefix. Whoever asks for a sandbox may set it.
const EXTRA: &str = "METRICS_EXTRA_ATTRS";
/// Where collectors take metrics.
const PATH: &str = "/v1/metrics";
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
const LEAST_INTERVAL: Duration = Duration::from_secs(1);
/// Attributes of one variable, and the bytes of each.
const MAX_ATTRIBUTES: usize = 32;
const MAX_NAME: usize = 128;
const MAX_VALUE: usize = 256;
/// Attributes that say something else already.
const OWN_ATTRIBUTES: [&str; 3] = ["sandbox_id", "reason", "operation"];
/// Headers that belong to the message.
const OWN_HEADERS: [HeaderName; 4] =
    [header::HOST, header::CONNECTION, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];

/// Metrics are exported, and this is how. `Debug` shows no secret.
#[derive(Clone)]
pub struct MetricsConfig {
    /// Where they are sent (`OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`, `OTEL_EXPORTER_OTLP_ENDPOINT`), without a password.
    pub collector: Uri,
    /// Sent with each export (`OTEL_EXPORTER_OTLP_METRICS_HEADERS`, `OTEL_EXPORTER_OTLP_HEADERS`); may hold what lets the
    /// sidecar in.
    pub headers: HeaderMap,
    /// Between two exports (`OTEL_METRIC_EXPORT_INTERVAL`).
    pub interval: Duration,
    /// What the sidecar is called (`OTEL_SERVICE_NAME`).
    pub service_name: Option<String>,
    /// More that is said of it (`OTEL_RESOURCE_ATTRIBUTES`).
    pub resource: Vec<(String, String)>,
    /// What is said of every value (`METRICS_EXTRA_ATTRS`).
    pub attributes: Vec<(String, String)>,
}

impl std::fmt::Debug for MetricsConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsConfig").field("interval", &self.interval).finish_non_exhaustive()
    }
}

impl MetricsConfig {
    /// `None` unless a collector is named. What is left out, or has no effect, is put among the warnings.
    pub(super) fn read(
        env: &Environment<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Self>, ConfigError> {
        let (name, given, base) = match (env.whole(METRICS_ENDPOINT), env.whole(ENDPOINT)) {
            (Some(given), _) => (METRICS_ENDPOINT, given, false),
            (None, Some(given)) => (ENDPOINT, given, true),
            (None, None) => {
                if env.text(EXTRA).is_some() {
                    warnings.push(format!("{PREFIX}{EXTRA} has no effect: no collector is named"));
                }
                return Ok(None);
            }
        };
        // The text is not shown: it may hold a password.
        let refuse = || refused(name, "is not the http or https address of a collector");
        let (collector, authorization) = address(&given, base).ok_or_else(refuse)?;
        let mut headers = HeaderMap::new();
        headers.extend(authorization.map(|shown| (header::AUTHORIZATION, shown)));
        headers.extend(headers_of(env)?);
        if let Some((name, protocol)) = PROTOCOLS.iter().find_map(|name| Some((name, env.whole(name)?)))
            && protocol != PROTOCOL
        {
            warnings.push(format!("{name} has no effect: metrics are exported as {PROTOCOL}"));
        }
        let mut attributes = |name: &str, text: Option<String>, decodes, taken: &[&str]| {
            let (kept, left_out) = attributes(&text.unwrap_or_default(), decodes, taken);
            if left_out > 0 {
                warnings.push(format!(
                    "{name}: {left_out} of its parts are left out; they are NAME=VALUE, at most {MAX_ATTRIBUTES} with \
                     at most {MAX_NAME} and {MAX_VALUE} bytes, and no name comes twice"
                ));
            }
            kept
        };
        let resource = attributes(RESOURCE, env.whole(RESOURCE), true, &[]);
        let extra = attributes(&format!("{PREFIX}{EXTRA}"), env.text(EXTRA), false, &OWN_ATTRIBUTES);
        let named = || resource.iter().find(|(name, _)| name == SERVICE_ATTRIBUTE);
        let service_name = env.whole(SERVICE).or_else(|| named().map(|(_, value)| value.clone()));
        let interval = interval(env.whole(INTERVAL).as_deref(), warnings);
        Ok(Some(Self { collector, headers, interval, service_name, resource, attributes: extra }))
    }
}

fn refused(name: &str, reason: &str) -> ConfigError {
    ConfigError { name: name.to_owned(), reason: reason.to_owned() }
}

/// Where metrics go, and what the user in the address is shown as. `base` is one that has signals below it.
fn address(text: &str, base: bool) -> Option<(Uri, Option<HeaderValue>)> {
    let uri: Uri = text.parse().ok().filter(|_| !text.contains('#'))?;
    let mut parts = uri.into_parts();
    let known = parts.scheme.as_ref().is_some_and(|scheme| ["http", "https"].contains(&scheme.as_str()));
    let authority = parts.authority.take().filter(|authority| known && !authority.host().is_empty())?;
    let (user, place) = match authority.as_str().rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority.as_str()),
    };
    let place: Authority = place.parse().ok()?;
    let has_port = place.as_str().len() > place.host().len();
    let path = parts.path_and_query.as_ref().map_or("/", PathAndQuery::as_str);
    if path.contains('?') || (has_port && place.port_u16().is_none_or(|port| port == 0)) {
        return None;
    }
    let path = match base || path == "/" {
        true => format!("{}{PATH}", path.trim_end_matches('/')),
        false => path.to_owned(),
    };
    parts.path_and_query = Some(path.parse().ok()?);
    let user = user.map(basic);
    parts.authority = Some(place);
    Some((Uri::from_parts(parts).ok()?, user))
}

fn basic(user: &str) -> HeaderValue {
    let plain: Vec<u8> = percent_decode_str(user).collect();
    let plain = if plain.contains(&b':') { plain } else { [&plain[..], b":"].concat() };
    let shown = format!("Basic {}", STANDARD.encode(plain));
    let mut shown = HeaderValue::try_from(shown).unwrap_or(HeaderValue::from_static(""));
    shown.set_sensitive(true);
    shown
}

fn headers_of(env: &Environment<'_>) -> Result<HeaderMap, ConfigError> {
    let given = [METRICS_HEADERS, HEADERS].into_iter().find_map(|name| Some((name, env.whole(name)?)));
    let Some((name, text)) = given else { return Ok(HeaderMap::new()) };
    let header = |part: &str| {
        let (name, value) = pair(part, true)?;
        let mut value = HeaderValue::try_from(value).ok()?;
        value.set_sensitive(true);
        HeaderName::try_from(name).ok().filter(|name| !OWN_HEADERS.contains(name)).zip(Some(value))
    };
    let headers: Option<HeaderMap> = settings::parts(&text).map(header).collect();
    headers.ok_or_else(|| refused(name, "is not a list of headers such as name=value,other=value"))
}

/// Those that can be kept, and how many cannot. Where several have a name the first counts.
fn attributes(text: &str, decodes: bool, taken: &[&str]) -> (Vec<(String, String)>, usize) {
    let (mut kept, mut left_out) = (Vec::new(), 0);
    let mut names: BTreeSet<String> = taken.iter().map(|name| (*name).to_owned()).collect();
    for part in settings::parts(text) {
        let fits = |(name, value): &(String, String)| {
            name.len() <= MAX_NAME && value.len() <= MAX_VALUE && kept.len() < MAX_ATTRIBUTES
        };
        match pair(part, decodes).filter(fits).filter(|(name, _)| names.insert(name.clone())) {
            Some(attribute) => kept.push(attribute),
            None => left_out += 1,
        }
    }
    (kept, left_out)
}

/// `NAME=VALUE`; what is special in values may be percent-encoded.
fn pair(part: &str, decodes: bool) -> Option<(String, String)> {
    let (name, value) = part.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let value = match decodes {
        true => percent_decode_str(value).decode_utf8().ok()?.into_owned(),
        false => value.to_owned(),
    };
    (!name.is_empty()).then(|| (name.to_owned(), value))
}

/// Milliseconds.
fn interval(text: Option<&str>, warnings: &mut Vec<String>) -> Duration {
    let Some(text) = text else { return DEFAULT_INTERVAL };
    let given = text.parse().map(Duration::from_millis);
    match given {
        Ok(given) if given >= LEAST_INTERVAL => return given,
        _ => {}
    }
    let used = given.map_or(DEFAULT_INTERVAL, |_| LEAST_INTERVAL);
    let least = LEAST_INTERVAL.as_millis();
    warnings.push(format!(
        "{INTERVAL} is no number of milliseconds from {least} on: metrics are exported every {} seconds",
        used.as_secs()
    ));
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON: (&str, &str) = (ENDPOINT, "http://collector");
    const EXTRA_WHOLE: &str = "OPENSANDBOX_EGRESS_METRICS_EXTRA_ATTRS";

    fn read(variables: &[(&str, &str)]) -> (Result<Option<MetricsConfig>, ConfigError>, Vec<String>) {
        let get = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let mut warnings = Vec::new();
        (MetricsConfig::read(&Environment::new(&get), &mut warnings), warnings)
    }

    fn given(variables: &[(&str, &str)]) -> MetricsConfig {
        let (config, warnings) = read(variables);
        assert!(warnings.is_empty(), "{warnings:?}");
        config.unwrap().unwrap()
    }

    #[test]
    fn nothing_is_exported_unless_a_collector_is_named() {
        for variables in [&[][..], &[(ENDPOINT, " "), (METRICS_ENDPOINT, "")], &[(HEADERS, "nonsense")]] {
            let (config, warnings) = read(variables);
            assert!(config.unwrap().is_none() && warnings.is_empty(), "{variables:?}");
        }
        let (_, warnings) = read(&[(EXTRA_WHOLE, "a=b")]);
        assert!(warnings.len() == 1 && warnings[0].starts_with(EXTRA_WHOLE), "{warnings:?}");
    }

    #[test]
    fn metrics_have_their_place() {
        for (variables, expected) in [
            (&[(ENDPOINT, "http://c:4318")][..], "http://c:4318/v1/metrics"),
            (&[(ENDPOINT, "https://c/otlp/")], "https://c/otlp/v1/metrics"),
            (&[(METRICS_ENDPOINT, "http://[::1]:4318/")], "http://[::1]:4318/v1/metrics"),
            (&[(METRICS_ENDPOINT, " http://c/own ")], "http://c/own"),
            (&[(METRICS_ENDPOINT, "http://m/y"), (ENDPOINT, "http://c")], "http://m/y"),
        ] {
            assert_eq!(given(variables).collector.to_string(), expected);
        }
    }

    #[test]
    fn only_http_addresses_are_taken_and_none_is_shown() {
        for bad in [
            "c:4317",
            "grpc://hush-hush@c",
            "http://",
            "http://c/?hush-hush",
            "http://c/#hush-hush",
            "http://u:hush-hush@",
            "http://u:hush-hush@c:99999",
            "http://u:hush-hush@c:0/",
            "http://u:hush-hush@c:x/",
        ] {
            for name in [ENDPOINT, METRICS_ENDPOINT] {
                let error = read(&[(name, bad)]).0.unwrap_err();
                assert_eq!(error.name, name, "{bad}");
                assert!(!error.reason.contains("hush"), "{error}");
            }
        }
    }

    #[test]
    fn what_goes_along_is_hidden() {
        let config = given(&[
            (ENDPOINT, "http://user:hush%2Dhush@c:1/x"),
            (HEADERS, "X-Team = a%20b , x-key=hush-hush"),
        ]);
        assert_eq!(config.collector, "http://c:1/x/v1/metrics");
        let headers = &config.headers;
        assert_eq!(headers["authorization"], format!("Basic {}", STANDARD.encode("user:hush-hush")));
        assert_eq!(
            (&headers["x-team"], &headers["x-key"]),
            (&"a b".parse().unwrap(), &"hush-hush".parse().unwrap())
        );
        assert!(headers.values().all(HeaderValue::is_sensitive));
        assert!(!format!("{config:?}").contains("hush"));
        let own =
            given(&[(ENDPOINT, "http://a:b@c"), (HEADERS, "x=y"), (METRICS_HEADERS, "authorization=own")]);
        assert_eq!((own.headers.len(), &own.headers["authorization"]), (1, &"own".parse().unwrap()));
        for bad in [
            "hush-hush",
            "a b=hush-hush",
            "=hush-hush",
            "a=hush-hush%00",
            "Host=hush-hush",
            "content-length=1",
        ] {
            let error = read(&[ON, (METRICS_HEADERS, bad)]).0.unwrap_err();
            assert!(error.name == METRICS_HEADERS && !error.reason.contains("hush"), "{error}");
        }
    }

    #[test]
    fn attributes_are_bounded_and_those_of_the_sidecar_its_own() {
        let [long_name, long_value] = ["n".repeat(MAX_NAME + 1), "v".repeat(MAX_VALUE + 1)];
        let text =
            format!("a=1, b = x=y ,,c=%41,a=2,sandbox_id=other,reason=x,=y,z,{long_name}=1,l={long_value}");
        let (config, warnings) = read(&[ON, (EXTRA_WHOLE, &text)]);
        let kept = [("a", "1"), ("b", "x=y"), ("c", "%41")];
        let kept = kept.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(config.unwrap().unwrap().attributes, kept);
        assert!(warnings.len() == 1 && warnings[0].contains(": 7 of"), "{warnings:?}");
        let many: Vec<String> = (0..=MAX_ATTRIBUTES).map(|at| format!("a{at}=b")).collect();
        let (config, warnings) = read(&[ON, (EXTRA_WHOLE, &many.join(","))]);
        assert_eq!((config.unwrap().unwrap().attributes.len(), warnings.len()), (MAX_ATTRIBUTES, 1));
        assert_eq!(given(&[ON, (RESOURCE, "reason=%2C")]).resource, [("reason".to_owned(), ",".to_owned())]);
    }

    #[test]
    fn times_and_protocols_that_cannot_be_kept_are_told() {
        for (text, millis, warned) in [
            ("2500", 2500, 0),
            (" ", 60_000, 0),
            ("999", 1000, 1),
            ("0", 1000, 1),
            ("1m", 60_000, 1),
            ("-1", 60_000, 1),
        ] {
            let (config, warnings) = read(&[ON, (INTERVAL, text)]);
            assert_eq!(config.unwrap().unwrap().interval.as_millis(), millis, "{text}");
            assert_eq!(warnings.len(), warned, "{warnings:?}");
        }
        for (name, protocol, warned) in [
            (PROTOCOLS[0], "grpc", 1),
            (PROTOCOLS[1], "http/json", 1),
            (PROTOCOLS[1], PROTOCOL, 0),
            (PROTOCOLS[0], "", 0),
        ] {
            let (_, warnings) = read(&[ON, (name, protocol)]);
            assert_eq!(warnings.len(), warned, "{name}={protocol}: {warnings:?}");
        }
    }
}
