"""How much a text of JSON holds, counted before it is parsed.

Else 20 MB of brackets would become half a gigabyte of lists.
"""

from __future__ import annotations

import re
from itertools import accumulate
from typing import Final

_TEXTS: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1, ord(","): 0}
_OTHERS: Final = bytes(set(range(256)) - _STEPS.keys())


def excess(raw: bytes, values: int, levels: int) -> str:
    """What it has too much of, in words; empty where it has not.

    Brackets count as values.
    """
    # A name and a text for each value at most.
    rest, texts = _TEXTS.subn(b"", raw, 2 * values)
    marks = rest.translate(None, _OTHERS)
    if max(texts // 2, len(marks)) >= values:
        return f"it has more than {values:,} values"
    if max(accumulate(map(_STEPS.__getitem__, marks)), default=0) > levels:
        return f"it nests too deep, more than {levels} levels"
    return ""
