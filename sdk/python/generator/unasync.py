"""The blocking half of the package from its asynchronous half, token by token."""

import pathlib
import re
import tokenize

HEADER = "# Generated from ../_async by `cargo xtask sdk`; do not edit.\n"
DROPPED = {"async", "await"}
NAMES = {
    "AsyncClient": "Client",
    "AsyncByteStream": "SyncByteStream",
    "AsyncHTTPTransport": "HTTPTransport",
    "AsyncIterator": "Iterator",
    "AsyncIterable": "Iterable",
    "AsyncGenerator": "Generator",
    "_async": "_sync",
    "glue_async": "glue_sync",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "StopAsyncIteration": "StopIteration",
    "aclose": "close",
    "aread": "read",
    "aiter_bytes": "iter_bytes",
    "aiter_raw": "iter_raw",
    "asynccontextmanager": "contextmanager",
}


def to_sync(source: pathlib.Path, output: pathlib.Path) -> None:
    """Writes what each module of `source` becomes into `output`."""
    output.mkdir(parents=True)
    for module in sorted(source.glob("*.py")):
        (output / module.name).write_text(HEADER + convert(module.read_text()))


def convert(text: str) -> str:
    """One module without `async` and `await`, and with the blocking twins of what it uses."""
    lines = text.splitlines(keepends=True)
    edits: list[tuple[int, int, int, str]] = []
    for token in tokenize.generate_tokens(iter(lines).__next__):
        (row, start), (end_row, end) = token.start, token.end
        if token.type == tokenize.NAME and token.string in DROPPED:
            end += len(re.match(r"\s*", lines[row - 1][end:])[0])
            edits.append((row, start, end, ""))
        elif token.type == tokenize.NAME and token.string in NAMES:
            edits.append((row, start, end, NAMES[token.string]))
        elif token.type == tokenize.STRING and row == end_row and '"""' not in token.string:
            continue
        elif token.type == tokenize.STRING:
            _documentation(lines, row, end_row)
    for row, start, end, replacement in sorted(edits, reverse=True):
        line = lines[row - 1]
        lines[row - 1] = line[:start] + replacement + line[end:]
    return "".join(lines)


def _documentation(lines: list[str], first: int, last: int) -> None:
    """Examples in documentation lose their `async` and `await` as well."""
    for row in range(first - 1, last):
        lines[row] = re.sub(r"\b(async (?=with|for|def)|await )", "", lines[row])
