"""ARCHITECTURE.md promises that the docstring of each folder's `__init__.py` says what its files are for."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = sorted(path.parent for room in ("pregen", "storage") for path in (ROOT / room).rglob("__init__.py"))


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(ROOT)))
def test_each_file_of_a_room_is_named_by_its_docstring(room: Path) -> None:
    text = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    if room == ROOT / "pregen":
        text = (ROOT / "ARCHITECTURE.md").read_text()
    names = [path.name for path in room.glob("*.py") if not path.name.startswith("__")]

    assert [name for name in names if name not in text and name.removesuffix(".py") not in text] == []
