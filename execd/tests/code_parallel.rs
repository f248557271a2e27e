//! Many code contexts in several languages at the same time.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod languages;
mod support;

use languages::Context;
use support::Execd;

#[tokio::test]
async fn many_contexts_at_once_stay_apart() {
    let execd = Execd::start().await;
    let of = |language: &'static str, count: usize| (0..count).map(move |number| (language, number));
    let all = of("python", 12).chain(of("javascript", 4)).chain(of("typescript", 4)).chain(of("java", 2));
    let runs = all.map(|(language, number)| {
        let execd = &execd;
        async move {
            let context = Context::new(execd, language).await;
            let (declare, print) = match language {
                "python" => (format!("own = {number}"), "print(own)"),
                "java" => (format!("int own = {number};"), "System.out.println(own);"),
                _ => (format!("let own = {number}"), "console.log(own)"),
            };
            for _ in 0..3 {
                context.output(&declare).await;
                assert_eq!(context.output(print).await, format!("{number}\n"), "{language}");
            }
            context.id
        }
    });
    let mut ids = futures_util::future::join_all(runs).await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 22);
}
