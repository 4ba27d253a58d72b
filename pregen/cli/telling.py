"""What both demos need to tell their stories: a folder of their own, and commands with what they print."""

from pathlib import Path

from pregen.cli.output import write
from pregen.cli.report import Report
from pregen.errors import UsageError
from pregen.signers import ALGORITHMS

# Its digest goes without saying: each kind of key has but one.
DEMO_ALGORITHMS = {name.partition("-sha")[0]: algorithm for name, algorithm in ALGORITHMS.items()}


def new_folder(folder: Path) -> None:
    """Make the folder of a demo; it may be there, but empty.

    Raises:
        UsageError: it holds something.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} holds something already: remove it, or choose another folder by --dir")
    folder.mkdir(parents=True, exist_ok=True)


def show_report(command: str, report: Report) -> None:
    """Print a command that worked, with its warnings and its lines."""
    say(f"\n{command}", *map(str, report.findings), *report.lines)


def say(*lines: str) -> None:
    """Print lines at once, whoever reads them."""
    write("".join(f"{line}\n" for line in lines))
