"""Run the notebooks and compare their outputs: `python -m tests.notebooks [pytest's options]`.

They see a database of their own with the desk's fixture, made for the fixed clock and seed that
ALPHAPULSE_NOW and ALPHAPULSE_SEED set (the Makefile does), so that their outputs are the stored
ones. `--accept` writes the outputs into the notebooks instead.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from alphapulse_nb import settings
from alphapulse_nb.db import embedded
from alphapulse_nb.db.connection import connect
from alphapulse_nb.db.create import create
from alphapulse_nb.demo import write_fixture

FOLDER = Path(__file__).parents[1] / "notebooks"


def _wait_for_kernels(data: Path) -> None:
    """A kernel that just ended may hold the database's files a moment longer."""
    deadline = time.monotonic() + 30
    while embedded.status(data).running and time.monotonic() < deadline:
        time.sleep(0.1)


def _keep_what_is_compared(path: Path) -> None:
    """Take out what differs with each run: the state of widgets, the outputs of live cells."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            cell.outputs = []
    nbformat.write(notebook, path)


def main() -> None:
    wanted = settings.read()
    if wanted.now is None:
        sys.exit("ALPHAPULSE_NOW is not set: the notebooks' outputs would differ with each run")
    options = sys.argv[1:]
    notebooks = sorted(str(path) for path in FOLDER.glob("*.ipynb"))
    if options == ["--accept"]:
        command = ["nbconvert", "--to", "notebook", "--execute", "--inplace", *notebooks]
    else:
        sanitize = ["--nbval-sanitize-with", str(FOLDER / "sanitize.cfg")]
        command = ["pytest", "--nbval", "--nbval-current-env", *sanitize, *options, *notebooks]
    with tempfile.TemporaryDirectory(
        prefix="alphapulse-notebooks-", ignore_cleanup_errors=True
    ) as folder:
        # Everybody may enter it: root's Postgres runs as another user.
        Path(folder).chmod(0o711)
        data = Path(folder) / "data"
        with connect(data_dir=data) as db:
            create(db)
            write_fixture(db.engine, wanted.seed, wanted.clock())
            settings.hand_down(wanted, os.environ)
            for name in ("DATABASE_URL", "DB_HOST", "DB_NAME", "DB_USER", "DB_PASSWORD"):
                os.environ.pop(name, None)
            os.environ["ALPHAPULSE_DATA_DIR"] = str(data)
            code = subprocess.run([sys.executable, "-m", *command], check=False).returncode
        _wait_for_kernels(data)
    if options == ["--accept"]:
        for notebook in notebooks:
            _keep_what_is_compared(Path(notebook))
    sys.exit(code)


if __name__ == "__main__":
    main()
