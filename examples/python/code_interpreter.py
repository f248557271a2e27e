"""A code interpreter: variables last from call to call, and results may be pictures."""

import asyncio
import sys
from pathlib import Path

from sandkeep import Sandbox

# The image brings no plotting library, so this draws its own; with matplotlib, `plt.show()` is all it takes.
PLOT = """
import struct, zlib

class Plot:
    def __init__(self, values, size=64):
        self.rows = [[255] * size for _ in range(size)]
        for x in range(size):
            value = values[x * len(values) // size] / max(values)
            for y in range(size - int(value * size), size):
                self.rows[y][x] = 60

    def _repr_png_(self):
        size = len(self.rows)
        def chunk(kind, data):
            return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        raw = b"".join(b"\\0" + bytes(row) for row in self.rows)
        head = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
        body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
        return b"\\x89PNG\\r\\n\\x1a\\n" + body

Plot(squares)
"""


async def main(picture: Path) -> None:
    async with Sandbox.create("sandkeep/base:latest") as sb:
        await sb.code.python("squares = [n * n for n in range(1, 20)]", check=True)
        total = await sb.code.python("print('adding up'); sum(squares)", check=True, on_stdout=print)
        print("total:", total.text)

        plot = await sb.code.python(PLOT, check=True)
        picture.write_bytes(plot.results[0].png or b"")
        print(f"plot: {picture.stat().st_size} bytes")

        failed = await sb.code.python("squares[99]")
        print("error:", failed.error)


asyncio.run(main(Path(sys.argv[1] if len(sys.argv) > 1 else "plot.png")))
