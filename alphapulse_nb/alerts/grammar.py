"""From the words of a condition to its terms, each checked to fit the others.

rule-engine gives the grammar: which word belongs to which. It is handed every operand as a name
that leads back to its word, so it never sees a number or a text, and what it has parsed is read
before it is built, since building evaluates whatever is constant. What is not in `_MAKERS` is
refused, also if a word for it should ever pass. Kinds are checked here, where the places of the
words are known.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from alphapulse_nb.alerts.arithmetic import Calculation, Negative, Quantity, combined, span
from alphapulse_nb.alerts.fields import PERCENT, Field, Kind
from alphapulse_nb.alerts.terms import IS, Literal, Name, Term
from alphapulse_nb.alerts.tokens import OPERANDS, Token, number, refusal
from alphapulse_nb.alerts.truths import EQUALITIES, Comparison, Logic, Not
from alphapulse_nb.alerts.values import quoted
from alphapulse_nb.errors import InputError
from alphapulse_nb.spelling import hint

_COMPARISONS: Final = {"EQ": "==", "NE": "!=", "GT": ">", "GE": ">=", "LT": "<", "LE": "<="}
_MOST_NAMES: Final = 20
_LONGEST_SAID: Final = 60

_parsing: Final = threading.Lock()
"""rule-engine has one parser, which keeps the state of its work."""


def grown(tokens: Sequence[Token], fields: Mapping[str, Field]) -> Term:
    """The term that the words are, true or false as a whole.

    Raises `InputError` that says what does not fit, and where.
    """
    whole = _Reader(tokens, fields).term(_parsed(tokens).args[1])
    if whole.kind not in (Kind.FLAG, None):
        raise refusal(
            whole.at,
            f"{_subject(whole)}, and a condition is true or false, such as confidence > 0.9",
        )
    return whole


class _Word:
    """A token as rule-engine's parser takes it; `lexpos` is the token's number."""

    lineno = 1

    def __init__(self, place: int, token: Token) -> None:
        self.lexpos = place
        operand = token.type in OPERANDS
        self.type = "SYMBOL" if operand else token.type
        self.value = f"t{place}" if operand else token.text


class _Lexer:
    """Hands the parser words that were cut before."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._words = iter([_Word(place, token) for place, token in enumerate(tokens)])

    def input(self, text: str) -> None:
        """The text is known already."""

    def token(self) -> _Word | None:
        return next(self._words, None)


def _parsed(tokens: Sequence[Token]) -> Any:
    """The statement as rule-engine's parser leaves it: classes and their arguments, not built."""
    from rule_engine import Rule, RuleSyntaxError

    parser: Any = Rule.parser._parser
    with _parsing:
        try:
            return parser.parse("", lexer=_Lexer(tokens))
        except RuleSyntaxError as error:
            place = None if error.token is None else error.token.lexpos
    raise _ended(tokens) if place is None else _misplaced(tokens, place)


def _ended(tokens: Sequence[Token]) -> InputError:
    open_: list[Token] = []
    for token in tokens:
        if token.type == "LPAREN":
            open_.append(token)
        elif token.type == "RPAREN" and open_:
            open_.pop()
    last = tokens[-1]
    if open_ and last.type in OPERANDS | {"RPAREN"}:
        return refusal(open_[-1].at, "the parenthesis is not closed")
    return refusal(last.at, f"something must follow {quoted(last.text)}")


def _misplaced(tokens: Sequence[Token], place: int) -> InputError:
    token = tokens[place]
    message = f"{quoted(token.text)} cannot stand here"
    after_operand = place > 0 and tokens[place - 1].type in OPERANDS | {"RPAREN"}
    if token.type == "RPAREN" and after_operand:
        message = "the parenthesis was not opened"
    elif token.type in _COMPARISONS and after_operand:
        message += "; write a < b and b < c instead of a < b < c"
    return refusal(token.at, message)


class _Reader:
    """Reads what the parser returned."""

    def __init__(self, tokens: Sequence[Token], fields: Mapping[str, Field]) -> None:
        self._tokens = tokens
        self._fields = fields

    def term(self, node: Any) -> Term:
        name = node.cls.__name__
        if name == "SymbolExpression":
            return self._operand(self._tokens[int(node.args[1][1:])])
        make = _MAKERS.get((name, *node.args[1:2]))
        if make is None:
            raise InputError(f"a condition knows no {name}")
        return make(*(self.term(part) for part in node.args[2:]))

    def _operand(self, token: Token) -> Term:
        if token.type == "SYMBOL":
            return Name(token.at, self._field(token))
        if token.type == "FLOAT":
            return Literal(token.at, str(token), number(token), token.per_cent)
        if token.type == "STRING":
            return Literal(token.at, token.text, token.text[1:-1])
        return Literal(token.at, token.text, token.type == "TRUE")

    def _field(self, token: Token) -> Field:
        found = self._fields.get(token.text)
        if found is not None:
            return found
        more = hint(token.text, self._fields)
        if not more and self._fields:
            names = sorted(self._fields)
            more = (
                f"; there are {', '.join(names[:_MOST_NAMES])}{', …' * (len(names) > _MOST_NAMES)}"
            )
        raise refusal(token.at, f"there is no field {quoted(token.text)}{more}")


