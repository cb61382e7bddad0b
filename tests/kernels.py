"""Kernels for tests and benchmarks, started as the server starts them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from alphapulse_nb.server.kernels.provisioner import ForkProvisioner


@dataclass(frozen=True)
class Kernel:
    """A kernel that answers."""

    manager: AsyncKernelManager
    client: AsyncKernelClient

    @property
    def provisioner(self) -> ForkProvisioner:
        provisioner = self.manager.provisioner
        assert isinstance(provisioner, ForkProvisioner)
        return provisioner

    @property
    def pid(self) -> int:
        pid = getattr(self.manager.provisioner, "pid", None)
        assert isinstance(pid, int)
        return pid

    async def run(self, code: str) -> str:
        """What the code prints; its error's name where it raises."""
        texts: list[str] = []

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            texts.append(content.get("text", "") or content.get("ename", ""))

        await self.client.execute_interactive(code, timeout=60, output_hook=take)
        return "".join(texts).strip()


@asynccontextmanager
async def kernel(
    folder: Path, specs: KernelSpecManager, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Kernel]:
    """A kernel that has answered its first question, killed at the end."""
    # A socket's path has 107 bytes at most, and a test's own folder may have most of them.
    with TemporaryDirectory(prefix="ap-") as short:
        manager = AsyncKernelManager(
            transport="ipc",
            kernel_spec_manager=specs,
            connection_file=str(Path(short) / "kernel.json"),
        )
        async with _started(manager, folder, environment) as made:
            yield made


@asynccontextmanager
async def _started(
    manager: AsyncKernelManager, folder: Path, environment: Mapping[str, str] | None
) -> AsyncIterator[Kernel]:
    more = {} if environment is None else {"env": dict(environment)}
    await manager.start_kernel(cwd=str(folder), **more)
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)
