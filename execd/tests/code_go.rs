//! Code contexts in Go, with the machine's own toolchain.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod languages;
mod support;

use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use languages::{Context, needs};
use sandkeep_specs::execd::event::EventKind;
use support::Execd;

const LANGUAGE: &str = "go";

/// Time for compiling the driver and what it needs of the standard library, on a slow machine with an empty cache.
const COLD: Duration = Duration::from_secs(240);

/// A daemon that finds Go and the cache that all of these tests share, and a context in it that is ready.
async fn execd() -> Execd {
    let cache = concat!(env!("CARGO_TARGET_TMPDIR"), "/go-cache");
    let execd = Execd::start_with(|command, _| {
        command.env("PATH", path()).env("GOCACHE", cache);
    })
    .await;
    // The first context of all compiles the driver.
    let warm = Context::new(&execd, LANGUAGE).await;
    let mut run = warm.begin("1").await;
    let start = Instant::now();
    while run.next_within(COLD).await.is_some() {}
    assert!(start.elapsed() < COLD);
    execd.call(Method::DELETE, &format!("/code/contexts/{}", warm.id), "").await;
    execd
}

/// Where programs are, Go included.
fn path() -> String {
    format!("{}:/usr/local/go/bin", std::env::var("PATH").unwrap())
}

#[tokio::test]
async fn values_output_state_and_errors() {
    let execd = execd().await;
    let context = Context::new(&execd, LANGUAGE).await;
    let code = "import (\n\t\"fmt\"\n\t\"os\"\n)\nresult := 2 + 2\nfmt.Println(\"Hello\")\nfmt.Fprintln(os.Stderr, \"err\")\nfunc divide(a int) int {\n\treturn 1 / a\n}\nresult";
    let first = context.run(code).await;
    assert_eq!((first.stdout(), first.stderr()), ("Hello\n".to_owned(), "err\n".to_owned()));
    assert!(
        first.events.iter().any(|event| event.results.as_ref().is_some_and(|found| found["text"] == "4"))
    );
    for (code, expected) in [
        ("result + 1", "5"),
        (
            "type P struct {\n\tName string\n\tage int\n\tnext *P\n}\nfunc (p *P) Older() { p.age++ }\nps := []*P{{\"a\", 1, nil}, {\"b\", 2, nil}}\nps[0].next = ps[1]\nlen(ps)",
            "2",
        ),
        ("ps[1].Older()\nps[0].next.age", "3"),
        ("m := map[string]any{\"p\": P{Name: \"x\"}, \"n\": []int{1}}\nlen(m)", "2"),
        ("m[\"p\"].(P).Name", "x"),
        ("_, err := os.Open(\"/nowhere\")\nerr", "open /nowhere: no such file or directory"),
        ("os.IsNotExist(err)", "true"),
        ("add := func(a, b int) int { return a + b + result }\nadd(1, 2)", "7"),
        ("add(3, 4)", "11"),
        ("import \"strings\"\nup := func(s string) string { return strings.ToUpper(s) }\nup(\"a\")", "A"),
        ("up(\"b\")", "B"),
        ("up := 7\nup", "7"),
        ("result := \"another type\"", ""),
    ] {
        if expected.is_empty() {
            // "add" needs the number.
            assert_eq!(context.error(code).await.ename, "CompileError");
            continue;
        }
        assert_eq!(context.value(code).await, expected, "{code}");
    }
    assert_eq!(
        context.output("for i := 0; i < 3; i++ { fmt.Print(i, \"\\u00e9\") }").await,
        "0\u{e9}1\u{e9}2\u{e9}"
    );
    assert_eq!(context.output("package main\n\nfunc main() {\n\tfmt.Println(result)\n}").await, "4\n");

    let error = context.error("// first\n\ndivide(0)").await;
    assert_eq!(
        (error.ename.as_str(), error.evalue.as_str()),
        ("panic", "runtime error: integer divide by zero")
    );
    let text = error.traceback.join("\n");
    assert!(text.contains("at divide (cell_1.go:9)") && text.contains("at cell_17.go:3"), "{text}");
    let error = context.error("a := 1\n\nb := nothing(3)\n_ = b").await;
    assert_eq!((error.ename.as_str(), error.evalue.as_str()), ("CompileError", "undefined: nothing"));
    assert_eq!(error.traceback[..3], ["cell_18.go:3:6: undefined: nothing", "b := nothing(3)", "     ^"]);
    assert_eq!(context.error("func h( {").await.ename, "SyntaxError");
    assert!(context.error("if true {").await.traceback[0].starts_with("cell_20.go:1"));
    let error = context.error("import \"example.com/x\"\nx.Y()").await;
    assert!(error.evalue.contains("example.com/x") && error.evalue.contains("come with Go"), "{error:?}");
    assert_eq!(context.value("_, err = fmt.Scanln(&result)\nerr").await, "EOF", "there is no input");
}

