"""Commands and code whose output is followed while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .._api.execd import operations as execd
from .._api.execd.models import CommandStatusResponse, ServerStreamEvent
from .._glue.glue_async import Callback, attempt, notify, pieces, whole
from .._glue.shared import Source
from .._operation import Operation
from .._outcome import Outcome
from ..results import CodeResult, CommandResult, Event, Rich
from .transport import EventStream, Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

Leaving = Literal["interrupt", "nothing"]


class Stream:
    """What runs, and its events as they come: `async for`, or `async with` and then `async for`.

    Leaving before the end, be it by an error or a cancelled task, interrupts what runs, unless `detach` was called.
    """

    def __init__(
        self, http: Http, operation: Operation[ServerStreamEvent], leaving: Leaving, silence: float = 0
    ) -> None:
        self._http = http
        self._operation = operation
        self._leaving: Leaving = leaving
        self._silence = silence
        self._events: EventStream[ServerStreamEvent] | None = None
        self._outcome = Outcome()

    @property
    def id(self) -> str:
        """Id of the command, or of the code's context; empty before the first event."""
        return self._outcome.id

    @property
    def position(self) -> int:
        """Bytes of output seen so far, for coming back with `offset`; counted only while attached."""
        return self._outcome.position

    def detach(self) -> None:
        """Leaving will not interrupt what runs."""
        self._leaving = "nothing"

    async def _open(self) -> EventStream[ServerStreamEvent]:
        events = await self._http.events(self._operation, self._silence)
        self._events = events
        # The first event names what runs: without it nobody could interrupt it.
        while not self._outcome.id and not self._outcome.finished():
            try:
                self._outcome.add(await events.__anext__())
            except StopAsyncIteration:
                break
        return events

    async def _stop(self) -> None:
        if self._outcome.id:
            await self.interrupt()

    async def interrupt(self) -> None:
        """Ends what runs: a command as by SIGTERM, and three seconds later by SIGKILL; code as by Ctrl-C."""
        raise NotImplementedError

    async def __aenter__(self) -> Stream:
        if self._events is None:
            limit = self._http.settings.timeouts.cleanup
            try:
                await whole(self._open(), limit)
            except BaseException:
                await self.aclose()
                raise
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Leaves the stream."""
        if self._events is not None:
            await attempt(self._events.aclose, self._http.settings.timeouts.cleanup)
        if self._leaving == "interrupt" and not self._outcome.finished():
            self._leaving = "nothing"
            await attempt(self._stop, self._http.settings.timeouts.cleanup)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> Event:
        if self._events is None:
            await self.__aenter__()
        assert self._events is not None
        try:
            while True:
                event = self._outcome.add(await self._events.__anext__())
                if event is not None:
                    return event
        except StopAsyncIteration:
            await self._events.aclose()
            self._complete()
            raise
        except BaseException:
            await self.aclose()
            raise

    def _complete(self) -> None:
        """Fails if the stream did not say how it ended."""
        raise NotImplementedError

    async def _follow(
        self, stdout: Callback[str] | None, stderr: Callback[str] | None, result: Callback[Rich] | None = None
    ) -> None:
        try:
            await self.__aenter__()
            async for event in self:
                if event.kind == "stdout":
                    await notify(stdout, event.text)
                elif event.kind == "stderr":
                    await notify(stderr, event.text)
                elif event.result is not None:
                    await notify(result, event.result)
        finally:
            await self.aclose()


class Process(Stream):
    """A command and its output as it comes."""

    async def __aenter__(self) -> Process:
        await super().__aenter__()
        return self

    async def wait(
        self, *, on_stdout: Callback[str] | None = None, on_stderr: Callback[str] | None = None
    ) -> CommandResult:
        """Follows the command to its end."""
        await self._follow(on_stdout, on_stderr)
        return self.result

    @property
    def result(self) -> CommandResult:
        """What it did; `StreamBroken` before its end."""
        return self._outcome.command()

    def _complete(self) -> None:
        self._outcome.command()

    async def write(self, data: Source | AsyncIterable[bytes], *, close: bool = False) -> int:
        """Writes to the standard input of a command started with `stdin=True`, and returns how many bytes it took."""
        return await write_stdin(self._http, self.id, data, close=close)

    async def close_stdin(self) -> None:
        """Lets the command read the end of its standard input."""
        await write_stdin(self._http, self.id, b"", close=True)

    async def interrupt(self) -> None:
        """Ends the command: SIGTERM, and three seconds later SIGKILL."""
        # Asking twice does no harm; a request that got lost would leave it running.
        await self._http.call(execd.interrupt_command(id=self.id), repeat=True)

    async def status(self) -> CommandStatusResponse:
        """What is known of the command."""
        return await self._http.call(execd.get_command_status(self.id))


class CodeRun(Stream):
    """Code that runs, and what comes of it."""

    async def __aenter__(self) -> CodeRun:
        await super().__aenter__()
        return self

    async def wait(
        self,
        *,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
        on_result: Callback[Rich] | None = None,
    ) -> CodeResult:
        """Follows the code to its end."""
        await self._follow(on_stdout, on_stderr, on_result)
        return self.result

    @property
    def result(self) -> CodeResult:
        """What it did; `StreamBroken` before its end."""
        return self._outcome.code()

    def _complete(self) -> None:
        self._outcome.code()

    async def interrupt(self) -> None:
        """Interrupts the code as Ctrl-C would; the context and its variables stay."""
        # Asking twice does no harm; a request that got lost would leave it running.
        await self._http.call(execd.interrupt_code(id=self.id), repeat=True)


async def write_stdin(http: Http, id: str, data: Source | AsyncIterable[bytes], *, close: bool) -> int:
    """Writes to a command's standard input."""
    # A command that reads slowly makes its writer wait: the daemon gives up after a minute.
    operation = execd.write_command_stdin(id, close=close)
    written = await http.call(operation, content=pieces(data), silence=http.settings.timeouts.idle + 60)
    return written.written
