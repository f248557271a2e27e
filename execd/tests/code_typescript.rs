//! Code contexts in TypeScript, with the machine's own Node.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod languages;
mod support;

use languages::{Context, needs};
use support::Execd;

const LANGUAGE: &str = "typescript";

#[tokio::test]
async fn types_are_left_out() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    let code = "interface Point { x: number; y?: number }\nenum Color { Red, Green = 'g', Blue = 4, Next }\nabstract class Shape<T> {\n  protected constructor(public readonly at: Point, private tag?: T) {}\n  abstract area(): number;\n  get x(): number { return this.at.x! }\n}\nclass Square extends Shape<string> implements Iterable<number> {\n  static made: number = 0;\n  constructor(at: Point, private side = 2) { super(at, 'square'); Square.made++ }\n  area(): number { return this.side ** 2 }\n  *[Symbol.iterator](): Iterator<number> { yield this.side as number }\n}\nconst s = new Square({ x: 3 });\nconsole.log(`${s.x} ${s.area()} ${[...s]}`);\n<any>[Color.Red, Color.Green, Color[4], Color.Next, Square.made]";
    let run = context.run(code).await;
    assert_eq!(run.stdout(), "3 4 2\n", "{:?}", run.events);
    assert_eq!(
        context.value("[Color.Red, Color.Green, Color[4], Color.Next, Square.made] as unknown[]").await,
        "[ 0, 'g', 'Blue', 5, 1 ]"
    );
    let code = "import { readFileSync, type PathLike } from 'fs';\nimport type { Stats } from 'fs';\nconst f = async <T,>(a: T): Promise<T> => a;\nconst path: PathLike = '/';\nlet n: number = await f<number>(41);\ntypeof readFileSync + (n satisfies number)";
    assert_eq!(context.value(code).await, "'function41'");
    assert_eq!(context.value("n + 1").await, "42");
}

#[tokio::test]
async fn errors_show_the_users_own_lines() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    context.output("type A = {\n  a: any\n};\nfunction read<T>(o: A): T {\n  return o.a.b as T\n}").await;
    let error = context.error("let o: A =\n  { a: null };\nread<number>(o)").await;
    assert_eq!(error.ename, "TypeError");
    let text = error.traceback.join("\n");
    assert!(text.contains("at read (cell_1.ts:5:14)") && text.contains("at cell_2.ts:3:1"), "{text}");
    let error = context.error("let a: number = 1;\nlet b: = 2").await;
    assert_eq!((error.ename.as_str(), error.traceback[0].as_str()), ("SyntaxError", "cell_3.ts:2:8"));
    assert!(context.error("namespace N { export const a = 1 }").await.evalue.contains("namespace"));
    assert_eq!(context.interrupted("console.log(1); while (true);").await.ename, "Interrupted");
    assert_eq!(context.value("read<string>({ a: { b: 'alive' } })").await, "'alive'");
}

#[tokio::test]
async fn without_node() {
    needs(LANGUAGE, "node").await;
}
