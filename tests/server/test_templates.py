"""The page's template is made once, and nothing of one visitor shows in the page of another."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
import pytest

from alphapulse_nb.server.templates import Exporters
from tests.conftest import Served
from tests.visitor import Answer, Visitor


@pytest.fixture
def given(tmp_path: Path) -> dict[str, Any]:
    """What an exporter of a small template is made with."""
    (tmp_path / "index.html.j2").write_text(
        "{{ nb.metadata.visitor }}{% for cell in nb.cells %} {{ cell.source | upper }}{% endfor %}"
    )
    return {
        "template_paths": [str(tmp_path)],
        "template_name": "lab",
        "theme": "light",
        "base_url": "/",
    }


def rendered(exporter: Any, visitor: str) -> str:
    notebook = nbformat.v4.new_notebook(
        metadata={"visitor": visitor}, cells=[nbformat.v4.new_code_cell("x")]
    )

    async def parts() -> str:
        made = exporter.generate_from_notebook_node(notebook, resources={})
        return "".join([part async for part, _ in made])

    return asyncio.run(parts())


def test_a_template_is_read_once_for_all_pages(given: dict[str, Any]) -> None:
    exporters = Exporters()
    assert rendered(exporters(**given), "first") == "first X"
    template = exporters(**given).template
    assert rendered(exporters(**given), "second") == "second X"
    assert exporters(**given).template is template


@pytest.mark.parametrize(
    ("name", "value"), [("template_name", "base"), ("theme", "dark"), ("base_url", "/desk/")]
)
def test_another_kind_of_page_has_an_exporter_of_its_own(
    given: dict[str, Any], name: str, value: str
) -> None:
    exporters = Exporters()
    assert exporters(**given) is not exporters(**given | {name: value})
    assert getattr(exporters(**given | {name: value}), name) == value


def test_pages_made_at_the_same_time_hold_their_own_visitor_and_nobody_elses(
    served: Served,
) -> None:
    with ThreadPoolExecutor(4) as pool:
        pages = list(pool.map(lambda _: Visitor(served.url).get(), range(4)))
    assert len({page.kernel_id for page in pages}) == 4
    own = [nonces(page) for page in pages]
    assert all(len(found) == 1 for found in own)
    assert len(set.union(*own)) == 4


def nonces(page: Answer) -> set[str]:
    """Every nonce in a page's scripts and in its policy."""
    policy = page.headers["Content-Security-Policy"]
    return {*re.findall(r'nonce="([^"]+)"', page.text), *re.findall(r"'nonce-([^']+)'", policy)}
