"""The scripts and styles that our pages load.

`widgets.js` and all it imports make one ES module, so that a page loads and parses it once however
many widgets it shows: by an immutable address where our server made the page, through the comm
elsewhere, where a relative import has no base. The modules are put one after another with their
`import` and `export` words taken away, under names that no two of them share (a test holds that).
`drawer_bundle.js` makes a second one, for what is loaded only when somebody opens it; the few small
modules that both need are in both.
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
ENTRY: Final = "widgets.js"
DRAWER: Final = "drawer_bundle.js"
"""What exports the widgets, and what exports the drawer."""

_IMPORT: Final = re.compile(
    r"^(?:import|export)\s+\{[^}]*\}\s+from\s+\"\./([\w]+\.js)\";\n", re.MULTILINE
)
_EXPORTED: Final = re.compile(r"^export\s+\{([^}]*)\}\s+from", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?function|class|const|let)", re.MULTILINE)
_COMMENT: Final = re.compile(r"[ \t]*/\*\*.*?\*/[ \t]*\n?", re.DOTALL)
_INDENT: Final = re.compile(r"^[ \t]+", re.MULTILINE)


@functools.cache
def bundle(entry: str = ENTRY) -> str:
    """A script and all it imports as one ES module, without comments and indentation."""
    parts = [_text(name) for name in modules(entry)[:-1]]
    names = ",".join(
        name.strip()
        for group in _EXPORTED.findall((FOLDER / entry).read_text("utf-8"))
        for name in group.split(",")
    )
    return "".join([*parts, f"export {{ {names} }};\n"])


@functools.cache
def bundle_gzip(entry: str = ENTRY) -> bytes:
    """The same, compressed once per process."""
    return gzip.compress(bundle(entry).encode(), compresslevel=9, mtime=0)


@functools.cache
def bundle_hash(entry: str = ENTRY) -> str:
    """What makes an immutable address of this script."""
    return _digest(bundle(entry).encode())


@functools.cache
def modules(name: str) -> tuple[str, ...]:
    """A script and all it imports, each after what it needs."""
    found: dict[str, None] = {}
    for needed in _IMPORT.findall((FOLDER / name).read_text("utf-8")):
        found.update(dict.fromkeys(modules(needed)))
    return (*found, name)


@functools.cache
def loader() -> str:
    """The small script that every widget carries."""
    return _INDENT.sub("", _COMMENT.sub("", (FOLDER / "loader.js").read_text("utf-8")))


@functools.cache
def style() -> str:
    """The palette's variables and our style sheets, that of the page first."""
    sheets = sorted(FOLDER.glob("*.css"), key=lambda path: (path.name != "page.css", path.name))
    return theme.css_variables() + "".join(path.read_text("utf-8") for path in sheets)


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
    return _digest(plotly_script())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _text(name: str) -> str:
    text = _IMPORT.sub("", (FOLDER / name).read_text("utf-8"))
    return _INDENT.sub("", _EXPORT.sub("", _COMMENT.sub("", text)))
