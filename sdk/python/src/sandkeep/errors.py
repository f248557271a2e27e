"""What can go wrong. Everything derives from `SandkeepError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .results import CodeResult, CommandResult


class SandkeepError(Exception):
    """Base of every error of this package."""


class ConnectionFailed(SandkeepError):
    """No connection, or one that broke before the answer was complete."""


class StreamBroken(ConnectionFailed):
    """A stream ended without saying how what it told of ended. A command goes on: attach to it again."""


class Timeout(SandkeepError, TimeoutError):
    """A wait took longer than its limit in `Timeouts`."""


class ApiError(SandkeepError):
    """The server or the daemon in the sandbox refused a request."""

    status: int
    """HTTP status."""
    code: str
    """Stable identifier of the kind of error, such as `SANDBOX::NOT_FOUND`."""
    message: str
    """What is wrong, for people."""
    request_id: str | None
    """The request's name in the server's log."""

    def __init__(self, status: int, code: str, message: str, request_id: str | None = None) -> None:
        self.status, self.code, self.message, self.request_id = status, code, message, request_id
        named = f", request {request_id}" if request_id else ""
        super().__init__(f"{code}: {message} (HTTP {status}{named})")

    def __reduce__(self) -> tuple[type[ApiError], tuple[int, str, str, str | None]]:
        return type(self), (self.status, self.code, self.message, self.request_id)


class BadRequest(ApiError):
    """The request says something that cannot be (400, 413, 422)."""


class Unauthorized(ApiError):
    """The key or token is missing, wrong or not enough (401, 403)."""


class NotFound(ApiError):
    """There is no such thing (404)."""


class Conflict(ApiError):
    """Not in the state it is in now (409)."""


class RateLimited(ApiError):
    """Too many at once (429)."""


class ServerError(ApiError):
    """The server failed, or cannot reach the sandbox (5xx)."""


class SandboxFailed(SandkeepError):
    """A sandbox or snapshot will never be what was waited for."""


class CommandFailed(SandkeepError):
    """A command that had to succeed did not."""

    def __init__(self, result: CommandResult) -> None:
        self.result = result
        """What the command did."""
        ended = "ran out of time" if result.timed_out else f"exit code {result.exit_code}"
        tail = (result.stderr or result.stdout or result.error or "").rstrip()[-500:]
        super().__init__(f"{ended}: {tail}" if tail else ended)


class CodeFailed(SandkeepError):
    """Code that had to succeed raised an error."""

    def __init__(self, result: CodeResult) -> None:
        self.result = result
        """What the code did."""
        super().__init__(str(result.error))


def refused(status: int, code: str, message: str, request_id: str | None) -> ApiError:
    """The error that belongs to a status."""
    kind: type[ApiError] = {
        400: BadRequest,
        401: Unauthorized,
        403: Unauthorized,
        404: NotFound,
        409: Conflict,
        413: BadRequest,
        422: BadRequest,
        429: RateLimited,
    }.get(status, ServerError if status >= 500 else ApiError)
    return kind(status, code, message, request_id)