def _logic(word: str, left: Term, right: Term) -> Term:
    for term in (left, right):
        _check_truth(word, term)
    terms = [
        part
        for term in (left, right)
        for part in (term.terms if isinstance(term, Logic) and term.word == word else (term,))
    ]
    return Logic(left.at, word, tuple(terms))


def _negated(term: Term) -> Term:
    _check_truth("not", term)
    return Not(term.at, term)


def _comparison(sign: str, left: Term, right: Term) -> Term:
    if None not in (left.kind, right.kind) and left.kind is not right.kind:
        raise refusal(left.at, f"{_subject(left)} and cannot be compared with {_object(right)}")
    for term, other in ((left, right), (right, left)):
        if sign not in EQUALITIES and term.kind in (Kind.TEXT, Kind.FLAG):
            raise refusal(term.at, f"{_subject(term)} and has no order: compare by == or !=")
        _check_per_cent(term, other)
    return Comparison(left.at, sign, left, right)


def _calculation(sign: str, left: Term, right: Term) -> Term:
    left, right = _quantity(sign, left), _quantity(sign, right)
    if sign == "/" and right.value({}) == 0:
        what = "0" if isinstance(right, Literal) else f"{_said(right)}, which is 0"
        raise refusal(right.at, f"nothing can be divided by {what}")
    result = combined(sign, span(left), span(right))
    if not result.fits:
        raise refusal(
            left.at,
            f"the results of {_said(left)} {sign} {_said(right)} could be too large or small",
        )
    return Calculation(left.at, sign, left, right, result)


def _negative(term: Term) -> Term:
    term = _quantity("-", term)
    if isinstance(term, Literal) and isinstance(term.content, float):
        return Literal(term.at, f"-{term.text}", -term.content, term.per_cent)
    # A row of signs would be too deep for SQLAlchemy.
    return term.term if isinstance(term, Negative) else Negative(term.at, term)


def _quantity(sign: str, term: Term) -> Term:
    if term.kind not in (Kind.NUMBER, None):
        raise refusal(term.at, f"{_subject(term)}, and {sign} needs numbers")
    return Quantity(term.at, term) if isinstance(term, Name) else term


def _check_truth(word: str, term: Term) -> None:
    if term.kind not in (Kind.FLAG, None):
        raise refusal(
            term.at, f"{_subject(term)}, and {word} needs what is true or false, as a comparison is"
        )


def _check_per_cent(term: Term, other: Term) -> None:
    """Such a column would be a hundred times too large for the number."""
    if not isinstance(term, Name) or term.field.unit != PERCENT:
        return
    if isinstance(other, Literal) and other.per_cent:
        plain = other.text.removesuffix(" %")
        raise refusal(other.at, f"{term} holds per cent itself: write {plain} without the %")


def _subject(term: Term) -> str:
    return f"{_said(term)} is {IS[term.kind]}"


def _object(term: Term) -> str:
    if not isinstance(term, Literal):
        return f"{_said(term)}, which is {IS[term.kind]}"
    return f"the {term.kind} {_said(term)}" if term.kind is not Kind.FLAG else term.text


def _said(term: Term) -> str:
    text = str(term)
    return text if len(text) <= _LONGEST_SAID else text[: _LONGEST_SAID - 1] + "…"


_MAKERS: Final[Mapping[tuple[str, Any], Callable[..., Term]]] = {
    ("LogicExpression", "AND"): partial(_logic, "and"),
    ("LogicExpression", "OR"): partial(_logic, "or"),
    ("UnaryExpression", "NOT"): _negated,
    ("UnaryExpression", "UMINUS"): _negative,
    ("AddExpression", "ADD"): partial(_calculation, "+"),
    ("SubtractExpression", "SUB"): partial(_calculation, "-"),
    ("ArithmeticExpression", "MUL"): partial(_calculation, "*"),
    ("ArithmeticExpression", "TDIV"): partial(_calculation, "/"),
    **{
        ("ComparisonExpression", word): partial(_comparison, _COMPARISONS[word])
        for word in ("EQ", "NE")
    },
    **{
        ("ArithmeticComparisonExpression", word): partial(_comparison, _COMPARISONS[word])
        for word in ("GT", "GE", "LT", "LE")
    },
}
"""What the parser may return, by class and operator."""
