//! Code contexts in Java, with the machine's own JDK.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod languages;
mod support;

use languages::{Context, needs};
use sandkeep_specs::execd::event::EventKind;
use support::Execd;

const LANGUAGE: &str = "java";

#[tokio::test]
async fn values_output_state_and_errors() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    let code = "System.out.println(\"Hello\");\nSystem.err.println(\"err\");\nint result = 2 + 2;\nint divide(int a) {\n  return 1 / a;\n}\nresult";
    let first = context.run(code).await;
    assert_eq!((first.stdout(), first.stderr()), ("Hello\n".to_owned(), "err\n".to_owned()));
    assert!(
        first.events.iter().any(|event| event.results.as_ref().is_some_and(|found| found["text"] == "4"))
    );
    for (code, expected) in [
        ("result + 1", "5"),
        ("\"t\" + 'x'", "\"tx\""),
        ("class P { int x; P(int x) { this.x = x; } }\nvar p = new P(3);\np.x", "3"),
        ("import java.time.*;\nDuration.ofSeconds(3)", "PT3S"),
        ("Stream.of(1, 2).map(i -> i * 2).collect(Collectors.toList())", "[2, 4]"),
    ] {
        assert_eq!(context.value(code).await, expected, "{code}");
    }
    assert_eq!(
        context.output("for (int i = 0; i < 3; i++) System.out.print(i + \"\\u00e9\");").await,
        "0\u{e9}1\u{e9}2\u{e9}"
    );
    context.output("result = 7").await;
    context.output("Map<String, Integer> m = null; m").await;

    let error = context.error("// first\n\ndivide(0);").await;
    assert_eq!((error.ename.as_str(), error.evalue.as_str()), ("java.lang.ArithmeticException", "/ by zero"));
    let text = error.traceback.join("\n");
    assert!(text.contains("at divide (cell_1:5)") && text.contains("at cell_10:3"), "{text}");
    let error = context.error("int a = 1;\n\n  int b = nothing(3);").await;
    assert_eq!((error.ename.as_str(), error.evalue.as_str()), ("CompilationError", "cannot find symbol"));
    assert!(error.traceback[0].starts_with("cell_11:3:11: error"), "{error:?}");
    assert_eq!(error.traceback[1..], ["  int b = nothing(3);", "          ^"]);
    assert!(context.error("int c = (").await.evalue.contains("end of file"));
    let error = context.error("throw new RuntimeException(\"a\", new java.io.IOException(\"b\"));").await;
    assert!(error.traceback.join("\n").contains("Caused by: java.io.IOException: b"), "{error:?}");
    assert!(context.error("new Scanner(System.in).nextLine()").await.evalue.contains("no standard input"));
    assert_eq!(context.value("result").await, "7", "the context lives on");
}

#[tokio::test]
async fn interrupts_and_losses() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    context.output("int kept = 5;").await;
    for code in ["System.out.println(1); while (true);", "System.out.println(1); Thread.sleep(60000);"] {
        assert_eq!(context.interrupted(code).await.ename, "Interrupted", "{code}");
        assert_eq!(context.value("kept").await, "5", "{code}");
    }
    let mut live =
        context.begin("System.out.print(\"now\"); Thread.sleep(300); System.out.print(\" then\");").await;
    assert_eq!(live.next_of(EventKind::Stdout).await.text.unwrap(), "now");
    let error = context.error("System.exit(3)").await;
    assert!(error.evalue.contains("exited with status 3") && error.evalue.contains("fresh"), "{error:?}");
    assert_eq!(context.error("kept").await.ename, "CompilationError");
    assert_eq!(context.run("1").await.events[2].execution_count, Some(2));
}

#[tokio::test]
async fn without_a_jdk() {
    needs(LANGUAGE, "jshell").await;
}
