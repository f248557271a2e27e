//! Code in every language, as the published client runs it and as its documentation begins, in the image that has all
//! toolchains.

use anyhow::Result;
use sandkeep_tests::{
    python,
    server::{Server, Setup},
};

#[tokio::test]
async fn the_code_interpreter_client_in_all_languages() -> Result<()> {
    let server = Server::start(Setup::default().with_code_image())?;
    let text = python::run(&server, "quick_start.py", &["opensandbox-code-interpreter"]).await?;
    assert_eq!(text.lines().last(), Some("ok"), "it did not finish: {text}");
    let text = python::run(&server, "client_languages.py", &[]).await?;
    assert_eq!(text.lines().last(), Some("ok"), "it did not finish: {text}");
    Ok(())
}
