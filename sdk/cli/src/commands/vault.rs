//! The vault of a sandbox: secrets that its requests get on their way out.

use std::{
    fs,
    io::{self, IsTerminal as _, Read as _},
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use sandkeep::{
    Auth, Binding, Changes, Credential, Substitution, Vault, VaultChanges, VaultContents,
    specs::egress::vault::{CredentialMatch, CredentialScheme, CredentialVaultState, SubstitutionSurface},
};

use super::App;
use crate::{
    args::{Bind, Surface, VaultAction, VaultEdit},
    ids,
    output::{Table, show},
    terminal,
};

/// Most bytes of a secret or of a file of them.
const MOST: u64 = 1024 * 1024;
/// Stands for standard input where a file is named.
const STDIN: &str = "-";

pub(crate) async fn vault(app: &App, action: VaultAction) -> Result<()> {
    let state = match action {
        VaultAction::Get { sandbox } => open(app, &sandbox).await?.get().await?,
        VaultAction::Create { sandbox, file } => {
            let contents: VaultContents = document(&file)?;
            open(app, &sandbox).await?.create(&contents).await?
        }
        VaultAction::Change { sandbox, file } => {
            let changes: VaultChanges = document(&file)?;
            open(app, &sandbox).await?.change(&changes).await?
        }
        VaultAction::Set { edit, name, from_env, from_file } => {
            let secret = secret(&name, from_env.as_deref(), from_file.as_deref())?;
            set(&open(app, &edit.sandbox).await?, &edit, Credential::new(name, secret)).await?
        }
        VaultAction::Bind(args) => {
            let vault = open(app, &args.edit.sandbox).await?;
            let known = vault.get().await?;
            let exists = known.bindings.iter().any(|binding| binding.name == args.name);
            let revision = args.edit.revision.unwrap_or(known.revision);
            let binding = binding(args)?;
            vault.change(&VaultChanges { bindings: put(binding, exists), ..at(Some(revision)) }).await?
        }
        VaultAction::Unset { edit, names } => {
            let credentials = Changes { delete: names, ..Changes::default() };
            let vault = open(app, &edit.sandbox).await?;
            vault.change(&VaultChanges { credentials, ..at(edit.revision) }).await?
        }
        VaultAction::Unbind { edit, names } => {
            let bindings = Changes { delete: names, ..Changes::default() };
            let vault = open(app, &edit.sandbox).await?;
            vault.change(&VaultChanges { bindings, ..at(edit.revision) }).await?
        }
        VaultAction::Rm { sandbox } => return Ok(open(app, &sandbox).await?.delete().await?),
    };
    show(app.format, &state, || table(&state))
}

async fn open(app: &App, sandbox: &str) -> Result<Vault> {
    let id = ids::resolve(&app.client, sandbox).await?;
    Ok(app.client.vault(&id, app.proxy).await?)
}

/// Puts a secret in, in place of one of its name; makes the vault if there is none.
async fn set(vault: &Vault, edit: &VaultEdit, credential: Credential) -> Result<CredentialVaultState> {
    let known = match vault.get().await {
        Ok(known) => known,
        Err(error) if error.is_not_found() && edit.revision.is_none() => {
            let contents = VaultContents { credentials: vec![credential], bindings: Vec::new() };
            return Ok(vault.create(&contents).await?);
        }
        Err(error) => return Err(error.into()),
    };
    let exists = known.credentials.iter().any(|one| one.name == credential.name);
    let revision = edit.revision.unwrap_or(known.revision);
    let changes = VaultChanges { credentials: put(credential, exists), ..at(Some(revision)) };
    Ok(vault.change(&changes).await?)
}

fn at(expected_revision: Option<i64>) -> VaultChanges {
    VaultChanges { expected_revision, ..VaultChanges::default() }
}

fn put<T>(one: T, exists: bool) -> Changes<T> {
    if exists {
        Changes { replace: vec![one], ..Changes::default() }
    } else {
        Changes { add: vec![one], ..Changes::default() }
    }
}

fn binding(args: Bind) -> Result<Binding> {
    let credential = args.secret;
    let surfaces: Vec<SubstitutionSurface> = args.within.iter().map(|surface| surface.of()).collect();
    ensure!(
        args.placeholder.is_some() || surfaces.is_empty(),
        "--in says where a --placeholder is replaced, and there is none"
    );
    let substitutions: Vec<Substitution> = args
        .placeholder
        .map(|placeholder| Substitution { credential: credential.clone(), placeholder, surfaces })
        .into_iter()
        .collect();
    let auth = match (args.header, args.basic, args.bearer) {
        (Some(name), ..) => Auth::ApiKey { name, credential, substitutions },
        (_, true, _) => Auth::Basic { credential, substitutions },
        (.., true) => Auth::Bearer { credential, substitutions },
        _ if substitutions.is_empty() => {
            bail!("say how the secret goes in: --bearer, --basic, --header or --placeholder")
        }
        _ => Auth::Passthrough { substitutions },
    };
    let schemes = if args.plain { vec![CredentialScheme::Http] } else { Vec::new() };
    let matches = CredentialMatch {
        schemes,
        ports: Vec::new(),
        hosts: args.host,
        methods: args.method,
        paths: args.path,
    };
    Ok(Binding { name: args.name, matches, auth })
}

impl Surface {
    fn of(self) -> SubstitutionSurface {
        match self {
            Self::Header => SubstitutionSurface::Header,
            Self::Query => SubstitutionSurface::Query,
            Self::Path => SubstitutionSurface::Path,
            Self::Body => SubstitutionSurface::Body,
        }
    }
}

/// The secret, from where it was said to be, else from standard input. It is never an argument: those are seen by
/// everybody on the machine.
fn secret(name: &str, variable: Option<&str>, file: Option<&Path>) -> Result<String> {
    let text = match (variable, file) {
        (Some(variable), _) => {
            std::env::var(variable).with_context(|| format!("there is no variable {variable}"))?
        }
        (_, Some(path)) => read(path)?,
        (None, None) if io::stdin().is_terminal() => terminal::ask_silently(&format!("secret {name}"))?,
        (None, None) => read(Path::new(STDIN))?,
    };
    // Files and pipes end their last line.
    let text = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    ensure!(!text.is_empty(), "the secret is empty");
    Ok(text.to_owned())
}

fn read(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == Path::new(STDIN) {
        io::stdin().take(MOST + 1).read_to_string(&mut text)
    } else {
        fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(text.len() as u64 <= MOST, "{} has more than {MOST} bytes", path.display());
    Ok(text)
}

/// A document in YAML, of which JSON is a part. What is wrong with it is told by its place alone: the rest of such a
/// message may quote a secret.
fn document<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    yaml_serde::from_str(&read(path)?).map_err(|error| {
        let place = error.location().map(|at| format!(" at line {}, column {}", at.line(), at.column()));
        anyhow::anyhow!("{} is not such a document{}", path.display(), place.unwrap_or_default())
    })
}

fn table(state: &CredentialVaultState) -> Table {
    let mut table = Table::new(["KIND", "NAME", "REVISION", "FOR", "AS"]);
    for one in &state.credentials {
        let empty = String::new;
        table.row(["secret".to_owned(), one.name.clone(), one.revision.to_string(), empty(), empty()]);
    }
    for one in &state.bindings {
        let auth = [Some(one.auth.auth_type.clone()), one.auth.name.clone()];
        table.row([
            "binding".to_owned(),
            one.name.clone(),
            one.revision.to_string(),
            one.matches.hosts.join(","),
            auth.into_iter().flatten().collect::<Vec<_>>().join(" "),
        ]);
    }
    table.row(["vault".to_owned(), String::new(), state.revision.to_string(), String::new(), String::new()]);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_lose_the_end_of_their_line_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for (text, meant) in [("a b \n", "a b "), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a")] {
            fs::write(&path, text).unwrap();
            assert_eq!(secret("n", None, Some(&path)).unwrap(), meant);
        }
        fs::write(&path, "\n").unwrap();
        assert!(secret("n", None, Some(&path)).is_err());
    }

    #[test]
    fn a_bad_document_is_not_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("vault.yaml");
        fs::write(&path, "credentials:\n- very-secret\n").unwrap();
        let error = format!("{:#}", document::<VaultContents>(&path).unwrap_err());
        assert!(!error.contains("very-secret") && error.contains("line 2"), "{error}");
    }
}
