//! A binding, checked and normalised.

use std::collections::HashSet;

use hyper::{Method, header::HeaderName};
use sandkeep_specs::egress::vault::{
    CredentialAuth, CredentialAuthMetadata, CredentialBinding, CredentialBindingMetadata, CredentialMatch,
    CredentialScheme, CredentialSubstitution, SubstitutionSurface,
};

use super::{HostPattern, VaultError, paths::PathPattern};

const HTTP_PORT: i64 = 80;
const HTTPS_PORT: i64 = 443;
const DEFAULT_METHODS: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

/// Headers that decide where a request goes or where it ends: no secret is put there.
const FORBIDDEN_HEADERS: [&str; 14] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "proxy-authorization",
    "proxy-authenticate",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Which requests.
#[derive(Debug, Clone)]
pub(super) struct Matcher {
    pub(super) schemes: Vec<CredentialScheme>,
    pub(super) hosts: Vec<HostPattern>,
    pub(super) methods: Vec<Method>,
    pub(super) paths: Vec<PathPattern>,
}

/// How a header's value is made of a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderForm {
    Bearer,
    Basic,
    Raw,
}

/// A header that is set.
#[derive(Debug, Clone)]
pub(super) struct HeaderRule {
    pub(super) name: HeaderName,
    pub(super) form: HeaderForm,
    pub(super) credential: String,
}

/// A mark that is replaced.
#[derive(Debug, Clone)]
pub(super) struct SubstitutionRule {
    pub(super) credential: String,
    pub(super) placeholder: String,
    pub(super) surfaces: Vec<SubstitutionSurface>,
}

/// One binding.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    pub(super) name: String,
    pub(super) matcher: Matcher,
    pub(super) headers: Vec<HeaderRule>,
    pub(super) substitutions: Vec<SubstitutionRule>,
    auth: CredentialAuthMetadata,
}

impl Binding {
    /// Checks what a client has sent. `scoped` refuses bindings for every path of a host.
    pub(super) fn parse(wire: CredentialBinding, scoped: bool) -> Result<Self, VaultError> {
        let name = parse_name("binding", &wire.name)?;
        let within = |error| match error {
            VaultError::Invalid(message) => VaultError::Invalid(format!("binding {name:?}: {message}")),
            other => other,
        };
        let matcher = Matcher::parse(wire.matches, scoped).map_err(within)?;
        let (auth, headers, substitutions) = parse_auth(wire.auth).map_err(within)?;
        let substitutions = substitutions
            .into_iter()
            .map(SubstitutionRule::parse)
            .collect::<Result<_, _>>()
            .map_err(within)?;
        Ok(Self { matcher, headers, substitutions, auth, name })
    }

    /// The secrets it uses, by name.
    pub(super) fn credentials(&self) -> impl Iterator<Item = &str> {
        let headers = self.headers.iter().map(|header| header.credential.as_str());
        headers.chain(self.substitutions.iter().map(|one| one.credential.as_str()))
    }

    pub(super) fn metadata(&self, revision: i64) -> CredentialBindingMetadata {
        CredentialBindingMetadata {
            name: self.name.clone(),
            revision,
            matches: self.matcher.wire(),
            auth: self.auth.clone(),
        }
    }

    /// Whether a request could be meant by both with the same precedence.
    pub(super) fn clashes(&self, other: &Self) -> bool {
        let (one, two) = (&self.matcher, &other.matcher);
        any(&one.schemes, &two.schemes, PartialEq::eq)
            && any(&one.methods, &two.methods, PartialEq::eq)
            && any(&one.paths, &two.paths, PathPattern::overlaps)
            && any(&one.hosts, &two.hosts, HostPattern::clashes)
    }
}

fn any<T>(one: &[T], two: &[T], same: impl Fn(&T, &T) -> bool) -> bool {
    one.iter().any(|left| two.iter().any(|right| same(left, right)))
}

impl Matcher {
    fn parse(wire: CredentialMatch, scoped: bool) -> Result<Self, VaultError> {
        if let Some(port) = wire.ports.iter().find(|port| !matches!(**port, HTTP_PORT | HTTPS_PORT)) {
            return Err(VaultError::invalid(format!("port {port} is neither {HTTP_PORT} nor {HTTPS_PORT}")));
        }
        if wire.hosts.is_empty() {
            return Err(VaultError::invalid("hosts must name at least one host"));
        }
        let schemes = or_default(unique(wire.schemes), || vec![CredentialScheme::Https]);
        let hosts = unique(wire.hosts.iter().map(|host| HostPattern::parse(host)).collect::<Result<_, _>>()?);
        let methods =
            unique(wire.methods.iter().map(|method| parse_method(method)).collect::<Result<_, _>>()?);
        let methods = or_default(methods, || DEFAULT_METHODS.to_vec());
        let paths: Vec<_> =
            unique(wire.paths).iter().map(|path| PathPattern::parse(path)).collect::<Result<_, _>>()?;
        let paths = or_default(paths, || vec![PathPattern::Prefix("/".to_owned())]);
        if scoped && paths.iter().any(PathPattern::is_everything) {
            return Err(VaultError::invalid("paths must be narrower than `/*` here"));
        }
        Ok(Self { schemes, hosts, methods, paths })
    }

