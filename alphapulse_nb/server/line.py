"""A log event as one line, as text for people or as JSON.

Whatever an event holds, it stays in its line and shows what it is: control characters, terminal
escapes, marks that turn the direction of text, and line separators are written as escapes.
"""

from __future__ import annotations

import json
import re
import traceback
from collections.abc import Mapping
from typing import Any, Final

_BARE: Final = re.compile(r"[\w./:+%@,?&=~*-]+")
_LEAD: Final = ("timestamp", "level", "event")
_FRAMES: Final = 12
_CAUSES: Final = 5


def as_json(event: Mapping[str, Any]) -> str:
    """One JSON object in ASCII; its values must be ones that JSON holds."""
    return json.dumps(_ordered(event), allow_nan=False).replace("\x7f", "\\u007f")


def as_text(event: Mapping[str, Any]) -> str:
    """`time LEVEL what happened name=value …`."""
    fields = _ordered(event)
    lead = [str(fields.pop(name, "")) for name in _LEAD]
    shown = [f"{escaped(name)}={_shown(value)}" for name, value in fields.items()]
    return " ".join([lead[0], f"{lead[1].upper():<8}", escaped(lead[2]), *shown])


def _ordered(event: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in event.items() if name not in _LEAD}
    return {name: event[name] for name in _LEAD if name in event} | rest


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if _BARE.fullmatch(text) and text.isprintable():
        return text
    quoted = json.dumps(text, ensure_ascii=False) if isinstance(value, str) else text
    return escaped(quoted)


def escaped(text: str) -> str:
    """The text with everything that does not print written as an escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    number = ord(character)
    if number < 0x100:
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character, f"\\x{number:02x}")
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def fault(error: BaseException) -> str:
    """An exception and what it came from, in one sentence."""
    said: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(said) < _CAUSES:
        said.append(f"{type(cause).__name__}: {cause}")
        hidden = cause.__suppress_context__
        cause = cause.__cause__ or (None if hidden else cause.__context__)
    return ", from ".join(said)


def trace(error: BaseException) -> list[str]:
    """Where an exception was raised, innermost last, as `file.py:12 function`."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _short(filename: str) -> str:
    return "/".join(filename.replace("\\", "/").split("/")[-2:])
