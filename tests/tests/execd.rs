//! What happens inside a sandbox, driven through the Rust SDK: commands, files, code, metrics.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use sandkeep::{
    Client, Command, CreateOptions, Error, FileSource, Sandbox,
    specs::execd::{
        event::EventKind,
        files::{Permission, RenameFileItem, ReplaceFileContentItem},
    },
};
use sandkeep_tests::{api::eventually, paths::BASE_IMAGE, server::Server};

/// Longest wait for something that should take no time.
const SOON: Duration = Duration::from_secs(15);

async fn sandbox(through_server: bool) -> Result<Sandbox> {
    let server = Server::shared()?;
    let client = Client::new(server.url(), server.key.clone())?;
    let options = CreateOptions::image(BASE_IMAGE).limit("memory", "256Mi").env("PURPOSE", "sdk");
    Ok(Sandbox::create(&client, options.through_server(through_server)).await?)
}

#[tokio::test]
async fn commands_in_both_forms() -> Result<()> {
    for through_server in [false, true] {
        let sandbox = sandbox(through_server).await?;
        let commands = sandbox.commands();
        let shell = commands.run("echo $PURPOSE; echo warning >&2; exit 3").await?;
        assert_eq!((shell.stdout.as_str(), shell.stderr.as_str()), ("sdk\n", "warning\n"));
        assert_eq!((shell.exit_code(), shell.is_success()), (Some(3), false));
        let argv = commands.run(Command::argv(["printf", "%s|", "$PURPOSE", "a  b", ""])).await?;
        assert_eq!(argv.stdout, "$PURPOSE|a  b||");

        let placed = commands.run(Command::shell("pwd; echo $X").cwd("/tmp").env("X", "1 2")).await?;
        assert_eq!(placed.stdout, "/tmp\n1 2\n");
        let somebody = commands.run(Command::argv(["id"]).user(1234, Some(4321))).await?;
        ensure!(somebody.stdout.starts_with("uid=1234 gid=4321"), "{}", somebody.stdout);

        let missing = commands.run(Command::argv(["/no/such/program"])).await?;
        ensure!(!missing.is_success() && missing.error.is_some(), "{missing:?}");
        let killed = commands.run("kill -TERM $$").await?;
        assert_eq!(killed.exit_code(), Some(128 + 15));
        let since = Instant::now();
        let slow = Command::shell("sleep 30 & sleep 30").timeout(Duration::from_millis(400));
        let slow = commands.run(slow).await?;
        ensure!(slow.timed_out && slow.exit_code().is_none() && since.elapsed() < SOON, "{slow:?}");
        eventually("a timeout kills what the command started too", SOON, async || {
            Ok(commands.run("pgrep -c sleep").await?.stdout.trim() == "0")
        })
        .await?;
        sandbox.delete().await?;
    }
    Ok(())
}

#[tokio::test]
async fn output_is_live_and_complete() -> Result<()> {
    let sandbox = sandbox(false).await?;
    // An unfinished line waits a second for its end, no longer.
    let mut events =
        sandbox.commands().stream("echo now; printf 50%%; sleep 2; printf '\\r100%%\\n'").await?;
    let since = Instant::now();
    let (mut kinds, mut texts) = (Vec::new(), Vec::new());
    while let Some(event) = events.next().await? {
        if event.kind == EventKind::Stdout {
            texts.push((event.text.unwrap_or_default(), since.elapsed().as_millis()));
        }
        kinds.push(event.kind);
    }
    let [(now, at_once), (partial, soon), rest @ ..] = &texts[..] else { anyhow::bail!("{texts:?}") };
    ensure!(now == "now\n" && *at_once < 300 && partial == "50%" && *soon < 1600, "{texts:?}");
    let rest: String = rest.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(rest, "\r100%\n");
    assert_eq!(kinds[..2], [EventKind::Init, EventKind::Ping]);
    assert_eq!(kinds.last(), Some(&EventKind::ExecutionComplete));
    assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::ExecutionComplete).count(), 1);

    let lines = sandbox.commands().run("seq 200000").await?;
    let expected: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    ensure!(lines.stdout == expected, "{} bytes instead of {}", lines.stdout.len(), expected.len());
    let split = sandbox.commands().run("printf '\\342\\202'; sleep 0.2; printf '\\254 \\377'").await?;
    assert_eq!(split.stdout, "€ \u{fffd}", "characters survive being cut, other bytes become U+FFFD");
    sandbox.delete().await?;
    Ok(())
}

