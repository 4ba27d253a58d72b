"""ARCHITECTURE.md promises that the docstring of each folder's `__init__.py` says what its files are for."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent for room in ("pregen", "storage") for path in (ROOT / room).rglob("__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_each_file_of_a_room_is_named_by_its_docstring_which_names_no_other(room: Path) -> None:
    """A file is named as `file.py`, a room within as `room/`: what is a plain word of a sentence names nothing."""
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    files = {path.name for path in room.glob("*.py") if not path.name.startswith("__")}
    rooms = {path.parent.name for path in room.glob("*/__init__.py")}
    if room == ROOT / "pregen":
        text = (ROOT / "ARCHITECTURE.md").read_text()
        assert files - set(re.findall(r"(?<![\w./-])(?:pregen/)?(\w+\.py)\b", text)) == set()
        return

    assert set(re.findall(r"(?<![\w./-])(\w+\.py)\b", text)) == files
    assert rooms - set(re.findall(r"(?<![\w./-])(\w+)/", text)) == set()
