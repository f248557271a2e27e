"""The asynchronous half's own parts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Generic, ParamSpec, Protocol, TypeVar, cast

import websockets.asyncio.client as _websockets

from ..settings import Settings
from .shared import CHUNK, MAX_MESSAGE, PULL_ERRORS, Source, translated_socket

P = ParamSpec("P")
T = TypeVar("T")

Socket = _websockets.ClientConnection
Callback = Callable[[T], "Awaitable[None] | None"]
"""What is called with each piece of output; may be asynchronous."""


class _Closing(Protocol):
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


C = TypeVar("C", bound=_Closing, covariant=True)


class Pending(Generic[C]):
    """Something on its way: `await` it, or go straight into it by `async with`."""

    def __init__(self, coming: Coroutine[Any, Any, C]) -> None:
        self._coming = coming
        self._come: C | None = None

    def __await__(self) -> Generator[Any, None, C]:
        return self._coming.__await__()

    async def __aenter__(self) -> C:
        self._come = await self._coming
        return self._come

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._come is not None:
            await self._come.__aexit__(kind, error, trace)


def pending(function: Callable[P, Coroutine[Any, Any, C]]) -> Callable[P, Pending[C]]:
    """Makes what a function returns usable by `await` and by `async with`."""

    def call(*args: P.args, **kwargs: P.kwargs) -> Pending[C]:
        return Pending(function(*args, **kwargs))

    call.__doc__ = function.__doc__
    call.__name__ = function.__name__
    return call


async def sleep(seconds: float) -> None:
    """Waits."""
    await asyncio.sleep(seconds)


async def whole(work: Coroutine[Any, Any, T], limit: float) -> T:
    """Does the work to its end, even if the caller is cancelled meanwhile: then the cancellation comes after it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=limit)
        if not task.done():
            task.cancel()
        raise


async def attempt(work: Callable[[], Coroutine[Any, Any, object]], limit: float) -> None:
    """Cleans up after something that failed or was cancelled: whatever goes wrong here counts for nothing."""
    task = asyncio.ensure_future(asyncio.wait_for(work(), limit))
    with contextlib.suppress(Exception):
        await asyncio.shield(task)


async def notify(callback: Callback[T] | None, value: T) -> None:
    """Calls back."""
    if callback is not None:
        answer = callback(value)
        if answer is not None:
            await answer


async def pieces(source: Source | AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The content of whatever can be sent."""
    match source:
        case str():
            yield source.encode()
        case bytes() | bytearray() | memoryview():
            yield bytes(source)
        case Path():
            with await asyncio.to_thread(source.open, "rb") as file:
                async for piece in _read(file):
                    yield piece
        case AsyncIterable():
            async for piece in source:
                yield piece
        case _ if hasattr(source, "read"):
            async for piece in _read(cast("IO[bytes]", source)):
                yield piece
        case _:
            async for piece in stepwise(cast("Iterable[bytes]", source)):
                yield piece


async def _read(file: IO[bytes]) -> AsyncIterator[bytes]:
    while piece := await asyncio.to_thread(file.read, CHUNK):
        yield piece


async def stepwise(values: Iterable[T]) -> AsyncIterator[T]:
    """Values whose making reads files, each made in a thread."""
    iterator: Iterator[T] = iter(values)
    end = object()
    while (value := await asyncio.to_thread(next, iterator, end)) is not end:
        yield cast("T", value)


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls a function that reads or writes files."""
    return await asyncio.to_thread(function, *args, **kwargs)


async def open_socket(url: str, headers: dict[str, str], settings: Settings, proxied: bool) -> Socket:
    """A WebSocket, through the proxy that the settings or the environment name."""
    context = settings.ssl_context()
    secure = {"ssl": None if context is True else context} if url.startswith("wss:") else {}
    with translated_socket(url):
        return await _websockets.connect(
            url,
            additional_headers=headers,
            user_agent_header=None,
            compression=None,
            open_timeout=settings.timeouts.request,
            ping_interval=None,
            max_size=MAX_MESSAGE,
            proxy=(settings.proxy or True) if proxied else None,
            **secure,  # type: ignore[arg-type]
        )


async def next_message(socket: Socket) -> str | bytes | None:
    """The next message, or nothing once the socket is closed."""
    try:
        return await socket.recv()
    except PULL_ERRORS:
        return None