#[tokio::test]
async fn many_short_commands_keep_their_output() -> Result<()> {
    let sandbox = sandbox(false).await?;
    let commands = sandbox.commands();
    for round in 0..10 {
        let batch = (0..30).map(async |number| {
            let expected = format!("{round}-{number}\n");
            let ran = commands.run(format!("echo {round}-{number}")).await?;
            ensure!(ran.stdout == expected && ran.is_success(), "{ran:?}");
            Ok(())
        });
        futures_util::future::try_join_all(batch).await?;
    }
    let zombies = commands.run("grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l").await?;
    assert_eq!(zombies.stdout.trim(), "0", "nobody is left unreaped");
    sandbox.delete().await?;
    Ok(())
}

#[tokio::test]
async fn background_commands_and_interrupts() -> Result<()> {
    let sandbox = sandbox(false).await?;
    let commands = sandbox.commands();
    let id = commands.start("echo one; sleep 0.7; echo two >&2; exit 4").await?;
    ensure!(commands.status(&id).await?.running, "it ended already");
    let mut text = String::new();
    let mut cursor = 0;
    let since = Instant::now();
    while commands.status(&id).await?.running {
        ensure!(since.elapsed() < SOON, "it never ends");
        let logs = commands.logs(&id, cursor).await?;
        text.push_str(&logs.text);
        cursor = logs.cursor;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    text.push_str(&commands.logs(&id, cursor).await?.text);
    assert_eq!(text, "one\ntwo\n");
    let status = commands.status(&id).await?;
    assert_eq!(status.exit_code, Some(4));
    ensure!(status.finished_at.is_some_and(|end| end >= status.started_at), "{status:?}");

    let stubborn = commands.start("trap '' TERM; sleep 60 & wait; sleep 60").await?;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let since = Instant::now();
    commands.interrupt(&stubborn).await?;
    while commands.status(&stubborn).await?.running {
        ensure!(since.elapsed() < SOON, "a command that ignores TERM lives on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let unknown = commands.interrupt("0123456789abcdef0123456789abcdef").await;
    ensure!(matches!(unknown, Err(Error::Api { status: 404, .. })), "{unknown:?}");

    let mut events = commands.stream("echo begun; exec sleep 60").await?;
    let id = loop {
        let event = events.next().await?.context("an init event")?;
        if event.kind == EventKind::Init {
            break event.text.context("an id")?;
        }
    };
    commands.interrupt(&id).await?;
    let ended = events.collect().await?;
    assert_eq!(ended.exit_code(), Some(128 + 15));
    sandbox.delete().await?;
    Ok(())
}

#[tokio::test]
async fn files_go_in_and_out() -> Result<()> {
    for through_server in [false, true] {
        let sandbox = sandbox(through_server).await?;
        let files = sandbox.files();
        let large: Vec<u8> = (0..20_000_000_u32).map(|number| (number * 7 % 251) as u8).collect();
        let odd = "/srv/a b/ünï#%+&=?.bin";
        let secret = Permission { mode: Some(600), owner: Some("nobody".into()), group: None };
        files
            .upload([
                FileSource::bytes(odd, large.clone()).permission(secret),
                FileSource::bytes("/srv/text", "one\r\ntwo\nthree"),
            ])
            .await?;
        ensure!(files.read(odd).await? == large, "the content changed on its way");
        let info = files.info(&[odd, "/srv"]).await?;
        assert_eq!((info[odd].mode, info[odd].size, info[odd].owner.as_str()), (600, 20_000_000, "nobody"));
        assert_eq!(files.read_range(odd, 5, Some(9)).await?, large[5..=9]);
        assert_eq!(files.read_lines("/srv/text", 2, 1).await?, "two");

        let text = ReplaceFileContentItem { old: "two".into(), new: "2".into() };
        let counts = files.replace(&BTreeMap::from([("/srv/text".to_owned(), text)])).await?;
        assert_eq!(counts["/srv/text"].replaced_count, 1);
        let rename = RenameFileItem { src: "/srv/text".into(), dest: "/srv/deep/er/text".into() };
        files.rename(&[rename]).await?;
        assert_eq!(files.read_text("/srv/deep/er/text").await?, "one\r\n2\nthree");
        let found = files.search("/srv", "t*t").await?;
        assert_eq!(found.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["/srv/deep/er/text"]);
        let listed = files.list("/srv", 2).await?;
        let paths: Vec<&str> = listed.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, ["/srv/a b", odd, "/srv/deep", "/srv/deep/er"]);
        files.delete_directories(&["/srv/deep"]).await?;
        files.delete(&[odd, "/no/such"]).await?;
        ensure!(matches!(files.read(odd).await, Err(error) if error.is_not_found()));
        sandbox.delete().await?;
    }
    Ok(())
}

#[tokio::test]
async fn python_keeps_its_state_and_shows_its_mistakes() -> Result<()> {
    let sandbox = sandbox(true).await?;
    let code = sandbox.code();
    let context = code.create_context("python", Some("/srv/project")).await?;
    let first = code.run_in(&context, "import os\nx = 41\nprint('live')\nos.getcwd(), x + 1").await?;
    assert_eq!(first.stdout, "live\n");
    assert_eq!(first.result_text(), Some("('/srv/project', 42)"));
    let second = code.run_in(&context, "x").await?;
    assert_eq!((second.result_text(), second.is_success()), (Some("41"), true));

    let failing = "def divide(a):\n    return a / 0\n\ndivide(x)";
    let error = code.run_in(&context, failing).await?.error.context("an error")?;
    assert_eq!((error.ename.as_str(), error.evalue.as_str()), ("ZeroDivisionError", "division by zero"));
    let trace = error.traceback.join("\n");
    ensure!(
        trace.contains("return a / 0") && trace.contains("divide(x)"),
        "the user's lines are shown: {trace}"
    );
    ensure!(!trace.contains("driver"), "lines that are not the user's are shown: {trace}");
    let syntax = code.run_in(&context, "a = = 1").await?.error.context("an error")?;
    assert_eq!(syntax.ename, "SyntaxError");

    let other = code.create_context("python", None).await?;
    let unknown = code.run_in(&other, "x").await?.error.context("an error")?;
    assert_eq!(unknown.ename, "NameError", "contexts are apart");
    let exit = code.run_in(&other, "import sys; sys.exit(3)").await?;
    ensure!(exit.error.is_some() && code.run_in(&other, "1").await?.is_success(), "{exit:?}");
    code.delete_context(context.id.as_deref().context("an id")?).await?;
    let left = code.contexts(Some("python")).await?;
    ensure!(left.iter().all(|left| left.id != context.id), "{left:?}");
    sandbox.delete().await?;
    Ok(())
}

#[tokio::test]
async fn interrupting_one_context_leaves_the_other() -> Result<()> {
    let sandbox = sandbox(false).await?;
    let code = sandbox.code();
    let (one, two) = (code.create_context("python", None).await?, code.create_context("python", None).await?);
    code.run_in(&one, "kept = 'kept'").await?;
    let spin = "import time\nprint('spinning', flush=True)\nwhile True: time.sleep(0.01)";
    let work = "import time\nfor i in range(20): print(i); time.sleep(0.1)\n'finished'";
    let (mut spinning, working) = (code.stream_in(&one, spin).await?, code.stream_in(&two, work).await?);
    loop {
        let event = spinning.next().await?.context("output")?;
        if event.kind == EventKind::Stdout {
            break;
        }
    }
    code.interrupt(one.id.as_deref().context("an id")?).await?;
    let interrupted = spinning.collect().await?;
    assert_eq!(interrupted.error.context("an error")?.ename, "KeyboardInterrupt");
    let finished = working.collect().await?;
    assert_eq!(finished.result_text(), Some("'finished'"), "the other context goes on");
    assert_eq!(finished.stdout.lines().count(), 20);
    assert_eq!(code.run_in(&one, "kept").await?.result_text(), Some("'kept'"), "variables survive");
    sandbox.delete().await?;
    Ok(())
}

#[tokio::test]
async fn code_inside_calls_its_own_execd() -> Result<()> {
    let sandbox = sandbox(false).await?;
    let inside = r#"
import json, os, urllib.request
request = urllib.request.Request(
    os.environ["EXECD_URL"] + "/command",
    data=json.dumps({"argv": ["echo", "from within"]}).encode(),
    headers={"X-EXECD-ACCESS-TOKEN": os.environ["EXECD_ACCESS_TOKEN"], "Content-Type": "application/json"},
)
events = [json.loads(line[5:]) for line in urllib.request.urlopen(request) if line.startswith(b"data:")]
"".join(event.get("text", "") for event in events if event["type"] == "stdout")
"#;
    let ran = sandbox.code().run(inside).await?;
    assert_eq!(ran.result_text(), Some("'from within\\n'"), "{ran:?}");
    sandbox.delete().await?;
    Ok(())
}

#[tokio::test]
async fn metrics_come_once_and_as_a_stream() -> Result<()> {
    let sandbox = sandbox(false).await?;
    let execd = sandbox.execd();
    let metrics = execd.metrics().await?;
    ensure!(metrics.cpu_count > 0.0 && (0.0..=100.0).contains(&metrics.cpu_used_pct), "{metrics:?}");
    ensure!(metrics.mem_used_mib > 0.0 && metrics.mem_used_mib <= metrics.mem_total_mib, "{metrics:?}");
    let mut samples = execd.watch_metrics().await?;
    let first = samples.next().await?.context("a sample")?;
    let second = samples.next().await?.context("a second sample")?;
    ensure!(second.timestamp > first.timestamp);
    sandbox.delete().await?;
    Ok(())
}

#[tokio::test]
async fn commands_are_written_to_and_come_back_to() -> Result<()> {
    for through_server in [false, true] {
        let sandbox = sandbox(through_server).await?;
        let commands = sandbox.commands();
        let mut events = commands.stream(Command::shell("echo first; wc -c; echo last").stdin()).await?;
        let mut id = String::new();
        while let Some(event) = events.next().await? {
            match event.kind {
                EventKind::Init => id = event.text.unwrap_or_default(),
                EventKind::Stdout => break,
                _ => {}
            }
        }
        drop(events);
        let listed = commands.list().await?;
        let found = listed.iter().find(|command| command.id == id).context("it is listed")?;
        ensure!(found.running && found.stdin_open && !found.background, "{found:?}");
        let written = commands.write_stdin(&id, vec![b'x'; 1_000_000], true).await?;
        ensure!(written.written == 1_000_000 && written.closed, "{written:?}");
        let rest = commands.attach(&id, "first\n".len() as u64).await?.collect().await?;
        assert_eq!((rest.id.as_str(), rest.exit_code()), (id.as_str(), Some(0)));
        assert_eq!(rest.stdout, "1000000\nlast\n");
        assert_eq!(commands.attach(&id, 0).await?.collect().await?.stdout, "first\n1000000\nlast\n");
        let refused = commands.write_stdin(&id, "more", false).await.err().context("it has ended")?;
        assert_eq!(refused.status(), Some(409));
        sandbox.delete().await?;
    }
    Ok(())
}

#[tokio::test]
async fn figures_are_those_of_the_sandbox() -> Result<()> {
    let server = Server::shared()?;
    let client = Client::new(server.url(), server.key.clone())?;
    let options = CreateOptions::image(BASE_IMAGE).limit("memory", "256Mi").limit("cpu", "500m");
    let sandbox = Sandbox::create(&client, options).await?;
    let before = sandbox.execd().metrics().await?;
    ensure!(before.cpu_count == 0.5 && before.mem_total_mib == 256.0, "{before:?}");
    ensure!(before.mem_used_mib < 128.0, "{before:?}");
    let busy = "import time\nkept = bytearray(100 << 20)\nprint('there', flush=True)\nwhile True: pass";
    let mut events = sandbox.commands().stream(Command::argv(["python3", "-c", busy])).await?;
    while let Some(event) = events.next().await? {
        if event.kind == EventKind::Stdout {
            break;
        }
    }
    let used = sandbox.execd().metrics().await?;
    ensure!(used.mem_used_mib > before.mem_used_mib + 80.0, "{before:?} {used:?}");
    let since = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let now = sandbox.execd().metrics().await?;
        // On a busy machine it gets less than the half processor it may have.
        if now.cpu_used_pct > 10.0 {
            break;
        }
        ensure!(since.elapsed() < 4 * SOON, "{now:?}");
    }
    // What execd measures with is open for reading only, and leads nowhere else.
    let probe = "for file in /proc/1/fd/*; do case $(readlink $file) in *memory.*|*cpu.*|*cpuacct.*) \
                 test -d $file && echo directory; (echo 99999999999 > $file) 2>/dev/null && echo written; echo gauge;; \
                 esac; done";
    let probed = sandbox.commands().run(probe).await?.stdout;
    ensure!(!probed.contains("written") && !probed.contains("directory"), "{probed}");
    ensure!(probed.lines().count() >= 5, "{probed}");
    assert_eq!(sandbox.execd().metrics().await?.mem_total_mib, 256.0);
    sandbox.delete().await?;
    Ok(())
}
