"""docs/configuration.md has every field as the code has it, and its examples are configurations."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pregen.config import COLUMNS, columns, load_config
from pregen.config.allowed import allowed
from tests.pregen.config.page import CANONICAL, PAGE, SECTIONS, meanings, renewed

EXAMPLES = re.findall(r"^```toml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
ISSUER = '[[issuer]]\nname = "r1"\ncertificate = "r1.pem"\nkey = "r1.key"\n'
PUBLISH = '[publish]\nstore = "store"\n'


def test_the_tables_are_those_of_the_code() -> None:
    assert PAGE.read_text() == renewed(PAGE.read_text()), "run python -m tests.pregen.config.page"


def test_a_table_that_is_out_of_date_is_noticed() -> None:
    page = PAGE.read_text()
    lines = re.findall(r"^\| `\w+` \|.*\n", page, re.MULTILINE)
    assert len(lines) > 60
    for line in lines:
        assert renewed(page.replace(line, "", 1)) == page


@pytest.mark.parametrize("section", SECTIONS.values(), ids=lambda section: section.__name__)
def test_a_docstring_explains_each_field_and_nothing_else(section: type[msgspec.Struct]) -> None:
    own = set(section.__annotations__)

    assert set(meanings(section.__doc__ or "", "Attributes")) == own
    for field in msgspec.structs.fields(section):
        assert not re.search(r"None|str\b|\[", allowed(field.type)), field.name


def test_each_column_is_explained() -> None:
    assert tuple(meanings(columns.__doc__ or "", "The canonical columns")) == COLUMNS


@pytest.mark.parametrize("text", EXAMPLES)
def test_each_example_is_a_configuration(tmp_path: Path, text: str) -> None:
    raw = tomllib.loads(text)
    path = tmp_path / "pregen.toml"
    path.write_text(text + ("" if "issuer" in raw else ISSUER) + ("" if "publish" in raw else PUBLISH))

    assert load_config(path).issuer


def test_the_examples_show_every_field() -> None:
    shown: dict[str, set[str]] = {}
    for text in EXAMPLES:
        for heading, table in _tables(tomllib.loads(text)):
            shown.setdefault(heading, set()).update(table)

    assert shown.pop(CANONICAL) == set(COLUMNS)
    assert shown == {
        heading: {field.name for field in msgspec.structs.fields(section)} for heading, section in SECTIONS.items()
    }


def test_each_link_leads_somewhere() -> None:
    for name, anchor in re.findall(r"\]\(([\w./]*)#?([\w-]*)\)", PAGE.read_text()):
        target = (PAGE.parent / name).resolve() if name else PAGE
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, (name, anchor)


def _tables(raw: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """Yield the tables of an example, each with the heading of its section."""
    snapshot, publish, gates = (raw.get(name, {}) for name in ("snapshot", "publish", "gates"))
    mapped = snapshot.get("columns", {})
    yield "[snapshot]", snapshot
    yield CANONICAL, mapped
    yield from (("Fields of a column", column) for column in mapped.values() if isinstance(column, dict))
    yield from (("[[snapshot.anchor]]", anchor) for anchor in snapshot.get("anchor", []))
    for issuer in raw.get("issuer", []):
        yield "[[issuer]]", issuer
        yield "[issuer.validity]", issuer.get("validity", {})
    sections = ("validity", "refresh", "gates", "run", "cluster", "publish")
    yield from ((f"[{name}]", raw.get(name, {})) for name in sections)
    yield from (("Limits", gates.get(name, {})) for name in ("shrink", "mass_revocation", "duplicate"))
    yield "The limit of growth", gates.get("growth", {})
    yield "keep", publish.get("keep", {})
    yield from (("s3", table.get("s3", {})) for table in (snapshot, publish))
