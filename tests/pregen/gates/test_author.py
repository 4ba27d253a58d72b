"""Who runs a command, and what for."""

import os
import pwd

import pytest

from pregen.errors import UsageError
from pregen.gates.author import Author, read_author


def test_who_runs_a_command_is_the_user_unless_somebody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_USER", raising=False)

    assert read_author(None, None) == Author(pwd.getpwuid(os.getuid()).pw_name)
    assert read_author(" A. Turing ", " CHG-4711 ") == Author("A. Turing", "CHG-4711")


@pytest.mark.parametrize(
    ("by", "note", "expected"),
    [
        (" ", None, "--by is empty: say who does this"),
        ("a" * 101, None, "--by has 101 characters: 100 are kept"),
        (None, "", "--note is empty: say what this is for"),
        (None, "n" * 1_001, "--note has 1,001 characters: 1,000 are kept"),
    ],
)
def test_what_says_nothing_or_too_much_is_refused(by: str | None, note: str | None, expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        read_author(by, note)
