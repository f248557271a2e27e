//! `sb` as a person and a script use it.

use std::{
    fs,
    io::{Read, Write},
    num::NonZero,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use sandkeep_tests::{
    paths::{self, BASE_IMAGE as IMAGE},
    server::Server,
};
use serde_json::Value;

const ROWS: NonZero<u16> = NonZero::new(24).expect("not zero");
const COLUMNS: NonZero<u16> = NonZero::new(80).expect("not zero");
/// Longest wait for something on the screen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The tool, told of the server by variables, with a configuration of its own.
struct Tool<'a> {
    server: &'a Server,
    home: tempfile::TempDir,
}

impl<'a> Tool<'a> {
    fn new(server: &'a Server) -> Result<Self> {
        Ok(Self { server, home: tempfile::tempdir()? })
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env("SANDKEEP_URL", &self.server.api().base)
            .env("OPEN_SANDBOX_API_KEY", &self.server.key)
            .env("SANDKEEP_CLI_CONFIG", self.home.path().join("cli.toml"))
            .current_dir(self.home.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<Output> {
        Ok(self.command(&paths::dist("sb")?).args(arguments).output()?)
    }

    /// Standard output of a run that must succeed.
    fn output(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "sb {arguments:?}: {} {complaint}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }

    /// The same with something on standard input.
    fn fed(&self, arguments: &[&str], input: &str) -> Result<Output> {
        let mut command = self.command(&paths::dist("sb")?);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        child.stdin.take().context("a pipe")?.write_all(input.as_bytes())?;
        Ok(child.wait_with_output()?)
    }

    fn json(&self, arguments: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.output(&[arguments, &["-o", "json"]].concat())?)?)
    }

    fn create(&self) -> Result<String> {
        Ok(self.output(&["create", IMAGE])?.trim().to_owned())
    }
}

#[tokio::test]
async fn commands_run_with_their_output_and_status() -> Result<()> {
    let server = Server::shared()?;
    tokio::task::spawn_blocking(move || {
        let tool = Tool::new(server)?;
        let id = tool.create()?;
        let short = &id[..8];

        let script = "echo out; echo err >&2; exit 7";
        let ran = tool.run(&["exec", short, "--", "sh", "-c", script])?;
        assert_eq!(ran.status.code(), Some(7));
        assert_eq!((ran.stdout.as_slice(), ran.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        let killed = tool.run(&["exec", short, "--timeout", "1", "--", "sleep", "60"])?;
        assert_eq!(killed.status.code(), Some(124));
        assert_eq!(tool.run(&["exec", short, "--", "/no/such/program"])?.status.code(), Some(127));
        let env =
            tool.output(&["exec", short, "-e", "A=b c", "-w", "/tmp", "--", "sh", "-c", "echo $A; pwd"])?;
        assert_eq!(env, "b c\n/tmp\n");

        let mut cat = tool.command(&paths::dist("sb")?);
        let mut cat = cat
            .args(["exec", "-i", short, "--", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        cat.stdin.take().context("a pipe")?.write_all(b"through\n")?;
        let output = cat.wait_with_output()?;
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"through\n"[..]));

        let background = ["exec", "-d", short, "--", "sh", "-c", "echo early; sleep 1; echo late; exit 5"];
        let started = tool.output(&background)?.trim().to_owned();
        for _ in 0..2 {
            let back = tool.run(&["exec", short, "--attach", &started])?;
            assert_eq!((back.status.code(), back.stdout.as_slice()), (Some(5), &b"early\nlate\n"[..]));
        }

        // `head` has seen enough: the tool ends, and so does what it ran.
        let mut endless = tool.command(&paths::dist("sb")?);
        let mut endless = endless.args(["exec", short, "--", "yes"]).stdout(Stdio::piped()).spawn()?;
        let mut line = [0; 2];
        endless.stdout.take().context("a pipe")?.read_exact(&mut line)?;
        assert_eq!((&line, endless.wait()?.code()), (b"y\n", Some(141)));
        let since = Instant::now();
        let list = ["exec", short, "--", "sh", "-c", "cat /proc/[0-9]*/comm 2>/dev/null; true"];
        while tool.output(&list)?.lines().any(|name| name == "yes") {
            ensure!(since.elapsed() < PATIENCE, "it goes on with nobody to read it");
        }

        let listed = tool.json(&["ps"])?;
        let ids: Vec<_> =
            listed.as_array().into_iter().flatten().filter_map(|row| row["id"].as_str()).collect();
        ensure!(ids.contains(&id.as_str()), "{listed}");
        ensure!(tool.output(&["ps"])?.contains(&id[..12]), "a table without the sandbox");
        for (act, state) in
            [("pause", "Paused"), ("resume", "Running"), ("stop", "Stopped"), ("start", "Running")]
        {
            assert_eq!(tool.output(&[act, short])?.trim(), id);
            assert_eq!(tool.json(&["inspect", short])?["status"]["state"], state);
        }
        assert_eq!(tool.output(&["rm", short])?.trim(), id);
        let gone = tool.run(&["exec", &id, "--", "true"])?;
        let complaint = String::from_utf8(gone.stderr)?;
        ensure!(gone.status.code() == Some(1) && complaint.contains("hint: "), "{complaint}");

        let script = "echo once; exit 3";
        let once = tool.run(&["run", "-l", "by=once", IMAGE, "--", "sh", "-c", script])?;
        assert_eq!((once.status.code(), once.stdout.as_slice()), (Some(3), &b"once\n"[..]));
        let left = tool.output(&["ps", "--all", "-q", "-l", "by=once"])?;
        ensure!(left.is_empty(), "a sandbox that was for one command is still there: {left}");
        Ok(())
    })
    .await?
}

#[tokio::test]
async fn files_and_directories_travel() -> Result<()> {
    let server = Server::shared()?;
    tokio::task::spawn_blocking(move || {
        let tool = Tool::new(server)?;
        let (one, two) = (tool.create()?, tool.create()?);
        let home = tool.home.path();
        fs::create_dir_all(home.join("tree/deep"))?;
        fs::write(home.join("tree/deep/bytes"), (0..=255).cycle().take(300_000).collect::<Vec<u8>>())?;
        fs::write(home.join("plain"), "text\n")?;
        let quiet = tool.run(&["cp", "plain", &format!("{one}:/srv/")])?;
        ensure!(quiet.status.success() && quiet.stderr.is_empty(), "a pipe got {:?}", quiet.stderr);
        // A terminal is shown how far it is.
        let screen = Screen::open(&tool, &format!("cp plain {one}:/srv/shown"))?;
        let transcript = Arc::clone(&screen.transcript);
        assert_eq!(screen.end()?, Some(0));
        let transcript = String::from_utf8_lossy(&transcript.lock().expect("nobody panics")).into_owned();
        ensure!(transcript.contains("copying") && transcript.contains("B/"), "{transcript:?}");
        assert_eq!(tool.output(&["exec", &one, "--", "cat", "/srv/plain"])?, "text\n");
        tool.output(&["cp", "tree", &format!("{one}:/srv")])?;
        tool.output(&["cp", &format!("{one}:/srv/tree"), &format!("{two}:/srv/copy")])?;
        tool.output(&["cp", &format!("{two}:/srv/copy"), "back"])?;
        assert_eq!(fs::read(home.join("back/deep/bytes"))?, fs::read(home.join("tree/deep/bytes"))?);
        tool.output(&["cp", &format!("{one}:/srv/plain"), "."])?;
        let listed = tool.output(&["ls", &format!("{two}:/srv/copy")])?;
        ensure!(listed.contains("/srv/copy/deep/"), "{listed}");
        let missing = tool.run(&["cp", &format!("{one}:/no/such"), "x"])?;
        ensure!(!missing.status.success() && !home.join("x").exists(), "half a copy");
        tool.output(&["rm", &one, &two]).map(drop)
    })
    .await?
}

#[tokio::test]
async fn servers_have_names_and_keys_stay_hidden() -> Result<()> {
    let server = Server::shared()?;
    tokio::task::spawn_blocking(move || {
        let tool = Tool::new(server)?;
        let key = tool.home.path().join("key");
        fs::write(&key, format!("{}\n", server.key))?;
        let key = key.to_string_lossy();
        let url = server.api().base;
        tool.output(&["config", "set", "here", "--server", &url, "--key-file", &key])?;
        let listed = tool.output(&["config", "ls"])?;
        ensure!(listed.contains("here") && !listed.contains(&server.key), "{listed}");
        let by_name = tool
            .command(&paths::dist("sb")?)
            .env_remove("SANDKEEP_URL")
            .env_remove("OPEN_SANDBOX_API_KEY")
            .args(["ps", "-q"])
            .output()?;
        ensure!(by_name.status.success(), "{}", String::from_utf8_lossy(&by_name.stderr));
        let refused =
            tool.command(&paths::dist("sb")?).env("OPEN_SANDBOX_API_KEY", "wrong").args(["ps"]).output()?;
        let complaint = String::from_utf8(refused.stderr)?;
        ensure!(!refused.status.success() && complaint.contains("OPEN_SANDBOX_API_KEY"), "{complaint}");

        let doctor = tool.json(&["doctor"])?;
        ensure!(
            doctor.as_array().is_some_and(|found| found.iter().any(|one| one["what"] == "kernel")),
            "{doctor}"
        );
        ensure!(tool.output(&["completion", "bash"])?.contains("port-forward"), "no completion");
        tool.output(&["man", "man"])?;
        ensure!(tool.home.path().join("man/sb-exec.1").is_file(), "no page for a command");
        Ok(())
    })
    .await?
}

/// Complaint of a run that must fail.
fn refused(output: Output) -> Result<String> {
    let complaint = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(1), "{}: {complaint}", output.status);
    Ok(complaint)
}

/// A text without what differs from run to run: ids, spans of time, and how wide columns are for them.
fn steady(text: &str, id: &str) -> String {
    let text = text.replace(id, "ID").replace(&id[..12], "ID");
    let is_span = |word: &str| {
        let number = word.trim_start_matches("in ").strip_suffix(['s', 'm', 'h', 'd']);
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    let lines = text.lines().map(|line| {
        let words = line.split("  ").map(str::trim).filter(|word| !word.is_empty());
        words.map(|word| if is_span(word) { "SPAN" } else { word }).collect::<Vec<_>>().join(" | ")
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn results_look_as_they_always_did() -> Result<()> {
    let server = Server::shared()?;
    tokio::task::spawn_blocking(move || {
        let tool = Tool::new(server)?;
        let id = tool.output(&["create", IMAGE, "-l", "by=look"])?.trim().to_owned();
        let url = server.api().base;

        let table = tool.output(&["ps", "-l", "by=look"])?;
        let expected = "ID | FROM | STATE | AGE | EXPIRES | LABELS\n\
                        ID | sandkeep/base:latest | Running | SPAN | SPAN | by=look";
        assert_eq!(steady(&table, &id), expected);
        assert_eq!(tool.output(&["ps", "-q", "-l", "by=look"])?, format!("{id}\n"));
        let json = tool.json(&["inspect", &id])?;
        let yaml = tool.output(&["inspect", &id, "-o", "yaml"])?;
        ensure!(yaml.starts_with(&format!("id: {id}\nimage:\n  uri: sandkeep/base:latest\n")), "{yaml}");
        assert_eq!(json["status"]["state"], "Running");
        ensure!(tool.output(&["inspect", &id])?.contains(&id), "no table of one sandbox");

        let none = refused(tool.run(&["exec", "abc", "--", "true"])?)?;
        assert_eq!(none, "error: there is no sandbox abc; `sb ps` lists those there are\n");
        let gone = refused(tool.run(&["policy", "get", &id])?)?;
        ensure!(
            gone.contains("hint: a policy is given at the start: `sb create --allow TARGET …`"),
            "{gone}"
        );
        let silent = refused(tool.run(&["--url", "http://127.0.0.1:1", "ps"])?)?;
        ensure!(
            silent.starts_with("error: the exchange with http://127.0.0.1:1 failed: ")
                && silent.contains("\nhint: is the server up, and the address right? `sb up` starts one"),
            "{silent}"
        );
        let context = refused(tool.run(&["--context", "nowhere", "ps"])?)?;
        assert_eq!(context, "error: there is no context nowhere; `sb config ls` lists those there are\n");

        assert_eq!(tool.output(&["up"])?, format!("a server answers at {url} already\n"));

        tool.output(&["config", "set", "a", "--server", &url, "--key-file", "/dev/null"])?;
        tool.output(&["config", "set", "b", "--server", "http://b.example"])?;
        let contexts = tool.output(&["config", "ls"])?;
        ensure!(contexts.lines().count() == 3 && contexts.contains("http://b.example"), "{contexts}");
        tool.output(&["rm", &id]).map(drop)
    })
    .await?
}

#[tokio::test]
async fn secrets_go_into_the_vault_and_are_never_shown() -> Result<()> {
    const SECRET: &str = "a-secret-nobody-may-see";
    let server = Server::shared()?;
    tokio::task::spawn_blocking(move || {
        let tool = Tool::new(server)?;
        let create = ["create", IMAGE, "--allow", "api.example", "--credential-proxy"];
        let id = tool.output(&create)?.trim().to_owned();
        let policy = tool.output(&["policy", "set", &id, "--deny", "b.example", "--allow", "api.example"])?;
        let expected = "ACTION | TARGET\n\
                        deny | b.example\n\
                        allow | api.example\n\
                        deny | (everything else)";
        assert_eq!(steady(&policy, &id), expected);
        let none = refused(tool.run(&["vault", "get", &id])?)?;
        ensure!(none.contains("hint: `sb vault set` makes a vault"), "{none}");

        let set = tool.fed(&["vault", "set", &id, "token"], &format!("{SECRET}\n"))?;
        ensure!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
        let host = ["--secret", "token", "--host", "api.example"];
        tool.output(&[&["vault", "bind", &id, "api"][..], &host, &["--bearer"]].concat())?;
        let table = tool.output(&["vault", "get", &id])?;
        let expected = "KIND | NAME | REVISION | FOR | AS\n\
                        secret | token | 1\n\
                        binding | api | 2 | api.example | bearer\n\
                        vault | 2";
        assert_eq!(steady(&table, &id), expected);
        let header = [&["vault", "bind", &id, "api"][..], &host, &["--header", "x-key"]].concat();
        assert_eq!(tool.json(&header)?["bindings"][0]["auth"]["name"], "x-key");

        // Somebody was faster: nothing is changed.
        let late = tool.fed(&["vault", "set", &id, "token", "--revision", "1"], SECRET)?;
        let late = refused(late)?;
        ensure!(late.contains("hint: somebody changed the vault") && !late.contains(SECRET), "{late}");
        let file = tool.home.path().join("secret");
        fs::write(&file, SECRET)?;
        let file = file.to_string_lossy();
        let replaced = tool.json(&["vault", "set", &id, "token", "--revision", "3", "--from-file", &file])?;
        assert_eq!((&replaced["revision"], &replaced["credentials"][0]["revision"]), (&4.into(), &4.into()));
        let mut from_env = tool.command(&paths::dist("sb")?);
        let from_env =
            from_env.args(["vault", "set", &id, "other", "--from-env", "OTHER"]).env("OTHER", SECRET);
        ensure!(from_env.output()?.status.success(), "no secret from a variable");

        let used = refused(tool.run(&["vault", "unset", &id, "token"])?)?;
        ensure!(used.contains("api"), "{used}");
        tool.output(&["vault", "unbind", &id, "api"])?;
        let changed = "credentials: {delete: [token], replace: [{name: other, source: {value: again}}]}";
        let changed = tool.fed(&["vault", "change", &id, "-"], changed)?;
        ensure!(changed.status.success(), "{}", String::from_utf8_lossy(&changed.stderr));
        let left = tool.output(&["vault", "get", &id, "-o", "yaml"])?;
        ensure!(left.contains("name: other") && !left.contains("token") && !left.contains(SECRET), "{left}");
        tool.output(&["vault", "rm", &id])?;
        let document = format!("credentials: [{{name: t, source: {{value: {SECRET}}}}}]\nbindings: []\n");
        let made = tool.fed(&["vault", "create", &id, "-", "-o", "json"], &document)?;
        let text = String::from_utf8(made.stdout)?;
        ensure!(made.status.success() && text.contains("\"t\"") && !text.contains(SECRET), "{text}");
        tool.output(&["rm", &id]).map(drop)
    })
    .await?
}

/// `sb shell` on a terminal of its own.
struct Screen {
    child: std::process::Child,
    keys: std::process::ChildStdin,
    parser: Arc<Mutex<vt100::Parser>>,
    /// Everything that was ever written to it.
    transcript: Arc<Mutex<Vec<u8>>>,
    reader: std::thread::JoinHandle<()>,
}

impl Screen {
    fn open(tool: &Tool<'_>, arguments: &str) -> Result<Self> {
        let line = format!("stty rows 24 cols 80; exec {} {arguments}", paths::dist("sb")?.display());
        let mut command = tool.command(&paths::program("script", "bsdutils")?);
        command.args(["--quiet", "--flush", "--return", "--command", &line, "/dev/null"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let keys = child.stdin.take().context("a pipe")?;
        let mut output = child.stdout.take().context("a pipe")?;
        let parser = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 0)));
        let transcript = Arc::new(Mutex::new(Vec::new()));
        let (seen, all) = (Arc::clone(&parser), Arc::clone(&transcript));
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                if let Ok(mut parser) = seen.lock() {
                    parser.process(&buffer[..count]);
                }
                if let Ok(mut all) = all.lock() {
                    all.extend_from_slice(&buffer[..count]);
                }
            }
        });
        Ok(Self { child, keys, parser, transcript, reader })
    }

    fn text(&self) -> String {
        self.parser.lock().map(|parser| parser.screen().contents()).unwrap_or_default()
    }

    fn shows(&self, text: &str) -> Result<()> {
        let since = Instant::now();
        while !self.text().contains(text) {
            ensure!(since.elapsed() < PATIENCE, "the screen never shows {text:?}: {}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn keys(&mut self, keys: &[u8]) -> Result<()> {
        self.keys.write_all(keys)?;
        Ok(self.keys.flush()?)
    }

    /// The exit status, once it has one.
    fn end(mut self) -> Result<Option<i32>> {
        let since = Instant::now();
        loop {
            // What it wrote at the end is there to be read after it.
            if let Some(status) = self.child.try_wait()?.filter(|_| self.reader.is_finished()) {
                return Ok(status.code());
            }
            if since.elapsed() > PATIENCE {
                self.child.kill()?;
                anyhow::bail!("the tool does not end: {}", self.text());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[tokio::test]
async fn a_shell_is_left_and_come_back_to() -> Result<()> {
    let server = Server::shared()?;
    tokio::task::spawn_blocking(move || {
        let tool = Tool::new(server)?;
        let id = tool.create()?;
        let mut screen = Screen::open(&tool, &format!("shell {id}"))?;
        screen.keys(b"stty size; echo ready-$((40 + 2))\r")?;
        screen.shows("ready-42")?;
        screen.shows("24 80")?;
        // Interrupts are for what runs there, not for the tool.
        screen.keys(b"sleep 600\r")?;
        screen.shows("sleep 600")?;
        screen.keys(b"\x03")?;
        screen.keys(b"kept=yes; echo after-$((1 + 1))\r")?;
        screen.shows("after-2")?;
        screen.keys(b"\x10\x11")?;
        screen.shows("--attach ")?;
        let text = screen.text();
        let terminal = text.rsplit("--attach ").next().unwrap_or_default().trim().to_owned();
        assert_eq!(screen.end()?, Some(0), "{text}");

        let mut screen = Screen::open(&tool, &format!("shell {id} --attach {terminal}"))?;
        screen.keys(b"echo kept-is-$kept\r")?;
        screen.shows("kept-is-yes")?;
        screen.keys(b"exit 5\r")?;
        assert_eq!(screen.end()?, Some(5));
        tool.output(&["rm", &id]).map(drop)
    })
    .await?
}

#[tokio::test]
async fn ports_come_here_and_snapshots_are_started_from() -> Result<()> {
    let server = Server::shared()?;
    tokio::task::spawn_blocking(move || {
        let tool = Tool::new(server)?;
        let id = tool.create()?;
        tool.output(&["exec", &id, "--", "sh", "-c", "mkdir /srv/www; echo page >/srv/www/index.html"])?;
        tool.output(&["exec", "-d", "-w", "/srv/www", &id, "--", "python3", "-m", "http.server", "8000"])?;
        let mut forward = tool.command(&paths::dist("sb")?);
        let mut forward = forward.args(["port-forward", &id, "0:8000"]).stdout(Stdio::piped()).spawn()?;
        let mut told = String::new();
        let output = forward.stdout.take().context("a pipe")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut told)?;
        let address = told.split_whitespace().next().and_then(|url| url.strip_prefix("http://"));
        let address = address.with_context(|| format!("an address in {told:?}"))?.parse()?;
        let since = Instant::now();
        // The program in there may take its time to listen.
        let page = loop {
            match sandkeep_tests::wire::request(address, "GET", "/", &[], b"") {
                Ok(answer) if answer.body == "page\n" => break Ok(()),
                _ if since.elapsed() > PATIENCE => break Err(anyhow::anyhow!("no page at {address}")),
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        forward.kill()?;
        forward.wait()?;
        page?;

        let snapshot = tool.output(&["snapshot", "create", &id, "--name", "with-page"])?.trim().to_owned();
        ensure!(tool.output(&["snapshot", "ls"])?.contains("with-page"), "a list without the snapshot");
        let copy = tool.output(&["create", "--snapshot", &snapshot])?.trim().to_owned();
        assert_eq!(tool.output(&["exec", &copy, "--", "cat", "/srv/www/index.html"])?, "page\n");
        tool.output(&["rm", &copy, &id])?;
        tool.output(&["snapshot", "rm", &snapshot]).map(drop)
    })
    .await?
}
