"""The scripts and styles that travel with our widgets.

anywidget loads a script from a blob, where a relative import has no base. So the modules that a
widget imports are put in front of it, their `import` and `export` words taken away, under names
that no two modules share (a test holds that). Pages of our own server import the same files as they
lie.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import re
from importlib import resources
from pathlib import Path
from typing import Final

from alphapulse_nb.charts import theme
from alphapulse_nb.errors import ChartError

FOLDER: Final = Path(__file__).parent

_IMPORT: Final = re.compile(r"^import\s+\{[^}]*\}\s+from\s+\"\./([\w]+\.js)\";\n", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?function|class|const|let)", re.MULTILINE)
_COMMENT: Final = re.compile(r"^\s*/\*\*.*?\*/\n", re.MULTILINE | re.DOTALL)


@functools.cache
def script(name: str) -> str:
    """A widget's script with the modules that it imports, as one ES module."""
    parts = [_EXPORT.sub("", _text(module)) for module in modules(name)[:-1]]
    return "".join([*parts, _text(name)])


@functools.cache
def modules(name: str) -> tuple[str, ...]:
    """A script and all it imports, each after what it needs."""
    found: dict[str, None] = {}
    for needed in _IMPORT.findall((FOLDER / name).read_text("utf-8")):
        found.update(dict.fromkeys(modules(needed)))
    return (*found, name)


@functools.cache
def style(*names: str) -> str:
    """The palette's variables and the named style sheets."""
    return theme.css_variables() + "".join((FOLDER / name).read_text("utf-8") for name in names)


@functools.cache
def plotly_script() -> bytes:
    """plotly.js as the installed plotly package brings it."""
    try:
        return resources.files("plotly").joinpath("package_data", "plotly.min.js").read_bytes()
    except FileNotFoundError:
        raise ChartError(
            "the installed plotly package holds no plotly.min.js; reinstall plotly"
        ) from None


@functools.cache
def plotly_gzip() -> bytes:
    """plotly.js, compressed once per process."""
    return gzip.compress(plotly_script(), compresslevel=6, mtime=0)


@functools.cache
def plotly_hash() -> str:
    """What makes an immutable address of this plotly.js."""
    return hashlib.sha256(plotly_script()).hexdigest()[:16]


def _text(name: str) -> str:
    return _COMMENT.sub("", _IMPORT.sub("", (FOLDER / name).read_text("utf-8")))
