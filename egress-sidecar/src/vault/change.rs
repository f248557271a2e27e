//! What is in a vault, and how a request changes it: everything in it or nothing.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use sandkeep_specs::egress::vault::{
    Credential, CredentialBinding, CredentialBindingMutationSet, CredentialMetadata, CredentialMutationSet,
};

use super::{
    HostPattern, VaultError,
    binding::{Binding, HeaderForm, parse_name},
    secret::Secret,
};

/// A vault holds at most this many secrets, and as many bindings.
const MAX_ENTRIES: usize = 1024;
/// All bindings together name at most this many hosts.
const MAX_HOSTS: usize = 4096;

/// The first revision.
const FIRST: i64 = 1;

/// A secret and when it was last changed.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) secret: Arc<Secret>,
    revision: i64,
}

/// A vault.
#[derive(Clone)]
pub(super) struct Contents {
    pub(super) revision: i64,
    pub(super) credentials: BTreeMap<String, Stored>,
    pub(super) bindings: BTreeMap<String, Binding>,
}

impl Contents {
    /// A new vault.
    pub(super) fn create(
        credentials: Vec<Credential>,
        bindings: Vec<CredentialBinding>,
        scoped: bool,
    ) -> Result<Self, VaultError> {
        let empty = Self { revision: FIRST - 1, credentials: BTreeMap::new(), bindings: BTreeMap::new() };
        empty.changed(
            CredentialMutationSet { add: credentials, ..Default::default() },
            CredentialBindingMutationSet { add: bindings, ..Default::default() },
            scoped,
        )
    }

    /// The vault after a change.
    pub(super) fn changed(
        &self,
        credentials: CredentialMutationSet,
        bindings: CredentialBindingMutationSet,
        scoped: bool,
    ) -> Result<Self, VaultError> {
        let mut next = self.clone();
        next.revision += 1;
        let revision = next.revision;
        let stored = |wire: Credential| {
            let (name, secret) = parse_credential(wire)?;
            Ok((name, Stored { secret: Arc::new(secret), revision }))
        };
        let (add, replace) = (parse_all(credentials.add, stored)?, parse_all(credentials.replace, stored)?);
        apply("credential", &mut next.credentials, credentials.delete, replace, add)?;
        let parsed = |wire: CredentialBinding| {
            let binding = Binding::parse(wire, scoped)?;
            Ok((binding.name.clone(), binding))
        };
        let (add, replace) = (parse_all(bindings.add, parsed)?, parse_all(bindings.replace, parsed)?);
        apply("binding", &mut next.bindings, bindings.delete, replace, add)?;
        next.check()?;
        Ok(next)
    }

    /// Whether everything fits together.
    fn check(&self) -> Result<(), VaultError> {
        if self.credentials.len() > MAX_ENTRIES || self.bindings.len() > MAX_ENTRIES {
            return Err(VaultError::invalid(format!("more than {MAX_ENTRIES} credentials or bindings")));
        }
        for binding in self.bindings.values() {
            for name in binding.credentials() {
                if !self.credentials.contains_key(name) {
                    let message = format!("binding {:?}: there is no credential {name:?}", binding.name);
                    return Err(VaultError::Invalid(message));
                }
            }
            for header in &binding.headers {
                let stored = &self.credentials[&header.credential];
                if !fits_into_a_header(stored.secret.expose()) {
                    let name = &header.credential;
                    let message = format!("credential {name:?} has characters that a header cannot hold");
                    return Err(VaultError::Invalid(message));
                }
            }
        }
        self.check_clashes()
    }

