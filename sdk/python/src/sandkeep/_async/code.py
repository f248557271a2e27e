"""Code that keeps its variables from one run to the next."""

from __future__ import annotations

from .._api.execd import models
from .._api.execd import operations as execd
from .._glue.glue_async import Callback, attempt, pending
from ..results import CodeResult, Rich
from .process import CodeRun
from .transport import Http


class CodeContext:
    """An interpreter of its own. As a context manager it ends with the block."""

    def __init__(self, http: Http, context: models.CodeContext) -> None:
        self._http = http
        self.id = context.id or ""
        self.language = context.language

    async def run(
        self,
        code: str,
        *,
        check: bool = False,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
        on_result: Callback[Rich] | None = None,
    ) -> CodeResult:
        """Runs code to its end; with `check`, code that raises is a `CodeFailed`."""
        result = await self.stream(code).wait(on_stdout=on_stdout, on_stderr=on_stderr, on_result=on_result)
        return result.check() if check else result

    def stream(self, code: str) -> CodeRun:
        """Runs code, and gives what comes of it as it comes."""
        return _run(self._http, code, models.CodeTarget(id=self.id, language=self.language))

    async def interrupt(self) -> None:
        """Interrupts what runs, as Ctrl-C would; variables stay."""
        await self._http.call(execd.interrupt_code(id=self.id))

    async def delete(self) -> None:
        """Ends the interpreter and forgets its variables."""
        await self._http.call(execd.delete_context(self.id))

    async def __aenter__(self) -> CodeContext:
        return self

    async def __aexit__(self, *error: object) -> None:
        await attempt(self.delete, self._http.settings.timeouts.cleanup)


class Code:
    """Running code in a sandbox: `python("…")` and its relatives use the language's default context."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def python(
        self,
        code: str,
        *,
        check: bool = False,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
        on_result: Callback[Rich] | None = None,
    ) -> CodeResult:
        """Runs Python."""
        return await self.run(
            code, "python", check=check, on_stdout=on_stdout, on_stderr=on_stderr, on_result=on_result
        )

    async def bash(self, code: str, *, check: bool = False) -> CodeResult:
        """Runs Bash."""
        return await self.run(code, "bash", check=check)

    async def javascript(self, code: str, *, check: bool = False) -> CodeResult:
        """Runs JavaScript, where the image has Node."""
        return await self.run(code, "javascript", check=check)

    async def typescript(self, code: str, *, check: bool = False) -> CodeResult:
        """Runs TypeScript, where the image has Node."""
        return await self.run(code, "typescript", check=check)

    async def java(self, code: str, *, check: bool = False) -> CodeResult:
        """Runs Java, where the image has a JDK."""
        return await self.run(code, "java", check=check)

    async def go(self, code: str, *, check: bool = False) -> CodeResult:
        """Runs Go, where the image has its toolchain."""
        return await self.run(code, "go", check=check)

    async def run(
        self,
        code: str,
        language: str = "python",
        *,
        check: bool = False,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
        on_result: Callback[Rich] | None = None,
    ) -> CodeResult:
        """Runs code in a language's default context to its end; with `check`, code that raises is a `CodeFailed`.

        If the caller is cancelled, the code is interrupted.
        """
        result = await self.stream(code, language).wait(on_stdout=on_stdout, on_stderr=on_stderr, on_result=on_result)
        return result.check() if check else result

    def stream(self, code: str, language: str = "python") -> CodeRun:
        """Runs code in a language's default context, and gives what comes of it as it comes."""
        return _run(self._http, code, models.CodeTarget(language=language))

    @pending
    async def context(self, language: str = "python", *, cwd: str | None = None) -> CodeContext:
        """A context of its own, in a directory if one is named."""
        request = models.CodeContextRequest(language=language, cwd=cwd)
        return CodeContext(self._http, await self._http.call(execd.create_code_context(body=request)))

    async def contexts(self, language: str | None = None) -> list[CodeContext]:
        """All contexts, or those of a language."""
        found = await self._http.call(execd.list_contexts(language=language))
        return [CodeContext(self._http, context) for context in found]

    async def get(self, id: str) -> CodeContext:
        """A context by its id."""
        return CodeContext(self._http, await self._http.call(execd.get_context(id)))

    async def delete_all(self, language: str) -> None:
        """Ends every context of a language."""
        await self._http.call(execd.delete_contexts_by_language(language=language))


def _run(http: Http, code: str, target: models.CodeTarget) -> CodeRun:
    return CodeRun(http, execd.run_code(body=models.RunCodeRequest(code=code, context=target)), "interrupt")
