"""`python -m tests.impatient serve`: the server with less patience and a limit on its memory.

What takes minutes in real life takes seconds here: a page that answers no ping is given up after 4
to 6 s instead of 45 to 65, and its kernel ends 3 s later instead of 90, or after `AWAY` seconds of
the environment; and there is room for `CONNECTIONS` only, if that is set. Nothing else differs from
`alphapulse serve`, but that neither it nor a kernel may have more than 3 GB of address space.
"""

from __future__ import annotations

import os
import resource
from typing import Final

from alphapulse_nb import cli
from alphapulse_nb.server import descriptors, visits, voila_app

_LARGEST: Final = 3 << 30


def main() -> None:
    """Run the command line with shorter times."""
    resource.setrlimit(resource.RLIMIT_AS, (_LARGEST, _LARGEST))
    vars(visits)["AWAY_SECONDS"] = float(os.environ.get("AWAY", "3"))
    vars(voila_app).update(_PING_MILLISECONDS=2_000, _PONG_MILLISECONDS=4_000)
    if "CONNECTIONS" in os.environ:
        vars(descriptors)["CONNECTIONS"] = int(os.environ["CONNECTIONS"])
    cli.main()


if __name__ == "__main__":
    main()
