//! Code contexts, in the real binary with the machine's own Python.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod support;

use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use sandkeep_specs::execd::event::{EventKind, ExecutionError};
use serde_json::{Value, json};
use support::{Execd, Run, eventually, is_alive};

/// Runs code in a context, or in the default one.
async fn begin(execd: &Execd, context: Option<&str>, code: &str) -> Run {
    let target =
        context.map_or_else(|| json!({"language": "python"}), |id| json!({"id": id, "language": "python"}));
    execd.begin_at("/code", json!({"context": target, "code": code})).await
}

async fn run(execd: &Execd, context: Option<&str>, code: &str) -> Run {
    let mut run = begin(execd, context, code).await;
    while run.next().await.is_some() {}
    let kinds: Vec<_> = run.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds[..2], [EventKind::Init, EventKind::Ping], "{code}");
    assert_eq!(*kinds.last().unwrap(), EventKind::ExecutionComplete, "{code}");
    run
}

async fn create(execd: &Execd, body: Value) -> String {
    let (status, body) = execd.call(Method::POST, "/code/context", body.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["id"].as_str().unwrap().to_owned()
}

async fn python(execd: &Execd) -> String {
    create(execd, json!({"language": "python"})).await
}

fn error(run: &Run) -> ExecutionError {
    run.events.iter().find_map(|event| event.error.clone()).expect("an error event")
}

fn results(run: &Run) -> Vec<Value> {
    run.events.iter().filter_map(|event| event.results.as_ref()).map(|found| json!(found)).collect()
}

/// The text of the one result.
fn value(run: &Run) -> String {
    let results = results(run);
    assert_eq!(results.len(), 1, "{:?}", run.events);
    results[0]["text"].as_str().unwrap().to_owned()
}

fn interpreter_of(run: &Run) -> i32 {
    value(run).parse().unwrap()
}

#[tokio::test]
async fn values_output_and_state() {
    let execd = Execd::start().await;
    let first =
        run(&execd, None, "import sys\nprint('out')\nprint('err', file=sys.stderr)\nx = 20\nx + 1").await;
    assert_eq!(
        (first.stdout(), first.stderr(), value(&first)),
        ("out\n".into(), "err\n".into(), "21".into())
    );
    let kinds: Vec<_> = first.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds[2], EventKind::ExecutionCount);
    assert!(
        kinds.iter().position(|k| *k == EventKind::Stdout)
            < kinds.iter().position(|k| *k == EventKind::Result)
    );
    let second = run(&execd, None, "x * 2").await;
    assert_eq!((value(&second), second.id()), ("40".to_owned(), first.id()));
    assert_eq!(second.events[2].execution_count, Some(2));
    assert!(results(&run(&execd, None, "y = 1").await).is_empty());
    assert!(results(&run(&execd, None, "None").await).is_empty());
    assert!(results(&run(&execd, None, "x;").await).is_empty());
    assert_eq!(value(&run(&execd, None, "_").await), "40");
}

#[tokio::test]
async fn a_module_of_the_interpreter_itself_may_be_the_first_import() {
    let execd = Execd::start().await;
    let context = python(&execd).await;
    let first = "import sys\nname = next(n for n in sys.builtin_module_names if n not in sys.modules)\n\
        __import__(name).__name__ == name";
    assert_eq!(value(&run(&execd, Some(&context), first).await), "True");
}

#[tokio::test]
async fn rich_values() {
    let execd = Execd::start().await;
    let code = "class R:\n  def _repr_html_(s): return '<b>x</b>'\n  def _repr_png_(s): return b'\\x89PNG'\n  def _repr_json_(s): return {'a': [1]}\n  def __repr__(s): return 'plain'\n";
    run(&execd, None, code).await;
    let expected = json!({"text": "plain", "text/html": "<b>x</b>", "image/png": "iVBORw==", "application/json": {"a": [1]}});
    assert_eq!(results(&run(&execd, None, "R()").await), std::slice::from_ref(&expected));
    assert_eq!(results(&run(&execd, None, "display(R(), 7)\nNone").await), [expected, json!({"text": "7"})]);
    let code = "class M:\n  def _repr_mimebundle_(s, include=None, exclude=None): return {'text/plain': 'm', 'text/latex': '$x$'}\nM()";
    assert_eq!(results(&run(&execd, None, code).await), [json!({"text": "m", "text/latex": "$x$"})]);
    let failed = run(&execd, None, "class B:\n  def __repr__(s): raise OSError('no repr')\nB()").await;
    assert_eq!(error(&failed).ename, "OSError");
}

