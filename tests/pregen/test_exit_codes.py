"""One list of exit codes: what the help and the documentation say is what it says."""

import re
from pathlib import Path

from pregen.cli.catalogue import PLUGIN_CODES, said_of_itself
from pregen.cli.outcome import FOREIGN_ERRORS
from pregen.errors import PregenError
from pregen.exit_codes import ExitCode
from pregen.status import Level
from storage.edge.serving import launch

DOCS = Path(__file__).parents[2] / "docs"
COMMANDS_PAGE = (DOCS / "commands.md").read_text(encoding="utf-8")
BY_THE_KERNEL = {137}  # SIGKILL: no program can say anything then


def first_cells(document: str, heading: str) -> list[str]:
    """Return what stands in the first column of the first table below a heading."""
    section = (DOCS / document).read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [row.split("|")[1].strip() for row in section.splitlines() if re.match(r"\| [0-9]", row)]


def test_the_help_has_every_code_with_its_meaning() -> None:
    said = said_of_itself(["--help"])

    assert said is not None
    for code in ExitCode:
        assert f"{code:>5}  {code.meaning}\n" in said


def test_the_documentation_has_every_code_and_no_other() -> None:
    listed = [int(code) for cell in first_cells("operations.md", "Exit codes") for code in cell.split(",")]

    assert len(listed) == len(set(listed))
    assert set(listed) == set(ExitCode) | BY_THE_KERNEL


def test_every_kind_of_error_has_a_code_of_the_list_which_is_not_that_of_a_success() -> None:
    kinds = [PregenError]
    for kind in kinds:
        kinds += kind.__subclasses__()

    assert {type(kind.exit_code) for kind in kinds} == {ExitCode}
    assert ExitCode.DONE not in {kind.exit_code for kind in kinds}


def test_the_documentation_has_every_code_of_an_error_with_its_exit_code() -> None:
    kinds = [PregenError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    known = {(kind.code, int(kind.exit_code)) for kind in kinds}
    known |= {(code, int(exit_code)) for _, exit_code, code, _ in FOREIGN_ERRORS}

    rows = re.findall(r"^\| ((?:`[a-z-]+`(?:, )?)+) \| ([0-9]+) \|$", COMMANDS_PAGE, re.MULTILINE)
    listed = {(code, int(number)) for codes, number in rows for code in re.findall(r"`([a-z-]+)`", codes)}

    assert known - listed == set()
    assert {code for code, _ in listed - known} <= {"installation"}


def test_the_edge_which_knows_nothing_of_the_list_ends_with_the_same_codes() -> None:
    assert (launch.EXIT_USAGE, launch.EXIT_STORAGE) == (ExitCode.USAGE, ExitCode.STORAGE)


def test_the_codes_of_the_plugin_are_said_as_they_are() -> None:
    levels = [f"{level} {level.name}" for level in Level]

    assert ", ".join(levels) in PLUGIN_CODES
    assert first_cells("commands.md", "Monitoring") == [str(level) for level in Level]
