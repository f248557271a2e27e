//! Searching a tree of files.

use anyhow::{Result, ensure};

use super::lifecycle::timed_gets;
use crate::sandbox::Bench;

/// Two hundred directories of a hundred files.
const MAKE_TREE: &str = r#"{"argv":["python3","-c","import os\nfor d in range(200):\n p='/tmp/tree/%03d'%d\n os.makedirs(p,exist_ok=True)\n for f in range(100): open('%s/file-%05d.txt'%(p,d*100+f),'w').close()"]}"#;

/// Every file matches.
pub(crate) async fn search_all(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    search(bench, n, "*", 20_000).await
}

/// One file matches.
pub(crate) async fn search_one(bench: &Bench, n: usize) -> Result<Vec<f64>> {
    search(bench, n, "file-13579.txt", 1).await
}

async fn search(bench: &Bench, n: usize, pattern: &str, expected: usize) -> Result<Vec<f64>> {
    let mut execd = bench.target().await?.connect().await?;
    execd.post("/command", MAKE_TREE).await?;
    let path = format!("/files/search?path=/tmp/tree&pattern={pattern}");
    let answer = execd.get(&path).await?;
    let found = String::from_utf8_lossy(&answer).matches("\"path\":").count();
    ensure!(found == expected, "{found} files were found instead of {expected}");
    timed_gets(&mut execd, &path, n).await
}