#[tokio::test]
async fn errors_show_the_users_own_lines() {
    let execd = Execd::start().await;
    run(&execd, None, "def divide(a):\n    return 1 / a").await;
    let failed = run(&execd, None, "print('before')\ndivide(0)").await;
    let failure = error(&failed);
    assert_eq!((failure.ename.as_str(), failure.evalue.as_str()), ("ZeroDivisionError", "division by zero"));
    let text = failure.traceback.join("\n");
    assert!(text.starts_with("Traceback (most recent call last):"), "{text}");
    assert!(
        text.contains("line 2, in <module>\n    divide(0)") && text.contains("    return 1 / a"),
        "{text}"
    );
    assert!(!text.contains("sandkeep"), "{text}");
    assert_eq!(failed.stdout(), "before\n");
    let syntax = error(&run(&execd, None, "x = (1,\nprint 2").await);
    assert_eq!(syntax.ename, "SyntaxError");
    let chained = "try:\n  {}['k']\nexcept KeyError as e:\n  raise ValueError('v') from e";
    assert!(error(&run(&execd, None, chained).await).traceback.join("\n").contains("direct cause"));
    let input = error(&run(&execd, None, "input('name?')").await);
    assert!(input.evalue.contains("input() is not available"), "{input:?}");
    assert_eq!(error(&run(&execd, None, "import sys; sys.exit(3)").await).ename, "SystemExit");
    assert!(run(&execd, None, "exit()").await.events.iter().all(|event| event.error.is_none()));
    assert_eq!(value(&run(&execd, None, "divide(1)").await), "1.0", "the context lives on");
}

#[tokio::test]
async fn all_output_comes_through() {
    let execd = Execd::start().await;
    let code = "import os, subprocess, threading, ctypes\nsubprocess.run(['echo', 'child'])\nos.write(2, b'raw\\n')\nt = threading.Thread(target=lambda: print('thread'))\nt.start(); t.join()\nlibc = ctypes.CDLL(None)\nlibc.puts(b'libc'); libc.fflush(None)\nprint('no line end', end='')";
    let all = run(&execd, None, code).await;
    assert_eq!(all.stdout(), "child\nthread\nlibc\nno line end");
    assert_eq!(all.stderr(), "raw\n");
    let many = run(&execd, None, "for i in range(20000): print(i, '\\u00e9\\u4e2d' * 20)").await;
    let expected: String = (0..20000).map(|i| format!("{i} {}\n", "\u{e9}\u{4e2d}".repeat(20))).collect();
    assert!(many.stdout() == expected, "output was lost or changed");
    let odd =
        run(&execd, None, "import sys\nsys.stdout.buffer.write(b'a\\xff\\n')\nprint('\\ud83d')\nNone").await;
    assert_eq!(odd.stdout(), "a\u{fffd}\n\\ud83d\n");
}

#[tokio::test]
async fn output_is_live() {
    let execd = Execd::start().await;
    let mut live =
        begin(&execd, None, "import time\nprint('one')\nprint('dot', end='')\ntime.sleep(30)").await;
    let start = Instant::now();
    while live.stdout() != "one\ndot" {
        live.next_of(EventKind::Stdout).await;
    }
    assert!(start.elapsed() < Duration::from_secs(25));
}

