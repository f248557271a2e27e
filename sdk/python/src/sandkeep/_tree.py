"""Directory trees as tar streams, without trust in what comes out of a sandbox."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from .results import Transferred

_CHUNK = 256 * 1024
_BLOCK = 512
_END = b"\0" * (2 * _BLOCK)


def total_size(root: Path) -> int:
    """Bytes of all files' content below `root`."""
    return sum(path.lstat().st_size for path in _walk(root) if path.is_file() and not path.is_symlink())


def pack(root: Path, counted: list[int]) -> Iterator[bytes]:
    """A tar stream of everything below `root`, made while it is read; `counted` collects each file's size.

    Owners are left out: what is unpacked belongs to whoever unpacks it. Sockets and devices are passed over.
    """
    with tarfile.TarFile(fileobj=io.BytesIO(), mode="w", format=tarfile.PAX_FORMAT) as frame:
        for path in _walk(root):
            member = frame.gettarinfo(path, arcname=path.relative_to(root).as_posix())
            if not (member.isfile() or member.isdir() or member.issym()):
                # A second name of a file is sent as a file: content by link needs the order kept.
                if not member.islnk():
                    continue
                member.type, member.size = tarfile.REGTYPE, path.stat().st_size
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            yield member.tobuf(tarfile.PAX_FORMAT)
            if member.isfile():
                yield from _content(path, member.size)
            counted.append(member.size if member.isfile() else 0)
    yield _END


def _content(path: Path, size: int) -> Iterator[bytes]:
    left = size
    with path.open("rb") as file:
        while left and (piece := file.read(min(left, _CHUNK))):
            left -= len(piece)
            yield piece
    if left:
        raise OSError(f"{path} became shorter while it was read")
    if size % _BLOCK:
        yield b"\0" * (_BLOCK - size % _BLOCK)


def _walk(root: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(root):
        names.sort()
        linked = [name for name in names if Path(directory, name).is_symlink()]
        for name in [*names, *sorted(files)]:
            yield Path(directory, name)
        names[:] = [name for name in names if name not in linked]


def unpack(archive: IO[bytes], root: Path) -> Transferred:
    """Writes a tar stream's entries below `root` and nowhere else; links and names that lead out are left out."""
    if not hasattr(tarfile, "data_filter"):
        raise RuntimeError("unpacking safely needs Python 3.10.12, 3.11.4 or newer")
    root.mkdir(parents=True, exist_ok=True)
    entries, size, skipped = 0, 0, list[str]()
    with tarfile.open(fileobj=archive, mode="r|*") as content:
        for member in content:
            try:
                content.extract(member, root, filter="data")
            except (tarfile.FilterError, KeyError):
                skipped.append(member.name)
                continue
            entries += member.name not in (".", "./")
            size += member.size if member.isfile() else 0
    return Transferred(entries, size, tuple(skipped))
