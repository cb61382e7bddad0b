"""The one kind of kernel that the server starts, whatever name a notebook gives its own.

A notebook's metadata name the kernel of whoever wrote it. On this server there may be none of that
name, or one that runs another Python.
"""

from __future__ import annotations

import sys
from typing import Final

from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager

PROVISIONER: Final = "alphapulse-fork"
"""The name of `ForkProvisioner` among the entry points."""


class OneKernel(KernelSpecManager):
    """Knows every kernel name, and under each the same: this Python, forked."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            name=kernel_name,
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="AlphaPulse",
            language="python",
            metadata={"kernel_provisioner": {"provisioner_name": PROVISIONER}},
        )

    def find_kernel_specs(self) -> dict[str, str]:
        return {NATIVE_KERNEL_NAME: ""}
