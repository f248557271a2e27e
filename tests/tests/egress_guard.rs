//! What is under way when the rules or the vault change: secrets of before stay hidden, and what is no longer allowed is
//! cut.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, ChildStdout, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use sandkeep_tests::{
    intercepted::{CURL_GAVE_UP, HTTPS, PATIENCE, SECRET, TOKEN, TOKEN_HEADER, World},
    paths, traces, wire,
};
use serde_json::{Value, json};

/// Between two changes in a row: the API takes a bounded number of connections a second from inside.
const CHANGE_PAUSE: Duration = Duration::from_millis(5);
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
            _ => std::thread::sleep(Duration::from_millis(100)),
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
        let unpacked = world.fetch(&[protocol, "-i", "https://api.test/packed"])?;
        ensure!(
            unpacked.ends_with(&format!("you sent Bearer {}.\n", stars(SECRET))),
            "{protocol} {unpacked}"
        );
        ensure!(!unpacked.contains("content-encoding"), "{protocol} {unpacked}");
        let (status, text) = world.status(&[protocol, "https://api.test/packed?br"])?;
        ensure!(status == 502 && text.contains("br"), "{protocol} {status} {text}");
        assert_eq!(
            world.fetch(&[protocol, "--compressed", "https://other.test/packed"])?,
            "you sent none.\n"
        );
        world.web.take();
    }
    Ok(())
}

/// Sends its argument to the bound host as it is, and hears the beginning of the answer.
const RAW: &str = "
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.set_alpn_protocols(['http/1.1'])
stream = context.wrap_socket(socket.create_connection(('api.test', 443), timeout=60), server_hostname='api.test')
stream.sendall(sys.argv[2].encode())
print(stream.recv(65536).decode().split(' ')[1])
";

#[test]
fn trailers_follow_a_body_in_which_marks_are_replaced() -> Result<()> {
    let world = World::new(&[])?;
    let marked = json!([{"credential": "key", "placeholder": "{MARK}", "in": ["body"]}]);
    world.bind(json!({"type": "passthrough", "substitutions": marked}), json!({"hosts": ["api.test"]}))?;
    let request = "POST /x HTTP/1.1\r\nHost: api.test\r\nContent-Type: text/plain\r\nTrailer: x-sum\r\n\
        Transfer-Encoding: chunked\r\n\r\n3\r\n{MA\r\n6\r\nRK} {M\r\n0\r\nx-sum: 42\r\n\r\n";
    let mut command = world.inside.command("python3");
    let output = command.args(["-c", RAW, &world.file("ca-cert.pem"), request]).output()?;
    ensure!(output.stdout == b"200\n", "{output:?}");
    let received = world.web.only()?;
    assert_eq!(received.body, format!("{SECRET} {{M"));
    let trailers = received.trailers.context("trailers")?;
    assert_eq!(trailers["x-sum"], "42");
    Ok(())
}

#[test]
fn a_refused_secret_is_not_kept() -> Result<()> {
    let world = World::new(&[])?;
    world.bind(json!({"type": "bearer", "credential": "key"}), json!({"hosts": ["api.test"]}))?;
    let vault = json!({"credentials": [{"name": "next", "source": {"value": NEXT}}], "bindings": []});
    let change = |wrong: Value| json!({"expectedRevision": wrong, "credentials": {"add": [{"name": "next", "source": {"value": NEXT}}]}});
    let unlike = json!({"credentials": [{"name": "next", "source": NEXT}], "bindings": []});
    for (method, token, body, status) in [
        ("POST", TOKEN, vault.clone(), 409),
        ("POST", TOKEN, unlike, 400),
        ("POST", "another", vault, 401),
        ("PATCH", TOKEN, change(json!(7)), 409),
        ("PATCH", TOKEN, change(json!("7")), 400),
    ] {
        let body = body.to_string();
        // One that would go on.
        let request = format!(
            "{method} /credential-vault HTTP/1.1\r\nHost: x\r\n{TOKEN_HEADER}: {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = world.inside.run(|| wire::raw("127.0.0.1:18080".parse()?, request.as_bytes()))??;
        assert_eq!(answer.status, status, "{}", answer.body);
        let head = answer.head.to_ascii_lowercase();
        ensure!(head.contains("\r\nconnection: close"), "{method} {status} {head}");
    }
    Ok(())
}

/// Two secrets that change together, again and again while requests are sent.
#[test]
fn every_request_carries_the_vault_of_one_moment() -> Result<()> {
    let world = World::new(&[])?;
    let pair = |number: u32| {
        let value = |name: &str| json!({"name": name, "source": {"value": format!("{name}-{number:08}")}});
        json!([value("first"), value("second")])
    };
    let headers =
        json!([{"name": "X-First", "credential": "first"}, {"name": "X-Second", "credential": "second"}]);
    let auth = json!({"type": "customHeaders", "headers": headers});
    world.make_vault(pair(0), json!([{"name": "b", "match": {"hosts": ["api.test"]}, "auth": auth}]))?;
    let is_over = AtomicBool::new(false);
    let changes = std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            let mut number = 0;
            while !is_over.load(Ordering::Acquire) {
                number += 1;
                let change = json!({"expectedRevision": number, "credentials": {"replace": pair(number)}});
                world.call("PATCH", "/credential-vault", Some(change), 200)?;
                std::thread::sleep(CHANGE_PAUSE);
            }
            anyhow::Ok(number)
        });
        let requesting = || -> Result<()> {
            let (mut seen, begin) = (HashSet::new(), Instant::now());
            // Until enough of them have met another vault than the one before.
            while seen.len() < 20 {
                ensure!(begin.elapsed() < PATIENCE, "only {} vaults were seen", seen.len());
                for protocol in HTTPS {
                    world.fetch(&[protocol, "-o", "/dev/null", "https://api.test/[1-20]"])?;
                }
                for received in world.web.take() {
                    let of = |name: &str, start: &str| {
                        let value = received.header(name).and_then(|value| value.strip_prefix(start));
                        value.map(str::to_owned).with_context(|| format!("{name} of {received:?}"))
                    };
                    let (first, second) = (of("x-first", "first-")?, of("x-second", "second-")?);
                    ensure!(first == second, "half of one vault, half of another: {received:?}");
                    seen.insert(first);
                }
            }
            Ok(())
        };
        let requested = requesting();
        is_over.store(true, Ordering::Release);
        let changes = changing.join().map_err(|_| anyhow!("the changes have ended"))?;
        requested?;
        changes
    })?;
    assert_eq!(world.call("GET", "/credential-vault", None, 200)?["revision"], changes + 1);
    Ok(())
}

#[test]
fn names_that_were_looked_up_are_in_the_audit_log() -> Result<()> {
    let world = World::new(&[])?;
    for _ in 0..2 {
        world.fetch(&["https://a.wild.test/"])?;
    }
    world.fails(&["https://denied.test/"])?;
    let audit = world.audit()?;
    let names: Vec<_> = audit
        .iter()
        .filter(|entry| entry["kind"] == "dns")
        .map(|entry| (&entry["host"], &entry["allowed"], &entry["rule"]))
        .collect();
    assert_eq!(
        names,
        [
            (&json!("a.wild.test"), &json!(true), &json!("*.wild.test")),
            (&json!("denied.test"), &json!(false), &Value::Null)
        ]
    );
    Ok(())
}
