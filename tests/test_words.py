"""One word for one thing: a name that several modules may use means the same in each.

A name without an underscore is its package's: whoever meets it in one module must not have to ask which of two is
meant. What begins with an underscore is its module's own business, but a value that several modules give the same
private name has one home.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGES = ("pregen", "storage", "bench")
EACH_ITS_OWN = "bench"  # whose modules each say how they measure: rounds, targets, shares
COPIES = 3  # of one private constant: two modules that agree by chance are none

# Files of one name: what each of them is about, which is one thing.
ONE_THING = {
    "base.py": "the contract of a room, under which others are written",
    "by_issuer.py": "what is looked at for each issuer by itself",
    "certificates.py": "certificates, made in the demo and read for issuers",
    "columns.py": "the columns of a snapshot, as configured and as found",
    "cycles.py": "cycles, as a rule and for the issuers of a run",
    "ecdsa.py": "ECDSA, its signatures and one engine",
    "errors.py": "the errors of a package",
    "evidence.py": "what the gates are shown: the record, and how a run fills it",
    "gates.py": "the gates, and their thresholds in the configuration",
    "history.py": "what a generation leaves behind: as stored, and for the gates",
    "memory.py": "the memory of this machine, which workers save and a store lies in",
    "options.py": "options of whoever is called",
    "overlay_keys.py": "the keys of overlays, written in bulk and read by edges",
    "overlaying.py": "how an overlay is signed, of what stays and of what changes",
    "progress.py": "how far long work is, and how that is shown",
    "rows.py": "rows: while they are read, and those of a shard",
    "windows.py": "windows, planned and stored",
    "zones.py": "time zones, of the machine and of what is read",
}


class Definition(NamedTuple):
    """A name at the top of a module, and what it is made of."""

    name: str
    module: str
    value: str
    is_type: bool


def test_a_public_type_or_constant_has_a_name_that_no_other_module_defines() -> None:
    assert repeated(one for one in definitions() if not one.name.startswith("_")) == {}


def test_a_word_that_several_enumerations_number_is_never_a_bare_constant() -> None:
    """A status is `RowStatus.UNKNOWN` or `RememberedStatus.UNKNOWN`, two numbers: alone, the word has none."""
    numbered = Counter(
        name for path in sources() for node in ast.parse(path.read_text()).body for name in members(node)
    )
    shared = {name for name, count in numbered.items() if count > 1}

    assert {"GOOD", "REVOKED", "UNKNOWN"} <= shared
    assert {(one.name, one.module) for one in definitions() if one.name in shared} == set()


def test_a_version_says_of_what_it_is_one() -> None:
    assert [one.module for one in definitions() if one.name == "VERSION"] == []


def test_a_private_type_is_not_called_like_a_public_one_of_another_module() -> None:
    types = [one for one in definitions() if one.is_type]
    public = {one.name for one in types if not one.name.startswith("_")}

    assert {(one.name, one.module) for one in types if one.name[1:] in public and one.name.startswith("_")} == set()


def test_a_value_that_many_modules_call_by_one_name_is_defined_once() -> None:
    places = defaultdict[tuple[str, str], list[str]](list)
    for one in definitions():
        if not one.is_type and one.name.startswith("_") and not is_plain(one):
            places[one.name, one.value].append(one.module)

    assert {name: where for (name, _), where in places.items() if len(where) >= COPIES} == {}


def test_files_of_one_name_are_about_one_thing() -> None:
    """Commands have files of their own, which are called like what they call."""
    places = defaultdict[str, list[Path]](list)
    for path in (path for package in ("pregen", "storage") for path in (ROOT / package).rglob("*.py")):
        if not path.name.startswith("__") and path.parent.name != "commands":
            places[path.name].append(path.relative_to(ROOT))

    assert {name for name, where in places.items() if len(where) > 1} == set(ONE_THING)


def is_plain(one: Definition) -> bool:
    """Whether a constant may be written down again: a small number, or the logger of a module."""
    return re.fullmatch(r"\d{1,2}|logging\..*", one.value) is not None


def repeated(found: Iterable[Definition]) -> Mapping[str, list[str]]:
    """Return the modules of each name that several define, unless all of them measure, and it is no type."""
    places = defaultdict[str, list[Definition]](list)
    for one in found:
        places[one.name].append(one)
    return {
        name: [one.module for one in where]
        for name, where in places.items()
        if len(where) > 1 and not all(one.module.startswith(EACH_ITS_OWN) and not one.is_type for one in where)
    }


def sources() -> list[Path]:
    """Return all modules of the packages."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


def members(node: ast.stmt) -> Iterator[str]:
    """Yield the names that an enumeration numbers."""
    match node:
        case ast.ClassDef(bases=[*_, ast.Name(id="IntEnum" | "Enum" | "StrEnum" | "IntFlag" | "Flag")], body=body):
            for target in (one for line in body if isinstance(line, ast.Assign) for one in line.targets):
                yield from (one.id for one in ast.walk(target) if isinstance(one, ast.Name))
        case _:
            pass


@cache
def definitions() -> tuple[Definition, ...]:
    """Return all types and constants that modules define."""
    return tuple(
        one
        for path in sources()
        for node in ast.parse(path.read_text()).body
        for one in defined(node, str(path.relative_to(ROOT)))
    )


def defined(node: ast.stmt, module: str) -> Iterator[Definition]:
    """Yield what a statement defines; a variable of types (`TypeVar`) has a name for its readers alone."""
    match node:
        case ast.ClassDef(name=name):
            yield Definition(name, module, name, is_type=True)
        case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec"))):
            pass
        case ast.Assign(targets=[target], value=value) | ast.AnnAssign(target=target, value=ast.expr() as value):
            names = target.elts if isinstance(target, ast.Tuple) else [target]
            for name in [one.id for one in names if isinstance(one, ast.Name) and one.id != "__all__"]:
                yield Definition(
                    name, module, ast.unparse(value), is_type=re.fullmatch("_?[A-Z]+[a-z].*", name) is not None
                )
        case _:
            pass
