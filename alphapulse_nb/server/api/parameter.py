"""Parameters: one declaration reads what was sent and describes itself in the OpenAPI document.

A kind (`Number`, `Whole`, `Choice`, `Text`) knows how to read a text and the JSON Schema of what it
takes; a `Parameter` gives it a name, a place and a default. Reading is strict: an unknown, repeated
or empty parameter is an error, since a slip of the pen must not silently answer another question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol
from urllib.parse import unquote_to_bytes

from alphapulse_nb.server.answers import Fault, unknown
from alphapulse_nb.spelling import nearest

_NUMBER: Final = re.compile(r"-?(?:0|[1-9]\d{0,20})(?:\.\d{1,20})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_WHOLE: Final = re.compile(r"0|[1-9]\d{0,15}", re.ASCII)
_MOST_FIELDS: Final = 50


class Kind(Protocol):
    """How a text is read, and what is allowed."""

    @property
    def words(self) -> str:
        """What is allowed, in words."""

    def schema(self) -> dict[str, Any]:
        """What is allowed, as JSON Schema."""

    def read(self, text: str) -> Any:
        """The value; None for a text that is not allowed."""


@dataclass(frozen=True)
class Number:
    """A finite number within limits, written as JSON writes numbers."""

    least: float
    most: float

    @property
    def words(self) -> str:
        return f"a number from {self.least:g} to {self.most:g}"

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": self.least, "maximum": self.most}

    def read(self, text: str) -> float | None:
        value = float(text) if _NUMBER.fullmatch(text) else None
        return value if value is not None and self.least <= value <= self.most else None


@dataclass(frozen=True)
class Whole:
    """A whole number within limits."""

    least: int
    most: int

    @property
    def words(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def read(self, text: str) -> int | None:
        value = int(text) if _WHOLE.fullmatch(text) else None
        return value if value is not None and self.least <= value <= self.most else None


@dataclass(frozen=True)
class Text:
    """A text of at least one and at most `longest` characters that match `pattern`."""

    longest: int
    pattern: str
    words: str

    def schema(self) -> dict[str, Any]:
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self.longest,
            "pattern": f"^{self.pattern}+$",
        }

    def read(self, text: str) -> str | None:
        fits = 0 < len(text) <= self.longest and re.fullmatch(f"{self.pattern}+", text)
        return text if fits else None


@dataclass(frozen=True)
class Flag:
    """True or false."""

    words = "true or false"

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def read(self, text: str) -> bool | None:
        return {"true": True, "false": False}.get(text)


@dataclass(frozen=True)
class Listed:
    """Some of a few names, `most` of them, with commas between; read as that text."""

    names: Sequence[str]
    most: int = 0

    @property
    def words(self) -> str:
        many = "one" if self.most == 1 else "one or more, with commas between,"
        return f"{many} of {', '.join(self.names)}"

    def schema(self) -> dict[str, Any]:
        if self.most == 1:
            return {"type": "string", "enum": list(self.names)}
        one = f"({'|'.join(self.names)})"
        return {"type": "string", "pattern": f"^{one}(,{one})*$", "maxLength": 200}

    def read(self, text: str) -> str | None:
        given = text.split(",")
        fits = set(given) <= set(self.names) and len(given) <= (self.most or len(text))
        return text if fits and len(text) <= 200 else None


@dataclass(frozen=True)
class Choice:
    """One of the names of something. Another one is a 404 rather than a 422."""

    of: str
    names: Callable[[], Iterable[str]]

    @property
    def words(self) -> str:
        return "one of " + ", ".join(self.names())

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.names())}

    def read(self, text: str) -> str | None:
        return text if text in self.names() else None


@dataclass(frozen=True)
class Parameter:
    """A parameter of an endpoint, in its path or in its query."""

    name: str
    kind: Kind
    about: str
    place: Literal["path", "query"] = "query"
    default: Any = None
    example: Any = field(default=None)

    def read(self, text: str) -> Any:
        """The value of a text; raises `Fault`."""
        value = self.kind.read(text)
        if value is not None:
            return value
        if text and isinstance(self.kind, Choice):
            raise unknown(self.name, text, self.kind.names(), what=self.kind.of)
        raise self.wrong(f"{self.name} must be {self.kind.words}.", text)

    def wrong(self, message: str, value: str | None = None) -> Fault:
        """A 422 that says what is allowed here."""
        return Fault(
            "bad_parameter",
            message,
            field=self.name,
            value=value,
            allowed=self.kind.schema(),
        )


Values = Mapping[str, Any]


def read(parameters: Iterable[Parameter], path: Iterable[str], query: str) -> dict[str, Any]:
    """The values of all parameters by name; raises `Fault`.

    `path` holds the decoded parts of the address in the parameters' order, `query` is as it came.
    """
    declared = list(parameters)
    in_path = [parameter for parameter in declared if parameter.place == "path"]
    in_query = [parameter for parameter in declared if parameter.place == "query"]
    given = _given(query, [parameter.name for parameter in in_query])
    values = {
        parameter.name: parameter.read(text) for parameter, text in zip(in_path, path, strict=True)
    }
    for parameter in in_query:
        texts = given.get(parameter.name, [])
        if len(texts) > 1:
            raise parameter.wrong(
                f"{parameter.name} is given {len(texts)} times; give it once.", texts[0]
            )
        values[parameter.name] = parameter.read(texts[0]) if texts else parameter.default
    return values


def _given(query: str, known: list[str]) -> dict[str, list[str]]:
    """The texts of a query by name."""
    fields = [part for part in query.split("&", _MOST_FIELDS) if part]
    found: dict[str, list[str]] = {}
    for part in fields:
        name, _, text = part.partition("=")
        name = _decoded(name)
        if name not in known:
            raise _unknown_parameter(name, _decoded(text), known)
        found.setdefault(name, []).append(_decoded(text, name))
    return found


def _unknown_parameter(name: str, text: str, known: list[str]) -> Fault:
    listed = f"known here: {', '.join(known)}" if known else "this address takes none"
    return Fault(
        "bad_parameter",
        f"There is no such parameter; {listed}.",
        field=name,
        value=text,
        allowed={"enum": known},
        nearest=nearest(name, known),
    )


def _decoded(text: str, name: str | None = None) -> str:
    try:
        if text.isascii():
            return unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        pass
    raise Fault("bad_request", "The address must be percent-encoded UTF-8.", field=name)
