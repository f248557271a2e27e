//! What happens in the sandbox, step by step.

use std::fs;
use std::time::Instant;

use anyhow::{Result, ensure};
use sandkeep::specs::execd::event::EventKind;
use sandkeep::{Command, EventStream, Sandbox};

use crate::millis;

const GREETING: &str = "echo \"hello from $(hostname), I am user $(id -u)\"; \
    for second in 1 2 3; do sleep 0.2; echo \"line $second arrives as it is printed\"; done";

const PYTHON: &str = "\
import platform, time
for step in range(3):
    time.sleep(0.2)
    print('step', step)
f'Python {platform.python_version()} says {sum(range(101))}'";

/// A file this big goes in and out again.
const FILE_BYTES: usize = 1024 * 1024;

/// Runs every step, each with what it shows and how long it took.
pub(crate) async fn tell(sandbox: &Sandbox) -> Result<()> {
    command(sandbox).await?;
    python(sandbox).await?;
    files(sandbox).await
}

async fn command(sandbox: &Sandbox) -> Result<()> {
    println!("\na command:");
    let start = Instant::now();
    let failed = follow(sandbox.commands().stream(Command::shell(GREETING)).await?, start).await?;
    ensure!(!failed, "the command failed");
    let start = Instant::now();
    sandbox.commands().run(Command::argv(["true"])).await?;
    println!("  (starting a program and seeing it end takes {})", millis(start.elapsed()));
    Ok(())
}

async fn python(sandbox: &Sandbox) -> Result<()> {
    println!("\nPython:");
    let start = Instant::now();
    let failed = follow(sandbox.code().stream(PYTHON).await?, start).await?;
    ensure!(!failed, "the code failed");
    let start = Instant::now();
    let count = sandbox.code().run("step + 1").await?;
    ensure!(count.result_text() == Some("3"), "the variable was lost: {count:?}");
    println!("  (the variables are still there: step + 1 = 3, in {})", millis(start.elapsed()));
    Ok(())
}

async fn files(sandbox: &Sandbox) -> Result<()> {
    println!("\nfiles:");
    let content: Vec<u8> = (0..FILE_BYTES).map(|index| (index % 251) as u8).collect();
    let local = std::env::temp_dir().join(format!("sandkeep-quickstart-{}", std::process::id()));
    fs::write(&local, &content)?;

    let start = Instant::now();
    sandbox.files().upload_from(&local, "/tmp/quickstart/data").await?;
    println!("  uploaded {FILE_BYTES} bytes in {}", millis(start.elapsed()));

    let sum = sandbox.commands().run("sha256sum </tmp/quickstart/data").await?;
    println!("  sha256 inside: {}", sum.stdout.trim());

    let start = Instant::now();
    let received = sandbox.files().download_to("/tmp/quickstart/data", &local).await;
    let same = fs::read(&local).is_ok_and(|read| read == content);
    fs::remove_file(&local)?;
    println!("  downloaded {} bytes in {}", received?, millis(start.elapsed()));
    ensure!(same, "the file came back changed");
    Ok(())
}

/// Shows output with the time it arrived, and says whether there was an error.
async fn follow(mut events: EventStream, start: Instant) -> Result<bool> {
    let mut failed = false;
    while let Some(event) = events.next().await? {
        let shown = match event.kind {
            EventKind::Stdout | EventKind::Stderr => event.text,
            EventKind::Result => {
                let values = event.results.unwrap_or_default();
                values.get("text").and_then(|text| text.as_str()).map(|text| format!("=> {text}"))
            }
            EventKind::Error => {
                failed = true;
                event.error.map(|error| format!("{}: {}", error.ename, error.evalue))
            }
            _ => None,
        };
        for line in shown.iter().flat_map(|text| text.lines()) {
            println!("  {:>7} | {line}", millis(start.elapsed()));
        }
    }
    Ok(failed)
}
