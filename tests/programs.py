"""Programs of the system that judge what `deploy/` holds: nginx, systemd-analyze, openssl.

`python -m tests.programs` prints their paths; with `--install` it sees first that they are there.
Where one cannot be had the tests that need it are skipped, except in CI. Needs nothing but Python.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.browser import package

PACKAGES: Final = {"nginx": "nginx", "systemd-analyze": "systemd", "openssl": "openssl"}
"""Each program and the Debian package that brings it."""

_PLACES: Final = ("/usr/sbin", "/usr/local/sbin")
"""Where nginx is on machines whose PATH has no place for it."""


def program(name: str) -> Path | None:
    """The path of a program; None where it is not to be found."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_PLACES])
    found = shutil.which(name, path=path)
    return Path(found) if found else None


def install() -> None:
    """Fetch what is missing, as far as that can be done."""
    missing = [name for program_name, name in PACKAGES.items() if program(program_name) is None]
    if missing:
        package(*missing)


def main() -> None:
    """See that the programs are there, or only look."""
    if "--install" in sys.argv[1:]:
        install()
    for name in PACKAGES:
        print(program(name) or f"{name} is not here; what needs it is not tested")


if __name__ == "__main__":
    main()
