"""The published code interpreter client with Python contexts. Argument: direct or proxy."""

import asyncio
import sys
import threading
from datetime import timedelta

from code_interpreter import CodeInterpreter, CodeInterpreterSync
from opensandbox import Sandbox, SandboxSync
from opensandbox.config import ConnectionConfig, ConnectionConfigSync
from opensandbox.models.execd_sync import ExecutionHandlersSync

IMAGE = "sandkeep/base:latest"
PROXY = sys.argv[1] == "proxy"


def blocking():
    sandbox = SandboxSync.create(IMAGE, connection_config=ConnectionConfigSync(use_server_proxy=PROXY))
    try:
        interpreter = CodeInterpreterSync.create(sandbox=sandbox)
        codes = interpreter.codes
        context = codes.create_context("python")
        assert context.id and context.language == "python", context
        execution = codes.run("x = 20\nprint('hi')\nx + 1", context=context)
        assert execution.result[0].text == "21" and execution.logs.stdout[0].text.rstrip() == "hi", execution
        execution = codes.run("x * 2", context=context)
        assert execution.result[0].text == "40", "the context keeps its variables"
        other = codes.create_context("python")
        execution = codes.run("x", context=other)
        assert execution.error and execution.error.name == "NameError", "contexts are apart"
        execution = codes.run("def f():\n    return 1 / 0\nf()", context=context)
        assert execution.error.name == "ZeroDivisionError", execution
        assert any("return 1 / 0" in line for line in execution.error.traceback), execution.error.traceback

        started, ids, results = threading.Event(), [], []

        def on_init(init):
            ids.append(init.id)
            started.set()

        def run():
            handlers = ExecutionHandlersSync(on_init=on_init)
            results.append(codes.run("import time\ntime.sleep(60)", context=context, handlers=handlers))

        thread = threading.Thread(target=run)
        thread.start()
        assert started.wait(10)
        import time

        time.sleep(0.5)
        codes.interrupt(ids[0])
        thread.join(15)
        assert results and results[0].error.name == "KeyboardInterrupt", results
        assert codes.run("x", context=context).result[0].text == "20", "the context survives"
        assert {c.id for c in codes.list_contexts("python")} >= {context.id, other.id}
        codes.delete_context(other.id)
        assert other.id not in {c.id for c in codes.list_contexts("python")}
        assert codes.get_context(context.id).language == "python"
        codes.delete_contexts("python")
        interpreter.close()
    finally:
        sandbox.destroy()


async def asynchronous():
    config = ConnectionConfig(use_server_proxy=PROXY)
    sandbox = await Sandbox.create(IMAGE, connection_config=config, timeout=timedelta(minutes=5))
    try:
        interpreter = await CodeInterpreter.create(sandbox=sandbox)
        execution = await interpreter.codes.run("sum(range(10))", language="python")
        assert execution.result[0].text == "45", execution
        contexts = [await interpreter.codes.create_context("python") for _ in range(2)]
        code = "import time\nfor i in range(3):\n    print(i)\n    time.sleep(0.2)\n'done'"
        runs = await asyncio.gather(*(interpreter.codes.run(code, context=context) for context in contexts))
        assert all(run.result[0].text == "'done'" for run in runs), runs
    finally:
        await sandbox.destroy()


blocking()
asyncio.run(asynchronous())
print("ok")
