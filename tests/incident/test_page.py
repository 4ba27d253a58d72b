"""docs/incident.md quotes what the story prints today, and nothing else."""

import re
import tomllib
from pathlib import Path

import pytest

from pregen.zones import zone
from tests.incident.conftest import Story, act
from tests.incident.page import PAGE, ROWS, chunks, normalised, renewed, shown
from tests.incident.test_story import is_calm, zone_and_offset

_FINDING = re.compile(r"^(error time\.\S+ column '\w+'): .*")


def assert_quoted(story: Story, *, counts: bool) -> None:
    """Make sure that every chunk of the page is in the output, in order and line by line."""
    is_usual = is_calm(story, zone_and_offset(story)[0])

    def comparable(lines: list[str]) -> list[str]:
        found = [normalised(line, counts=counts) for line in lines]
        # In the weeks after a change of the clocks, columns that are read wrongly differ by two offsets.
        return found if is_usual else [_FINDING.sub(r"\1", line) for line in found if line.strip() != "ZONES"]

    output, at = comparable(shown(story)), 0
    for chunk in map(comparable, chunks(PAGE.read_text())):
        at = next((place for place in range(at, len(output)) if output[place : place + len(chunk)] == chunk), -1)
        assert at >= 0, f"docs/incident.md quotes what is not printed; run python -m tests.incident.page: {chunk}"


def test_the_page_quotes_what_the_story_prints(story: Story) -> None:
    assert_quoted(story, counts=False)


@pytest.mark.slow
def test_the_page_quotes_what_the_story_prints_at_full_size(tmp_path: Path) -> None:
    story = act(tmp_path / "incident", ROWS)
    assert story.code == 0
    assert_quoted(story, counts=True)


def test_the_page_shows_every_command_of_the_story(story: Story) -> None:
    commands = [line for line in shown(story) if line.startswith("$ ")]
    assert len(commands) == 9
    assert [line for line in PAGE.read_text().splitlines() if line.startswith("$ ")] == commands


def test_a_page_that_is_renewed_holds_the_new_run_and_a_line_that_is_not_printed_is_noticed(story: Story) -> None:
    page = renewed(PAGE.read_text(), shown(story))
    assert f"{story.lost[-1]} of incident/issuer.pem" in page
    assert len(list(chunks(page))) == len(list(chunks(PAGE.read_text())))
    quoted = {normalised(line, counts=True) for chunk in chunks(page) for line in chunk}
    assert quoted <= {normalised(line, counts=True) for line in shown(story)}


def test_the_page_s_pieces_of_configuration_are_those_of_the_story(story: Story) -> None:
    declared = tomllib.loads((story.folder / "declared.toml").read_text())["snapshot"]
    pieces = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    columns, anchors = (tomllib.loads(piece)["snapshot"] for piece in pieces)
    zone(columns["columns"]["not_before"]["zone"])
    columns["columns"]["not_before"]["zone"] = zone_and_offset(story)[0]
    assert columns["columns"]["not_before"] == declared["columns"]["not_before"]
    assert anchors["anchor"] == declared["anchor"]
