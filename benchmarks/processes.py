"""What processes cost, as Linux tells it under `/proc`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from alphapulse_nb.server.kernels.process import KERNEL, ZYGOTE

_ORDINARY = "ipykernel_launcher"
"""What the command line of a kernel holds that was not forked."""


@dataclass(frozen=True)
class Cost:
    """Of one process: `own` memory, which nobody shares, and its `share` of all it uses, in MB; CPU
    seconds so far; open descriptors; threads.
    """

    own: float
    share: float
    cpu: float
    descriptors: int
    threads: int


def cost(pid: int) -> Cost:
    """What the process costs now. Raises `psutil.NoSuchProcess`."""
    process = psutil.Process(pid)
    own, share = memory(pid)
    times = process.cpu_times()
    descriptors, threads = process.num_fds(), process.num_threads()
    return Cost(own, share, times.user + times.system, descriptors, threads)


def memory(pid: int) -> tuple[float, float]:
    """Own memory and share, in MB."""
    sizes = dict.fromkeys(("Private_Clean", "Private_Dirty", "Pss"), 0.0)
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        if name[:-1] in sizes:
            sizes[name[:-1]] = int(value) / 1024
    return sizes["Private_Clean"] + sizes["Private_Dirty"], sizes["Pss"]


def kernels(server: int) -> list[int]:
    """The kernels below a server."""
    return [process.pid for process in _living(below(server)) if _is_kernel(process)]


def below(server: int) -> list[psutil.Process]:
    """All descendants of a server, zombies too."""
    return psutil.Process(server).children(recursive=True)


def zombies(server: int) -> int:
    """Descendants that have ended and that nobody has asked for their exit code."""
    return sum(_status(process) == psutil.STATUS_ZOMBIE for process in below(server))


def _living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    return [
        process
        for process in processes
        if _status(process) not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
    ]


def _is_kernel(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess, OSError):
        if process.name() in {ZYGOTE, KERNEL}:
            return process.name() == KERNEL
        return _ORDINARY in process.cmdline()
    return False


def _status(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess):
        return str(process.status())
    return str(psutil.STATUS_DEAD)
