//! Code contexts in JavaScript, with the machine's own Node.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod languages;
mod support;

use std::time::{Duration, Instant};

use languages::{Context, needs};
use sandkeep_specs::execd::event::EventKind;
use support::Execd;

const LANGUAGE: &str = "javascript";

#[tokio::test]
async fn values_output_and_state() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    let code = "const x = 20;\nlet o = { a: [1, 'b'] };\nfunction f(n) { return n * 2 }\nclass C {}\nconsole.log('out');\nconsole.error('err');\nx + 1";
    let first = context.run(code).await;
    assert_eq!((first.stdout(), first.stderr()), ("out\n".to_owned(), "err\n".to_owned()));
    assert_eq!(first.events[2].execution_count, Some(1));
    let second = context.run("f(x)").await;
    assert_eq!(second.events[2].execution_count, Some(2));
    for (code, expected) in [
        ("f(x)", "40"),
        ("o", "{ a: [ 1, 'b' ] }"),
        ("new C()", "C {}"),
        ("'text'", "'text'"),
        ("2n ** 64n", "18446744073709551616n"),
        ("-0", "-0"),
        ("null", "null"),
        ("{ a: 1 }", "{ a: 1 }"),
        ("const x = 'again'; x", "'again'"),
        ("({ [Symbol.for('Jupyter.display')]: () => ({ 'text/plain': 'shown' }) })", "shown"),
    ] {
        assert_eq!(context.value(code).await, expected, "{code}");
    }
    for code in ["undefined", "let y = 1", "for (const i of [1]) i", "console.log('x')", "// nothing"] {
        context.output(code).await;
    }
    assert_eq!(context.output("process.stdout.write('\u{e9}\u{1F600}')\nvoid 0").await, "\u{e9}\u{1F600}");
}

#[tokio::test]
async fn modules_and_promises() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    std::fs::write(
        execd.home.path().join("own.mjs"),
        "export default 7; export const two = 2; export const r = import.meta.url",
    )
    .unwrap();
    std::fs::write(execd.home.path().join("old.js"), "module.exports = { old: __filename }").unwrap();
    let code = "import fs, { readFileSync as read } from 'fs';\nimport * as os from 'node:os';\nimport seven, { two } from './own.mjs';\n[typeof read, fs.readFileSync === read, typeof os.cpus, seven + two]";
    assert_eq!(context.value(code).await, "[ 'function', true, 'function', 9 ]");
    assert_eq!(context.value("read === fs.readFileSync && seven").await, "7", "imports stay");
    assert_eq!(context.value("(await import('./own.mjs')).default").await, "7");
    assert_eq!(context.value("require('./old.js').old.endsWith('old.js')").await, "true");
    assert_eq!(
        context.value("const late = await new Promise(r => setTimeout(r, 20, 'late'));\nlate").await,
        "'late'"
    );
    let code = "async function main() { await new Promise(r => setTimeout(r, 20)); console.log('in time'); return 3 }\nmain()";
    let run = context.run(code).await;
    assert_eq!(run.stdout(), "in time\n", "a promise at the end is waited for");
}

#[tokio::test]
async fn errors_show_the_users_own_lines() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    context.output("function read(o) {\n  return o.a.b\n}").await;
    let error = context.error("1;\n\nread({})").await;
    assert_eq!(error.ename, "TypeError");
    let text = error.traceback.join("\n");
    assert!(text.contains("at read (cell_1.js:2:14)") && text.contains("at cell_2.js:3:1"), "{text}");
    assert!(!text.contains("node:") && !text.contains("stdin"), "{text}");
    let error = context.error("let a = (\n 1 +* 2").await;
    assert_eq!(error.ename, "SyntaxError");
    assert_eq!(error.traceback[..2], ["cell_3.js:2:5", " 1 +* 2"], "{error:?}");
    assert_eq!(context.error("throw { code: 5 }").await.evalue, "{ code: 5 }");
    assert_eq!(context.error("await Promise.reject(new RangeError('far'))").await.ename, "RangeError");
    assert_eq!(context.error("Promise.reject(new RangeError('far'))").await.evalue, "far");
    assert_eq!(context.error("import 'nowhere-to-be-found'").await.ename, "Error");
    for code in ["process.stdin.read()", "require('readline').createInterface({ input: process.stdin })"] {
        assert!(context.error(code).await.evalue.contains("no standard input"), "{code}");
    }
    let code =
        "setTimeout(() => { throw new Error('later') }, 1);\nawait new Promise(r => setTimeout(r, 100))";
    assert!(context.run(code).await.stderr().contains("Error: later"));
    assert_eq!(context.value("read({ a: { b: 'alive' } })").await, "'alive'");
}

#[tokio::test]
async fn output_is_live_and_complete() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    let code = "require('child_process').execSync('echo child; echo error >&2', { stdio: 'inherit' });\nfor (let i = 0; i < 20000; i++) console.log(i)";
    let all = context.run(code).await;
    let expected: String = (0..20000).map(|i| format!("{i}\n")).collect();
    assert!(all.stdout() == format!("child\n{expected}") && all.stderr() == "error\n");
    let mut live = context.begin("console.log('now'); await new Promise(r => setTimeout(r, 60000))").await;
    let start = Instant::now();
    live.next_of(EventKind::Stdout).await;
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn runs_are_interrupted_and_the_context_survives() {
    let execd = Execd::start().await;
    let (context, other) = (Context::new(&execd, LANGUAGE).await, Context::new(&execd, LANGUAGE).await);
    context.output("let kept = 5").await;
    let mut beside =
        other.begin("console.log('x'); await new Promise(r => setTimeout(r, 1500)); 'whole'").await;
    beside.next_of(EventKind::Stdout).await;
    for code in [
        "console.log(1); while (true);",
        "console.log(1); await new Promise(() => {})",
        "console.log(1); await 1; while (true);",
        "console.log(1); while (true) await null",
        "console.log(1); require('child_process').execSync('sleep 60')",
    ] {
        assert!(["Interrupted", "Error"].contains(&context.interrupted(code).await.ename.as_str()), "{code}");
        assert_eq!(context.value("kept").await, "5", "{code}");
    }
    let found = beside.next_of(EventKind::Result).await.results.unwrap();
    assert_eq!(found["text"], "'whole'");
}

#[tokio::test]
async fn a_lost_interpreter_is_replaced() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    context.value("globalThis.x = 1").await;
    let error = context.error("console.log('last'); process.exit(7)").await;
    assert!(error.evalue.contains("exited with status 7") && error.evalue.contains("fresh"), "{error:?}");
    let fresh = context.run("typeof x").await;
    assert_eq!(fresh.events[2].execution_count, Some(1));
    let error = context.error("process.kill(process.pid, 'SIGKILL'); while (true);").await;
    assert!(error.evalue.contains("signal 9"), "{error:?}");
    assert_eq!(context.value("typeof x").await, "'undefined'");
}

#[tokio::test]
async fn without_node() {
    needs(LANGUAGE, "node").await;
}
