//! Code in every language, as the published client runs it and as its documentation begins, in the image that has all
//! toolchains.

use anyhow::Result;
use sandkeep_tests::{
    paths, python,
    server::{Server, Setup},
};

/// Name the scenario asks for.
const IMAGE: &str = "sandkeep/code-interpreter:latest";
/// Name the client's documentation asks for.
const DOCUMENTED_IMAGE: &str = "opensandbox/code-interpreter:v1.1.0";

#[tokio::test]
async fn the_code_interpreter_client_in_all_languages() -> Result<()> {
    let archive = paths::code_image()?;
    let server = Server::start(Setup::default().without_image())?;
    let archive = archive.to_string_lossy();
    server.cli_ok(&["image", "import", &archive, "--name", IMAGE, "--name", DOCUMENTED_IMAGE])?;
    let text = python::run(&server, "quick_start.py", &["opensandbox-code-interpreter"]).await?;
    assert_eq!(text.lines().last(), Some("ok"), "it did not finish: {text}");
    let text = python::run(&server, "client_languages.py", &[]).await?;
    assert_eq!(text.lines().last(), Some("ok"), "it did not finish: {text}");
    Ok(())
}
