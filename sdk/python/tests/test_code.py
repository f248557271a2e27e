from __future__ import annotations

import asyncio

import pytest

from sandkeep import CodeFailed, NotFound, Sandbox

pytestmark = pytest.mark.anyio


async def test_variables_last(sb: Sandbox) -> None:
    await sb.code.python("answer = 6 * 7", check=True)
    done = await sb.code.python("print('working'); answer")
    assert (done.text, done.stdout, done.ok) == ("42", "working\n", True)
    assert done.count and done.context


async def test_rich_results_show_themselves(sb: Sandbox) -> None:
    code = """
class Table:
    def _repr_html_(self):
        return "<table></table>"
    def __repr__(self):
        return "a table"
Table()
"""
    done = await sb.code.python(code, check=True)
    assert (done.results[0].text, done.results[0].html) == ("a table", "<table></table>")
    shown = done._repr_mimebundle_()
    assert shown["text/html"] == "<table></table>" and shown["text/plain"] == "a table"


async def test_pictures_are_bytes(sb: Sandbox) -> None:
    code = """
class Dot:
    def _repr_png_(self):
        import base64
        return base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")
Dot()
"""
    done = await sb.code.python(code, check=True)
    png = done.results[0].png
    assert png is not None and png.startswith(b"\x89PNG\r\n")


async def test_errors_are_told_and_raised(sb: Sandbox) -> None:
    done = await sb.code.python("print('before')\n1 / 0")
    assert done.error is not None
    assert (done.error.name, done.error.value, done.stdout) == ("ZeroDivisionError", "division by zero", "before\n")
    assert done.error.traceback and not done.ok
    assert "ZeroDivisionError" in done._repr_mimebundle_()["text/html"]
    with pytest.raises(CodeFailed, match="division by zero"):
        await sb.code.python("1 / 0", check=True)


async def test_contexts_keep_to_themselves(sb: Sandbox) -> None:
    async with sb.code.context() as one, sb.code.context(cwd="/tmp") as two:
        await one.run("x = 1", check=True)
        assert (await two.run("x")).error is not None
        assert (await two.run("import os; os.getcwd()")).text == "'/tmp'"
        found = {context.id for context in await sb.code.contexts("python")}
        assert {one.id, two.id} <= found
        assert (await (await sb.code.get(one.id)).run("x")).text == "1"
    with pytest.raises(NotFound):
        await sb.code.get(one.id)


async def test_bash_too_and_all_of_a_language_end_at_once(sb: Sandbox) -> None:
    await sb.code.bash("greeting=hello", check=True)
    assert (await sb.code.bash("echo $greeting")).stdout == "hello\n"
    context = await sb.code.context("bash")
    await sb.code.delete_all("bash")
    with pytest.raises(NotFound):
        await sb.code.get(context.id)


async def test_output_comes_as_it_is_printed_and_interrupts_work(sb: Sandbox) -> None:
    async with sb.code.context() as context:
        run = context.stream("import time\nkept = 1\nprint('begun', flush=True)\ntime.sleep(1000)")
        async with run:
            assert (await run.__anext__()).text.startswith("begun")
            await context.interrupt()
            assert (await run.wait()).error is not None
        assert (await context.run("kept")).text == "1"


async def test_cancelling_the_task_interrupts_the_code(sb: Sandbox) -> None:
    async with sb.code.context() as context:
        up = asyncio.Event()
        code = "import time\nkept = 2\nprint('up', flush=True)\ntime.sleep(1000)"
        task = asyncio.create_task(context.run(code, on_stdout=lambda _: up.set()))
        await up.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await context.run("kept")).text == "2"