    fn check_clashes(&self) -> Result<(), VaultError> {
        let hosts = || self.hosts();
        if hosts().count() > MAX_HOSTS {
            return Err(VaultError::invalid(format!("bindings name more than {MAX_HOSTS} hosts")));
        }
        let clash = |one: &Binding, two: &Binding| {
            Err(VaultError::invalid(format!("bindings {:?} and {:?} overlap", one.name, two.name)))
        };
        let mut exact: HashMap<&str, Vec<&Binding>> = HashMap::new();
        let mut below: Vec<(&HostPattern, &Binding)> = Vec::new();
        for (host, binding) in hosts() {
            let others: Vec<&Binding> = match host {
                HostPattern::Exact(name) => {
                    let same = exact.entry(name).or_default();
                    same.push(binding);
                    same.clone()
                }
                HostPattern::Below(_) => {
                    below.push((host, binding));
                    below
                        .iter()
                        .filter(|(other, _)| other.clashes(host))
                        .map(|(_, binding)| *binding)
                        .collect()
                }
            };
            let clashing =
                others.into_iter().find(|other| other.name != binding.name && other.clashes(binding));
            if let Some(other) = clashing {
                return clash(other, binding);
            }
        }
        Ok(())
    }

    /// Every host of every binding.
    pub(super) fn hosts(&self) -> impl Iterator<Item = (&HostPattern, &Binding)> {
        self.bindings
            .values()
            .flat_map(|binding| binding.matcher.hosts.iter().map(move |host| (host, binding)))
    }

    pub(super) fn credential_metadata(&self) -> Vec<CredentialMetadata> {
        let metadata = |(name, stored): (&String, &Stored)| CredentialMetadata {
            name: name.clone(),
            source_type: "inline".to_owned(),
            revision: stored.revision,
        };
        self.credentials.iter().map(metadata).collect()
    }

    /// The value of a header.
    pub(super) fn render(&self, form: HeaderForm, credential: &str) -> Vec<u8> {
        let secret =
            self.credentials.get(credential).map(|stored| stored.secret.expose()).unwrap_or_default();
        let prefix = match form {
            HeaderForm::Bearer => "Bearer ",
            HeaderForm::Basic => "Basic ",
            HeaderForm::Raw => "",
        };
        [prefix.as_bytes(), secret.as_bytes()].concat()
    }
}

fn parse_credential(wire: Credential) -> Result<(String, Secret), VaultError> {
    let name = parse_name("credential", &wire.name)?;
    let value = wire.source.value.into_inner();
    if value.is_empty() {
        return Err(VaultError::invalid(format!("credential {name:?} has an empty value")));
    }
    Ok((name, Secret::new(value)))
}

fn parse_all<W, T>(
    list: Vec<W>,
    parse: impl Fn(W) -> Result<(String, T), VaultError>,
) -> Result<Vec<(String, T)>, VaultError> {
    list.into_iter().map(parse).collect()
}

/// Deletes, replaces and adds, in this order.
fn apply<T>(
    what: &str,
    entries: &mut BTreeMap<String, T>,
    delete: Vec<String>,
    replace: Vec<(String, T)>,
    add: Vec<(String, T)>,
) -> Result<(), VaultError> {
    let delete: Vec<String> = delete.iter().map(|name| parse_name(what, name)).collect::<Result<_, _>>()?;
    let names =
        delete.iter().chain(replace.iter().map(|(name, _)| name)).chain(add.iter().map(|(name, _)| name));
    if let Some(name) = first_repeated(names) {
        return Err(VaultError::invalid(format!("{what} {name:?} is named twice")));
    }
    for name in delete {
        if entries.remove(&name).is_none() {
            return Err(VaultError::invalid(format!("{what} {name:?} to delete does not exist")));
        }
    }
    for (name, value) in replace {
        match entries.get_mut(&name) {
            Some(entry) => *entry = value,
            None => return Err(VaultError::invalid(format!("{what} {name:?} to replace does not exist"))),
        }
    }
    for (name, value) in add {
        if entries.contains_key(&name) {
            return Err(VaultError::invalid(format!("{what} {name:?} to add exists already")));
        }
        entries.insert(name, value);
    }
    Ok(())
}

fn first_repeated<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut seen = HashSet::new();
    names.find(|name| !seen.insert(*name))
}

/// Whether HTTP can carry it as the value of a header.
fn fits_into_a_header(text: &str) -> bool {
    text.bytes().all(|byte| (byte >= 0x20 && byte != 0x7f) || byte == b'\t')
}
