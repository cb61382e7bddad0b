"""Kernels for a tenth of the CPU: forks of a process that has imported what they need.

`zygote` is that process, `kernel` what a fork becomes, `nursery` the server's side of both, and
`provisioner` what Jupyter asks for a kernel. `prepare` wires them into a server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alphapulse_nb.server.kernels.nursery import Nursery


def prepare(config: Any) -> Nursery:
    """Let the server of this configuration fork its kernels; call it before it initialises.

    Returns at once: the zygote starts beside the server. `close()` what it returns in the end.
    """
    from alphapulse_nb.server.kernels import nursery as made
    from alphapulse_nb.server.kernels.provisioner import ForkProvisioner
    from alphapulse_nb.server.kernels.spec import OneKernel

    config.VoilaConfiguration.kernel_spec_manager_class = OneKernel
    ForkProvisioner.nursery = nursery = made.Nursery()
    nursery.start()
    return nursery
