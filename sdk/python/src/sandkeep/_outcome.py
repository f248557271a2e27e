"""From the events of a stream to a result."""

from __future__ import annotations

from ._api.execd.models import ExecutionError, ServerStreamEvent
from .errors import StreamBroken
from .results import NEVER_STARTED, TIMED_OUT, CodeError, CodeResult, CommandResult, Event, Rich


class Outcome:
    """Collects what a stream tells."""

    def __init__(self) -> None:
        self.id = ""
        self.ended = False
        self.position = 0
        """Bytes of output seen, where the stream says so."""
        self._stdout: list[str] = []
        self._stderr: list[str] = []
        self._results: list[Rich] = []
        self._error: ExecutionError | None = None
        self._timed_out = False
        self._millis: int | None = None
        self._count: int | None = None

    def add(self, event: ServerStreamEvent) -> Event | None:
        """Takes one event in and says what of it is to be shown."""
        kind, text = event.type_, event.text or ""
        self._timed_out |= bool(event.timed_out)
        if event.execution_time is not None:
            self._millis = event.execution_time
        if event.offset is not None:
            self.position = event.offset
        match kind:
            case "stdout" | "stderr":
                (self._stdout if kind == "stdout" else self._stderr).append(text)
                return Event(kind, text, offset=event.offset)
            case "result":
                return self._show(event)
            case "error":
                self._error = event.error or ExecutionError(ename="Error", evalue=text)
                return Event("error", self._error.evalue or "")
            case "init":
                self.id = text
            case "execution_count":
                self._count = event.execution_count
            case "execution_complete":
                self.ended = True
            case _:
                pass
        return None

    def _show(self, event: ServerStreamEvent) -> Event:
        data = dict(event.results or {})
        if "text" in data:
            data.setdefault("text/plain", data.pop("text"))
        rich = Rich(data)
        self._results.append(rich)
        return Event("result", rich.text, rich)

    def finished(self) -> bool:
        """Whether the stream said how it ended."""
        return self.ended or self._error is not None

    def command(self) -> CommandResult:
        """The result of a command."""
        if not self.finished():
            raise StreamBroken(f"the output of command {self.id or '(not started)'} broke off")
        code, error = 0, None
        if self._error is not None:
            try:
                code = int(self._error.evalue or "")
            except ValueError:
                code, error = NEVER_STARTED, self._error.evalue
        if self._timed_out:
            code = TIMED_OUT
        stdout, stderr = "".join(self._stdout), "".join(self._stderr)
        return CommandResult(self.id, code, stdout, stderr, self._timed_out, self._duration(), error)

    def code(self) -> CodeResult:
        """The result of code."""
        if not self.finished():
            raise StreamBroken(f"the output of code in context {self.id or '(none)'} broke off")
        error = None
        if self._error is not None:
            error = CodeError(self._error.ename or "Error", self._error.evalue or "", self._error.traceback or [])
        stdout, stderr = "".join(self._stdout), "".join(self._stderr)
        return CodeResult(self.id, self._results, stdout, stderr, error, self._timed_out, self._duration(), self._count)

    def _duration(self) -> float | None:
        return None if self._millis is None else self._millis / 1000
