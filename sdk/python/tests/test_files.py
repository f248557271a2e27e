from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sandkeep import NotFound, Sandbox, Unauthorized

pytestmark = pytest.mark.anyio


async def test_text_and_bytes(sb: Sandbox, place: str) -> None:
    await sb.files.write(place, "grüße\n", mode=0o640)
    assert await sb.files.read_text(place) == "grüße\n"
    assert await sb.files.read(place) == "grüße\n".encode()
    info = await sb.files.info(place)
    assert (info.type, info.size, oct(info.mode), info.owner, info.is_dir) == ("file", 8, "0o640", "root", False)


async def test_parts_of_a_file(sb: Sandbox, place: str) -> None:
    await sb.files.write(place, "one\ntwo\nthree\n")
    assert await sb.files.read_range(place, 4, 7) == b"two"
    assert await sb.files.read_lines(place, 2, 1) == "two"


async def test_every_kind_of_content(sb: Sandbox, place: str, tmp_path: Path) -> None:
    content = os.urandom(700_000)
    (tmp_path / "local").write_bytes(content)

    async def come() -> AsyncIterator[bytes]:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    for number, source in enumerate((content, bytearray(content), tmp_path / "local", io.BytesIO(content), come())):
        await sb.files.write(f"{place}-{number}", source)
        assert await sb.files.read(f"{place}-{number}") == content, source


async def test_progress_both_ways(sb: Sandbox, place: str, tmp_path: Path) -> None:
    content, up, down = os.urandom(900_000), list[tuple[int, int | None]](), list[tuple[int, int | None]]()
    (tmp_path / "local").write_bytes(content)
    await sb.files.upload(tmp_path / "local", place, progress=lambda *step: up.append(step))
    size = await sb.files.download(place, tmp_path / "back", progress=lambda *step: down.append(step))
    assert (tmp_path / "back").read_bytes() == content and size == len(content)
    for steps in (up, down):
        assert steps[-1] == (900_000, 900_000) and steps == sorted(steps)


async def test_streams(sb: Sandbox, place: str) -> None:
    await sb.run(f"head -c 3000000 /dev/zero > {place}")
    size = 0
    async with sb.files.open(place) as stream:
        async for piece in stream:
            size += len(piece)
    assert size == 3_000_000


async def test_several_files_or_none(sb: Sandbox, place: str) -> None:
    await sb.files.write_many({f"{place}/a": "1", f"{place}/b": b"2"})
    assert sorted(await sb.files.info_many(f"{place}/a", f"{place}/b")) == [f"{place}/a", f"{place}/b"]

    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        await sb.files.write_many({f"{place}/c": "3", f"{place}/d": broken()})
    assert not await sb.files.exists(f"{place}/c") and not await sb.files.exists(f"{place}/d")


async def test_directories_names_and_rights(sb: Sandbox, place: str) -> None:
    files = sb.files
    await files.mkdir(f"{place}/deep/er", mode=0o750)
    await files.write(f"{place}/deep/er/x.txt", "a-a")
    assert [one.path for one in await files.search(place, "*.txt")] == [f"{place}/deep/er/x.txt"]
    assert {one.path for one in await files.list(place, depth=2)} == {f"{place}/deep", f"{place}/deep/er"}
    assert await files.replace(f"{place}/deep/er/x.txt", "a", "b") == 2
    await files.move(f"{place}/deep/er/x.txt", f"{place}/y.txt")
    await files.chmod(f"{place}/y.txt", 0o600, owner=1000, group=1000)
    info = await files.info(f"{place}/y.txt")
    assert (oct(info.mode), info.owner) == ("0o600", "1000")
    await files.remove(f"{place}/y.txt")
    assert not await files.exists(f"{place}/y.txt")
    await files.rmtree(place)
    with pytest.raises(NotFound):
        await files.info(place)


async def test_as_another_user(sb: Sandbox, place: str) -> None:
    files = sb.files.as_user(1234, 1234)
    with pytest.raises(Unauthorized):
        await files.write("/root/mine", "no")
    await sb.files.mkdir(place, mode=0o777)
    await files.mkdir(f"{place}/own")
    await files.write(f"{place}/own/f", "yes-yes")
    assert await files.read_text(f"{place}/own/f") == "yes-yes"
    assert (await files.info(f"{place}/own/f")).owner == "1234"
    assert await files.replace(f"{place}/own/f", "yes", "no") == 2
    await files.chmod(f"{place}/own/f", 0o600)
    assert len(await files.list(f"{place}/own")) == len(await files.search(f"{place}/own", "*")) == 1
    await files.move(f"{place}/own/f", f"{place}/own/g")
    await files.remove(f"{place}/own/g")
    await files.rmtree(f"{place}/own")
    assert await sb.files.list(place) == []


async def test_trees_there_and_back(sb: Sandbox, place: str, tmp_path: Path) -> None:
    tree, steps = tmp_path / "tree", list[tuple[int, int | None]]()
    (tree / "sub" / ("long-" * 30)).mkdir(parents=True)
    (tree / "a.txt").write_text("a")
    (tree / "sub" / "b.bin").write_bytes(os.urandom(300_001))
    (tree / "sub" / "b.bin").chmod(0o755)
    (tree / "link").symlink_to("sub/b.bin")
    up = await sb.files.upload_tree(tree, place, progress=lambda *step: steps.append(step))
    assert up.entries == 5 and up.bytes == 300_002 and steps[-1] == (300_002, 300_002)
    assert (await sb.files.info(f"{place}/sub/b.bin")).mode == 0o755
    down = await sb.files.download_tree(place, tmp_path / "back")
    assert (down.entries, down.bytes, down.skipped) == (5, 300_002, ())
    assert (tmp_path / "back/sub/b.bin").read_bytes() == (tree / "sub/b.bin").read_bytes()
    assert os.readlink(tmp_path / "back/link") == "sub/b.bin"


async def test_nothing_leads_out_of_a_downloaded_tree(sb: Sandbox, place: str, tmp_path: Path) -> None:
    await sb.run(f"mkdir {place} && cd {place} && ln -s /etc out && ln -s ../../.. up && echo ok > fine && mkfifo pipe")
    down = await sb.files.download_tree(place, tmp_path / "back")
    assert {Path(name).name for name in down.skipped} >= {"out", "up"}
    assert (tmp_path / "back/fine").read_text() == "ok\n"
    assert not (tmp_path / "back/out").is_symlink() and not (tmp_path / "back/up").is_symlink()


async def test_watching(sb: Sandbox, place: str) -> None:
    await sb.files.mkdir(place)
    async with sb.files.watch(place) as changes:
        await sb.run(f"mkdir {place}/new")
        async for change in changes:
            if change.type_ == "created":
                assert (change.path, change.directory) == (f"{place}/new", True)
                break
