//! The vault of this process: one lock around what is in it, and what is in force for those who send requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use sandkeep_specs::egress::vault::{
    CredentialBindingListResponse, CredentialBindingMetadata, CredentialListResponse, CredentialMetadata,
    CredentialVaultCreateRequest, CredentialVaultMutationRequest, CredentialVaultState,
};
use tokio::sync::watch;

use super::{HostPattern, VaultError, change::Contents, select::Active};

/// How often the vault was changed since the start, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Changes of any kind.
    pub all: u64,
    /// Deletions of the whole vault.
    pub deletions: u64,
}

/// Says whether secrets can be bound to these hosts, or else what is wrong with them.
pub type Covers<'a> = &'a dyn Fn(&HostPattern) -> Result<(), &'static str>;

/// The vault, which may not exist.
pub struct Store {
    scoped: bool,
    contents: Mutex<Option<Contents>>,
    active: RwLock<Option<Arc<Active>>>,
    changes: watch::Sender<Changes>,
}

impl Store {
    /// No vault yet. `scoped` refuses bindings for every path of a host.
    #[must_use]
    pub fn new(scoped: bool) -> Self {
        let changes = watch::Sender::new(Changes::default());
        Self { scoped, contents: Mutex::new(None), active: RwLock::new(None), changes }
    }

    /// Makes a vault and puts it in force.
    ///
    /// # Errors
    /// If there is one already, or the request is not acceptable.
    pub fn create(
        &self,
        request: CredentialVaultCreateRequest,
        covers: Covers<'_>,
    ) -> Result<CredentialVaultState, VaultError> {
        let mut contents = self.lock();
        if contents.is_some() {
            return Err(VaultError::Exists);
        }
        let next = Contents::create(request.credentials, request.bindings, self.scoped)?;
        check_coverage(&next, covers)?;
        Ok(self.put(&mut contents, next))
    }

    /// Makes all changes or none, and puts them in force.
    ///
    /// # Errors
    /// If there is no vault, it has another revision than expected, or the request is not acceptable.
    pub fn change(
        &self,
        request: CredentialVaultMutationRequest,
        covers: Covers<'_>,
    ) -> Result<CredentialVaultState, VaultError> {
        let mut contents = self.lock();
        let now = contents.as_ref().ok_or(VaultError::NotFound)?;
        if let Some(expected) = request.expected_revision.filter(|expected| *expected != now.revision) {
            return Err(VaultError::Revision { current: now.revision, expected });
        }
        let (credentials, bindings) =
            (request.credentials.unwrap_or_default(), request.bindings.unwrap_or_default());
        let next = now.changed(credentials, bindings, self.scoped)?;
        check_coverage(&next, covers)?;
        Ok(self.put(&mut contents, next))
    }

    /// Forgets the vault with every secret in it.
    ///
    /// # Errors
    /// If there is none.
    pub fn delete(&self) -> Result<(), VaultError> {
        let mut contents = self.lock();
        contents.take().ok_or(VaultError::NotFound)?;
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = None;
        self.changes.send_modify(|changes| {
            changes.all += 1;
            changes.deletions += 1;
        });
        Ok(())
    }

    /// What is in the vault, without secrets.
    ///
    /// # Errors
    /// If there is none.
    pub fn state(&self) -> Result<CredentialVaultState, VaultError> {
        self.lock().as_ref().map(state).ok_or(VaultError::NotFound)
    }

    /// The secrets' names.
    ///
    /// # Errors
    /// If there is no vault.
    pub fn credentials(&self) -> Result<CredentialListResponse, VaultError> {
        let CredentialVaultState { revision, credentials, .. } = self.state()?;
        Ok(CredentialListResponse { revision, credentials })
    }

    /// The bindings.
    ///
    /// # Errors
    /// If there is no vault.
    pub fn bindings(&self) -> Result<CredentialBindingListResponse, VaultError> {
        let CredentialVaultState { revision, bindings, .. } = self.state()?;
        Ok(CredentialBindingListResponse { revision, bindings })
    }

    /// One secret's metadata.
    ///
    /// # Errors
    /// If there is no vault or no such secret.
    pub fn credential(&self, name: &str) -> Result<CredentialMetadata, VaultError> {
        let found = self.state()?.credentials.into_iter().find(|credential| credential.name == name);
        found.ok_or_else(|| VaultError::NoSuchCredential(name.to_owned()))
    }

    /// One binding's metadata.
    ///
    /// # Errors
    /// If there is no vault or no such binding.
    pub fn binding(&self, name: &str) -> Result<CredentialBindingMetadata, VaultError> {
        let found = self.state()?.bindings.into_iter().find(|binding| binding.name == name);
        found.ok_or_else(|| VaultError::NoSuchBinding(name.to_owned()))
    }

    /// What is in force now.
    #[must_use]
    pub fn active(&self) -> Option<Arc<Active>> {
        self.active.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells of changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }

    /// Whether a policy could come into force: every host that a secret is bound to must still be allowed.
    ///
    /// # Errors
    /// If a host is not covered.
    pub fn check_policy(&self, covers: Covers<'_>) -> Result<(), VaultError> {
        self.lock().as_ref().map_or(Ok(()), |contents| check_coverage(contents, covers))
    }

    fn put(&self, place: &mut Option<Contents>, next: Contents) -> CredentialVaultState {
        let answer = state(&next);
        *self.active.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Active::new(&next)));
        *place = Some(next);
        self.changes.send_modify(|changes| changes.all += 1);
        answer
    }

    /// Changes are made on a copy, so what a panicking thread left is whole.
    fn lock(&self) -> MutexGuard<'_, Option<Contents>> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn check_coverage(contents: &Contents, covers: Covers<'_>) -> Result<(), VaultError> {
    for (host, binding) in contents.hosts() {
        covers(host).map_err(|wrong| {
            VaultError::Invalid(format!("binding {:?}: host {:?} {wrong}", binding.name, host.text()))
        })?;
    }
    Ok(())
}

fn state(contents: &Contents) -> CredentialVaultState {
    CredentialVaultState {
        revision: contents.revision,
        credentials: contents.credential_metadata(),
        bindings: contents.bindings.values().map(|binding| binding.metadata(contents.revision)).collect(),
    }
}
