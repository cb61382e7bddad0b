"""`alphapulse serve`: Voila in single-notebook mode with our template and static route.

Everything that a page loads comes from this server. Responses are compressed.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from alphapulse_nb import reports
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import SettingsError
from alphapulse_nb.server import assembly, descriptors, parts
from alphapulse_nb.server.diary import Diary
from alphapulse_nb.server.shared import Shared
from alphapulse_nb.server.visits import Visits
from alphapulse_nb.settings import Settings
from alphapulse_nb.state import State

if TYPE_CHECKING:
    from alphapulse_nb.server.figures import Figures

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
    settings: Settings,
    db: Database,
    *,
    ready: Callable[[str], None] | None = None,
    brief: bool = False,
) -> Any:
    """The configured Voila application, initialised but not started.

    `db` is the server's own way to the data and stays open as long as it runs. `ready` is called
    with the address once the server listens; a `brief` log has warnings only. Raises
    `SettingsError`, above all where strangers would be let in on an address that others can reach.
    """
    _on_jupyter_path()
    from alphapulse_nb.catalog import catalog
    from alphapulse_nb.server import api, heap, kernels, pulse, traffic
    from alphapulse_nb.server.figures import Figures
    from alphapulse_nb.server.mailbox import Mailbox
    from alphapulse_nb.server.voila_app import AlphaPulse

    figures = Figures(queries=catalog())
    logbook = assembly.logbook(settings, figures, brief)
    state = State(db)
    assembly.upgrade(state)
    access = assembly.access(settings, state)
    app = AlphaPulse.instance()
    app.ready = ready
    app.key = access.rules.key
    means = api.Means()
    app.routes = api.routes(settings.base_url, means)
    app.log_function = traffic.log_function(figures, settings.base_url)
    _configure(app, settings)
    nursery = kernels.prepare(app.config)
    mailbox, beat, trimmer = Mailbox(figures), pulse.Pulse(figures), heap.Trimmer()
    following = assembly.following(settings, db, state, figures)
    alerting = assembly.alerting(settings, db, state, following) if settings.alerts else None

    def make_shared(kernel_manager: Any) -> Shared:
        return Shared(
            db=db,
            clock=settings.clock,
            access=access,
            visits=Visits(kernel_manager, settings.max_kernels, figures),
            figures=figures,
            rate_limit=settings.rate_limit,
            origins=access.rules.origins,
            stream=following.stream,
            actions=assembly.actions(settings, db, state, following, alerting),
            parts=[
                parts.Probe("zygote", functools.partial(_zygote, nursery)),
                parts.Probe("events", following.look),
                *([parts.Probe("alerts", alerting.look)] if alerting is not None else []),
            ],
        )

    def listen_to_kernels() -> None:
        path = mailbox.open()
        if path is not None:
            os.environ[reports.VARIABLE] = str(path)

    app.make_shared = make_shared
    app.at_start = [listen_to_kernels, beat.start, trimmer.start, following.start]
    app.at_stop = [
        *(following.stop, means.close, beat.stop, trimmer.stop),
        *(nursery.close, mailbox.close),
    ]
    if alerting is not None:
        app.at_start.append(alerting.start)
        app.at_stop.insert(0, alerting.stop)
    app.at_end = [state.close, logbook.close]
    app.initialize([])
    logbook.adopt()
    _ask(figures, app, nursery, settings.max_kernels)
    # Once it listens: only then is its port known where 0 was asked for.
    app.at_start.append(
        lambda: following.announce(
            lambda: means.readiness.look(db, app.shared.parts), f"{app.ip}:{app.port}"
        )
    )
    if settings.self_metrics:
        app.at_start.append(lambda: _keep_diary(app, Diary(db, figures, f"{app.ip}:{app.port}")))
    descriptors.make_room(settings.max_kernels)
    return app


def _ask(figures: Figures, app: Any, nursery: Any, most: int) -> None:
    """Let the figures ask the server's parts whenever somebody looks."""
    from alphapulse_nb.server import pulse

    pulse.watch(figures)
    figures.ask("viewers", lambda: app.shared.visits.viewers)
    figures.ask("persons", lambda: app.shared.visits.people)
    figures.ask("kernels", lambda: len(app.shared.visits))
    figures.ask("zygote_up", lambda: float(nursery.state[0] == "up"))
    figures.ask("zygote_restarts", lambda: nursery.restarts)
    figures.set("kernels_limit", most)


def _keep_diary(app: Any, diary: Diary) -> None:
    diary.start()
    app.at_stop.append(diary.stop)


async def _zygote(nursery: Any) -> parts.Part:
    state, reason = nursery.state
    if state == "down":
        return parts.Part(
            "zygote", parts.State.DEGRADED, f"kernels start as ordinary processes: {reason}"
        )
    return parts.Part("zygote", parts.State.OK, state.value)


def _configure(app: Any, settings: Settings) -> None:
    """What Voila and Jupyter are told."""
    from alphapulse_nb.server import live_page, page
    from alphapulse_nb.server.dashboard_page import prepare_notebook
    from alphapulse_nb.widgets import assets

    app.ip = settings.host
    app.port = settings.port
    app.port_retries = 0
    app.open_browser = False
    app.token = ""
    app.base_url = settings.base_url
    app.notebook_path = str(notebook())
    app.log_level = "DEBUG" if settings.debug else "WARN"
    config = app.config
    config.KernelManager.transport = "ipc" if sys.platform != "win32" else "tcp"
    # A kernel that died has lost its page's widgets: the page loads again and gets another.
    config.KernelManager.autorestart = False
    config.MappingKernelManager.buffer_offline_messages = False
    voila = config.VoilaConfiguration
    voila.template = "alphapulse"
    voila.show_tracebacks = settings.debug
    voila.extension_allowlist = _EXTENSIONS
    voila.allow_template_override = "NO"
    voila.allow_theme_override = "NO"
    voila.http_keep_alive_timeout = 3_600
    voila.prelaunch_hook = prepare_notebook
    voila.file_allowlist = []
    voila.resources = page.resources(
        app.asset_url("plotly", assets.plotly_hash()),
        app.asset_url("widgets", assets.bundle_hash()),
        app.asset_url("drawer", assets.bundle_hash(assets.DRAWER)),
        f"{settings.base_url}stream",
    )
    app.live = live_page.about(
        voila.resources["alphapulse"],
        settings.refresh_interval,
        settings.notice,
    )
