"""The published code interpreter client with every language it knows, in the image made for it."""

import threading
from datetime import timedelta

from code_interpreter import CodeInterpreterSync
from code_interpreter.models.code import SupportedLanguage
from opensandbox import SandboxSync
from opensandbox.config import ConnectionConfigSync
from opensandbox.models.execd_sync import ExecutionHandlersSync

IMAGE = "sandkeep/code-interpreter:latest"

# Language: a first run that writes "hello" and leaves a variable, the next one and its result, a run that fails with the
# name of its error and something of the failing line, and one that writes "on" and then never ends.
LANGUAGES = {
    SupportedLanguage.PYTHON: (
        "x = 20\nprint('hello')",
        ("x * 2", "40"),
        ("def f(a):\n    return a / 0\nf(1)", "ZeroDivisionError", "return a / 0"),
        "print('on')\nwhile True: pass",
    ),
    SupportedLanguage.BASH: (
        "x=20; double() { echo $((x * 2)); }; echo hello",
        ("double", None),
        ("nothing_of_the_kind", "CommandExecError", "127"),
        "echo on; sleep 600",
    ),
    SupportedLanguage.JAVASCRIPT: (
        "const x = 20;\nconsole.log('hello')",
        ("await Promise.resolve(x * 2)", "40"),
        ("function f(o) {\n  return o.a.b\n}\nf({})", "TypeError", "cell_3.js:2"),
        "console.log('on'); while (true);",
    ),
    SupportedLanguage.TYPESCRIPT: (
        "const x: number = 20;\nconsole.log('hello')",
        ("(x as number) * 2", "40"),
        ("interface O { a?: any }\nfunction f(o: O): string {\n  return o.a.b\n}\nf({})", "TypeError", "cell_3.ts:3"),
        "console.log('on'); while (true);",
    ),
    SupportedLanguage.JAVA: (
        "int x = 20;\nSystem.out.println(\"hello\");",
        ("x * 2", "40"),
        ("int f(int a) {\n  return 1 / a;\n}\nf(0)", "java.lang.ArithmeticException", "cell_3:2"),
        "System.out.println(\"on\"); while (true);",
    ),
    SupportedLanguage.GO: (
        "import \"fmt\"\nx := 20\nfmt.Println(\"hello\")",
        ("x * 2", "40"),
        ("func f(a int) int {\n\treturn 1 / a\n}\nf(0)", "panic", "cell_3.go:2"),
        "fmt.Println(\"on\")\nfor {\n}",
    ),
}


def try_language(codes, language, scenario):
    first, (second, result), (failing, name, place), endless = scenario
    context = codes.create_context(language)
    assert context.language == language, context
    execution = codes.run(first, context=context)
    assert not execution.error and "".join(m.text for m in execution.logs.stdout).strip() == "hello", (language, execution)
    execution = codes.run(second, context=context)
    if result is None:
        assert "".join(m.text for m in execution.logs.stdout).strip() == "40", (language, execution)
    else:
        assert execution.result and execution.result[0].text == result, (language, execution)
    execution = codes.run(failing, context=context)
    assert execution.error and execution.error.name == name, (language, execution)
    text = "\n".join([execution.error.value, *execution.error.traceback])
    assert place in text, (language, text)

    on, results = threading.Event(), []

    def run():
        handlers = ExecutionHandlersSync(on_stdout=lambda _: on.set())
        results.append(codes.run(endless, context=context, handlers=handlers))

    thread = threading.Thread(target=run)
    thread.start()
    assert on.wait(60), (language, "writes nothing")
    codes.interrupt(context.id)
    thread.join(60)
    assert results and results[0].error, (language, results)
    if result is not None:
        execution = codes.run(second, context=context)
        assert execution.result and execution.result[0].text == result, (language, "the context survives", execution)
    codes.delete_context(context.id)


def main():
    config = ConnectionConfigSync(request_timeout=timedelta(seconds=120))
    sandbox = SandboxSync.create(IMAGE, connection_config=config, timeout=timedelta(minutes=10), resource={"memory": "2Gi"})
    try:
        interpreter = CodeInterpreterSync.create(sandbox=sandbox)
        for language, scenario in LANGUAGES.items():
            try_language(interpreter.codes, language, scenario)
            print(language, flush=True)
        interpreter.close()
    finally:
        sandbox.destroy()


main()
print("ok")
