"""The words of a condition, each checked against what the language has before anything is parsed.

rule-engine's lexer cuts the text, since its grammar comes next. Its language has far more than a
condition may use, and some of that takes all of a machine: powers, comprehensions, patterns. So a
word passes only if its type is listed here; each of the others is refused by name and place.

A `%` after a number means per cent and becomes part of that number: `15 %` is the double nearest to
0.15, as if it had been written so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from alphapulse_nb.alerts.values import quoted
from alphapulse_nb.errors import InputError

LONGEST: Final = 1_000
"""Characters of a condition."""
MOST: Final = 200
"""Words of a condition."""
DEEPEST: Final = 20
"""Parentheses inside one another."""
LONGEST_NUMBER: Final = 30
LARGEST_EXPONENT: Final = 300

OPERANDS: Final = frozenset({"SYMBOL", "FLOAT", "STRING", "TRUE", "FALSE"})
ALLOWED: Final = OPERANDS | {
    *("EQ", "NE", "GT", "GE", "LT", "LE", "AND", "OR", "NOT"),
    *("ADD", "SUB", "MUL", "TDIV", "LPAREN", "RPAREN"),
}
"""The types of words that a condition may have, in the names of rule-engine's grammar."""

_REFUSED: Final[Mapping[str, str]] = {
    "POW": "powers",
    "FDIV": "whole division; / divides",
    "MOD": "remainders; % stands after a number and means per cent",
    **dict.fromkeys(("BWAND", "BWOR", "BWXOR"), "bits; write and, or"),
    **dict.fromkeys(("BWLSH", "BWRSH"), "bits"),
    **dict.fromkeys(("EQ_FZM", "EQ_FZS", "NE_FZM", "NE_FZS"), "patterns; compare with == or !="),
    **dict.fromkeys(("ATTR", "ATTR_SAFE"), "attributes of a field"),
    **dict.fromkeys(("LBRACKET", "RBRACKET"), "lists, items or comprehensions"),
    **dict.fromkeys(("LBRACE", "RBRACE"), "sets or mappings"),
    "COMMA": "lists",
    **dict.fromkeys(("QMARK", "COLON"), "choices by ? and :"),
    "COALESCE": "replacements by ??",
    "IN": "membership; write a == 1 or a == 2",
    **dict.fromkeys(("FOR", "IF"), "comprehensions"),
    "NULL": "null; a field without a value never matches",
    **dict.fromkeys(("FLOAT_INF", "FLOAT_NAN"), "numbers that are not finite"),
    **dict.fromkeys(("BYTES", "DATETIME", "TIMEDELTA"), "texts with a letter before the quote"),
    "COMMENT": "comments",
}
_HINTS: Final[Mapping[str, str]] = {
    "=": "; write == to compare",
    "!": "; write not, or != to compare",
    "≥": "; write >=",
    "≤": "; write <=",
    "≠": "; write !=",
    **dict.fromkeys("“”„‘’", "; write \" or '"),
}
_DECIMAL: Final = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]+))?")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories that nobody can read."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word. `type` is its name in the grammar, `at` its first character's place, from 1."""

    type: str
    text: str
    at: int
    per_cent: bool = False

    def __str__(self) -> str:
        return f"{self.text} %" if self.per_cent else self.text


def refusal(at: int, message: str) -> InputError:
    """The error for what stands at a character."""
    return InputError(f"character {at}: {message}")


def tokens(text: str) -> tuple[Token, ...]:
    """The words of a text.

    Raises `InputError` that names the first one that a condition may not have and its place.
    """
    _check_characters(text)
    found: list[Token] = []
    depth = 0
    for token in _cut(text):
        if token.type == "MOD" and found and _takes_per_cent(found[-1]):
            found[-1] = replace(found[-1], per_cent=True)
            continue
        _check(token, found[-1] if found else None)
        depth += (token.type == "LPAREN") - (token.type == "RPAREN")
        if depth > DEEPEST:
            raise refusal(token.at, f"more than {DEEPEST} parentheses inside one another")
        found.append(token)
        if len(found) > MOST:
            raise refusal(token.at, f"a condition has at most {MOST} words and signs")
    if not found:
        raise InputError("the condition is empty: write one such as confidence > 0.9")
    return tuple(found)


