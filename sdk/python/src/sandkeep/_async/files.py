"""Files and directories in a sandbox."""

from __future__ import annotations

import builtins
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

from .. import _multipart, _tree
from .._api.execd import operations as execd
from .._api.execd.models import Permission, RenameFileItem, ReplaceFileContentItem, WatchEvent
from .._glue.glue_async import in_thread, pending, pieces, stepwise
from .._glue.shared import Source
from .._operation import Operation
from ..errors import NotFound
from ..results import FileInfo, Transferred
from .transport import ByteStream, EventStream, Http

Progress = Callable[[int, "int | None"], None]
"""Called with the bytes moved so far, and with how many there will be if that is known."""


def permission(mode: int | None, owner: str | int | None, group: str | int | None) -> Permission:
    """What the document wants: modes as decimal numbers, names as text."""
    return Permission(
        mode=None if mode is None else int(f"{mode:o}"),
        owner=None if owner is None else str(owner),
        group=None if group is None else str(group),
    )


class Files:
    """Files by absolute path; `~` and `$NAME` are expanded in the sandbox. Modes are bits, such as 0o644."""

    def __init__(self, http: Http, scope: str = "", subject: tuple[Any, ...] = ()) -> None:
        self._http = http
        self._scope = scope
        self._subject = subject

    def _operation(self, name: str, **arguments: Any) -> Operation[Any]:
        """The operation of the sandbox, of a user, or of an isolated session."""
        return getattr(execd, self._scope + name)(*self._subject, **arguments)

    async def read(self, path: str) -> bytes:
        """The content of a file."""
        async with self.open(path) as stream:
            return await stream.read()

    async def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """The content of a file, as text."""
        return (await self.read(path)).decode(encoding)

    async def read_range(self, path: str, start: int, end: int) -> bytes:
        """Bytes `start` to `end`, without the one at `end`."""
        headers = {"range": f"bytes={start}-{end - 1}"}
        stream = await self._http.download(self._operation("download_file", path=path), headers)
        async with stream:
            return await stream.read()

    async def read_lines(self, path: str, first: int = 1, count: int | None = None) -> str:
        """Lines of a text file, counted from 1."""
        operation = self._operation("download_file", path=path, offset=first, limit=count)
        async with await self._http.download(operation) as stream:
            return (await stream.read()).decode()

    @pending
    async def open(self, path: str) -> ByteStream:
        """The content of a file as it comes."""
        return await self._http.download(self._operation("download_file", path=path))

    async def download(self, path: str, to: str | Path, *, progress: Progress | None = None) -> int:
        """Copies a file out of the sandbox, and returns how many bytes it has."""
        done = 0
        async with self.open(path) as stream:
            with await in_thread(Path(to).open, "wb") as file:
                async for piece in stream:
                    await in_thread(file.write, piece)
                    done += len(piece)
                    if progress:
                        progress(done, stream.length)
        return done

    async def write(
        self,
        path: str,
        content: Source | AsyncIterable[bytes],
        *,
        mode: int | None = None,
        owner: str | int | None = None,
        group: str | int | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Writes a file, all at once at the end: text, bytes, a local `Path`, an open file or pieces as they come."""
        await self._upload({path: content}, permission(mode, owner, group), progress)

    async def write_many(self, files: Mapping[str, Source | AsyncIterable[bytes]], *, mode: int | None = None) -> None:
        """Writes several files by their paths: all of them or, if anything fails, none."""
        await self._upload(files, permission(mode, None, None), None)

    async def upload(
        self, local: str | Path, path: str, *, mode: int | None = None, progress: Progress | None = None
    ) -> None:
        """Copies a local file into the sandbox."""
        await self.write(path, Path(local), mode=mode, progress=progress)

    async def _upload(
        self,
        files: Mapping[str, Source | AsyncIterable[bytes]],
        permission: Permission,
        progress: Progress | None,
    ) -> None:
        line = _multipart.boundary()
        sizes = [_multipart.size_of(content) for content in files.values()]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        heads = [_multipart.head(line, path, permission.to_dict()) for path in files]
        headers = {"content-type": f"multipart/form-data; boundary={line}"}
        if total is not None:
            framing = sum(len(head) + len(_multipart.AFTER_FILE) for head in heads) + len(_multipart.tail(line))
            headers["content-length"] = str(total + framing)

        async def form() -> AsyncIterator[bytes]:
            done = 0
            for head, content in zip(heads, files.values(), strict=True):
                yield head
                async for piece in pieces(content):
                    yield piece
                    done += len(piece)
                    if progress:
                        progress(done, total)
                yield _multipart.AFTER_FILE
            yield _multipart.tail(line)

        await self._http.send(self._operation("upload_file"), form(), headers)

    async def list(self, path: str, *, depth: int | None = None) -> builtins.list[FileInfo]:
        """What is in a directory, down to `depth` levels (1 by default)."""
        found = await self._http.call(self._operation("list_directory", path=path, depth=depth))
        return [FileInfo.of(info) for info in found]

    async def info(self, path: str) -> FileInfo:
        """What is known of one file or directory; `NotFound` if it is not there."""
        found = await self._http.call(self._operation("get_files_info", path=[path]))
        return FileInfo.of(next(iter(found.values())))

    async def info_many(self, *paths: str) -> dict[str, FileInfo]:
        """What is known of several, by their paths."""
        found = await self._http.call(self._operation("get_files_info", path=builtins.list(paths)))
        return {path: FileInfo.of(info) for path, info in found.items()}

    async def exists(self, path: str) -> bool:
        """Whether there is anything at a path."""
        try:
            await self.info(path)
        except NotFound:
            return False
        return True

    async def search(self, path: str, pattern: str | None = None) -> builtins.list[FileInfo]:
        """Files at any depth below a directory whose name matches a glob."""
        found = await self._http.call(self._operation("search_files", path=path, pattern=pattern))
        return [FileInfo.of(info) for info in found]

    async def remove(self, *paths: str) -> None:
        """Deletes files."""
        await self._http.call(self._operation("remove_files", path=builtins.list(paths)))

    async def move(self, source: str, to: str) -> None:
        """Moves or renames a file or directory."""
        await self._http.call(self._operation("rename_files", body=[RenameFileItem(src=source, dest=to)]))

    async def chmod(
        self, path: str, mode: int | None = None, *, owner: str | int | None = None, group: str | int | None = None
    ) -> None:
        """Sets mode, owner and group; what is left out stays."""
        await self._http.call(self._operation("chmod_files", body={path: permission(mode, owner, group)}))

    async def replace(self, path: str, old: str, new: str) -> int:
        """Replaces text in a file, all at once, and returns how often it was there."""
        item = ReplaceFileContentItem(old=old, new=new)
        counts = await self._http.call(self._operation("replace_content", body={path: item}, verbose=True))
        return next(iter(counts.values())).replaced_count

    async def mkdir(
        self,
        *paths: str,
        mode: int | None = None,
        owner: str | int | None = None,
        group: str | int | None = None,
    ) -> None:
        """Makes directories and those above them; existing ones are fine."""
        rights = permission(mode, owner, group)
        await self._http.call(self._operation("make_dirs", body=dict.fromkeys(paths, rights)))

    async def rmtree(self, *paths: str) -> None:
        """Deletes directories with all that is in them; missing ones are passed over."""
        await self._http.call(self._operation("remove_dirs", path=builtins.list(paths)))


class SandboxFiles(Files):
    """The sandbox's files, and whole trees of them."""

    def as_user(self, uid: int, gid: int) -> Files:
        """The same files with this user's rights."""
        return Files(self._http, "identity_", (uid, gid))

    async def upload_tree(self, local: str | Path, path: str, *, progress: Progress | None = None) -> Transferred:
        """Copies what is in a local directory into a directory of the sandbox, beside what is there."""
        root = Path(local)
        total = await in_thread(_tree.total_size, root) if progress else None
        counted: builtins.list[int] = []

        async def archive() -> AsyncIterator[bytes]:
            async for piece in stepwise(_tree.pack(root, counted)):
                yield piece
                if progress:
                    progress(sum(counted), total)

        operation = execd.put_directory_archive(path=path)
        headers = {"content-type": "application/x-tar"}
        limit = self._http.settings.timeouts.create
        summary = operation.load((await self._http.send(operation, archive(), headers, limit)).json())  # type: ignore[misc]
        return Transferred(summary.entries, summary.bytes_)

    async def download_tree(self, path: str, local: str | Path, *, progress: Progress | None = None) -> Transferred:
        """Copies what is in a directory of the sandbox into a local one.

        Nothing is written outside it: names and links that lead out are left out, and named in the answer.
        """
        done = 0
        with tempfile.TemporaryFile() as spool:
            async with await self._http.download(execd.get_directory_archive(path=path)) as stream:
                async for piece in stream:
                    await in_thread(spool.write, piece)
                    done += len(piece)
                    if progress:
                        progress(done, stream.length)
            spool.seek(0)
            return await in_thread(_tree.unpack, spool, Path(local))

    @pending
    async def watch(self, path: str, *, recursive: bool = False) -> EventStream[WatchEvent]:
        """Changes in a directory as they happen; a `ping` now and then says that the watch goes on."""
        return await self._http.events(execd.watch_directory(path=path, recursive=recursive))
