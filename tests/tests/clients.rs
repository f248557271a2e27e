//! Published OpenSandbox clients, installed from PyPI and used as their own documentation says.

use anyhow::Result;
use sandkeep_tests::{
    guarded::Guarded,
    python,
    server::{Server, Setup},
};

const SECRET: &str = "s3cret-AbCdEfGhIjKlMnOp";

/// Each scenario runs against sandboxes reached directly and through the server.
const WAYS: [&str; 2] = ["direct", "proxy"];

async fn both_ways(script: &str) -> Result<()> {
    let server = Server::shared()?;
    for way in WAYS {
        let text = python::run(server, script, &[way]).await?;
        assert_eq!(text.lines().last(), Some("ok"), "{script} {way} did not finish: {text}");
    }
    Ok(())
}

#[tokio::test]
async fn the_async_client() -> Result<()> {
    both_ways("client_async.py").await
}

#[tokio::test]
async fn the_sync_client() -> Result<()> {
    both_ways("client_sync.py").await
}

/// The client knows nothing of gateways: address and headers of an endpoint are enough.
#[tokio::test]
async fn the_sync_client_through_a_gateway() -> Result<()> {
    let gateway = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let setup = Setup::default()
        .set("ingress", "mode = \"gateway\"")
        .set("ingress.gateway", format!("address = \"{gateway}\""))
        .set("ingress.gateway", format!("listen = \"{gateway}\""))
        .set("ingress.gateway", "route.mode = \"header\"");
    let server = Server::start(setup)?;
    let text = python::run(&server, "client_sync.py", &["direct"]).await?;
    assert_eq!(text.lines().last(), Some("ok"), "{text}");
    Ok(())
}

#[tokio::test]
async fn the_command_line_client() -> Result<()> {
    both_ways("client_cli.py").await
}

#[tokio::test]
async fn isolated_sessions_of_the_sync_client() -> Result<()> {
    both_ways("client_isolated.py").await
}

#[tokio::test]
async fn the_code_interpreter_client() -> Result<()> {
    both_ways("client_code.py").await
}

/// What the client says of policies and vaults, and what servers outside then hear.
#[test]
fn policies_and_vaults_of_the_clients() -> Result<()> {
    // Where the server is, there is no way to PyPI.
    python::environment()?;
    let world = Guarded::start(Setup::default(), None)?;
    world.run(async |_| {
        for way in WAYS {
            let text = python::run(&world.server, "client_egress.py", &[way, SECRET]).await?;
            assert_eq!(text.lines().last(), Some("ok"), "{way}: {text}");
            let received = world.web.take();
            let heard = |name: &str| -> Vec<&str> {
                received.iter().filter_map(|request| request.header(name)).collect()
            };
            let (first, third) = (format!("Bearer {SECRET}"), format!("Bearer {SECRET}-3"));
            assert_eq!(heard("authorization"), [first.clone(), third, first], "{way}");
            assert_eq!(heard("x-api-key"), [format!("{SECRET}-2")], "{way}");
        }
        Ok(())
    })
}
