"""The scripts: one module, no name twice, nothing from another host."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from alphapulse_nb.charts import theme
from alphapulse_nb.widgets import assets

SCRIPTS = sorted(path.name for path in assets.FOLDER.glob("*.js"))
SHEETS = sorted(path.name for path in assets.FOLDER.glob("*.css"))


def test_every_script_is_part_of_the_bundle_or_the_loader() -> None:
    bundled = {*assets.modules(assets.ENTRY), *assets.modules(assets.DRAWER)}
    assert set(SCRIPTS) == {*bundled, "loader.js"}


@pytest.mark.parametrize("entry", [assets.ENTRY, assets.DRAWER])
def test_no_two_modules_share_a_top_level_name(entry: str) -> None:
    names = re.findall(
        r"^(?:export )?(?:async )?(?:function|class|const|let) (\w+)",
        "\n".join((assets.FOLDER / name).read_text() for name in assets.modules(entry)),
        re.MULTILINE,
    )
    assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize(
    ("entry", "names"),
    [
        (assets.ENTRY, ["alerts", "cards", "controls", "live", "liveChart"]),
        (assets.DRAWER, ["drawer"]),
    ],
)
def test_a_bundle_exports_what_is_asked_of_it(entry: str, names: list[str]) -> None:
    exported = re.findall(r"^export \{(.*)\};$", assets.bundle(entry), re.MULTILINE)
    assert [name.strip() for name in exported[0].split(",")] == names
    assert "import " not in re.sub(r"\bimport\(", "", assets.bundle(entry))


@pytest.mark.parametrize("name", [*SCRIPTS, *SHEETS])
def test_no_script_names_another_host(name: str) -> None:
    assert re.findall(r"https?://|//cdn", (assets.FOLDER / name).read_text()) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_writes_html_or_evaluates_text(name: str) -> None:
    source = (assets.FOLDER / name).read_text()
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|eval\(|new Function", source) == []


@pytest.mark.parametrize("name", SHEETS)
def test_a_style_sheet_takes_its_colours_from_the_palette_only(name: str) -> None:
    sheet = (assets.FOLDER / name).read_text()
    assert sheet in assets.style()
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b(?=[^{]*\})", sheet) == []
    used = set(re.findall(r"var\(--ap-([\w-]+)\)", sheet)) - {"font"}
    assert used <= set(theme.PALETTE)


def _luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    bright, dim = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


@pytest.mark.parametrize("ground", ["light", "dark"])
@pytest.mark.parametrize(
    ("roles", "least"),
    [
        (("text", "muted", "accent", "good", "bad", "warn"), 4.5),
        (tuple(f"series{n}" for n in range(1, 7)), 3.0),
    ],
)
def test_colours_can_be_read_on_both_grounds(
    ground: str, roles: tuple[str, ...], least: float
) -> None:
    """WCAG 2.2: 4.5:1 for text, 3:1 for lines and marks."""
    panel = getattr(theme.PALETTE["panel"], ground)
    for role in roles:
        assert _contrast(getattr(theme.PALETTE[role], ground), panel) >= least, role


def test_no_two_roles_share_a_light_colour_so_that_each_has_one_dark_partner() -> None:
    lights = [shade.light for shade in theme.PALETTE.values()]
    assert len(set(lights)) == len(lights)
