//! The generated parts of the SDKs, made from `specs/openapi`.

mod python;
mod typescript;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::paths;

/// An SDK that has a generated part.
struct Language {
    name: &'static str,
    /// Directory of the package, from the root of the repository.
    home: &'static str,
    /// Directories of the package that hold nothing but generated files.
    generated: &'static [&'static str],
    /// Writes these directories anew, below the one it is given.
    generate: fn(&Path) -> Result<()>,
}

const LANGUAGES: &[Language] = &[
    Language {
        name: "python",
        home: "sdk/python",
        generated: &["src/sandkeep/_api", "src/sandkeep/_sync"],
        generate: python::generate,
    },
    Language {
        name: "typescript",
        home: "sdk/typescript",
        generated: &["src/generated"],
        generate: typescript::generate,
    },
];

/// How many differing files `--check` names for each SDK.
const SHOWN_DIFFERENCES: usize = 20;

#[derive(Args)]
pub(crate) struct Options {
    /// Change nothing; fail if a generated file differs from what the documents and sources say
    #[arg(long)]
    check: bool,
    /// Only the SDK in this language
    #[arg(long)]
    only: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = |language: &&Language| options.only.as_deref().is_none_or(|name| name == language.name);
    let languages: Vec<&Language> = LANGUAGES.iter().filter(chosen).collect();
    if languages.is_empty() {
        let names: Vec<&str> = LANGUAGES.iter().map(|language| language.name).collect();
        bail!("there is an SDK in each of these: {}", names.join(", "));
    }
    if options.check { compare(&languages) } else { languages.into_iter().try_for_each(write) }
}

/// Fails, with the names of the files, if a generated part is not what its generator writes.
pub(crate) fn check() -> Result<()> {
    compare(&LANGUAGES.iter().collect::<Vec<_>>())
}

fn compare(languages: &[&Language]) -> Result<()> {
    let mut drifted = Vec::new();
    for language in languages {
        let fresh = fresh(language)?;
        for dir in language.generated {
            let (committed, current) =
                (contents(&paths::root().join(language.home).join(dir))?, contents(&fresh.join(dir))?);
            drifted.extend(
                differing(&committed, &current).map(|file| format!("{}/{dir}/{file}", language.home)),
            );
        }
    }
    if !drifted.is_empty() {
        let more = drifted.len().saturating_sub(SHOWN_DIFFERENCES);
        drifted.truncate(SHOWN_DIFFERENCES);
        let more = if more == 0 { String::new() } else { format!("\nand {more} more") };
        bail!("generated files differ; run `cargo xtask sdk`\n{}{more}", drifted.join("\n"));
    }
    Ok(())
}

fn write(language: &Language) -> Result<()> {
    let fresh = fresh(language)?;
    for dir in language.generated {
        let committed = paths::root().join(language.home).join(dir);
        let current = contents(&fresh.join(dir))?;
        if contents(&committed)? == current {
            println!("unchanged  {}", committed.display());
            continue;
        }
        if committed.exists() {
            fs::remove_dir_all(&committed)
                .with_context(|| format!("cannot replace {}", committed.display()))?;
        }
        for (name, content) in current {
            let path = committed.join(name);
            fs::create_dir_all(path.parent().unwrap_or(&committed))?;
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        }
        println!("written    {}", committed.display());
    }
    Ok(())
}

/// A directory with what the generator writes now.
fn fresh(language: &Language) -> Result<PathBuf> {
    let dir = paths::output("sdk").join(language.name);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("cannot empty {}", dir.display()))?;
    }
    fs::create_dir_all(&dir)?;
    (language.generate)(&dir).with_context(|| format!("the SDK in {}", language.name))?;
    Ok(dir)
}

/// The files below a directory by their names from there; none if there is no such directory.
fn contents(dir: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    fn gather(root: &Path, dir: &Path, into: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.ends_with("__pycache__") {
                continue;
            }
            if path.is_dir() {
                gather(root, &path, into)?;
            } else {
                let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
                into.insert(name, fs::read(&path)?);
            }
        }
        Ok(())
    }
    let mut files = BTreeMap::new();
    if dir.exists() {
        gather(dir, dir, &mut files).with_context(|| format!("cannot read {}", dir.display()))?;
    }
    Ok(files)
}

/// Names of files that are in one only, or not the same in both.
fn differing<'a>(
    committed: &'a BTreeMap<String, Vec<u8>>,
    current: &'a BTreeMap<String, Vec<u8>>,
) -> impl Iterator<Item = &'a String> {
    let changed = committed.iter().filter(|(name, content)| current.get(*name) != Some(content));
    let added = current.keys().filter(|name| !committed.contains_key(*name));
    changed.map(|(name, _)| name).chain(added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_differ_by_content_or_by_being_there() {
        let files = |list: &[(&str, &str)]| -> BTreeMap<String, Vec<u8>> {
            list.iter().map(|(name, content)| ((*name).to_owned(), content.as_bytes().to_vec())).collect()
        };
        let committed = files(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let current = files(&[("a", "1"), ("b", "two"), ("d", "4")]);
        let names: Vec<&String> = differing(&committed, &current).collect();
        assert_eq!(names, ["b", "c", "d"]);
        assert_eq!(differing(&committed, &committed).count(), 0);
    }
}
