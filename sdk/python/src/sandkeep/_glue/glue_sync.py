"""The blocking half's own parts."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, ParamSpec, TypeVar, cast

import websockets.sync.client as _websockets

from ..settings import Settings
from .shared import CHUNK, MAX_MESSAGE, PULL_ERRORS, Source, translated_socket

P = ParamSpec("P")
T = TypeVar("T")

Socket = _websockets.ClientConnection
Callback = Callable[[T], None]
"""What is called with each piece of output."""


def pending(function: Callable[P, T]) -> Callable[P, T]:
    """Nothing to do: what the function returns is there."""
    return function


def sleep(seconds: float) -> None:
    """Waits."""
    time.sleep(seconds)


def whole(work: T, limit: float) -> T:
    """The work is done when this is called."""
    return work


def attempt(work: Callable[[], object], limit: float) -> None:
    """Cleans up after something that failed: whatever goes wrong here counts for nothing."""
    with contextlib.suppress(Exception):
        work()


def notify(callback: Callback[T] | None, value: T) -> None:
    """Calls back."""
    if callback is not None:
        callback(value)


def pieces(source: Source) -> Iterator[bytes]:
    """The content of whatever can be sent."""
    match source:
        case str():
            yield source.encode()
        case bytes() | bytearray() | memoryview():
            yield bytes(source)
        case Path():
            with source.open("rb") as file:
                yield from _read(file)
        case _ if hasattr(source, "read"):
            yield from _read(cast("IO[bytes]", source))
        case _:
            yield from cast("Iterable[bytes]", source)


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(CHUNK):
        yield piece


def stepwise(values: Iterable[T]) -> Iterator[T]:
    """The values."""
    yield from values


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls the function."""
    return function(*args, **kwargs)


def open_socket(url: str, headers: dict[str, str], settings: Settings, proxied: bool) -> Socket:
    """A WebSocket, through the proxy that the settings or the environment name."""
    context = settings.ssl_context()
    secure = {"ssl": None if context is True else context} if url.startswith("wss:") else {}
    with translated_socket(url):
        # Left by `close`: newer versions want to be entered, older ones do not mind.
        return _websockets.connect(
            url,
            additional_headers=headers,
            user_agent_header=None,
            compression=None,
            open_timeout=settings.timeouts.request,
            ping_interval=None,
            max_size=MAX_MESSAGE,
            proxy=(settings.proxy or True) if proxied else None,
            **secure,  # type: ignore[arg-type]
        ).__enter__()


def next_message(socket: Socket) -> str | bytes | None:
    """The next message, or nothing once the socket is closed."""
    try:
        return socket.recv()
    except PULL_ERRORS:
        return None
