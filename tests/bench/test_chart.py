from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.chart import OTHERS, WHOLE, bars, draw
from bench.figure import Figure, Skipped

SVG = "{http://www.w3.org/2000/svg}"
RATES = {name: 1000.0 * number for number, (name, _) in enumerate((*WHOLE, *OTHERS), start=3)}
FIGURES = [Figure(name=name, group="g", title="t", value=rate) for name, rate in RATES.items()]


def texts(path: Path) -> set[str]:
    found = ET.parse(path).iter(f"{SVG}text")
    return {"".join(text.itertext()).strip() for text in found}


def test_the_chart_names_each_bar_and_its_rate(tmp_path: Path) -> None:
    assert draw(FIGURES, "One core", tmp_path / "chart.svg")
    shown = texts(tmp_path / "chart.svg")
    assert shown == {
        "One core",
        WHOLE[0][1],
        f"{RATES[WHOLE[0][0]]:,.0f}",
        *(title for _, title in OTHERS),
        *(f"{RATES[name]:,.0f}" for name, _ in OTHERS),
    }


def test_the_same_figures_give_the_same_octets(tmp_path: Path) -> None:
    for name in ("one", "other"):
        draw(FIGURES, "One core", tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_its_ground_is_transparent_so_that_it_suits_a_dark_page(tmp_path: Path) -> None:
    draw(FIGURES, "One core", tmp_path / "chart.svg")
    assert "#ffffff" not in (tmp_path / "chart.svg").read_text()


def test_without_multibuffer_the_run_of_the_next_engine_is_drawn() -> None:
    drawn = bars([one for one in FIGURES if "multibuffer" not in one.name])
    assert drawn[0].title == "Pregen, whole run (awslc)"
    assert [bar.ours for bar in drawn] == [True] + [False] * (len(OTHERS) - 1)


@pytest.mark.parametrize("names", [[WHOLE[0][0]], [name for name, _ in OTHERS], []])
def test_nothing_is_drawn_without_ours_and_theirs(names: list[str], tmp_path: Path) -> None:
    findings = [one for one in FIGURES if one.name in names]
    assert not draw(
        [*findings, Skipped(name="a", group="g", title="t", reason="r")], "One core", tmp_path / "chart.svg"
    )
    assert not list(tmp_path.iterdir())
