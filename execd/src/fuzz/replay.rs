//! The corpora, replayed, and a bounded walk around them. The egress sidecar's are replayed by this too.

use std::{collections::BTreeSet, fs, path::PathBuf};

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};

use super::{CHECKS, Check};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let dir = directory().join("corpus").join(name);
    let entries = fs::read_dir(&dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} is empty", dir.display());
    paths.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// Changes a few bytes, cuts, or joins with another input.
fn mutate(seed: &[u8], other: &[u8], changes: &[(Index, u8, u8)]) -> Vec<u8> {
    let mut data = seed.to_vec();
    for (at, how, byte) in changes {
        let at = if data.is_empty() { 0 } else { at.index(data.len()) };
        match how % 5 {
            0 if !data.is_empty() => data[at] = *byte,
            1 => data.insert(at, *byte),
            2 if !data.is_empty() => drop(data.remove(at)),
            3 => data.truncate(at),
            _ => data.extend_from_slice(&other[at.min(other.len())..]),
        }
    }
    data
}

fn walk_around(name: &str, check: Check) {
    let seeds: Vec<Vec<u8>> = corpus(name).into_iter().map(|(_, data)| data).collect();
    let pick = any::<Index>;
    let changes = prop::collection::vec((pick(), any::<u8>(), any::<u8>()), 1..12);
    let mut runner =
        TestRunner::new(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() });
    let inputs = (pick(), pick(), changes);
    let outcome = runner.run(&inputs, |(one, other, changes)| {
        check(&mutate(&seeds[one.index(seeds.len())], &seeds[other.index(seeds.len())], &changes));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{name}: {failure}");
    }
}

#[test]
fn every_corpus_file_passes_its_check() {
    for (name, check) in CHECKS {
        for (path, data) in corpus(name) {
            // Shown when the check panics: the harness prints the output of failed tests.
            println!("{}", path.display());
            check(&data);
        }
    }
}

#[test]
fn small_changes_to_the_corpora_pass_too() {
    for (name, check) in CHECKS {
        walk_around(name, check);
    }
}

#[test]
fn targets_and_checks_are_the_same() {
    let names: BTreeSet<String> = CHECKS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let listed = |dir: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(directory().join(dir)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(listed("fuzz_targets"), names);
    assert_eq!(listed("corpus"), names);
    let manifest = fs::read_to_string(directory().join("Cargo.toml")).unwrap();
    for name in &names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} has no target");
    }
}