#[tokio::test]
async fn contexts_run_side_by_side_and_are_interrupted_one_by_one() {
    let execd = Execd::start().await;
    let (a, b) = (python(&execd).await, python(&execd).await);
    run(&execd, Some(&a), "kept = 5").await;
    let mut in_a = begin(&execd, Some(&a), "import time\nprint('a')\ntime.sleep(60)").await;
    let go = execd.home.path().join("go");
    let wait = format!("import os, time\nprint('b')\nwhile not os.path.exists({go:?}): time.sleep(0.02)");
    let mut in_b = begin(&execd, Some(&b), &format!("{wait}\nprint('b is done')")).await;
    in_a.next_of(EventKind::Stdout).await;
    in_b.next_of(EventKind::Stdout).await;
    assert_eq!(execd.call(Method::DELETE, &format!("/code?id={a}"), "").await.0, StatusCode::OK);
    assert_eq!(in_a.next_of(EventKind::Error).await.error.unwrap().ename, "KeyboardInterrupt");
    in_a.next_of(EventKind::ExecutionComplete).await;
    std::fs::write(go, "").unwrap();
    assert_eq!(in_b.next_of(EventKind::Stdout).await.text.unwrap(), "b is done\n");
    assert_eq!(value(&run(&execd, Some(&a), "kept").await), "5");
    assert_eq!(
        execd.call(Method::DELETE, &format!("/code?id={a}"), "").await.0,
        StatusCode::OK,
        "idle is fine"
    );
    assert_eq!(value(&run(&execd, Some(&a), "kept").await), "5");
    assert_eq!(execd.call(Method::DELETE, "/code?id=nobody", "").await.0, StatusCode::NOT_FOUND);
    assert_eq!(execd.call(Method::DELETE, "/code", "").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_interrupt_right_after_init_is_not_lost() {
    let execd = Execd::start().await;
    for _ in 0..10 {
        let id = python(&execd).await;
        let mut stream = begin(&execd, Some(&id), "import time\ntime.sleep(60)").await;
        stream.next_of(EventKind::Init).await;
        execd.call(Method::DELETE, &format!("/code?id={id}"), "").await;
        assert_eq!(stream.next_of(EventKind::Error).await.error.unwrap().ename, "KeyboardInterrupt");
        assert_eq!(execd.call(Method::DELETE, &format!("/code/contexts/{id}"), "").await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn busy_loops_subprocesses_and_coroutines_are_interrupted() {
    let execd = Execd::start().await;
    for code in [
        "print(1)\nwhile True: pass",
        "import os\nprint(1)\nos.system('sleep 60')\nraise KeyboardInterrupt",
        "import asyncio\nprint(1)\nawait asyncio.sleep(60)",
    ] {
        let mut stream = begin(&execd, None, code).await;
        stream.next_of(EventKind::Stdout).await;
        let id = stream.id();
        execd.call(Method::DELETE, &format!("/code?id={id}"), "").await;
        assert_eq!(
            stream.next_of(EventKind::Error).await.error.unwrap().ename,
            "KeyboardInterrupt",
            "{code}"
        );
    }
    assert_eq!(
        value(&run(&execd, None, "import asyncio\nawait asyncio.sleep(0.01)\n'awaited'").await),
        "'awaited'"
    );
}

#[tokio::test]
async fn runs_in_one_context_take_turns() {
    let execd = Execd::start().await;
    let id = python(&execd).await;
    let mut streams = Vec::new();
    for n in 0..5 {
        streams.push(
            begin(
                &execd,
                Some(&id),
                &format!(
                    "import time\nl = globals().setdefault('l', [])\nl.append({n})\ntime.sleep(0.05)\nl[:]"
                ),
            )
            .await,
        );
    }
    for (n, stream) in streams.iter_mut().enumerate() {
        let found = stream.next_of(EventKind::Result).await.results.unwrap();
        assert_eq!(found["text"], json!(format!("{:?}", (0..=n).collect::<Vec<_>>())));
    }
    let mut waiting = vec![begin(&execd, Some(&id), "import time; print(1); time.sleep(60)").await];
    waiting[0].next_of(EventKind::Stdout).await;
    let refused = loop {
        let body = json!({"context": {"id": id}, "code": "1"}).to_string();
        let response = execd.send(execd.request(Method::POST, "/code", body)).await;
        if response.status() != StatusCode::OK {
            break response.status();
        }
        assert!(waiting.len() < 100, "the queue has no end");
        waiting.push(begin(&execd, Some(&id), "1").await);
    };
    assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_lost_interpreter_is_replaced() {
    let execd = Execd::start().await;
    let id = python(&execd).await;
    run(&execd, Some(&id), "x = 1").await;
    for (code, how) in [
        ("import os\nprint('last words')\nos._exit(7)", "exited with status 7"),
        ("import os\nprint('last words')\nos.kill(os.getpid(), 9)", "signal 9"),
    ] {
        let lost = run(&execd, Some(&id), code).await;
        let failure = error(&lost);
        assert!(failure.evalue.contains(how) && failure.evalue.contains("fresh interpreter"), "{failure:?}");
        assert_eq!(lost.stdout(), "last words\n");
        let fresh = run(&execd, Some(&id), "'x' in globals()").await;
        assert_eq!(value(&fresh), "False");
        assert_eq!(fresh.events[2].execution_count, Some(1));
    }
    let pid = interpreter_of(&run(&execd, Some(&id), "import os\nos.getpid()").await);
    // SAFETY: ends a process that this test started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    eventually("the interpreter has not ended", || !is_alive(pid)).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(value(&run(&execd, Some(&id), "2").await), "2");
}

#[tokio::test]
async fn contexts_are_listed_and_deleted_with_their_processes() {
    let execd = Execd::start().await;
    let cwd = execd.home.path().join("made/here");
    let id = create(&execd, json!({"language": "python", "cwd": cwd})).await;
    let place = run(&execd, Some(&id), "import os\nos.getcwd()").await;
    assert_eq!(value(&place), format!("'{}'", cwd.display()));
    let pid = interpreter_of(&run(&execd, Some(&id), "os.getpid()").await);
    run(&execd, None, "1").await;
    let (_, listed) = execd.get("/code/contexts?language=python").await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert_eq!(listed[0], json!({"id": id, "language": "python", "cwd": cwd}));
    assert_eq!(execd.get(&format!("/code/contexts/{id}")).await.0, StatusCode::OK);
    let mut running = begin(&execd, Some(&id), "import time\nprint(1)\ntime.sleep(60)").await;
    running.next_of(EventKind::Stdout).await;
    assert_eq!(execd.call(Method::DELETE, &format!("/code/contexts/{id}"), "").await.0, StatusCode::OK);
    assert!(running.next_of(EventKind::Error).await.error.unwrap().evalue.contains("deleted"));
    running.next_of(EventKind::ExecutionComplete).await;
    eventually("the interpreter lives on", || !is_alive(pid)).await;
    for (method, path) in
        [(Method::GET, format!("/code/contexts/{id}")), (Method::DELETE, format!("/code/contexts/{id}"))]
    {
        let (status, body) = execd.call(method, &path, "").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(body.contains("CONTEXT_NOT_FOUND"), "{body}");
    }
    assert_eq!(execd.call(Method::DELETE, "/code/contexts?language=python", "").await.0, StatusCode::OK);
    assert_eq!(execd.get("/code/contexts").await.1, "[]");
    assert_eq!(execd.call(Method::DELETE, "/code/contexts", "").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(value(&run(&execd, None, "3").await), "3", "a new default context is made");
}

#[tokio::test]
async fn a_client_that_leaves_does_not_stop_the_code() {
    let execd = Execd::start().await;
    let mark = execd.home.path().join("mark");
    let mut stream = begin(&execd, None, &format!("import time\nprint('x', flush=True)\ntime.sleep(0.3)\nfor i in range(5000): print(i)\nopen({mark:?}, 'w').close()")).await;
    stream.next_of(EventKind::Stdout).await;
    drop(stream);
    eventually("the code stopped", || mark.exists()).await;
    assert_eq!(value(&run(&execd, None, "i").await), "4999");
}

#[tokio::test]
async fn a_client_that_does_not_read_costs_no_memory() {
    let execd = Execd::start().await;
    let id = python(&execd).await;
    run(&execd, Some(&id), "1").await;
    let before = execd.memory();
    let stalled = begin(&execd, Some(&id), "while True: print('x' * 1000)").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = execd.memory().saturating_sub(before);
    assert!(grown < 20 * 1024, "{grown} KiB more");
    assert_eq!(execd.get("/ping").await.0, StatusCode::OK);
    drop(stalled);
    execd.call(Method::DELETE, &format!("/code?id={id}"), "").await;
}

#[tokio::test]
async fn background_writers_are_not_blocked_between_runs() {
    let execd = Execd::start().await;
    let mark = execd.home.path().join("mark");
    let code = format!(
        "import threading\ndef noisy():\n  for i in range(20000): print('noise', i)\n  open({mark:?}, 'w').close()\nthreading.Timer(0.2, noisy).start()"
    );
    run(&execd, None, &code).await;
    eventually("the thread is stuck", || mark.exists()).await;
    let next = run(&execd, None, "'alive'").await;
    assert_eq!(value(&next), "'alive'");
    assert!(next.stdout().len() <= 200 * 1024 && next.stdout().contains("noise 19999"));
}

#[tokio::test]
async fn bash_contexts() {
    let execd = Execd::start().await;
    let id = create(&execd, json!({"language": "bash", "cwd": execd.home.path().join("shell")})).await;
    let first = run(&execd, Some(&id), "x=5; f() { echo \"f $1\"; }\ncd /usr; pwd; echo err >&2").await;
    assert_eq!((first.stdout(), first.stderr(), first.id()), ("/usr\n".into(), "err\n".into(), id.clone()));
    let kinds: Vec<_> = first.events.iter().map(|event| event.kind).collect();
    assert_eq!(kinds[2], EventKind::ExecutionCount);
    let second = run(&execd, Some(&id), "f $x; pwd; (exit 3)").await;
    assert_eq!(second.stdout(), "f 5\n/usr\n");
    assert_eq!(error(&second).evalue, "3");
    assert_eq!(second.events[2].execution_count, Some(2));

    let mut stuck = begin(&execd, Some(&id), "echo on; sleep 60; echo never").await;
    stuck.next_of(EventKind::Stdout).await;
    assert_eq!(execd.call(Method::DELETE, &format!("/code?id={id}"), "").await.0, StatusCode::OK);
    assert_eq!(stuck.next_of(EventKind::Error).await.error.unwrap().ename, "Interrupted");
    stuck.next_of(EventKind::ExecutionComplete).await;
    assert_eq!(execd.call(Method::DELETE, &format!("/command?id={id}"), "").await.0, StatusCode::OK);
    let after = run(&execd, Some(&id), "f again").await;
    assert_eq!(after.stdout(), "f again\n", "{:?}", after.events);

    let body = json!({"context": {"language": "bash"}, "code": "echo $((x + 1))"});
    let mut default = execd.begin_at("/code", body).await;
    while default.next().await.is_some() {}
    assert_eq!(default.stdout(), "1\n", "contexts do not share variables");
    let (_, listed) = execd.get("/code/contexts?language=bash").await;
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().len(), 2);
    assert_eq!(execd.get("/code/contexts?language=python").await.1, "[]");
    assert_eq!(execd.call(Method::DELETE, &format!("/code/contexts/{id}"), "").await.0, StatusCode::OK);
    assert_eq!(execd.call(Method::DELETE, "/code/contexts?language=bash", "").await.0, StatusCode::OK);
    assert_eq!(execd.get("/code/contexts").await.1, "[]");
}

#[tokio::test]
async fn commands_as_code() {
    let execd = Execd::start().await;
    let mut foreground = execd.begin_at("/code", json!({"code": "echo $((6 * 7))"})).await;
    while foreground.next().await.is_some() {}
    assert_eq!((foreground.stdout().as_str(), foreground.exit_code()), ("42\n", 0));
    let body = json!({"context": {"language": "background-command"}, "code": "sleep 60"});
    let mut background = execd.begin_at("/code", body).await;
    while background.next().await.is_some() {}
    let id = background.id();
    assert_eq!(execd.status(&id).await["running"], true);
    assert_eq!(execd.call(Method::DELETE, &format!("/code?id={id}"), "").await.0, StatusCode::OK);
    assert_eq!(execd.ended(&id).await["running"], false);
}

#[tokio::test]
async fn bad_input_is_refused() {
    let execd = Execd::start().await;
    for (path, body, status, text) in [
        ("/code", "{", 400, "INVALID_REQUEST_BODY"),
        ("/code", "{}", 400, "code"),
        ("/code", r#"{"code": ""}"#, 400, "code: is empty"),
        ("/code", r#"{"code": "1", "context": {"id": "nobody"}}"#, 404, "CONTEXT_NOT_FOUND"),
        ("/code", r#"{"code": "1", "context": {"language": "sql"}}"#, 400, "not offered here"),
        ("/code", r#"{"code": "1", "context": {"language": "cobol"}}"#, 400, "unknown language"),
        ("/code/context", "{}", 400, "no contexts"),
        ("/code/context", r#"{"language": "sql"}"#, 400, "NOT_SUPPORTED"),
        ("/code/context", r#"{"language": "python", "cwd": "/etc/passwd"}"#, 400, "not a directory"),
        ("/code/context", r#"{"language": "python", "cwd": "/a\u0000b"}"#, 400, "NUL"),
        ("/code/context", r#"{"language": "python", "cwd": "/$NOWHERE"}"#, 400, "NOWHERE"),
    ] {
        let (found, answer) = execd.call(Method::POST, path, body).await;
        assert_eq!(found.as_u16(), status, "{body}: {answer}");
        assert!(answer.contains(text), "{body}: {answer}");
    }
}

#[tokio::test]
async fn the_number_of_contexts_is_bounded() {
    let execd = Execd::start().await;
    let mut made = 0;
    let status = loop {
        let (status, _) = execd.call(Method::POST, "/code/context", r#"{"language": "python"}"#).await;
        if status != StatusCode::OK {
            break status;
        }
        made += 1;
        assert!(made <= 64);
    };
    assert_eq!((status, made), (StatusCode::TOO_MANY_REQUESTS, 64));
}

#[tokio::test]
async fn a_sandbox_without_an_interpreter_says_so() {
    let execd = Execd::start_with(|command, home| {
        command.env("PATH", home);
    })
    .await;
    let (status, body) =
        execd.call(Method::POST, "/code", r#"{"context": {"language": "python"}, "code": "1"}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("python3") && body.contains("NOT_SUPPORTED"), "{body}");
    let (status, body) = execd.call(Method::POST, "/code/context", r#"{"language": "bash"}"#).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(body.contains("bash") && body.contains("NOT_SUPPORTED"), "{body}");
}

#[tokio::test]
async fn interpreters_end_with_execd() {
    let mut execd = Execd::start().await;
    let id = python(&execd).await;
    let mut busy = begin(&execd, Some(&id), "import os\nprint(os.getpid())\nwhile True: pass").await;
    let pid = busy.next_of(EventKind::Stdout).await.text.unwrap().trim().parse().unwrap();
    let idle = interpreter_of(&run(&execd, None, "import os\nos.getpid()").await);
    // SAFETY: signals the daemon that this test started.
    unsafe { libc::kill(execd.pid() as i32, libc::SIGTERM) };
    let ended = execd.process.wait().unwrap();
    assert!(ended.success(), "{ended}");
    eventually("interpreters live on", || !is_alive(pid) && !is_alive(idle)).await;
}

#[tokio::test]
async fn code_clients_find_the_port_they_wait_for() {
    let port = support::free_port();
    let _execd = Execd::start_with(|command, _| {
        command.env("JUPYTER_PORT", port.to_string());
    })
    .await;
    eventually("nothing listens there", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
}
