"""A client of the server that `SANDKEEP_URL` and `OPEN_SANDBOX_API_KEY` name, and a record of what is asked of it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import sandkeep
from sandkeep import Client, Sandbox, Timeouts
from sandkeep import sync as blocking
from sandkeep._glue import glue_async, glue_sync

PATIENT = Timeouts(connect=60, request=120, ready=120, idle=120, cleanup=60)
"""No test may fail because the machine is slow."""
LIMIT = 200
"""Seconds after which a test hangs. What tests start and mean to end themselves would go on for longer."""
IMAGE = "sandkeep/base:latest"
ROOT = Path(__file__).resolve().parents[3]

asked: set[tuple[str, str]] = set()
"""Method and path of every request of this run."""


def _note(method: str, url: str) -> None:
    asked.add((method, urlsplit(url).path))


@pytest.fixture(scope="session", autouse=True)
def _record() -> Iterator[None]:
    """Notes requests where they leave the package."""
    with pytest.MonkeyPatch.context() as patch:
        for client in (httpx.AsyncClient, httpx.Client):
            send = client.send

            def noting(self: object, request: httpx.Request, *, _send: object = send, **options: object) -> object:
                _note(request.method, str(request.url))
                return _send(self, request, **options)  # type: ignore[operator]

            patch.setattr(client, "send", noting)
        for glue in (glue_async, glue_sync):
            connect = glue._websockets.connect

            def connecting(url: str, *, _connect: object = connect, **options: object) -> object:
                _note("GET", url)
                return _connect(url, **options)  # type: ignore[operator]

            patch.setattr(glue._websockets, "connect", connecting)
        yield


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
async def client(anyio_backend: str) -> AsyncIterator[Client]:
    async with Client(timeouts=PATIENT) as client:
        yield client


@pytest.fixture(scope="session")
async def sb(client: Client) -> AsyncIterator[Sandbox]:
    """A sandbox for tests that leave it as it was."""
    async with Sandbox.create(IMAGE, client=client, isolation=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def blocking_sb() -> Iterator[blocking.Sandbox]:
    with blocking.Client(timeouts=PATIENT) as client:
        with blocking.Sandbox.create(IMAGE, isolation=True, client=client) as sandbox:
            yield sandbox


@pytest.fixture
def place(request: pytest.FixtureRequest) -> str:
    """A path in the sandbox that no other test uses."""
    return "/tmp/" + re.sub(r"\W+", "-", request.node.name)


def _hangs(*_: object) -> None:
    with contextlib.suppress(RuntimeError):
        for task in asyncio.all_tasks(asyncio.get_running_loop()):
            task.print_stack(file=sys.stderr)
    pytest.fail(f"takes longer than {LIMIT} s")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None]:
    """Fails a test that hangs, and says what it waits for."""
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(LIMIT)
    try:
        return (yield)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def pytest_report_header() -> str:
    return f"sandkeep {sandkeep.__version__} from {sandkeep.__file__}"
