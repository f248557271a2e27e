"""Terminals and tunnels: what goes over WebSockets."""

from __future__ import annotations

import json
import re
from collections import deque
from typing import Any, Literal

from .._api.execd import models
from .._api.execd import operations as execd
from .._glue.glue_async import Socket, attempt, next_message, open_socket, pending
from .._operation import Operation
from ..errors import ConnectionFailed, SandkeepError, refused
from .transport import Http

_STDIN = b"\0"
_STDERR = 2
_REPLAY = 3
_OFFSET_BYTES = 8
_NORMAL = 1000
_REFUSED = re.compile(r"answered the handshake with (\d{3})")
_STATUS = {"SESSION_GONE": 404, "ALREADY_CONNECTED": 409, "TAKEN_OVER": 409, "INVALID_FRAME": 400}


async def connect(http: Http, operation: Operation[Any]) -> Socket:
    """The WebSocket of an operation."""
    query = {name: value for name, value in (operation.query or {}).items() if value is not None}
    request = http.request(operation)
    url = str(request.url.copy_with(scheme="wss" if request.url.scheme == "https" else "ws", params=query or None))
    return await open_socket(url, http.headers, http.settings, not http.near)


def closed(socket: Socket, what: str) -> SandkeepError:
    """Why a socket closed. The server's proxy tells only there what the sandbox answered."""
    reason = socket.protocol.close_reason or ""
    refusal = _REFUSED.search(reason)
    if refusal:
        return refused(int(refusal[1]), f"HTTP_{refusal[1]}", f"{what}: {reason}", None)
    return ConnectionFailed(f"{what} was closed ({socket.protocol.close_code}) {reason}".rstrip())


class Terminal:
    """A program on a terminal. Iterating gives its output; as a context manager it ends with the block."""

    def __init__(self, http: Http, id: str, *, owned: bool) -> None:
        self._http = http
        self._owned = owned
        self._socket: Socket | None = None
        self._kept: deque[bytes] = deque()
        self._greeted = False
        self.id = id
        self.exit_code: int | None = None
        """Exit status, once the program has ended: 128 + N after signal N."""
        self.position = 0
        """Bytes of output seen, for attaching again with `since`."""

    async def attach(self, *, since: int | None = None, takeover: bool = False, pipes: bool = False) -> Terminal:
        """Connects. `takeover` replaces another client; `pipes` starts the program without a terminal."""
        operation = execd.pty_web_socket(
            self.id, since=since, takeover="1" if takeover else None, pty="0" if pipes else None
        )
        self._socket = await connect(self._http, operation)
        self._greeted = False
        self._kept.clear()
        while not self._greeted:
            message = await next_message(self._socket)
            if message is None:
                raise closed(self._socket, f"terminal {self.id}")
            if isinstance(message, str):
                self._told(models.PTYServerFrame.from_dict(json.loads(message)))
            else:
                self._kept.append(message)
        return self

    @property
    def _connected(self) -> Socket:
        if self._socket is None:
            raise SandkeepError("the terminal is not attached")
        return self._socket

    async def write(self, data: str | bytes) -> None:
        """Types."""
        await self._connected.send(_STDIN + (data.encode() if isinstance(data, str) else data))

    async def resize(self, cols: int, rows: int) -> None:
        """Says how large the terminal is."""
        await self._frame(models.PTYClientFrame(type_="resize", cols=cols, rows=rows))

    async def signal(self, name: Literal["SIGINT", "SIGTERM", "SIGKILL", "SIGQUIT", "SIGHUP"]) -> None:
        """Sends a signal to what runs in the foreground."""
        await self._frame(models.PTYClientFrame(type_="signal", signal=name))

    async def _frame(self, frame: models.PTYClientFrame) -> None:
        await self._connected.send(json.dumps(frame.to_dict()))

    def __aiter__(self) -> Terminal:
        return self

    async def __anext__(self) -> bytes:
        while True:
            message = self._kept.popleft() if self._kept else await next_message(self._connected)
            if message is None:
                raise StopAsyncIteration
            if isinstance(message, str):
                self._told(models.PTYServerFrame.from_dict(json.loads(message)))
            elif output := self._output(message):
                return output

    def _output(self, message: bytes) -> bytes:
        output = message[1:]
        if message[0] == _REPLAY:
            self.position = int.from_bytes(output[:_OFFSET_BYTES], "big")
            output = output[_OFFSET_BYTES:]
        self.position += len(output)
        return output

    def _told(self, frame: models.PTYServerFrame) -> None:
        match frame.type_:
            case "connected":
                self._greeted = True
            case "exit":
                self.exit_code = frame.exit_code
            case "error":
                # Said inside the WebSocket, as the contract has it; the status is what HTTP would have said.
                status = _STATUS.get(frame.code or "", 500)
                raise refused(status, frame.code or "RUNTIME_ERROR", frame.error or "", None)
            case _:
                pass

    async def read_until(self, text: str | bytes) -> bytes:
        """Output up to and including the piece in which `text` is complete, or to the end."""
        wanted = text.encode() if isinstance(text, str) else text
        seen = b""
        async for piece in self:
            seen += piece
            if wanted in seen:
                break
        return seen

    async def status(self) -> models.PTYSessionStatusResponse:
        """Whether the program runs, and how much it has written."""
        return await self._http.call(execd.get_pty_session(self.id))

    async def detach(self) -> None:
        """Leaves the program running; `attach` comes back to it."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def delete(self) -> None:
        """Ends the program."""
        await self._http.call(execd.delete_pty_session(self.id))

    async def __aenter__(self) -> Terminal:
        return self

    async def __aexit__(self, *error: object) -> None:
        limit = self._http.settings.timeouts.cleanup
        await attempt(self.detach, limit)
        if self._owned:
            await attempt(self.delete, limit)


class Terminals:
    """Terminals of a sandbox."""

    def __init__(self, http: Http) -> None:
        self._http = http

    @pending
    async def create(
        self, command: str | None = None, *, cwd: str | None = None, cols: int = 80, rows: int = 24, pipes: bool = False
    ) -> Terminal:
        """Starts an interactive shell, or a command, on a terminal of this size and attaches to it."""
        request = models.CreatePTYSessionRequest(command=command, cwd=cwd)
        made = await self._http.call(execd.create_pty_session(body=request))
        terminal = Terminal(self._http, made.session_id, owned=True)
        await terminal.attach(pipes=pipes)
        if not pipes:
            await terminal.resize(cols, rows)
        return terminal

    @pending
    async def attach(self, id: str, *, since: int | None = None, takeover: bool = False) -> Terminal:
        """Comes back to a terminal; leaving does not end its program."""
        return await Terminal(self._http, id, owned=False).attach(since=since, takeover=takeover)


class Tunnel:
    """A TCP connection to a port of a sandbox. Bounds of messages mean nothing."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._ended = False

    async def send(self, data: bytes) -> None:
        """Sends."""
        for start in range(0, len(data), 65536):
            await self._socket.send(data[start : start + 65536])

    async def send_eof(self) -> None:
        """Says that no more is sent; what the other side still sends can be read."""
        await self._socket.send(b"")

    async def receive(self) -> bytes:
        """The next bytes; empty once the other side has ended."""
        if self._ended:
            return b""
        message = await next_message(self._socket)
        if message is None:
            code = self._socket.protocol.close_code
            if code not in (None, _NORMAL):
                raise closed(self._socket, "the tunnel")
        self._ended = not message
        return message.encode() if isinstance(message, str) else message or b""

    async def aclose(self) -> None:
        """Breaks the connection."""
        await self._socket.close()

    async def __aenter__(self) -> Tunnel:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()