    pub(super) fn wire(&self) -> CredentialMatch {
        CredentialMatch {
            schemes: self.schemes.clone(),
            ports: self.schemes.iter().map(|scheme| port_of(*scheme)).collect(),
            hosts: self.hosts.iter().map(HostPattern::text).collect(),
            methods: self.methods.iter().map(Method::to_string).collect(),
            paths: self.paths.iter().map(PathPattern::text).collect(),
        }
    }

    /// Whether everything but the host fits.
    pub(super) fn accepts(&self, scheme: CredentialScheme, port: u16, method: &Method, path: &str) -> bool {
        i64::from(port) == port_of(scheme)
            && self.schemes.contains(&scheme)
            && self.methods.contains(method)
            && self.paths.iter().any(|pattern| pattern.matches(path))
    }
}

const fn port_of(scheme: CredentialScheme) -> i64 {
    match scheme {
        CredentialScheme::Https => HTTPS_PORT,
        CredentialScheme::Http => HTTP_PORT,
    }
}

fn or_default<T>(list: Vec<T>, default: impl FnOnce() -> Vec<T>) -> Vec<T> {
    if list.is_empty() { default() } else { list }
}

fn unique<T: Clone + Eq + std::hash::Hash>(list: Vec<T>) -> Vec<T> {
    let mut seen = HashSet::new();
    list.into_iter().filter(|item| seen.insert(item.clone())).collect()
}

fn parse_method(text: &str) -> Result<Method, VaultError> {
    let upper = text.trim().to_ascii_uppercase();
    Method::from_bytes(upper.as_bytes())
        .map_err(|_| VaultError::invalid(format!("method {text:?} is no HTTP method")))
}

/// A name of a secret or a binding, without the blanks around it.
pub(super) fn parse_name(what: &str, text: &str) -> Result<String, VaultError> {
    match text.trim() {
        "" => Err(VaultError::invalid(format!("a {what}'s name is blank"))),
        name => Ok(name.to_owned()),
    }
}

type ParsedAuth = (CredentialAuthMetadata, Vec<HeaderRule>, Vec<CredentialSubstitution>);

fn parse_auth(wire: CredentialAuth) -> Result<ParsedAuth, VaultError> {
    let metadata = |auth_type: &str, name| CredentialAuthMetadata { auth_type: auth_type.to_owned(), name };
    let authorization = |form, credential: &str| {
        let credential = parse_name("credential", credential)?;
        Ok(vec![HeaderRule { name: hyper::header::AUTHORIZATION, form, credential }])
    };
    Ok(match wire {
        CredentialAuth::Bearer(auth) => {
            let headers = authorization(HeaderForm::Bearer, &auth.credential)?;
            (metadata("bearer", None), headers, auth.substitutions)
        }
        CredentialAuth::Basic(auth) => {
            let headers = authorization(HeaderForm::Basic, &auth.credential)?;
            (metadata("basic", None), headers, auth.substitutions)
        }
        CredentialAuth::ApiKey(auth) => {
            let header = HeaderRule::parse(&auth.name, &auth.credential)?;
            (metadata("apiKey", Some(auth.name)), vec![header], auth.substitutions)
        }
        CredentialAuth::CustomHeaders(auth) => {
            if auth.headers.is_empty() {
                return Err(VaultError::invalid("customHeaders needs at least one header"));
            }
            let mut headers: Vec<HeaderRule> = Vec::new();
            for entry in auth.headers {
                let header = HeaderRule::parse(&entry.name, &entry.credential)?;
                if headers.iter().any(|other| other.name == header.name) {
                    return Err(VaultError::invalid(format!("header {:?} is named twice", entry.name)));
                }
                headers.push(header);
            }
            (metadata("customHeaders", None), headers, auth.substitutions)
        }
        CredentialAuth::Passthrough(auth) => (metadata("passthrough", None), Vec::new(), auth.substitutions),
    })
}

