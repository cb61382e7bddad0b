"""How Jupyter's kernel manager gets a kernel: a fork of the zygote, or an ordinary process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from alphapulse_nb.server.kernels.nursery import NotForkedError, Nursery
from alphapulse_nb.server.kernels.process import Forked, ending

if TYPE_CHECKING:
    import subprocess

    from jupyter_client.manager import KernelManager


class ForkProvisioner(LocalProvisioner):
    """Forks the zygote of `nursery`; where that cannot be, starts a kernel as Jupyter does.

    Everything else is as with an ordinary kernel: a restart is a new fork.
    """

    nursery: ClassVar[Nursery | None] = None
    """The server's own; there is one server in a process."""
    _asked = False
    """Whether the process was told to end."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        self._asked = False
        try:
            forked = await self._fork(kwargs)
        except NotForkedError as reason:
            if self.nursery is None or self.nursery.is_news(str(reason)):
                self.log.warning("kernels start as ordinary processes, slower: %s", reason)
            return await super().launch_kernel(cmd, **kwargs)
        self.process = cast("subprocess.Popen[bytes]", forked)
        self.pid = self.pgid = forked.pid
        return self.connection_info

    async def _fork(self, kwargs: dict[str, Any]) -> Forked:
        if self.nursery is None:
            raise NotForkedError("no server prepared them")
        self.cwd = str(kwargs.get("cwd") or os.getcwd())  # noqa: PTH109
        environment = kwargs.get("env") or os.environ
        parent = {"JPY_PARENT_PID": str(os.getpid())}
        file = str(cast("KernelManager", self.parent).connection_file)
        return await self.nursery.fork(self.cwd, {**environment, **parent}, file)

    async def poll(self) -> int | None:
        code = await super().poll()
        if code is not None and self.process is not None and not self._asked:
            self._asked = True
            self.log.warning("kernel %s ended by itself: %s", self.kernel_id, ending(code))
        return code

    async def wait(self) -> int | None:
        if not isinstance(self.process, Forked):
            return await super().wait()
        code = await self.process.ended()
        await self.poll()
        self.process = None
        return code

    async def send_signal(self, signum: int) -> None:
        if isinstance(self.process, Forked):
            self.process.send_signal(signum)
        else:
            await super().send_signal(signum)

    async def shutdown_requested(self, restart: bool = False) -> None:  # noqa: ARG002
        self._asked = True

    async def kill(self, restart: bool = False) -> None:
        self._asked = True
        await super().kill(restart)

    async def terminate(self, restart: bool = False) -> None:
        self._asked = True
        await super().terminate(restart)
