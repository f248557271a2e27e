"""Directory trees as tar streams, without trust in what comes out of a sandbox."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
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
    """Writes a tar stream's entries below `root` and nowhere else; links and names that lead out are left out.

    `tarfile` has a filter for this, but not in every Python that is in use: Debian 12's is without.
    """
    root.mkdir(parents=True, exist_ok=True)
    base = root.resolve()
    entries, size, skipped = 0, 0, list[str]()
    with tarfile.open(fileobj=archive, mode="r|*") as content:
        for member in content:
            name = PurePosixPath(member.name)
            if not name.parts:
                continue
            target = base.joinpath(*name.parts)
            inside = ".." not in name.parts and _is_below(target.parent, base)
            if not inside or not _write(content, member, target, base):
                skipped.append(member.name)
                continue
            entries += 1
            size += member.size if member.isfile() else 0
    return Transferred(entries, size, tuple(skipped))


def _is_below(path: Path, base: Path) -> bool:
    """Whether a path leads into `base`, through whatever links there are by now."""
    return path.resolve().is_relative_to(base)


def _write(content: tarfile.TarFile, member: tarfile.TarInfo, target: Path, base: Path) -> bool:
    if member.isdir():
        return _make_directory(target)
    source = base.joinpath(*PurePosixPath(member.linkname).parts)
    if member.issym():
        link = Path(member.linkname)
        if link.is_absolute() or not _is_below(target.parent / link, base):
            return False
    elif member.islnk():
        if not _is_below(source, base) or source.is_symlink() or not source.is_file():
            return False
    elif not member.isfile():
        return False
    if not _make_directory(target.parent) or (target.is_dir() and not target.is_symlink()):
        return False
    target.unlink(missing_ok=True)
    if member.issym():
        target.symlink_to(member.linkname)
    elif member.islnk():
        target.hardlink_to(source)
    else:
        _copy(content, member, target)
    return True


def _make_directory(path: Path) -> bool:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        # A file or a link to nowhere has that name.
        return False
    return True


def _copy(content: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    # No set-id bits, nothing others may write, and the owner can read and write what is theirs.
    mode = member.mode & 0o755 | 0o600
    source = content.extractfile(member)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        if source is not None:
            shutil.copyfileobj(source, file, _CHUNK)
    os.utime(target, (member.mtime, member.mtime))
