"""The one list of what the server counts and measures about itself.

JSON, Prometheus text, `docs/metrics.md` and the tests follow from it. A label takes its values from
a closed set, so that no visitor can make the list of series grow; whatever is not in the set counts
as `other`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from alphapulse_nb.events import BUILT_IN
from alphapulse_nb.reports import OUTCOMES

OTHER: Final = "other"
ROUTES: Final = ("page", "api", "kernel", "socket", "static", "sign_in")
STATUSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")


class Kind(enum.StrEnum):
    """What may be done with a measure: count it, set it, or observe durations."""

    COUNTER = "counter"
    GAUGE = "gauge"
    DURATION = "histogram"


@dataclass(frozen=True)
class Label:
    """A label and its values; `query` has the charts' names beside them, which come at start."""

    name: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measure:
    """One thing that is counted or measured.

    `exported` is the name without the suffix that Prometheus wants for a counter.
    """

    name: str
    kind: Kind
    help: str
    unit: str = ""
    labels: tuple[Label, ...] = ()

    @property
    def exported(self) -> str:
        """The name for Prometheus; those about the process are the usual ones."""
        return self.name if self.name.startswith("process_") else f"alphapulse_{self.name}"


QUERY: Final = Label("query", ("symbols", "headline", "breaches", "firing", "data"))
_OUTCOME: Final = Label("outcome", OUTCOMES)
_ROUTE: Final = Label("route", ROUTES)
_HOW: Final = Label("how", ("forked", "ordinary"))


def _counter(name: str, text: str, *labels: Label, unit: str = "") -> Measure:
    return Measure(name, Kind.COUNTER, text, unit, labels)


def _gauge(name: str, text: str, unit: str = "") -> Measure:
    return Measure(name, Kind.GAUGE, text, unit)


def _seconds(name: str, text: str, *labels: Label) -> Measure:
    return Measure(name, Kind.DURATION, text, "seconds", labels)


MEASURES: Final = (
    _gauge("viewers", "Open kernel websockets: one for each page that somebody has open"),
    _gauge("persons", "Different persons among the viewers"),
    _gauge("kernels", "Live kernels"),
    _gauge("kernels_limit", "Most kernels that may live at a time"),
    _counter("kernels_started", "Kernels started", _HOW),
    _counter(
        "kernels_ended",
        "Kernels ended: page closed, nobody came back, died, or the server stopped",
        Label("why", ("closed", "abandoned", "died", "stopped")),
    ),
    _counter("kernels_refused", "Pages asked to wait because all kernels were taken"),
    _counter("kernels_failed", "Kernels that did not start"),
    _seconds("kernel_start_seconds", "From asking for a kernel to its first answer", _HOW),
    _gauge("zygote_up", "1 while the process that forks kernels is up"),
    _counter("zygote_forks", "Kernels forked by the zygote"),
    _counter("zygote_restarts", "Times the zygote was replaced after it had died"),
    _counter("sockets_opened", "Kernel websockets opened"),
    _counter(
        "sockets_closed",
        "Kernel websockets closed",
        Label("why", ("left", "silent", "slow", "refused", "stopped")),
    ),
    _counter("messages", "Messages taken from kernel websockets"),
    _counter(
        "messages_refused",
        "Messages from kernel websockets that were not let through",
        Label("why", ("size", "format", "type", "target", "rate")),
    ),
    _counter(
        "events",
        "Events of the desk, by type",
        Label("type", tuple(BUILT_IN)),
    ),
    _seconds("event_lag_seconds", "From a row's creation to its event in the log"),
    _gauge("relay_up", "1 while this server turns new rows into events for all"),
    _gauge("listener_up", "1 while the database's notifications arrive"),
    _gauge("streams", "Clients of the event stream"),
    _counter("streams_opened", "Connections to the event stream opened"),
    _counter(
        "streams_closed",
        "Connections to the event stream closed",
        Label("why", ("left", "slow", "refused", "stopped")),
    ),
    _gauge("feeds", "Feeds that are refreshed for the clients of the event stream"),
    _gauge("feed_readers", "Places that clients have in feeds"),
    _counter("refreshes", "Refreshes: of one feed for all, or of a page's charts by its kernel"),
    _counter("refreshes_late", "Refreshes that began more than a second after their time"),
    _seconds("refresh_seconds", "A refresh of one feed, or of a page's charts by its kernel"),
    _seconds("refresh_late_seconds", "How long after its time a refresh began"),
    _seconds("load_seconds", "Loading one chart: its queries and its figure", QUERY),
    _counter("loads", "Charts loaded, by how it ended", QUERY, _OUTCOME),
    _seconds("query_seconds", "Waiting for the database, for one chart or answer", QUERY),
    _counter("queries", "Reads from the database, by how they ended", QUERY, _OUTCOME),
    _counter("rows_read", "Rows read from the database"),
    _counter("http_requests", "HTTP requests", _ROUTE, Label("status", STATUSES)),
    _seconds("http_request_seconds", "An HTTP request, to the last byte of its answer", _ROUTE),
    _seconds("page_first_byte_seconds", "From a page's request to the first byte of its answer"),
    _seconds("page_last_byte_seconds", "From a page's request to the last byte of its answer"),
    _counter("sign_ins", "Sign-ins, by how they ended", Label("outcome", ("ok", "refused"))),
    _counter(
        "requests_refused",
        "Requests that were turned away",
        Label("why", ("access", "origin", "xsrf", "owner", "host", "rate")),
    ),
    _counter("reports", "Reports of refreshes that came from kernels"),
    _counter("reports_refused", "Reports that were none, and were dropped"),
    _counter(
        "log_lines",
        "Lines logged",
        Label("level", ("debug", "info", "warning", "error", "critical")),
    ),
    _counter("log_lines_lost", "Lines that could not be written, as when the disk was full"),
    _counter("self_metrics_rows", "Rows of these figures written to system_metrics"),
    _counter("self_metrics_failed", "Times that writing them failed"),
    _seconds("loop_lag_seconds", "How late the server's event loop runs what is due"),
    _gauge("uptime_seconds", "Time since the server started", "seconds"),
    _gauge("process_resident_memory_bytes", "Memory of the server's process", "bytes"),
    _counter("process_cpu_seconds", "CPU time of the server's process", unit="seconds"),
    _gauge("process_open_fds", "Descriptors that the server's process has open"),
    _gauge("process_max_fds", "Descriptors that it may have open"),
    _gauge("process_start_time_seconds", "When it started, since 1970", "seconds"),
)