def number(token: Token) -> float:
    """The double nearest to the number that was written. Raises `InputError` for what is none."""
    shown = quoted(token.text)
    parts = _DECIMAL.fullmatch(token.text)
    if parts is None:
        raise refusal(token.at, f"{shown} is not written in decimal digits")
    if len(token.text) > LONGEST_NUMBER:
        raise refusal(token.at, f"{shown} has more than {LONGEST_NUMBER} characters")
    if re.match("0[0-9]", token.text):
        raise refusal(token.at, f"{shown} begins with a 0 too many")
    digits, exponent = parts[1], int(parts[2] or 0)
    value = float(f"{digits}e{exponent - 2 * token.per_cent}")
    least, most = 10.0**-LARGEST_EXPONENT, 10.0**LARGEST_EXPONENT
    nothing = not re.search("[1-9]", digits)
    if abs(exponent) > LARGEST_EXPONENT or not (nothing or least <= value <= most):
        raise refusal(token.at, f"the size of {shown} is not between {least:g} and {most:g}")
    return value


def _check_characters(text: str) -> None:
    if not isinstance(text, str):
        raise InputError(f"a condition is a text, not {type(text).__name__}")
    if len(text) > LONGEST:
        raise InputError(f"a condition has at most {LONGEST} characters, not {len(text)}")
    for at, letter in enumerate(text, 1):
        if letter == "\n":
            raise refusal(at, "a condition is one line")
        if letter != "\t" and unicodedata.category(letter) in _UNSEEN:
            raise refusal(at, f"the invisible character U+{ord(letter):04X}")


def _cut(text: str) -> Iterator[Token]:
    # Its import takes 0.4 s, since it builds its grammar.
    from rule_engine import Rule, RuleSyntaxError

    lexer: Any = Rule.parser._lexer.clone()  # its own position: other threads cut, too
    lexer.input(text)
    while True:
        try:
            raw = lexer.token()
        except RuleSyntaxError as error:
            # A word that is kept for later versions comes without a token.
            at = lexer.lexmatch.start() if error.token is None else error.token.lexpos
            raise _unknown(text, at) from None
        if raw is None:
            return
        # Prefixes and `$` belong to the word, of whose value the lexer leaves only a part.
        yield Token(raw.type, text[raw.lexpos : lexer.lexpos], raw.lexpos + 1)


def _unknown(text: str, at: int) -> InputError:
    letter = text[at]
    if letter in "\"'":
        return refusal(at + 1, f"the text that begins with {letter} does not end")
    word = re.match("[a-zA-Z_]+", text[at:])
    shown = repr(word[0] if word else letter)
    point = f" (U+{ord(letter):04X})" if ord(letter) > 127 else ""
    return refusal(at + 1, f"a condition knows no {shown}{point}{_HINTS.get(letter, '')}")


def _check(token: Token, before: Token | None) -> None:
    """Refuse a word that no condition has, or none after the one before."""
    if token.type not in ALLOWED:
        raise _no_place(token, _REFUSED.get(token.type, "such words"))
    if token.type == "SYMBOL" and token.text.startswith("$"):
        raise _no_place(token, "names with $")
    if token.type == "STRING":
        _check_string(token)
    if before is None or before.type not in OPERANDS | {"RPAREN"}:
        return
    if token.type == "LPAREN" and before.type == "SYMBOL":
        raise _no_place(before, "functions")
    if token.type == "LPAREN" or token.type in OPERANDS:
        more = "; % after a number means per cent" if before.per_cent else _operator(token, before)
        raise refusal(token.at, f"there is no operator before {quoted(token.text)}{more}")


def _check_string(token: Token) -> None:
    if token.text[0] not in "\"'":
        raise _no_place(token, _REFUSED["BYTES"])
    if "\\" in token.text:
        at = token.at + token.text.index("\\")
        raise refusal(at, "a text may hold no backslash")


def _no_place(token: Token, what: str) -> InputError:
    return refusal(token.at, f"{quoted(token.text)} has no place here: a condition knows no {what}")


def _takes_per_cent(token: Token) -> bool:
    return token.type == "FLOAT" and not token.per_cent


def _operator(*words: Token) -> str:
    """A hint where an operator was written in capitals."""
    for word in words:
        if word.text.lower() in ("and", "or", "not") and word.type == "SYMBOL":
            return f"; write {word.text.lower()} in small letters"
    return ""
