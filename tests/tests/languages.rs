//! Code in every language, as the published client runs it, in the image that has all toolchains.

use anyhow::Result;
use sandkeep_tests::{
    paths, python,
    server::{Server, Setup},
};

/// Name the client asks for.
const IMAGE: &str = "sandkeep/code-interpreter:latest";

#[tokio::test]
async fn the_code_interpreter_client_in_all_languages() -> Result<()> {
    let archive = paths::code_image()?;
    let server = Server::start(Setup::default().without_image())?;
    server.cli_ok(&["image", "import", &archive.to_string_lossy(), "--name", IMAGE])?;
    let text = python::run(&server, "client_languages.py", &[]).await?;
    assert_eq!(text.lines().last(), Some("ok"), "it did not finish: {text}");
    Ok(())
}
