"""Templates: the titles and messages of notifications, with the values of a rule's fields in them.

    {symbol}: return {total_return} above {threshold:%.1} {{as of now}}

Between braces stands a field's name and, after a colon, how it is written: `.0` to `.6` (so many
decimals), `%` or `%.0` to `%.6` (in per cent), `signed` (with its + or -). Without one it stands as
is usual for its unit. `{{` and `}}` are braces. There is nothing else: what Python's own templates
reach into, such as attributes and items, is refused.

Values come from strangers. What would break a line, hide or turn text around becomes a space.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from alphapulse_nb.alerts.fields import FRACTION, PERCENT, Field, Kind
from alphapulse_nb.alerts.tokens import refusal
from alphapulse_nb.alerts.values import plain, quoted
from alphapulse_nb.errors import InputError
from alphapulse_nb.spelling import hint

LONGEST: Final = 2_000
"""Characters of a message's template."""
LONGEST_TITLE: Final = 200
LONGEST_VALUE: Final = 200
LONGEST_TEXT: Final = 4_000
"""Characters of a text with its values."""
MISSING: Final = "n/a"

# Control characters, breaks of lines, marks that turn the direction, halves of characters.
_MARKS: Final = r"\x7f-\x9f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_HIDDEN: Final = re.compile(rf"[\x00-\x1f{_MARKS}]")
_HIDDEN_IN_LINES: Final = re.compile(rf"[\x00-\x08\x0b\x0c\x0e-\x1f{_MARKS}]|\r(?!\n)")

_BRACE: Final = re.compile("[{}]")
_NAME: Final = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
_FORM: Final = re.compile(r"(signed)|(%)?(?:\.([0-6]))?")
_STRANGE: Final[Mapping[str, str]] = {
    ".": "attributes",
    **dict.fromkeys("[]", "items"),
    **dict.fromkeys("()", "calls"),
    "!": "conversions",
}
_LONG: Final = 1e15
_SHORT: Final = 1e-9
"""From and below these sizes a number is written with an exponent."""


class Rendered(NamedTuple):
    """A text, and the fields in it that had no value, each once."""

    text: str
    missing: tuple[str, ...]


@dataclass(frozen=True)
class _Slot:
    """The place of a field. `decimals` is None for as many as the number needs."""

    field: Field
    per_cent: bool
    decimals: int | None
    sign: str

    def written(self, value: Any) -> str:
        """A plain value as it stands in the text."""
        if isinstance(value, bool):
            return "yes" if value else "no"
        if isinstance(value, float):
            scale = 100 if self.per_cent and self.field.unit != PERCENT else 1
            return _number(value * scale, self.decimals, self.sign) + " %" * self.per_cent
        text = str(value)
        end = "…" if len(text) > LONGEST_VALUE else ""
        return _HIDDEN.sub(" ", text[:LONGEST_VALUE]) + end


@dataclass(frozen=True)
class Template:
    """A template that was checked. `names` are the fields that it uses."""

    text: str
    names: frozenset[str]
    _parts: tuple[str | _Slot, ...]

    def render(self, values: Mapping[str, Any]) -> Rendered:
        """The text for a row or the data of an event.

        A field that is missing, NULL or NaN is written `n/a`. A text of more than 4,000 characters
        loses its end.
        """
        texts: list[str] = []
        missing: dict[str, None] = {}
        for part in self._parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            value = plain(values.get(part.field.name))
            if value is None or (isinstance(value, float) and math.isnan(value)):
                missing[part.field.name] = None
                texts.append(MISSING)
            else:
                texts.append(part.written(value))
        text = "".join(texts)
        whole = len(text) <= LONGEST_TEXT
        return Rendered(text if whole else text[: LONGEST_TEXT - 1] + "…", tuple(missing))


