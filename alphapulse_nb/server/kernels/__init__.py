"""Kernels that start in a twentieth of the time: forks of a process that has imported everything.

`zygote` is that process, `kernel` what a fork becomes, `nursery` the server's side of both, and
`provisioner` what Jupyter asks for a kernel. `prepare` wires them into a server.
"""

from __future__ import annotations

from typing import Any


def prepare(config: Any) -> Any:
    """Let the server of this configuration fork its kernels; call it before it initialises.

    Returns at once: the zygote starts beside the server. `close()` what it returns in the end.
    """
    from alphapulse_nb.server.kernels.nursery import Nursery
    from alphapulse_nb.server.kernels.provisioner import ForkProvisioner
    from alphapulse_nb.server.kernels.spec import OneKernel

    config.VoilaConfiguration.kernel_spec_manager_class = OneKernel
    ForkProvisioner.nursery = nursery = Nursery()
    nursery.start()
    return nursery
