//! The framework itself: a test that passes because its small Internet is broken proves nothing.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    browser::Browser,
    internet::{DNS, HOST, Internet, METADATA, SECRET, WEB},
    wire,
};

#[test]
fn the_small_internet_answers_its_host() -> Result<()> {
    let net = Internet::new()?;
    let get = |address: &str| -> Result<String> {
        let address: SocketAddr = format!("{address}:80").parse()?;
        Ok(net.host.run(|| wire::request(address, "GET", "/", &[], b""))??.body)
    };
    assert_eq!(get(WEB)?, format!("welcome {HOST}\n"));
    assert_eq!(get(METADATA)?, format!("{SECRET}\n"));
    ensure!(get("203.0.113.1").is_err(), "there is a way out");

    // A question for the address of example.test, as it goes over the wire.
    let question = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x04test\x00\x00\x01\x00\x01";
    let answer = net.host.run(|| -> Result<Vec<u8>> {
        let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(std::time::Duration::from_secs(3)))?;
        socket.send_to(question, (DNS, 53))?;
        let mut answer = vec![0; 512];
        let length = socket.recv(&mut answer).context("the name server is silent")?;
        answer.truncate(length);
        Ok(answer)
    })??;
    ensure!(answer.ends_with(&[93, 184, 216, 34]), "example.test is not {WEB}: {answer:?}");
    Ok(())
}

#[test]
fn the_browser_shows_a_page_and_its_requests() -> Result<()> {
    let browser = Browser::start()?;
    browser.open("data:text/html,<input id=name><button onclick=\"document.title='done'\">go</button>")?;
    browser.fill("#name", "some text")?;
    browser.click("button")?;
    assert_eq!(
        browser.script("return document.title + document.querySelector('#name').value")?,
        "donesome text"
    );
    ensure!(browser.requests()?.iter().any(|url| url.starts_with("data:text/html")), "no request is seen");
    Ok(())
}
