"""ARCHITECTURE.md promises that the docstring of each folder's `__init__.py` says what its files are for."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
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


@pytest.mark.parametrize("package", ["pregen", "storage"])
def test_a_type_has_a_name_that_no_other_module_of_its_package_defines(package: str) -> None:
    places = defaultdict[str, list[str]](list)
    for path in sorted((ROOT / package).rglob("*.py")):
        for name in types_of(ast.parse(path.read_text())):
            places[name].append(str(path.relative_to(ROOT)))

    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def types_of(module: ast.Module) -> Iterator[str]:
    """Yield the public classes and aliases of types that a module defines; names in capitals are constants."""
    for node in module.body:
        match node:
            case ast.Assign(value=ast.Call()):  # a variable of types, whose name is the reader's alone
                continue
            case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                pass
            case ast.Assign(targets=[ast.Name(id=name)]):
                pass
            case _:
                continue
        if re.fullmatch("[A-Z]+[a-z].*", name):
            yield name
