//! Finds the binding for a request.

use std::{collections::HashMap, sync::Arc};

use hyper::{
    Method,
    header::{HeaderName, HeaderValue},
};
use sandkeep_specs::egress::vault::{ActiveBinding, ActiveHeader, ActiveSnapshot, CredentialScheme};

use super::{
    HostPattern,
    binding::{Binding, Matcher},
    change::Contents,
    redact::Redactions,
    substitute::Substitution,
};

/// A request, as far as bindings look at it.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    pub scheme: CredentialScheme,
    /// Lower case, no dot at the end.
    pub host: &'a str,
    pub port: u16,
    pub method: &'a Method,
    /// Without the query.
    pub path: &'a str,
}

/// More than one binding fits equally well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ambiguous;

/// What a binding does to a request.
pub struct Injection {
    pub name: String,
    /// Headers that are set, whatever the sandbox has sent under their names.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub substitutions: Vec<Substitution>,
    matcher: Matcher,
}

/// A revision of the vault, ready for use.
pub struct Active {
    revision: i64,
    injections: Vec<Arc<Injection>>,
    /// Places in `injections` by host.
    exact: HashMap<String, Vec<usize>>,
    below: HashMap<String, Vec<usize>>,
    redactions: Arc<Redactions>,
}

impl Active {
    pub(super) fn new(contents: &Contents) -> Self {
        let injections: Vec<_> =
            contents.bindings.values().map(|binding| Arc::new(Injection::new(binding, contents))).collect();
        let (mut exact, mut below) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for (index, injection) in injections.iter().enumerate() {
            for host in &injection.matcher.hosts {
                let (map, name) = match host {
                    HostPattern::Exact(name) => (&mut exact, name),
                    HostPattern::Below(name) => (&mut below, name),
                };
                map.entry(name.clone()).or_default().push(index);
            }
        }
        let secrets = contents.credentials.values().map(|stored| stored.secret.expose());
        let placeholders = contents.bindings.values().flat_map(|binding| &binding.substitutions);
        let redactions = Redactions::new(secrets.chain(placeholders.map(|one| one.placeholder.as_str())));
        Self { revision: contents.revision, injections, exact, below, redactions: Arc::new(redactions) }
    }

    /// The binding for a request: an exact host wins over a wildcard.
    ///
    /// # Errors
    /// If several fit equally well.
    pub fn select(&self, wanted: &Wanted<'_>) -> Result<Option<Arc<Injection>>, Ambiguous> {
        let exact = self.exact.get(wanted.host).map(Vec::as_slice).unwrap_or_default();
        if let Some(found) = self.only_one(exact.iter(), wanted)? {
            return Ok(Some(found));
        }
        let parents = parents(wanted.host).filter_map(|parent| self.below.get(parent));
        self.only_one(parents.flatten(), wanted)
    }

    fn only_one<'a>(
        &self,
        candidates: impl Iterator<Item = &'a usize>,
        wanted: &Wanted<'_>,
    ) -> Result<Option<Arc<Injection>>, Ambiguous> {
        let mut found: Option<usize> = None;
        for index in candidates {
            let matcher = &self.injections[*index].matcher;
            if !matcher.accepts(wanted.scheme, wanted.port, wanted.method, wanted.path) {
                continue;
            }
            // One binding may name a host in more than one way.
            if found.is_some_and(|other| other != *index) {
                return Err(Ambiguous);
            }
            found = Some(*index);
        }
        Ok(found.map(|index| self.injections[index].clone()))
    }

    /// Whether any binding is for this host, so that its answers could hold a secret.
    #[must_use]
    pub fn knows_host(&self, host: &str) -> bool {
        self.exact.contains_key(host) || parents(host).any(|parent| self.below.contains_key(parent))
    }

    /// What is taken out of answers.
    #[must_use]
    pub fn redactions(&self) -> Arc<Redactions> {
        self.redactions.clone()
    }

    /// All of it, with the secrets.
    #[must_use]
    pub fn snapshot(&self) -> ActiveSnapshot {
        let header = |(name, value): &(HeaderName, HeaderValue)| ActiveHeader {
            name: name.to_string(),
            value: String::from_utf8_lossy(value.as_bytes()).into_owned(),
        };
        let binding = |injection: &Arc<Injection>| ActiveBinding {
            name: injection.name.clone(),
            matches: injection.matcher.wire(),
            headers: injection.headers.iter().map(header).collect(),
        };
        ActiveSnapshot {
            revision: self.revision,
            bindings: self.injections.iter().map(binding).collect(),
            redactions: self.redactions.texts().to_vec(),
        }
    }
}

/// `b.example` and `example` of `a.b.example`.
fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').map(|(at, _)| &name[at + 1..])
}

impl Injection {
    fn new(binding: &Binding, contents: &Contents) -> Self {
        let header = |rule: &super::binding::HeaderRule| {
            let value = bytes::Bytes::from(contents.render(rule.form, &rule.credential));
            // Was checked when the vault was changed.
            let mut value = HeaderValue::from_maybe_shared(value).unwrap_or(HeaderValue::from_static(""));
            value.set_sensitive(true);
            (rule.name.clone(), value)
        };
        let substitution = |rule: &super::binding::SubstitutionRule| {
            Some(Substitution {
                placeholder: rule.placeholder.clone(),
                secret: contents.credentials.get(&rule.credential)?.secret.clone(),
                surfaces: rule.surfaces.clone(),
            })
        };
        Self {
            name: binding.name.clone(),
            headers: binding.headers.iter().map(header).collect(),
            substitutions: binding.substitutions.iter().filter_map(substitution).collect(),
            matcher: binding.matcher.clone(),
        }
    }
}
