"""Start without the grammar of international addresses (RFC 3987), until somebody asks for it.

`jsonschema` imports `rfc3987_syntax` where that is installed, as Jupyter has it, and that builds a
parser when it is imported: more than a second of every process, for a check of the formats `iri`
and `iri-reference` that hardly any schema asks for. A module of the same name stands in its place,
and makes way for the real one when the check is called.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Final

_NAME: Final = "rfc3987_syntax"


def postpone() -> None:
    """Have the grammar built when it is needed. To be called before `jsonschema` is imported."""
    if _NAME not in sys.modules:
        standing_in = types.ModuleType(_NAME)
        standing_in.is_valid_syntax = _is_valid_syntax  # type: ignore[attr-defined]
        sys.modules[_NAME] = standing_in


def _is_valid_syntax(term: str, text: str) -> bool:
    """What the real function says."""
    if sys.modules[_NAME].__spec__ is None:
        del sys.modules[_NAME]
    return bool(importlib.import_module(_NAME).is_valid_syntax(term, text))
