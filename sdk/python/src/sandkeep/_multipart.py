"""The form that carries files: `metadata` and `file` parts in turn."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import IO, Any, cast

from ._glue.shared import Source


def boundary() -> str:
    """A line that no content has."""
    return f"sandkeep-{secrets.token_hex(16)}"


def head(boundary: str, path: str, permission: dict[str, Any]) -> bytes:
    """What goes before a file's content."""
    name = path.rsplit("/", 1)[-1].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "%0A").replace("\r", "%0D")
    metadata = json.dumps({"path": path, **permission})
    lines = (
        f"--{boundary}",
        'Content-Disposition: form-data; name="metadata"; filename="metadata"',
        "Content-Type: application/json",
        "",
        metadata,
        f"--{boundary}",
        f'Content-Disposition: form-data; name="file"; filename="{name}"',
        "Content-Type: application/octet-stream",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def tail(boundary: str) -> bytes:
    """What ends the form."""
    return f"--{boundary}--\r\n".encode()


AFTER_FILE = b"\r\n"


def size_of(source: Any) -> int | None:
    """Bytes of a source, where that can be known beforehand."""
    if isinstance(source, str):
        return len(source.encode())
    if isinstance(source, (bytes, bytearray)):
        return len(source)
    if isinstance(source, memoryview):
        return source.nbytes
    if isinstance(source, Path):
        return source.stat().st_size
    if hasattr(source, "seek") and hasattr(source, "tell"):
        file = cast("IO[bytes]", source)
        try:
            here = file.tell()
            end = file.seek(0, 2)
            file.seek(here)
        except OSError:
            return None
        return end - here
    return None


__all__ = ["AFTER_FILE", "Source", "boundary", "head", "size_of", "tail"]
