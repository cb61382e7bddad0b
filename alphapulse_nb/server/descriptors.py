"""Room for descriptors: each viewer's page and kernel take about a dozen of the server's."""

from __future__ import annotations

from typing import Final

from alphapulse_nb.server import log

EACH: Final = 13
"""Descriptors of one viewer, measured."""
BASE: Final = 120
"""Descriptors of the server without viewers, with room for a few other connections."""
CONNECTIONS: Final = 4_000
"""Connections beside those of viewers' kernels, where the limit allows them: scripts, API, and
those who only follow the stream."""
_FEWEST: Final = 100

_log = log.get(__name__)


def make_room(viewers: int) -> int:
    """Raise the limit as far as it may be raised; says how many viewers fit, and warns of too few.

    Returns the number of viewers that fit, at most `viewers`.
    """
    try:
        import resource
    except ModuleNotFoundError:  # Windows knows no such limit
        return viewers
    needed = BASE + EACH * viewers
    best = needed + CONNECTIONS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = resource.RLIM_INFINITY
    if soft != unlimited and soft < best:
        wanted = best if hard == unlimited else min(best, hard)
        if wanted > soft:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
    fit = viewers if soft == unlimited else max(0, min(viewers, (soft - BASE) // EACH))
    if fit < viewers:
        _log.warning(
            "too few file descriptors",
            limit=soft,
            viewers_that_fit=fit,
            viewers_allowed=viewers,
            next_step=f"raise the limit to {needed} (ulimit -n, LimitNOFILE) "
            f"or set DASHBOARD_MAX_KERNELS to {fit}",
        )
    return fit


def connections(viewers: int) -> int:
    """How many HTTP connections there may be beside that many viewers."""
    try:
        import resource
    except ModuleNotFoundError:
        return CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return CONNECTIONS
    return max(_FEWEST, min(CONNECTIONS, soft - BASE - EACH * viewers))
