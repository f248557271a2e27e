//! The exported documents, the daemons and the SDK tell the same story.
//!
//! `operations/*.txt` list every operation with the SDK method that calls it (`-` for none). They are reviewed by
//! people: an operation that appears, vanishes or loses its method shows as a change of these files.

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    paths::workspace,
    server::{Server, Setup},
};
use serde_json::{Value, json};

/// Operation (`GET /path`) to SDK method.
type Operations = BTreeMap<String, String>;

fn reviewed(document: &str) -> Result<Operations> {
    let path = workspace().join("tests/operations").join(format!("{document}.txt"));
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [method, path, call] = fields[..] else { anyhow::bail!("{document}.txt: {line:?}") };
            Ok((format!("{method} {path}"), call.to_owned()))
        })
        .collect()
}

/// Operations of an exported YAML document, read from its indentation: the exporter writes it one way only.
fn exported(document: &str) -> Result<Vec<String>> {
    let path = workspace().join("specs/openapi").join(format!("{document}.yaml"));
    let text = fs::read_to_string(&path)
        .with_context(|| format!("{}: run `cargo xtask openapi`", path.display()))?;
    let mut operations = Vec::new();
    let mut route = "";
    let mut within = false;
    for line in text.lines() {
        if !line.starts_with(' ') {
            within = line == "paths:";
        } else if let Some(name) = line.strip_prefix("  /").filter(|_| within) {
            route = name.trim_end_matches(':');
        } else if let Some(name) = line.strip_prefix("    ").filter(|name| within && !name.starts_with(' ')) {
            let method = name.trim_end_matches(':').to_uppercase();
            if ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"].contains(&method.as_str()) {
                operations.push(format!("{method} /{route}"));
            }
        }
    }
    ensure!(!operations.is_empty(), "{} has no operations", path.display());
    Ok(operations)
}

fn served(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let mut operations: Vec<String> = paths
        .flat_map(|(path, item)| {
            let methods = item.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase());
            let methods = methods.filter(|method| method.chars().all(|c| c.is_ascii_uppercase()));
            methods.map(move |method| format!("{method} {path}"))
        })
        .filter(|operation| !operation.starts_with("PARAMETERS"))
        .collect();
    operations.sort_unstable();
    operations
}

fn sdk_source() -> Result<String> {
    fn gather(dir: &std::path::Path, into: &mut String) -> Result<()> {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                gather(&path, into)?;
            } else {
                into.push_str(&fs::read_to_string(path)?);
            }
        }
        Ok(())
    }
    let mut source = String::new();
    gather(&workspace().join("sdk/rust/src"), &mut source)?;
    Ok(source)
}

#[test]
fn every_operation_is_listed_with_its_sdk_method() -> Result<()> {
    let sdk = sdk_source()?;
    for document in ["lifecycle", "diagnostics", "execd", "egress"] {
        let reviewed = reviewed(document)?;
        let mut exported = exported(document)?;
        exported.sort_unstable();
        let listed: Vec<&String> = reviewed.keys().collect();
        assert_eq!(
            exported.iter().collect::<Vec<_>>(),
            listed,
            "{document}.yaml against operations/{document}.txt"
        );
        for (operation, call) in reviewed.iter().filter(|(_, call)| *call != "-") {
            let found = sdk.contains(&format!("fn {call}(")) || sdk.contains(&format!("fn {call}<"));
            ensure!(found, "{operation}: the SDK has no method {call}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_daemons_serve_the_exported_documents() -> Result<()> {
    let server = Server::start(Setup::default())?;
    let sorted = |document| {
        let mut operations = exported(document)?;
        operations.sort_unstable();
        anyhow::Ok(operations)
    };
    let lifecycle = server.api().get("/openapi.json").await?.expect(200)?.json()?;
    assert_eq!(served(&lifecycle), sorted("lifecycle")?);
    let diagnostics = server.api().get("/openapi/diagnostics.json").await?.expect(200)?.json()?;
    assert_eq!(served(&diagnostics), sorted("diagnostics")?);
    let sandbox = server.api().create(json!({})).await?;
    let execd = sandbox.execd().await?;
    let own = execd.send(hyper::Method::GET, "/openapi.json", None).await?.expect(200)?.json()?;
    assert_eq!(served(&own), sorted("execd")?);
    sandbox.delete().await
}