impl HeaderRule {
    fn parse(name: &str, credential: &str) -> Result<Self, VaultError> {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| VaultError::invalid(format!("header {name:?} is no header name")))?;
        if FORBIDDEN_HEADERS.contains(&parsed.as_str()) {
            return Err(VaultError::invalid(format!("header {name:?} cannot hold a credential")));
        }
        let credential = parse_name("credential", credential)?;
        Ok(Self { name: parsed, form: HeaderForm::Raw, credential })
    }
}

impl SubstitutionRule {
    fn parse(wire: CredentialSubstitution) -> Result<Self, VaultError> {
        if wire.placeholder.trim().is_empty() {
            return Err(VaultError::invalid("a substitution's placeholder is blank"));
        }
        if wire.surfaces.is_empty() {
            return Err(VaultError::invalid("a substitution's `in` is empty"));
        }
        let credential = parse_name("credential", &wire.credential)?;
        Ok(Self { credential, placeholder: wire.placeholder, surfaces: wire.surfaces })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parse(value: Value) -> Result<Binding, VaultError> {
        Binding::parse(serde_json::from_value(value).unwrap(), false)
    }

    fn bearer(matches: Value) -> Value {
        json!({"name": "b", "match": matches, "auth": {"type": "bearer", "credential": "c"}})
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let wire = parse(bearer(json!({"hosts": ["A.example", "a.example"]}))).unwrap().matcher.wire();
        let expected = json!({"schemes": ["https"], "ports": [443], "hosts": ["a.example"],
            "methods": ["GET", "POST", "PUT", "PATCH", "DELETE"], "paths": ["/*"]});
        assert_eq!(serde_json::to_value(wire).unwrap(), expected);
    }

    #[test]
    fn ports_follow_schemes() {
        assert!(parse(bearer(json!({"hosts": ["a.example"], "ports": [8443]}))).is_err());
        let both = json!({"hosts": ["a.example"], "ports": [80], "schemes": ["https", "http"]});
        let matcher = parse(bearer(both)).unwrap().matcher;
        assert_eq!(matcher.wire().ports, [443, 80]);
        assert!(matcher.accepts(CredentialScheme::Https, 443, &Method::GET, "/"));
        assert!(matcher.accepts(CredentialScheme::Http, 80, &Method::GET, "/"));
        assert!(!matcher.accepts(CredentialScheme::Https, 80, &Method::GET, "/"));
        assert!(!matcher.accepts(CredentialScheme::Https, 443, &Method::HEAD, "/"));
    }

    #[test]
    fn headers_that_steer_a_request_hold_no_secret() {
        let with = |name: &str| {
            parse(json!({"name": "b", "match": {"hosts": ["a.example"]},
                "auth": {"type": "apiKey", "name": name, "credential": "c"}}))
        };
        assert!(with("X-Api-Key").is_ok());
        for name in ["Host", "X-Forwarded-For", "Connection", "no token", "", "a:b"] {
            assert!(with(name).is_err(), "{name}");
        }
        let twice = json!({"name": "b", "match": {"hosts": ["a.example"]}, "auth": {"type": "customHeaders",
            "headers": [{"name": "X-A", "credential": "c"}, {"name": "x-a", "credential": "c"}]}});
        assert!(parse(twice).is_err());
    }

    #[test]
    fn a_scoped_vault_wants_paths() {
        let wire = |paths: Value| {
            serde_json::from_value(bearer(json!({"hosts": ["a.example"], "paths": paths}))).unwrap()
        };
        assert!(Binding::parse(wire(json!([])), true).is_err());
        assert!(Binding::parse(wire(json!(["/v1/*"])), true).is_ok());
    }

    #[test]
    fn metadata_names_no_secret() {
        let binding = parse(json!({"name": "b", "match": {"hosts": ["a.example"]},
            "auth": {"type": "customHeaders", "headers": [{"name": "X-A", "credential": "the-one"}]}}));
        let text = serde_json::to_string(&binding.unwrap().metadata(3)).unwrap();
        assert!(!text.contains("the-one") && !text.to_lowercase().contains("x-a"), "{text}");
    }

    #[test]
    fn unknown_members_are_refused() {
        let wrong =
            json!({"name": "b", "match": {"hosts": ["a.example"], "x": 1}, "auth": {"type": "passthrough"}});
        assert!(serde_json::from_value::<CredentialBinding>(wrong).is_err());
        let wrong =
            json!({"name": "b", "match": {"hosts": []}, "auth": {"type": "passthrough", "credential": "c"}});
        assert!(serde_json::from_value::<CredentialBinding>(wrong).is_err());
    }
}
