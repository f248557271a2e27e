# Generated from ../_async by `cargo xtask sdk`; do not edit.
"""Sending operations, and reading what comes back."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, cast

import httpx

from .._glue.glue_sync import sleep
from .._glue.shared import refusal, translated
from .._operation import Operation
from .._sse import Parser
from .._version import __version__
from ..errors import ConnectionFailed
from ..settings import Settings

T = TypeVar("T")

_BUSY = {502, 503, 504}
"""Answers after which a request that changes nothing is worth repeating."""
_FIRST_PAUSE = 0.1
"""Seconds before the first repetition; doubled for each further one."""


class Pool:
    """Connections of one client: to the server, and to sandboxes at their own addresses."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._context = settings.ssl_context()
        self._near: httpx.Client | None = None
        self.far = self._make(trust_env=True, proxy=settings.proxy)

    def _make(self, *, trust_env: bool, proxy: str | None) -> httpx.Client:
        limit = self.settings.timeouts
        return httpx.Client(
            verify=self._context,
            trust_env=trust_env,
            proxy=proxy,
            timeout=httpx.Timeout(limit.request, connect=limit.connect),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=100),
            headers={"user-agent": f"sandkeep-python/{__version__}"},
        )

    @property
    def near(self) -> httpx.Client:
        """Without proxies: no sandbox's own address is behind one."""
        if self._near is None:
            self._near = self._make(trust_env=False, proxy=None)
        return self._near

    def close(self) -> None:
        """Closes all connections."""
        self.far.close()
        if self._near is not None:
            self._near.close()


class Http:
    """One address, and the headers that every request to it carries."""

    def __init__(self, pool: Pool, url: str, headers: Mapping[str, str], *, near: bool = False) -> None:
        self.pool = pool
        self.url = url.rstrip("/")
        self.headers = dict(headers)
        self.near = near
        self._client = pool.near if near else pool.far

    @property
    def settings(self) -> Settings:
        """The client's settings."""
        return self.pool.settings

    def request(
        self,
        operation: Operation[Any],
        content: Any = None,
        headers: Mapping[str, str] | None = None,
        silence: float = 0,
    ) -> httpx.Request:
        """The request of an operation, its body from the operation or from `content`."""
        all_headers = self.headers
        if operation.headers or headers:
            own = ((name, str(value)) for name, value in (operation.headers or {}).items() if value is not None)
            all_headers = {**self.headers, **dict(own), **(headers or {})}
        limit = self.settings.timeouts
        query = operation.query and {name: value for name, value in operation.query.items() if value is not None}
        return self._client.build_request(
            operation.method,
            self.url + operation.path,
            params=query or None,
            json=operation.json,
            content=content,
            headers=all_headers,
            timeout=httpx.Timeout(silence, connect=limit.connect) if silence else httpx.USE_CLIENT_DEFAULT,
        )

    def open(self, request: httpx.Request) -> httpx.Response:
        """Sends, and returns the answer once its headers are there; a refusal is an error."""
        with translated(self.url):
            response = self._client.send(request, stream=True)
            if response.status_code >= 400 or 300 <= response.status_code < 400:
                try:
                    body = response.read()
                finally:
                    response.close()
                text = body.decode(errors="replace")
                raise refusal(response.status_code, text, response.headers.get("x-request-id"))
            return response

    def send(
        self,
        operation: Operation[Any],
        content: Any = None,
        headers: Mapping[str, str] | None = None,
        silence: float = 0,
        repeat: bool = False,
    ) -> httpx.Response:
        """Sends and reads the whole answer. Only what changes nothing, or says so, is ever repeated."""
        repeat = repeat or operation.method in ("GET", "HEAD")
        pause = _FIRST_PAUSE
        for left in reversed(range(self.settings.retries + 1 if repeat else 1)):
            request = self.request(operation, content, headers, silence)
            try:
                with translated(self.url):
                    response = self._client.send(request)
            except ConnectionFailed:
                if not left:
                    raise
            else:
                status = response.status_code
                if 200 <= status < 300:
                    return response
                if not (left and status in _BUSY):
                    raise refusal(status, response.text, response.headers.get("x-request-id"))
            sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    def call(self, operation: Operation[T], *, content: Any = None, silence: float = 0, repeat: bool = False) -> T:
        """Sends, and reads the answer as the document says."""
        response = self.send(operation, content, None, silence, repeat)
        match operation.kind:
            case "json":
                data = response.json()
                return cast("T", operation.load(data) if operation.load else data)
            case "text":
                return cast("T", response.text)
            case "bytes":
                return cast("T", response.content)
            case _:
                return cast("T", None)

    def events(self, operation: Operation[T], silence: float = 0) -> EventStream[T]:
        """Sends once, and follows the events of the answer."""
        silence = silence or self.settings.timeouts.idle
        request = self.request(operation, None, {"accept": "text/event-stream"}, silence)
        return EventStream(self.url, self.open(request), operation)

    def download(
        self, operation: Operation[Any], headers: Mapping[str, str] | None = None, silence: float = 0
    ) -> ByteStream:
        """Sends, and reads the answer's bytes as they come."""
        silence = silence or self.settings.timeouts.idle
        return ByteStream(self.url, self.open(self.request(operation, None, headers, silence)))

    def passed(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request of the caller's own making; whatever is answered is returned."""
        headers = {**self.headers, **dict(options.pop("headers", None) or {})}
        with translated(self.url):
            return self._client.request(method, self.url + path, headers=headers, **options)


class EventStream(Generic[T]):
    """Events as they come."""

    def __init__(self, url: str, response: httpx.Response, operation: Operation[T]) -> None:
        self._url = url
        self._response = response
        self._operation = operation
        self._chunks = response.iter_bytes()
        self._parser = Parser()
        self._ready: deque[bytes] = deque()

    def __iter__(self) -> EventStream[T]:
        return self

    def __next__(self) -> T:
        while not self._ready:
            with translated(self._url):
                chunk = self._chunks.__next__()
            self._ready.extend(self._parser.feed(chunk))
        data = json.loads(self._ready.popleft())
        return cast("T", self._operation.load(data) if self._operation.load else data)

    def close(self) -> None:
        """Leaves the stream."""
        self._response.close()

    def __enter__(self) -> EventStream[T]:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class ByteStream:
    """Content as it comes. Iterate over it, or read all that is left."""

    def __init__(self, url: str, response: httpx.Response) -> None:
        self._url = url
        self._response = response
        self._chunks = response.iter_bytes()
        length = response.headers.get("content-length")
        self.length: int | None = int(length) if length else None
        """Bytes that will come, if known."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers."""
        return self._response.headers

    def __iter__(self) -> ByteStream:
        return self

    def __next__(self) -> bytes:
        with translated(self._url):
            return self._chunks.__next__()

    def read(self) -> bytes:
        """Everything that is left."""
        return b"".join([piece for piece in self])

    def close(self) -> None:
        """Leaves the stream."""
        self._response.close()

    def __enter__(self) -> ByteStream:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
