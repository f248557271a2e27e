//! TCP connections into a sandbox, carried by WebSockets and used through the SDK.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use sandkeep::{Client, Error, Tunnel};
use sandkeep_tests::{
    api::{Api, Sandbox},
    backend::serve,
    server::Server,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const PORT: u16 = 9000;
/// The first byte of a connection says what becomes of it.
const PROGRAM: &str = r#"
import socket, sys, threading, time

def drain(connection):
    count = 0
    while part := connection.recv(1 << 16):
        count += len(part)
    return count

def serve(connection):
    kind = connection.recv(1)
    if kind == b"e":  # echoes
        while part := connection.recv(1 << 16):
            connection.sendall(part)
    elif kind == b"c":  # counts, and tells at the end
        connection.sendall(str(drain(connection)).encode())
    elif kind == b"f":  # ends first, then counts
        connection.sendall(b"done")
        connection.shutdown(socket.SHUT_WR)
        open("/srv/counted", "w").write(str(drain(connection)))
    elif kind == b"r":  # breaks the connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    elif kind == b"n":  # never reads
        time.sleep(600)
    connection.close()

listener = socket.create_server(("0.0.0.0", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;
const PATIENCE: Duration = Duration::from_secs(60);

async fn sandbox(api: &Api) -> Result<(Sandbox, Client)> {
    let sandbox = api.create(json!({})).await?;
    serve(&sandbox, PROGRAM, PORT).await?;
    Ok((sandbox, Client::new(&api.base, &api.key)?))
}

async fn rest(tunnel: &mut (impl AsyncReadExt + Unpin)) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    timeout(PATIENCE, tunnel.read_to_end(&mut all)).await.context("the tunnel does not end")??;
    Ok(all)
}

async fn open(client: &Client, sandbox: &Sandbox, kind: &[u8]) -> Result<Tunnel> {
    let mut tunnel = client.open_tunnel(&sandbox.id, PORT).await?;
    tunnel.write_all(kind).await?;
    tunnel.flush().await?;
    Ok(tunnel)
}

#[tokio::test]
async fn bytes_pass_both_ways_and_each_way_ends_by_itself() -> Result<()> {
    let (sandbox, client) = sandbox(&Server::shared()?.api()).await?;
    // Both ways at once, with more than all buffers hold: either alone would stand still.
    let sent: Vec<u8> =
        (0..20_000_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (mut reader, mut writer) = tokio::io::split(open(&client, &sandbox, b"e").await?);
    let expected = sent.clone();
    let write = async {
        writer.write_all(&sent).await?;
        writer.shutdown().await?;
        anyhow::Ok(())
    };
    let (got, written) = tokio::join!(rest(&mut reader), timeout(PATIENCE, write));
    written??;
    ensure!(got? == expected, "the bytes changed on their way");

    let mut counted = open(&client, &sandbox, b"c").await?;
    counted.write_all(&[7; 3_000_000]).await?;
    counted.shutdown().await?;
    assert_eq!(rest(&mut counted).await?, b"3000000");

    let mut first = open(&client, &sandbox, b"f").await?;
    assert_eq!(rest(&mut first).await?, b"done");
    first.write_all(&[1; 200_000]).await?;
    first.shutdown().await?;
    let execd = sandbox.execd().await?;
    let wait = "for i in $(seq 300); do [ -s /srv/counted ] && break; sleep 0.1; done; cat /srv/counted";
    assert_eq!(execd.output(wait).await?, "200000");

    let mut broken = open(&client, &sandbox, b"r").await?;
    let ended =
        timeout(PATIENCE, broken.read(&mut [0; 16])).await.context("a broken connection stays open")?;
    ensure!(ended.is_err(), "a broken connection looks like one that ended: {ended:?}");
    sandbox.delete().await
}

#[tokio::test]
async fn a_program_that_does_not_read_holds_the_sender_back() -> Result<()> {
    let (sandbox, client) = sandbox(&Server::shared()?.api()).await?;
    let mut tunnel = open(&client, &sandbox, b"n").await?;
    let part = vec![0; 1 << 20];
    let mut sent = 0_usize;
    // All of it would be far more than sockets may buffer.
    while sent < 512 {
        match timeout(Duration::from_secs(3), tunnel.write_all(&part)).await {
            Ok(written) => written?,
            Err(_) => break,
        }
        sent += 1;
    }
    ensure!(sent < 64, "{sent} MiB were taken for a program that reads nothing");
    sandbox.delete().await
}

#[tokio::test]
async fn a_tunnel_needs_a_proof_and_somebody_to_talk_to() -> Result<()> {
    let server = Server::shared()?;
    let api = server.api();
    let (sandbox, client) = sandbox(&api).await?;
    let refusal = async |client: &Client, id: &str, port: u16| match client.open_tunnel(id, port).await {
        Err(Error::Api { status, code, .. }) => Ok((status, code)),
        other => anyhow::bail!("expected a refusal, got {other:?}"),
    };
    assert_eq!(refusal(&client, &sandbox.id, 9).await?, (502, "BACKEND_CONNECTION_FAILED".to_owned()));
    let nobody = "00000000-0000-4000-8000-000000000000";
    assert_eq!(refusal(&client, nobody, PORT).await?, (404, "SANDBOX::NOT_FOUND".to_owned()));
    let stranger = Client::new(&api.base, "wrong")?;
    for port in [PORT, 44772] {
        let expected = (401, "MISSING_OR_INVALID_SECURE_ACCESS".to_owned());
        assert_eq!(refusal(&stranger, &sandbox.id, port).await?, expected);
    }
    let plain = api.send(Method::GET, &format!("{}/tunnel/{PORT}", sandbox.path()), None).await?;
    plain.expect_error(400)?;
    sandbox.delete().await
}
