"""What both halves have in common."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from ..errors import ConnectionFailed, Timeout, refused

CHUNK = 256 * 1024
"""Bytes read from a file at a time."""
MAX_MESSAGE = 4 << 20
"""Largest WebSocket message that is taken."""

Source: TypeAlias = "str | bytes | bytearray | memoryview | Path | IO[bytes] | Iterable[bytes]"
"""What can be sent: text, bytes, a local file, or pieces."""

PULL_ERRORS = (ConnectionClosed,)
"""How a closed socket says so."""


class translated:
    """Our errors instead of the library's. A class, since it is on the way of every request."""

    __slots__ = ("_url",)

    def __init__(self, url: str) -> None:
        self._url = url

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, httpx.TimeoutException):
            raise Timeout(f"{self._url}: {type(error).__name__}") from error
        if isinstance(error, httpx.HTTPError):
            raise ConnectionFailed(f"{self._url}: {str(error) or type(error).__name__}") from error


@contextmanager
def translated_socket(url: str) -> Generator[None]:
    """Our errors instead of the library's."""
    where = url.split("?", 1)[0]
    try:
        yield
    except InvalidStatus as error:
        response = error.response
        body = (response.body or b"").decode(errors="replace")
        raise refusal(response.status_code, body, response.headers.get("x-request-id")) from None
    except TimeoutError as error:
        raise Timeout(f"{where}: the handshake takes too long") from error
    except (WebSocketException, OSError) as error:
        raise ConnectionFailed(f"{where}: {error}") from error


def refusal(status: int, body: str, request_id: str | None) -> Exception:
    """The error an answer tells of, whichever of the daemons' shapes it has."""
    code, message = f"HTTP_{status}", body.strip()[:2000]
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    if isinstance(told, dict):
        members: dict[str, object] = told  # pyright: ignore[reportUnknownVariableType]
        code = str(members.get("code", code))
        message = str(members.get("message") or members.get("error") or message)
    return refused(status, code, message, request_id)
