"""Static files: read and packed once, kept in memory, under addresses that browsers keep.

An address that holds a hash of its content is kept for good. Any other is asked for again and
answered with "not modified" for as long as it is the same.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import mimetypes
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from tornado.iostream import StreamClosedError

from alphapulse_nb.server.handler import Handler

_HASHED: Final = re.compile(r"[.-][0-9a-f]{16,64}[.-]|^[0-9a-f]{16,64}\.")
_PACKED: Final = ("text/", "application/json", "application/javascript", "image/svg")
_MOST_KEPT: Final = 64 << 20
_PART: Final = 64 << 10
_FOREVER: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class File:
    """A file as it is sent. `packed` is empty where packing would not help."""

    body: bytes
    packed: bytes
    kind: str
    etag: str
    forever: bool


def file(name: str, body: bytes, packed: bytes = b"", *, forever: bool | None = None) -> File:
    """A file to send under `name`; it is packed here unless it comes packed."""
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    kind = "text/javascript" if kind == "application/javascript" else kind
    if not packed and kind.startswith(_PACKED) and len(body) > 1_000:
        packed = gzip.compress(body, 6, mtime=0)
    etag = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
    if forever is None:
        forever = bool(_HASHED.search(name.rpartition("/")[2]))
    return File(body, packed, f"{kind}; charset=utf-8" if packed else kind, etag, forever)


class Folder:
    """The files of some folders, the first that has one wins. Nothing outside them is found."""

    def __init__(self, roots: Iterable[str | Path]) -> None:
        self._roots = [Path(root).resolve() for root in roots]
        self._kept: dict[str, tuple[float, File]] = {}
        self._size = 0

    def digest(self) -> str:
        """What makes an immutable address of the folders as they are now."""
        found = hashlib.sha256()
        for root in self._roots:
            for path in sorted(path for path in root.rglob("*") if path.is_file()):
                found.update(f"{path.relative_to(root)}\0{path.stat().st_size}\0".encode())
                found.update(path.read_bytes())
        return found.hexdigest()[:16]

    def forever(self, name: str) -> File | None:
        """The same as `find`, for an address with the digest."""
        found = self.find(name)
        return None if found is None else replace(found, forever=True)

    def find(self, name: str) -> File | None:
        """A file; None where there is none of that name."""
        for root in self._roots:
            try:
                path = (root / name).resolve()
                if path.is_relative_to(root) and path.is_file():
                    return self._read(name, path)
            except (OSError, ValueError):  # a name that no file can have
                continue
        return None

    def _read(self, name: str, path: Path) -> File:
        changed = path.stat().st_mtime
        kept = self._kept.get(str(path))
        if kept is not None and kept[0] == changed:
            return kept[1]
        made = file(name, path.read_bytes())
        if self._size + len(made.body) + len(made.packed) < _MOST_KEPT:
            self._size += len(made.body) + len(made.packed)
            self._kept[str(path)] = (changed, made)
        return made


class StaticHandler(Handler):
    """Sends what `find` finds."""

    def initialize(self, find: Callable[[str], File | None]) -> None:
        self._find = find

    async def head(self, name: str = "") -> None:
        await self.get(name)

    async def get(self, name: str = "") -> None:
        found = self._find(name)
        if found is None:
            self.refuse(404, "There is no such file.")
            return
        self.set_header("Content-Type", found.kind)
        self.set_header("Cache-Control", _FOREVER if found.forever else "no-cache")
        self.set_header("Etag", found.etag)
        if self.check_etag_header():
            self.set_status(304)
            return
        body = found.body
        if found.packed:
            self.set_header("Vary", "Accept-Encoding")
            if "gzip" in self.request.headers.get("Accept-Encoding", ""):
                self.set_header("Content-Encoding", "gzip")
                body = found.packed
        self.set_header("Content-Length", len(body))
        # Part by part: whoever asks for megabytes and reads nothing of them has us keep one part.
        with contextlib.suppress(StreamClosedError):
            for start in range(0, len(body), _PART):
                self.write(body[start : start + _PART])
                await self.flush()

    def compute_etag(self) -> str | None:
        return None


def one(made: Callable[[], File]) -> Callable[[str], File | None]:
    """A `find` for an address with a single file, made on first use."""
    kept: list[File] = []

    def find(_name: str) -> File:
        if not kept:
            kept.append(made())
        return kept[0]

    return find
