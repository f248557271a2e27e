"""What commands, code and files turn out to be."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from ._api.execd import models
from .errors import CodeFailed, CommandFailed

_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
TIMED_OUT = -1
"""Exit code of a command that its time limit ended."""
NEVER_STARTED = 255
"""Exit code of a command that could not be started."""


@dataclass(slots=True)
class Event:
    """Something a command or code did, as it happened."""

    kind: Literal["stdout", "stderr", "result", "error"]
    text: str = ""
    """Output with its own line ends; a result's plain text; an error's message."""
    result: Rich | None = None
    """With `result`: the value."""
    offset: int | None = None
    """With output of a command attached to: where in the whole output it ends, in bytes."""


@dataclass(slots=True)
class CommandResult:
    """What a command did."""

    id: str = ""
    """The command's id."""
    exit_code: int = TIMED_OUT
    """Exit status: 128 + N after signal N, -1 when its time limit ended it, 255 when it could not start."""
    stdout: str = ""
    stderr: str = ""
    timed_out: bool = False
    """Whether its time limit ended it."""
    duration: float | None = None
    """Seconds it took, to the millisecond."""
    error: str | None = None
    """Why it could not start, if it could not."""

    @property
    def ok(self) -> bool:
        """Whether it ended with exit status 0."""
        return self.exit_code == 0

    def check(self) -> CommandResult:
        """The result itself, or `CommandFailed` unless it is good."""
        if not self.ok:
            raise CommandFailed(self)
        return self


@dataclass(slots=True)
class Rich:
    """A value in the forms the code gave it. Shows itself in a notebook."""

    data: dict[str, Any]
    """By MIME type; images and other bytes are base64."""

    @property
    def text(self) -> str:
        """As plain text."""
        value = self.data.get("text/plain", "")
        return value if isinstance(value, str) else str(value)

    @property
    def html(self) -> str | None:
        """As HTML, if it has that form."""
        return self.data.get("text/html")

    @property
    def json(self) -> Any:
        """As JSON, if it has that form."""
        return self.data.get("application/json")

    @property
    def png(self) -> bytes | None:
        """As PNG image, if it has that form."""
        return self.bytes("image/png")

    def bytes(self, mime: str) -> bytes | None:
        """One form as bytes: base64 is undone for images."""
        value = self.data.get(mime)
        if value is None:
            return None
        return base64.b64decode(value) if mime in _IMAGES else str(value).encode()

    def __str__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        chosen = {mime: value for mime, value in self.data.items() if not include or mime in include}
        return {mime: value for mime, value in chosen.items() if not exclude or mime not in exclude}


@dataclass(slots=True)
class CodeError:
    """An error that code raised."""

    name: str
    """The exception's class."""
    value: str
    """Its message."""
    traceback: list[str] = field(default_factory=list[str])
    """Where it happened, one entry a line."""

    def __str__(self) -> str:
        return f"{self.name}: {self.value}" if self.value else self.name


@dataclass(slots=True)
class CodeResult:
    """What code did. Shows its results in a notebook."""

    context: str = ""
    """Id of the context it ran in."""
    results: list[Rich] = field(default_factory=list[Rich])
    """The values it showed, in order; the last expression's value is the last."""
    stdout: str = ""
    stderr: str = ""
    error: CodeError | None = None
    """How it failed, if it did."""
    timed_out: bool = False
    duration: float | None = None
    """Seconds it took, to the millisecond."""
    count: int | None = None
    """Number of this run in its context, from 1."""

    @property
    def ok(self) -> bool:
        """Whether it ended without an error."""
        return self.error is None

    @property
    def text(self) -> str | None:
        """Plain text of the last value."""
        return self.results[-1].text if self.results else None

    def check(self) -> CodeResult:
        """The result itself, or `CodeFailed` if the code raised."""
        if not self.ok:
            raise CodeFailed(self)
        return self

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        if len(self.results) == 1 and not (self.stdout or self.stderr or self.error):
            return self.results[0]._repr_mimebundle_(include, exclude)  # pyright: ignore[reportPrivateUsage]
        plain = [self.stdout, self.stderr, *(result.text for result in self.results)]
        rich = [f"<pre>{html.escape(text)}</pre>" for text in (self.stdout, self.stderr) if text]
        for result in self.results:
            image = next((mime for mime in _IMAGES if mime in result.data), None)
            if image:
                rich.append(f'<img src="data:{image};base64,{result.data[image]}">')
            else:
                rich.append(result.html or f"<pre>{html.escape(result.text)}</pre>")
        if self.error:
            lines = "\n".join(self.error.traceback) or str(self.error)
            plain.append(lines)
            rich.append(f"<pre>{html.escape(lines)}</pre>")
        return {"text/plain": "\n".join(text for text in plain if text), "text/html": "\n".join(rich)}


@dataclass(slots=True, frozen=True)
class FileInfo:
    """What is known of a file, directory or other entry in a sandbox."""

    path: str
    type: str
    """`file`, `directory`, `symlink` or `other`; links are not followed."""
    size: int
    """Bytes."""
    mode: int
    """Permission bits, such as 0o644."""
    owner: str
    group: str
    modified_at: datetime
    created_at: datetime

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return self.type == "directory"

    @classmethod
    def of(cls, info: models.FileInfo) -> FileInfo:
        """From the document's type, which writes modes as decimal numbers."""
        mode = int(str(info.mode), 8)
        kind = info.type_ or "file"
        return cls(info.path, kind, info.size, mode, info.owner, info.group, info.modified_at, info.created_at)


@dataclass(slots=True, frozen=True)
class Logs:
    """Output of a background command from some point on."""

    text: str
    """Standard output and standard error as they came."""
    cursor: int
    """Where to go on reading, in bytes."""


@dataclass(slots=True, frozen=True)
class Preview:
    """Where a port of a sandbox is reached from outside."""

    url: str
    headers: Mapping[str, str]
    """What every request must carry; empty if the address alone is enough."""


@dataclass(slots=True, frozen=True)
class Transferred:
    """A directory tree that was copied."""

    entries: int
    """Files, directories and links."""
    bytes: int
    """Bytes of the files' content."""
    skipped: tuple[str, ...] = ()
    """Names that were left out: links out of the tree, devices."""
