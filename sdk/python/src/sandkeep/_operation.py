"""What the generated operations are made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Generic, Literal, TypeVar
from urllib.parse import quote

T_co = TypeVar("T_co", covariant=True)

Kind = Literal["none", "json", "text", "bytes", "events"]
"""What a good answer's body is."""

_FRACTION = re.compile(r"\.(\d+)")


class Model:
    """Base of the documents' types. Plain classes, since making a hundred dataclasses takes an import a quarter second."""

    __slots__ = ()

    def __repr__(self) -> str:
        members = ((name, getattr(self, name)) for name in self.__slots__)
        shown = ", ".join(f"{name}={value!r}" for name, value in members if value is not None and value != {})
        return f"{type(self).__name__}({shown})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Operation(Generic[T_co]):
    """One request of a document, and how its answer is read."""

    name: str
    method: str
    path: str
    kind: Kind
    load: Callable[[Any], Any] | None = None
    """From JSON; absent where JSON and Python say the same."""
    json: Any = None
    query: Mapping[str, Any] | None = None
    headers: Mapping[str, Any] | None = None


def segment(value: object) -> str:
    """One segment of a path."""
    return quote(str(value), safe="")


def parse_time(text: str) -> datetime:
    """An instant as RFC 3339 has it, to the microsecond."""
    # Before Python 3.11 neither `Z` nor more or fewer than six digits are understood.
    text = _FRACTION.sub(lambda digits: "." + digits[1][:6].ljust(6, "0"), text.replace("Z", "+00:00"), count=1)
    return datetime.fromisoformat(text)


def format_time(instant: datetime) -> str:
    """An instant as RFC 3339 has it; one without a zone is local time."""
    return instant.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
