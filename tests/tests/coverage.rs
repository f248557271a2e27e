//! Every operation has a test that would fail if it did nothing.
//!
//! `operations/*.tests.txt` name one for each, reviewed by people. Here it is checked that they are complete, that each
//! test exists and runs, and that it can reach the operation: its file, or what is beside it, speaks of the path.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::paths::workspace;

const DOCUMENTS: [&str; 3] = ["lifecycle", "execd", "egress"];

/// `METHOD /path` and what follows it on each line of a file in `operations`.
fn table(name: &str) -> Result<BTreeMap<String, String>> {
    let path = workspace().join("tests/operations").join(name);
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    let mut rows = BTreeMap::new();
    for line in lines {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [method, path, rest] = fields[..] else { anyhow::bail!("{name}: {line:?}") };
        let twice = rows.insert(format!("{method} {path}"), rest.to_owned());
        ensure!(twice.is_none(), "{name}: {method} {path} is there twice");
    }
    Ok(rows)
}

/// Whether this source has a test of that name which is not left out.
fn has_test(source: &str, name: &str) -> bool {
    let Some(at) = ["async fn", "fn"].iter().find_map(|word| source.find(&format!("\n{word} {name}(")))
    else {
        return false;
    };
    let attributes = source[..at].rsplit("\n\n").next().unwrap_or_default();
    let marked = attributes.contains("#[test]") || attributes.contains("#[tokio::test");
    marked && !attributes.contains("#[ignore")
}

/// The file of a test and everything it may call that lies beside it.
fn sources(file: &Path) -> Result<String> {
    fn gather(dir: &Path, into: &mut String) -> Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            match path.is_dir() {
                true => gather(&path, into)?,
                false => into.push_str(&fs::read_to_string(path)?),
            }
        }
        Ok(())
    }
    let mut all = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    for entry in fs::read_dir(file.parent().context("a test lies in a directory")?)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, &mut all)?;
        }
    }
    if file.starts_with(workspace().join("tests")) {
        gather(&workspace().join("tests/src"), &mut all)?;
    }
    Ok(all)
}

/// What a request for this path must have in it: its last part that is not a parameter.
fn mark(operation: &str) -> Option<String> {
    let (_, path) = operation.split_once(' ')?;
    let literal = path.rsplit('/').find(|part| !part.is_empty() && !part.starts_with('{'))?;
    Some(literal.to_owned())
}

#[test]
fn every_operation_has_a_test() -> Result<()> {
    for document in DOCUMENTS {
        let (operations, tests) =
            (table(&format!("{document}.txt"))?, table(&format!("{document}.tests.txt"))?);
        let without: Vec<_> = operations.keys().filter(|operation| !tests.contains_key(*operation)).collect();
        ensure!(
            without.is_empty(),
            "name a test that fails when these are stubs in operations/{document}.tests.txt: {without:#?}"
        );
        let gone: Vec<_> = tests.keys().filter(|operation| !operations.contains_key(*operation)).collect();
        ensure!(gone.is_empty(), "operations/{document}.tests.txt has what no longer exists: {gone:#?}");
    }
    Ok(())
}

#[test]
fn the_tests_exist_and_reach_their_operations() -> Result<()> {
    for document in DOCUMENTS {
        for (operation, test) in table(&format!("{document}.tests.txt"))? {
            let (file, name) = test.split_once("::").with_context(|| format!("{operation}: {test:?}"))?;
            let file: PathBuf = workspace().join(file);
            let source = fs::read_to_string(&file).with_context(|| format!("{operation}: {test}"))?;
            ensure!(has_test(&source, name), "{operation}: {test} is no test that runs");
            let mark = mark(&operation).with_context(|| operation.clone())?;
            let sources = sources(&file)?;
            let asked = [format!("/{mark}"), format!("\"{mark}\"")].iter().any(|text| sources.contains(text));
            ensure!(asked, "{operation}: nothing near {test} asks for {mark}");
        }
    }
    Ok(())
}

#[test]
fn tests_are_told_from_other_functions() {
    let source = "\n#[tokio::test]\nasync fn one() {\n}\n\n#[test]\n#[ignore = \"slow\"]\nfn two() {\n}\n\nfn three() {}\n";
    assert!(has_test(source, "one"));
    assert!(!has_test(source, "two") && !has_test(source, "three") && !has_test(source, "four"));
    assert_eq!(mark("GET /a/{b}/c/{d}").as_deref(), Some("c"));
}