def parse(
    text: str,
    fields: Mapping[str, Field],
    extra: Mapping[str, Field],
    *,
    longest: int = LONGEST,
    one_line: bool = False,
) -> Template:
    """The template that a text is.

    Parameters
    ----------
    text: what it says.
    fields: the fields of the rule's source.
    extra: what every rule has beside them, such as `rule`, `value` and `threshold`, each with the
        unit it has in this rule; it hides a field of the source that has the same name.
    longest: characters that the text may have.
    one_line: refuse breaks of lines, as for titles; values never bring one in.

    Raises `InputError` that says what cannot be, and at which character, counted from 1.
    """
    if not isinstance(text, str):
        raise InputError(f"a template is a text, not {type(text).__name__}")
    if len(text) > longest:
        raise InputError(f"a text here has at most {longest} characters, not {len(text)}")
    hidden = (_HIDDEN if one_line else _HIDDEN_IN_LINES).search(text)
    if hidden is not None:
        point = f"the invisible character U+{ord(hidden[0]):04X}"
        broken = one_line and hidden[0] in "\n\r"
        raise refusal(hidden.start() + 1, "a title is one line" if broken else point)
    parts = tuple(_parts(text, fields, extra))
    names = frozenset(part.field.name for part in parts if isinstance(part, _Slot))
    return Template(text, names, parts)


def _parts(
    text: str, fields: Mapping[str, Field], extra: Mapping[str, Field]
) -> Iterator[str | _Slot]:
    at = 0
    while (brace := _BRACE.search(text, at)) is not None:
        start = brace.start()
        yield text[at:start].replace("\r\n", "\n")
        if text.startswith(("{{", "}}"), start):
            yield brace[0]
            at = start + 2
        elif brace[0] == "}":
            raise refusal(start + 1, "this brace closes nothing; write }} for a brace")
        else:
            end = text.find("}", start)
            if end < 0:
                raise refusal(start + 1, "this brace is not closed; write {{ for a brace")
            yield _slot(text[start + 1 : end], start + 2, fields, extra)
            at = end + 1
    yield text[at:].replace("\r\n", "\n")


def _slot(inside: str, at: int, fields: Mapping[str, Field], extra: Mapping[str, Field]) -> _Slot:
    """The slot for what stands between braces, the first character of it at `at`."""
    given, _, form = inside.partition(":")
    name = given.strip(" ")
    if "{" in inside:
        raise refusal(at + inside.index("{"), "a template knows no fields inside fields")
    if _NAME.fullmatch(name) is None:
        raise _strange(given, at)
    field = extra.get(name) or fields.get(name)
    if field is None:
        near = hint(name, [*extra, *fields])
        raise refusal(at + inside.index(name), f"there is no field {quoted(name)}{near}")
    return _formed(field, form.strip(" "), at + len(given) + 1)


def _strange(given: str, at: int) -> InputError:
    for place, letter in enumerate(given):
        if letter in _STRANGE:
            return refusal(at + place, f"a template knows no {_STRANGE[letter]}: {quoted(letter)}")
    if not given.strip(" "):
        return refusal(at, "a field's name must stand between the braces")
    return refusal(at, f"{quoted(given)} is no field's name; write {{{{ and }}}} for braces")


def _formed(field: Field, form: str, at: int) -> _Slot:
    said = _FORM.fullmatch(form)
    if said is None:
        raise refusal(
            at, f"numbers are written by .0 to .6, %, %.0 to %.6 or signed, not {quoted(form)}"
        )
    if form and field.kind in (Kind.TEXT, Kind.FLAG):
        raise refusal(at, f"{field.name} is no number, and {form} is for numbers")
    usual = said[2] is None and said[3] is None and field.unit in (FRACTION, PERCENT)
    decimals = None if said[3] is None else int(said[3])
    return _Slot(field, usual or said[2] is not None, decimals, "+" if said[1] else "")


def _number(value: float, decimals: int | None, sign: str) -> str:
    """With commas between thousands; by itself with 4 decimals, or 4 digits below 1, at most."""
    size = abs(value)
    if math.isinf(value):
        return f"{'-' if value < 0 else sign}∞"
    if size >= _LONG or (decimals is None and 0 < size < _SHORT):
        return f"{value:{sign}.4g}"
    if decimals is not None:
        return f"{value:{sign}z,.{decimals}f}"
    places = 4 if size >= 1 or size == 0 else 3 - math.floor(math.log10(size))
    return f"{value:{sign}z,.{places}f}".rstrip("0").rstrip(".")