#[tokio::test]
async fn what_cannot_be_kept_says_so() {
    let execd = execd().await;
    let context = Context::new(&execd, LANGUAGE).await;
    assert_eq!(
        context.value("ch := make(chan int, 1)\nch <- 1\nfunc pull() int { return <-ch }\nlen(ch)").await,
        "1"
    );
    for code in ["len(ch)", "pull()"] {
        let error = context.error(code).await;
        assert_eq!(error.ename, "ValueLost", "{error:?}");
        assert!(error.evalue.contains("ch has lost") && error.evalue.contains("channel"), "{error:?}");
    }
    assert_eq!(context.value("ch = make(chan int, 1)\nch <- 5\npull()").await, "5");
    context.output("type T struct{ A int }\nt := T{1}").await;
    context.output("type T struct{ B string }").await;
    assert!(context.error("t.A").await.evalue.contains("declared anew"));
    assert_eq!(context.value("t := T{\"b\"}\nt.B").await, "b");
    let place = execd.home.path().join("elsewhere");
    std::fs::create_dir(&place).unwrap();
    context.output(&format!("import \"os\"\nif err := os.Chdir({place:?}); err != nil {{ panic(err) }}\nos.Setenv(\"KEPT\", \"yes\")\nvar unused int")).await;
    assert_eq!(
        context.value("wd, _ := os.Getwd()\nwd + os.Getenv(\"KEPT\")").await,
        format!("{}yes", place.display())
    );
}

#[tokio::test]
async fn interrupts_ends_and_losses() {
    let execd = execd().await;
    let context = Context::new(&execd, LANGUAGE).await;
    context.output("import (\"fmt\"; \"os\"; \"time\"; \"os/signal\")\nkept := 5").await;
    for code in [
        "fmt.Println(1)\nfor {\n}",
        "fmt.Println(1)\ntime.Sleep(time.Minute)",
        "signal.Ignore(os.Interrupt)\nkept = 6\nfmt.Println(1)\ntime.Sleep(time.Minute)",
    ] {
        assert_eq!(context.interrupted(code).await.ename, "Interrupted", "{code}");
        assert_eq!(context.value("kept").await, "5", "{code}");
    }
    let mut live =
        context.begin("fmt.Print(\"now\")\ntime.Sleep(300 * time.Millisecond)\nfmt.Print(\" then\")").await;
    assert_eq!(live.next_of(EventKind::Stdout).await.text.unwrap(), "now");
    let error = context.error("kept = 7\nos.Exit(3)").await;
    assert!(error.evalue.contains("exited with status 3"), "{error:?}");
    let error = context.error("go func() { panic(\"elsewhere\") }()\ntime.Sleep(time.Minute)").await;
    assert!(error.evalue.contains("status 2"), "{error:?}");
    assert_eq!(context.value("kept").await, "5");
    let error = context.error("kept = 8\npanic(\"reached\")").await;
    assert_eq!((error.ename.as_str(), error.evalue.as_str()), ("panic", "reached"));
    assert_eq!(context.value("kept").await, "8", "what came before the panic stays");
    assert_eq!(context.value("p, _ := os.FindProcess(os.Getppid())\np.Pid > 1").await, "true");
    let error = context
        .error("import \"syscall\"\nsyscall.Kill(os.Getppid(), syscall.SIGKILL)\ntime.Sleep(time.Minute)")
        .await;
    assert!(error.evalue.contains("signal 9") && error.evalue.contains("fresh"), "{error:?}");
    assert_eq!(context.error("kept").await.ename, "CompileError");
    assert_eq!(context.run("1").await.events[2].execution_count, Some(2));
}

#[tokio::test]
async fn contexts_are_apart_and_leave_nothing() {
    let execd = execd().await;
    let contexts = [Context::new(&execd, LANGUAGE).await, Context::new(&execd, LANGUAGE).await];
    let values = futures_util::future::join_all(contexts.iter().enumerate().map(|(n, context)| async move {
        context.output(&format!("x := {n}")).await;
        context.value("x").await
    }));
    assert_eq!(values.await, ["0", "1"]);
    let (status, _) = execd.call(Method::DELETE, "/code/contexts?language=go", "").await;
    assert_eq!((status, execd.get("/code/contexts").await.1.as_str()), (StatusCode::OK, "[]"));
}

#[tokio::test]
async fn without_go() {
    needs(LANGUAGE, "go").await;
}
