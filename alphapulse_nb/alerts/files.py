"""Rules as YAML files, for git and for other desks.

    rules:
    - name: drawdown
      source: performance_metrics
      …

What is written is always in the same order, so that a difference between two files is one between
rules. A name that is there twice, an alias and a tag are refused: they say one thing and mean
another.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, Final

import yaml

from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts.rule import Rule
from alphapulse_nb.errors import InputError, RuleError

LARGEST: Final = 1 << 20
"""Bytes of a file."""
_SHIPPED: Final = Path(__file__).with_name("shipped.yaml")
_TOP: Final = "rules"


def dump(found: Iterable[Rule]) -> str:
    """The rules as YAML, by name."""
    plain = [rule.plain() for rule in sorted(found, key=lambda rule: rule.name)]
    return yaml.safe_dump({_TOP: plain}, sort_keys=False, allow_unicode=True, width=100)


def load(text: str) -> list[Rule]:
    """The rules that a text holds, in its order. Raises `InputError` with all that is wrong."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise InputError(f"a file of rules has at most {LARGEST:,} bytes")
    plain = _parsed(text)
    if not isinstance(plain, dict) or set(plain) != {_TOP} or not isinstance(plain[_TOP], list):
        raise InputError(f"a file of rules is a list under the one name {_TOP!r}")
    found, problems = [], []
    for number, one in enumerate(plain[_TOP], 1):
        try:
            found.append(rules.read(one))
        except RuleError as error:
            problems.append(f"rule {number}: {error}")
    names = [rule.name for rule in found]
    problems += [f"there are two rules {name!r}" for name in _twice(names)]
    if problems:
        raise InputError("\n".join(problems))
    return found


def shipped() -> list[Rule]:
    """The rules that every desk begins with."""
    return load(_SHIPPED.read_text("utf-8"))


def _twice(names: list[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - ours knows less than the safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
        raise InputError(f"{where}{error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        kind = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"this is no YAML: {kind[:200]}") from None


class _Loader(yaml.SafeLoader):
    """YAML without aliases, and with each name once."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases are not allowed here", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        for place, name in enumerate(names):
            if name in names[:place]:
                mark = node.value[place][0].start_mark
                raise yaml.constructor.ConstructorError(
                    None, None, f"the name {str(name)[:40]!r} is there twice", mark
                )
        return super().construct_mapping(node, deep)
