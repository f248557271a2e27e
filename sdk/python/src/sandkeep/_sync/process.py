# Generated from ../_async by `cargo xtask sdk`; do not edit.
"""Commands and code whose output is followed while they run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .._api.execd import operations as execd
from .._api.execd.models import CommandStatusResponse, ServerStreamEvent
from .._glue.glue_sync import Callback, attempt, notify, pieces, whole
from .._glue.shared import Source
from .._operation import Operation
from .._outcome import Outcome
from ..results import CodeResult, CommandResult, Event, Rich
from .transport import EventStream, Http

if TYPE_CHECKING:
    from collections.abc import Iterable

Leaving = Literal["interrupt", "nothing"]


class Stream:
    """What runs, and its events as they come: `for`, or `with` and then `for`.

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

    def _open(self) -> EventStream[ServerStreamEvent]:
        events = self._http.events(self._operation, self._silence)
        self._events = events
        # The first event names what runs: without it nobody could interrupt it.
        while not self._outcome.id and not self._outcome.finished():
            try:
                self._outcome.add(events.__next__())
            except StopIteration:
                break
        return events

    def _stop(self) -> None:
        if self._outcome.id:
            self.interrupt()

    def interrupt(self) -> None:
        """Ends what runs: a command as by SIGTERM, and three seconds later by SIGKILL; code as by Ctrl-C."""
        raise NotImplementedError

    def __enter__(self) -> Stream:
        if self._events is None:
            limit = self._http.settings.timeouts.cleanup
            try:
                whole(self._open(), limit)
            except BaseException:
                self.close()
                raise
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Leaves the stream."""
        if self._events is not None:
            attempt(self._events.close, self._http.settings.timeouts.cleanup)
        if self._leaving == "interrupt" and not self._outcome.finished():
            self._leaving = "nothing"
            attempt(self._stop, self._http.settings.timeouts.cleanup)

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> Event:
        if self._events is None:
            self.__enter__()
        assert self._events is not None
        try:
            while True:
                event = self._outcome.add(self._events.__next__())
                if event is not None:
                    return event
        except StopIteration:
            self._events.close()
            self._complete()
            raise
        except BaseException:
            self.close()
            raise

    def _complete(self) -> None:
        """Fails if the stream did not say how it ended."""
        raise NotImplementedError

    def _follow(
        self, stdout: Callback[str] | None, stderr: Callback[str] | None, result: Callback[Rich] | None = None
    ) -> None:
        try:
            self.__enter__()
            for event in self:
                if event.kind == "stdout":
                    notify(stdout, event.text)
                elif event.kind == "stderr":
                    notify(stderr, event.text)
                elif event.result is not None:
                    notify(result, event.result)
        finally:
            self.close()


class Process(Stream):
    """A command and its output as it comes."""

    def __enter__(self) -> Process:
        super().__enter__()
        return self

    def wait(self, *, on_stdout: Callback[str] | None = None, on_stderr: Callback[str] | None = None) -> CommandResult:
        """Follows the command to its end."""
        self._follow(on_stdout, on_stderr)
        return self.result

    @property
    def result(self) -> CommandResult:
        """What it did; `StreamBroken` before its end."""
        return self._outcome.command()

    def _complete(self) -> None:
        self._outcome.command()

    def write(self, data: Source | Iterable[bytes], *, close: bool = False) -> int:
        """Writes to the standard input of a command started with `stdin=True`, and returns how many bytes it took."""
        return write_stdin(self._http, self.id, data, close=close)

    def close_stdin(self) -> None:
        """Lets the command read the end of its standard input."""
        write_stdin(self._http, self.id, b"", close=True)

    def interrupt(self) -> None:
        """Ends the command: SIGTERM, and three seconds later SIGKILL."""
        # Asking twice does no harm; a request that got lost would leave it running.
        self._http.call(execd.interrupt_command(id=self.id), repeat=True)

    def status(self) -> CommandStatusResponse:
        """What is known of the command."""
        return self._http.call(execd.get_command_status(self.id))


class CodeRun(Stream):
    """Code that runs, and what comes of it."""

    def __enter__(self) -> CodeRun:
        super().__enter__()
        return self

    def wait(
        self,
        *,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
        on_result: Callback[Rich] | None = None,
    ) -> CodeResult:
        """Follows the code to its end."""
        self._follow(on_stdout, on_stderr, on_result)
        return self.result

    @property
    def result(self) -> CodeResult:
        """What it did; `StreamBroken` before its end."""
        return self._outcome.code()

    def _complete(self) -> None:
        self._outcome.code()

    def interrupt(self) -> None:
        """Interrupts the code as Ctrl-C would; the context and its variables stay."""
        # Asking twice does no harm; a request that got lost would leave it running.
        self._http.call(execd.interrupt_code(id=self.id), repeat=True)


def write_stdin(http: Http, id: str, data: Source | Iterable[bytes], *, close: bool) -> int:
    """Writes to a command's standard input."""
    # A command that reads slowly makes its writer wait: the daemon gives up after a minute.
    operation = execd.write_command_stdin(id, close=close)
    written = http.call(operation, content=pieces(data), silence=http.settings.timeouts.idle + 60)
    return written.written
