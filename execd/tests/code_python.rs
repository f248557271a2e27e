//! What code contexts in Python offer beyond the language: commands, figures, displays.

#![allow(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

mod languages;
mod support;

use languages::Context;
use serde_json::{Value, json};
use support::{Execd, Run};

const LANGUAGE: &str = "python";

fn results(run: &Run) -> Vec<Value> {
    run.events.iter().filter_map(|event| event.results.as_ref()).map(|found| json!(found)).collect()
}

#[tokio::test]
async fn lines_for_the_shell() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    let run =
        context.run("name = 'x'\n!echo {name}1 $name \\\n  and more; echo err >&2; exit 3\n_exit_code").await;
    assert_eq!((run.stdout(), run.stderr()), ("x1 x and more\n".to_owned(), "err\n".to_owned()));
    assert_eq!(results(&run), [json!({"text": "3"})]);
    assert_eq!(context.value("if name:\n    lines = !printf 'a\\nb\\n'\nlines").await, "['a', 'b']");
    let code = "text = '''\n!no command\n%nor this\n'''\nprint(text, 7 % 4)";
    assert_eq!(context.output(code).await, "\n!no command\n%nor this\n 3\n");
    let error = context.error("1\n\n!true\n1 / 0").await;
    assert!(error.traceback.join("\n").contains("line 4, in <module>\n    1 / 0"), "{error:?}");
    assert_eq!(context.error("x = 5 %\n!echo a").await.ename, "SyntaxError");
    assert_eq!(context.interrupted("!echo on; sleep 60").await.ename, "KeyboardInterrupt");
}

#[tokio::test]
async fn percent_commands() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    let pip = execd.home.path().join("pip");
    std::fs::create_dir(&pip).unwrap();
    std::fs::write(pip.join("__init__.py"), "").unwrap();
    std::fs::write(pip.join("__main__.py"), "import sys; print('pip', sys.argv[1:])").unwrap();
    assert_eq!(context.output("%pip install 'a b' c").await, "pip ['install', 'a b', 'c']\n");
    let place = execd.home.path().display();
    assert_eq!(context.output("%cd /\n%env KEY=value\n%matplotlib inline").await, "/\n");
    assert_eq!(context.value("key = %env KEY\nkey").await, "'value'");
    assert!(context.run("%time sum(range(10))").await.stdout().starts_with("CPU time: "));
    assert_eq!(context.output("%%bash\nfor i in 1 2; do\n  echo $i\ndone").await, "1\n2\n");
    context.output(&format!("%%writefile {place}/written.txt\nfirst\nsecond")).await;
    assert_eq!(std::fs::read_to_string(execd.home.path().join("written.txt")).unwrap(), "first\nsecond");
    let error = context.error("%nothing at all").await;
    assert!(error.evalue.contains("no %nothing here"), "{error:?}");
}

/// The part of pyplot that shows figures; with the real one this looks the same.
const PYPLOT: &str = "class Figure:\n  def __init__(s, n): s.n = n\n  def __repr__(s): return f'<Figure {s.n}>'\n  def savefig(s, to, format, **_): to.write(b'\\x89PNG' + str(s.n).encode())\nopened = {}\ndef figure(n=None):\n  n = n or len(opened) + 1\n  return opened.setdefault(n, Figure(n))\ndef get_fignums(): return list(opened)\ndef close(which): opened.clear()\ndef show(): pass\n";

#[tokio::test]
async fn figures_and_displays() {
    let execd = Execd::start().await;
    let context = Context::new(&execd, LANGUAGE).await;
    let matplotlib = execd.home.path().join("matplotlib");
    std::fs::create_dir(&matplotlib).unwrap();
    std::fs::write(matplotlib.join("__init__.py"), "").unwrap();
    std::fs::write(matplotlib.join("pyplot.py"), PYPLOT).unwrap();
    let run =
        context.run("import matplotlib.pyplot as plt\nf = plt.figure()\ng = plt.figure()\nplt.show()").await;
    let figure = |n: u32, data: &str| json!({"text": format!("<Figure {n}>"), "image/png": data});
    assert_eq!(results(&run), [figure(1, "iVBORzE="), figure(2, "iVBORzI=")]);
    assert!(results(&context.run("x = 1").await).is_empty(), "they are shown once");
    assert_eq!(context.value("import os\nos.environ['MPLBACKEND']").await, "'Agg'");
    let code = "from IPython.display import HTML, Image, Markdown, clear_output, display\ndisplay(HTML('<b>x</b>'), Markdown('*y*'))\nclear_output()\nImage(b'\\x89PNG')";
    let expected = [
        json!({"text": "<HTML object>", "text/html": "<b>x</b>"}),
        json!({"text": "<Markdown object>", "text/markdown": "*y*"}),
        json!({"text": "<Image object>", "image/png": "iVBORw=="}),
    ];
    assert_eq!(results(&context.run(code).await), expected);
}
