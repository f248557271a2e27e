//! What is under way when the rules or the vault change: secrets of before stay hidden, and what is no longer allowed is
//! cut.

use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail, ensure};
use sandkeep_tests::{
    intercepted::{CURL_GAVE_UP, HTTPS, PATIENCE, SECRET, World},
    paths, traces,
};
use serde_json::{Value, json};

const NEXT: &str = "n3xt-QrStUvWxYz012345";

/// A client in the namespace whose answer is under way.
struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: BufReader<ChildStdout>,
}

impl Client {
    fn start(mut command: std::process::Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let lines = BufReader::new(child.stdout.take().context("an output")?);
        Ok(Self { stdin: child.stdin.take(), child, lines })
    }

    fn curl(world: &World, arguments: &[&str]) -> Result<Self> {
        Self::start(world.curl(&[&["-N"], arguments].concat()))
    }

    /// One that has opened a WebSocket and heard the first message. Every line it is given is said.
    fn websocket(world: &World, host: &str, authority: &str) -> Result<(Self, String)> {
        let mut command = world.inside.command("python3");
        command.arg(paths::script("websocket.py")).args([host, "/ws", authority]);
        let mut client = Self::start(command)?;
        let first = client.line()?;
        Ok((client, first))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.lines.read_line(&mut line)?;
        Ok(line)
    }

    /// Reads up to this line.
    fn lines_until(&mut self, last: &str) -> Result<()> {
        loop {
            match self.line()?.trim() {
                line if line == last => return Ok(()),
                // Between head and body.
                "" if self.child.try_wait()?.is_some() => bail!("it ended before {last:?}"),
                _ => {}
            }
        }
    }

    fn say(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.stdin.as_mut().context("an input")?, "{line}")?)
    }

    /// Everything else it prints, and how it ends.
    fn rest(mut self) -> Result<(String, Option<i32>)> {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest)?;
        Ok((rest, self.child.wait()?.code()))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn stars(secret: &str) -> String {
    "*".repeat(secret.len())
}

fn rotate(world: &World, value: &str) -> Result<Value> {
    let replace = json!([{"name": "key", "source": {"value": value}}]);
    world.call("PATCH", "/credential-vault", Some(json!({"credentials": {"replace": replace}})), 200)
}

#[test]
fn a_secret_stays_hidden_in_answers_that_were_asked_for_before_it_changed() -> Result<()> {
    let world = World::new(&[])?;
    world.bind(json!({"type": "bearer", "credential": "key"}), json!({"hosts": ["api.test"]}))?;
    for protocol in HTTPS {
        // One whose head has come, one whose head has not.
        let mut late =
            Client::curl(&world, &[protocol, "-D", "-", "-H", "TE: trailers", "https://api.test/late"])?;
        late.lines_until("begin")?;
        rotate(&world, NEXT)?;
        world.web.release();
        let (rest, code) = late.rest()?;
        ensure!(code == Some(0) && !rest.contains(SECRET), "{protocol} {code:?} {rest}");
        ensure!(rest.contains(&format!("you sent Bearer {}.", stars(SECRET))), "{protocol} {rest}");
        ensure!(rest.contains("x-status: Bearer [REDACTED]"), "{protocol} {rest}");

        world.web.take();
        let hold = Client::curl(&world, &[protocol, "-i", "https://api.test/hold"])?;
        world.web.wait_for(1)?;
        rotate(&world, SECRET)?;
        world.web.release();
        let (answer, code) = hold.rest()?;
        ensure!(code == Some(0) && !answer.contains(NEXT), "{protocol} {code:?} {answer}");
        ensure!(answer.contains("x-echo: Bearer [REDACTED]"), "{protocol} {answer}");
        ensure!(answer.contains(&format!("you sent Bearer {}.", stars(NEXT))), "{protocol} {answer}");
    }
    let authority = world.file("ca-cert.pem");
    let (mut socket, first) = Client::websocket(&world, "api.test", &authority)?;
    ensure!(first == format!("Bearer {}\n", stars(SECRET)), "{first}");
    rotate(&world, NEXT)?;
    for (said, heard) in [("again", stars(SECRET)), (NEXT, stars(NEXT))] {
        socket.say(said)?;
        let line = socket.line()?;
        ensure!(line.trim_start_matches("Bearer ").trim() == heard, "{said} {line}");
    }
    Ok(())
}

