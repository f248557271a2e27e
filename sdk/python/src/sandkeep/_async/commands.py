"""Commands: in the foreground with live output, or in the background."""

from __future__ import annotations

import builtins
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from .._api.execd import operations as execd
from .._api.execd.models import CommandStatusResponse, CommandSummary, RunCommandRequest
from .._glue.glue_async import Callback
from .._glue.shared import Source
from ..errors import ApiError, ConnectionFailed
from ..results import CommandResult, Logs
from .process import Process, write_stdin
from .transport import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

CURSOR_HEADER = "EXECD-COMMANDS-TAIL-CURSOR"


def millis(limit: float | timedelta | None) -> int | None:
    """A limit in whole milliseconds, at least one."""
    if limit is None:
        return None
    seconds = limit.total_seconds() if isinstance(limit, timedelta) else limit
    if seconds <= 0:
        raise ValueError(f"a time limit of {seconds} s is none: leave it out")
    return max(1, math.ceil(seconds * 1000))


class Command:
    """A command by its id, running or ended."""

    def __init__(self, http: Http, id: str) -> None:
        self._http = http
        self.id = id

    async def status(self) -> CommandStatusResponse:
        """What is known of it; kept for a day after its end."""
        return await self._http.call(execd.get_command_status(self.id))

    async def interrupt(self) -> None:
        """Ends it: SIGTERM, and three seconds later SIGKILL."""
        await self._http.call(execd.interrupt_command(id=self.id))

    async def logs(self, cursor: int = 0) -> Logs:
        """Output of a background command from byte `cursor` on."""
        response = await self._http.send(execd.get_background_command_logs(self.id, cursor=cursor))
        end = response.headers.get(CURSOR_HEADER)
        return Logs(response.text, int(end) if end else cursor + len(response.content))

    async def write(self, data: Source | AsyncIterable[bytes], *, close: bool = False) -> int:
        """Writes to the standard input of a command started with `stdin=True`, and returns how many bytes it took."""
        return await write_stdin(self._http, self.id, data, close=close)

    def attach(self, offset: int = 0) -> Process:
        """Follows its output, without the first `offset` bytes. Leaving does not interrupt it."""
        return Process(self._http, execd.attach_command(self.id, offset=offset or None), "nothing")

    async def wait(self) -> CommandResult:
        """Follows it to its end. Of a background command, both outputs are `stdout`."""
        return await self.attach().wait()


class Commands:
    """Running commands in a sandbox."""

    def __init__(self, http: Http) -> None:
        self._http = http

    async def run(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | timedelta | None = None,
        user: int | tuple[int, int] | None = None,
        stdin: Source | AsyncIterable[bytes] | None = None,
        check: bool = False,
        on_stdout: Callback[str] | None = None,
        on_stderr: Callback[str] | None = None,
    ) -> CommandResult:
        """Runs a command to its end.

        `command` is text for the shell, or a program and its arguments. `timeout` is in seconds, without one the
        command may take as long as it likes. `user` is a user id, or user and group id. `stdin` is what it reads.
        With `check`, a command that fails raises `CommandFailed`. The callbacks get output as it comes. If the caller
        is cancelled, the command is ended.
        """
        process = self.stream(command, cwd=cwd, env=env, timeout=timeout, user=user, stdin=stdin is not None)
        if stdin is not None:
            async with process:
                # A command may end without reading everything, as `head` does, which breaks the way to it at any point;
                # what is really wrong shows while waiting for its end.
                with suppress(ApiError, ConnectionFailed):
                    await process.write(stdin, close=True)
                result = await process.wait(on_stdout=on_stdout, on_stderr=on_stderr)
        else:
            result = await process.wait(on_stdout=on_stdout, on_stderr=on_stderr)
        return result.check() if check else result

    def stream(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | timedelta | None = None,
        user: int | tuple[int, int] | None = None,
        stdin: bool = False,
    ) -> Process:
        """Runs a command, and gives its output as it comes; it starts with the first event that is asked for."""
        request = self._request(command, cwd, env, timeout, user, stdin)
        return Process(self._http, execd.run_command(body=request), "interrupt")

    async def start(
        self,
        command: str | Sequence[str],
        *,
        cwd: str | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | timedelta | None = None,
        user: int | tuple[int, int] | None = None,
        stdin: bool = False,
    ) -> Command:
        """Starts a command in the background. Its output is kept: see `Command.logs` and `Command.attach`."""
        request = self._request(command, cwd, env, timeout, user, stdin)
        request.background = True
        process = Process(self._http, execd.run_command(body=request), "nothing")
        result = await process.wait()
        return Command(self._http, result.id)

    async def list(self, *, running: bool | None = None, limit: int | None = None) -> builtins.list[CommandSummary]:
        """Commands, the newest first."""
        return await self._http.call(execd.list_commands(running=running, limit=limit))

    def get(self, id: str) -> Command:
        """A command by its id."""
        return Command(self._http, id)

    @staticmethod
    def _request(
        command: str | Sequence[str],
        cwd: str | None,
        env: Mapping[str, str] | None,
        timeout: float | timedelta | None,
        user: int | tuple[int, int] | None,
        stdin: bool,
    ) -> RunCommandRequest:
        uid, gid = user if isinstance(user, tuple) else (user, None)
        return RunCommandRequest(
            command=command if isinstance(command, str) else None,
            argv=None if isinstance(command, str) else list(command),
            cwd=cwd,
            envs=dict(env) if env else None,
            timeout=millis(timeout),
            uid=uid,
            gid=gid,
            stdin=stdin or None,
        )
