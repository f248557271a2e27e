//! Bodies that callers of the API send.

use hyper::Method;
use sandkeep_specs::egress::vault::{
    CredentialScheme, CredentialVaultCreateRequest, CredentialVaultMutationRequest, CredentialVaultState,
};

use super::two_parts;
use crate::{
    policy::{self, Judge, Lists},
    vault::{select::Wanted, store::Store},
};

/// A policy is refused or is the same after it was written and read again; so is what a change makes of it. The second
/// line is the change.
///
/// # Panics
/// When that does not hold.
pub fn policy(data: &[u8]) {
    let (first, second) = two_parts(data);
    let Ok(made) = policy::read_policy(first) else { return };
    let rules = policy::read_rules(second).unwrap_or_default();
    let targets = policy::read_targets(second).unwrap_or_default();
    let patched = policy::patch(&made, rules);
    let shorter = policy::forget(&patched, &targets).unwrap_or_else(|| patched.clone());
    assert!(shorter.rules.len() <= patched.rules.len());
    for policy in [made, patched, shorter] {
        let json = serde_json::to_vec(&policy::to_json(&policy)).expect("what was read can be written");
        assert_eq!(policy::read_policy(&json).as_ref(), Ok(&policy));
        let judge = Judge::new(0, policy.clone(), Lists::default(), true);
        for rule in &policy.rules {
            let _ = judge.name(&rule.target);
        }
        let _ = judge.name("a.b.test");
        let _ = judge.address([192, 0, 2, 1].into());
    }
}

/// A vault is refused or holds what was sent; a change is made whole, with the next revision, or not at all. The second
/// line is the change.
///
/// # Panics
/// When that does not hold.
pub fn vault(data: &[u8]) {
    let (first, second) = two_parts(data);
    let Ok(request) = serde_json::from_slice::<CredentialVaultCreateRequest>(first) else { return };
    let (credentials, bindings) = (request.credentials.len(), request.bindings.len());
    let store = Store::new(false);
    let Ok(made) = store.create(request, &|_| Ok(())) else {
        assert!(store.state().is_err() && store.active().is_none());
        return;
    };
    assert_eq!((made.credentials.len(), made.bindings.len(), made.revision), (credentials, bindings, 1));
    try_requests(&store);
    let Ok(request) = serde_json::from_slice::<CredentialVaultMutationRequest>(second) else { return };
    let expected = request.expected_revision;
    match store.change(request, &|_| Ok(())) {
        Ok(changed) => {
            assert!(changed.revision == 2 && expected.is_none_or(|expected| expected == 1));
            try_requests(&store);
        }
        Err(_) => assert_eq!(store.state().map(|state| text(&state)).ok(), Some(text(&made))),
    }
    assert!(store.delete().is_ok() && store.active().is_none());
}

fn text(state: &CredentialVaultState) -> String {
    serde_json::to_string(state).expect("states can be written")
}

/// Secrets are for hosts of their bindings only.
fn try_requests(store: &Store) {
    let active = store.active().expect("there is a vault");
    for (host, path) in [("a.test", "/"), ("x.a.test", "/a/../b"), ("b.test", "/a%2fb")] {
        let wanted = Wanted { scheme: CredentialScheme::Https, host, port: 443, method: &Method::GET, path };
        if let Ok(Some(_)) = active.select(&wanted) {
            assert!(active.knows_host(host), "{host}");
        }
    }
}