#[test]
fn whatever_holds_a_secret_ends_with_the_vault() -> Result<()> {
    let world = World::new(&[])?;
    let marked = json!([{"credential": "key", "placeholder": "{MARK}", "in": ["body"]}]);
    world.bind(
        json!({"type": "bearer", "credential": "key", "substitutions": marked}),
        json!({"hosts": ["api.test"]}),
    )?;
    let authority = world.file("ca-cert.pem");
    let (socket, _) = Client::websocket(&world, "api.test", &authority)?;
    let mut open = vec![socket];
    world.web.take();
    for (at, protocol) in HTTPS.into_iter().enumerate() {
        open.push(Client::curl(&world, &[protocol, "https://api.test/hold"])?);
        world.web.wait_for(at + 1)?;
        // Its body is to be put into, and the last of it does not come.
        let upload = ["-H", "Content-Type: text/plain", "-H", "Content-Length: 20", "-T", "-", "-X", "POST"];
        let mut upload = Client::curl(&world, &[&[protocol][..], &upload, &["https://api.test/x"]].concat())?;
        upload.say("{MARK}")?;
        open.push(upload);
    }
    let pid = world.sidecar.id();
    ensure!(traces::occurrences(pid, SECRET)? > 0, "the search finds nothing, so it proves nothing");
    world.call("DELETE", "/credential-vault", None, 204)?;
    let begin = Instant::now();
    loop {
        match traces::occurrences(pid, SECRET)? {
            0 => break,
            count if begin.elapsed() > PATIENCE => bail!("the secret is still there {count} times"),
            _ => std::thread::sleep(std::time::Duration::from_millis(100)),
        }
    }
    for mut client in open {
        // An upload goes on as long as there may be more to send.
        drop(client.stdin.take());
        let (rest, code) = client.rest()?;
        ensure!(code != Some(CURL_GAVE_UP) && !rest.contains(SECRET), "{code:?} {rest}");
    }
    Ok(())
}

#[test]
fn connections_are_cut_when_their_rule_goes() -> Result<()> {
    let world = World::new(&[])?;
    let mut open = Vec::new();
    for arguments in [
        ["--http1.1", "https://other.test/events"],
        ["--http2", "https://other.test/events"],
        ["--http1.1", "http://other.test/events"],
        ["--http2-prior-knowledge", "http://other.test/events"],
    ] {
        let mut client = Client::curl(&world, &arguments)?;
        let line = client.line()?;
        ensure!(line == "data: one\n", "{arguments:?} {line}");
        open.push((arguments, client));
    }
    let authority = world.file("ca-cert.pem");
    let mut sockets = Vec::new();
    for authority in [authority.as_str(), "-"] {
        let (socket, first) = Client::websocket(&world, "other.test", authority)?;
        ensure!(first == "none\n", "{first}");
        sockets.push(socket);
    }
    let (mut kept, _) = Client::websocket(&world, "api.test", &authority)?;
    world.call("DELETE", "/policy", Some(json!(["other.test"])), 200)?;
    for (arguments, client) in open {
        let (rest, code) = client.rest()?;
        ensure!(!matches!(code, Some(0 | CURL_GAVE_UP)), "{arguments:?} {code:?} {rest}");
    }
    for mut socket in sockets {
        assert_eq!(socket.line()?, "cut\n");
    }
    // Others go on.
    kept.say("hello")?;
    assert_eq!(kept.line()?, "hello\n");
    Ok(())
}

#[test]
fn a_status_line_tells_no_secret() -> Result<()> {
    let world = World::new(&[])?;
    let own = world.fetch(&["--http1.1", "-i", "-H", "X-Api-Key: Mine", "https://api.test/reason"])?;
    ensure!(own.starts_with("HTTP/1.1 200 Mine"), "{own}");
    world.bind(json!({"type": "bearer", "credential": "key"}), json!({"hosts": ["api.test"]}))?;
    let answer = world.fetch(&["--http1.1", "-i", "https://api.test/reason"])?;
    ensure!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    Ok(())
}

#[test]
fn answers_that_may_hold_a_secret_are_asked_for_unpacked() -> Result<()> {
    let world = World::new(&[])?;
    let matches = json!({"hosts": ["api.test"], "methods": ["GET"]});
    world.bind(json!({"type": "bearer", "credential": "key"}), matches)?;
    let offers = ["sec-websocket-extensions", "grpc-accept-encoding", "connect-accept-encoding"];
    for protocol in HTTPS {
        let mut arguments = vec![protocol.to_owned(), "--compressed".to_owned()];
        arguments.extend(offers.iter().flat_map(|name| ["-H".to_owned(), format!("{name}: gzip")]));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        // With the secret, without it to its host, and elsewhere.
        for (method, url, is_asked_unpacked) in [
            ("GET", "https://api.test/", true),
            ("POST", "https://api.test/", true),
            ("GET", "https://other.test/", false),
        ] {
            world.fetch(&[&arguments[..], &["-X", method, url]].concat())?;
            let received = world.web.only()?;
            let is_plain = received.header("accept-encoding") == Some("identity");
            let offered = offers.iter().filter(|name| received.header(name).is_some()).count();
            assert_eq!(
                (is_plain, offered),
                (is_asked_unpacked, if is_plain { 0 } else { 3 }),
                "{received:?}"
            );
        }
        let (status, text) = world.status(&[protocol, "https://api.test/packed"])?;
        ensure!(status == 502 && text.contains("gzip"), "{protocol} {status} {text}");
        assert_eq!(
            world.fetch(&[protocol, "--compressed", "https://other.test/packed"])?,
            "you sent none.\n"
        );
        world.web.take();
    }
    Ok(())
}
