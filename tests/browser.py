"""Where the tests find a browser: the machine's own, else one that `--install` fetched.

`python -m tests.browser` prints its path; with `--install` it sees that there is one: Playwright's
download (which a machine without access to it gives up after a minute), else the system's package.
Needs nothing but Python.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ARGUMENTS: Final = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
"""Root has no sandbox, and a container's shared memory is too small for a page of charts."""

_NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_PLACES: Final = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_DOWNLOADED: Final = (
    "chromium-*/chrome-linux*/chrome",
    "chromium-*/chrome-mac*/*.app/Contents/MacOS/*",
)
_DOWNLOAD_SECONDS: Final = 60
_PACKAGE_SECONDS: Final = 600


def chromium() -> Path | None:
    """The program of a Chromium or Chrome; the environment's `CHROME` comes first."""
    asked = os.environ.get("CHROME")
    found = [asked] if asked else []
    found += [path for name in _NAMES if (path := shutil.which(name))]
    places = [Path(path) for path in (*found, *_PLACES)]
    places += [path for pattern in _DOWNLOADED for path in sorted(_downloads().glob(pattern))[::-1]]
    return next((path for path in places if path.is_file() and os.access(path, os.X_OK)), None)


def install() -> Path | None:
    """The browser, after fetching one where there is none."""
    for step in (_download, _package):
        if (path := chromium()) is not None:
            return path
        step()
    return chromium()


def _downloads() -> Path:
    """Where Playwright puts its browsers."""
    asked = os.environ.get("PLAYWRIGHT_BROWSERS_PATH")
    if asked and asked != "0":
        return Path(asked)
    # `expanduser` leaves "~" as it is where there is no home.
    cache = "~/Library/Caches" if sys.platform == "darwin" else "~/.cache"
    return Path(cache).expanduser() / "ms-playwright"


def _download() -> None:
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    _try(command, _DOWNLOAD_SECONDS)


def _package() -> None:
    package("chromium")


def package(*names: str) -> None:
    """Install Debian packages, where that can be done."""
    if shutil.which("apt-get") is None:
        return
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if rights and shutil.which("sudo") is None:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _try([*rights, "apt-get", "update"], _PACKAGE_SECONDS, environment)
    install = ["apt-get", "install", "-y", "--no-install-recommends", *names]
    _try([*rights, *install], _PACKAGE_SECONDS, environment)


def _try(command: list[str], seconds: float, environment: dict[str, str] | None = None) -> None:
    """Run a step that may fail: the next one makes up for it, and the end result is looked at."""
    print("+", *command, flush=True)
    try:
        done = subprocess.run(
            command, timeout=seconds, env=environment, stdin=subprocess.DEVNULL, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"gave up: {error}", flush=True)
        return
    if done.returncode:
        print(f"gave up: exit code {done.returncode}", flush=True)


def main() -> None:
    path = install() if "--install" in sys.argv[1:] else chromium()
    if path is None:
        sys.exit("no Chromium or Chrome found; install one, or set CHROME to its path")
    print(path)


if __name__ == "__main__":
    main()
