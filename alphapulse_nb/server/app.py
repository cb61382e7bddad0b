"""`alphapulse serve`: Voila in single-notebook mode with our template and static route.

Everything that a page loads comes from this server. Responses are compressed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from alphapulse_nb.errors import SettingsError

_SHARE: Final = Path(__file__).parent / "share"
_EXTENSIONS: Final = [
    "@jupyter-widgets/jupyterlab-manager",
    "@voila-dashboards/widgets-manager8",
    "anywidget",
]
"""The front-end extensions a page gets: without plotly's own, which is 4.8 MB."""


def notebook() -> Path:
    """The dashboard's notebook: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).parent.parent
    for folder in (package.parent / "notebooks", package / "notebooks"):
        if (folder / "dashboard.ipynb").is_file():
            return folder / "dashboard.ipynb"
    raise SettingsError("notebooks/dashboard.ipynb is missing; reinstall alphapulse-nb")


def _on_jupyter_path() -> None:
    """Let Voila find our template: it looks on Jupyter's paths only."""
    known = os.environ.get("JUPYTER_PATH", "")
    if str(_SHARE) not in known.split(os.pathsep):
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(_SHARE), known]))


def application(
    *,
    host: str = "127.0.0.1",
    port: int = 8050,
    token: str | None = None,
    debug: bool = False,
    ready: Callable[[str], None] | None = None,
) -> Any:
    """The configured Voila application, initialised but not started.

    `ready` is called with the address once the server listens.
    """
    _on_jupyter_path()
    from alphapulse_nb.server import page
    from alphapulse_nb.server.voila_app import AlphaPulse
    from alphapulse_nb.widgets import assets

    app = AlphaPulse.instance()
    app.ready = ready
    app.ip = host
    app.port = port
    app.port_retries = 0
    app.open_browser = False
    app.token = token or ""
    app.notebook_path = str(notebook())
    app.log_level = "DEBUG" if debug else "WARN"
    app.config.KernelManager.transport = "ipc" if sys.platform != "win32" else "tcp"
    app.config.VoilaConfiguration.template = "alphapulse"
    app.config.VoilaConfiguration.show_tracebacks = debug
    app.config.VoilaConfiguration.extension_allowlist = _EXTENSIONS
    app.config.VoilaConfiguration.resources = page.resources(
        app.asset_url("plotly", assets.plotly_hash()),
        app.asset_url("widgets", assets.bundle_hash()),
    )
    app.initialize([])
    return app
