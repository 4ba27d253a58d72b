"""docs/configuration.md, whose tables are what the sections say of themselves.

python -m tests.pregen.config.page      writes the tables into the page

A table follows the heading of its section. Meanings are the docstrings' "Attributes", types and defaults those of the
fields; what stands between the tables is written by hand.
"""

import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from pregen.config import (
    TIME_COLUMNS,
    AnchorConfig,
    ClusterConfig,
    ColumnConfig,
    GatesConfig,
    GrowthLimit,
    IssuerConfig,
    IssuerValidityConfig,
    KeepConfig,
    Limit,
    PublishConfig,
    RefreshConfig,
    RunConfig,
    S3Config,
    SnapshotConfig,
    ValidityConfig,
    columns,
)
from pregen.config.allowed import allowed
from pregen.config.section import Section

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"
SECTIONS: Mapping[str, type[Section]] = {
    "[snapshot]": SnapshotConfig,
    "Fields of a column": ColumnConfig,
    "[[snapshot.anchor]]": AnchorConfig,
    "[[issuer]]": IssuerConfig,
    "[issuer.validity]": IssuerValidityConfig,
    "[validity]": ValidityConfig,
    "[refresh]": RefreshConfig,
    "[gates]": GatesConfig,
    "Limits": Limit,
    "The limit of growth": GrowthLimit,
    "[run]": RunConfig,
    "[cluster]": ClusterConfig,
    "[publish]": PublishConfig,
    "keep": KeepConfig,
    "s3": S3Config,
}
CANONICAL = "[snapshot.columns]"
_INHERITED: Mapping[type[Section], str] = {
    IssuerValidityConfig: "as in `[validity]`",
    Limit: "the gate's",
    GrowthLimit: "the gate's",
}
_ENTRY = re.compile(r"^ {4}(\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)
_TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)


def renewed(page: str) -> str:
    """Return a page with the tables that belong under its headings."""
    for heading in (CANONICAL, *SECTIONS):
        start = re.search(rf"^##+ `?{re.escape(heading)}`?$", page, re.MULTILINE)
        if start is None:
            raise LookupError(f"the page has no heading {heading!r}")
        table = "".join(f"{line}\n" for line in table_under(heading))
        old = _TABLE.search(page, start.end())
        if old is None:
            raise LookupError(f"no table follows the heading {heading!r}")
        page = page[: old.start()] + table + page[old.end() :]
    return page


def table_under(heading: str) -> Iterator[str]:
    """Yield the lines of the table of one section."""
    if heading == CANONICAL:
        yield from _row("column", "what it says of a certificate", "fields beside `name`")
        yield "|---|---|---|"
        for name, meaning in meanings(columns.__doc__ or "", "The canonical columns").items():
            yield from _row(f"`{name}`", _marked(meaning), _fields_of(name))
        return
    section = SECTIONS[heading]
    said: dict[str, str] = {}
    for base in reversed(section.__mro__):
        if base is not object and issubclass(base, Section):
            said |= meanings(base.__doc__ or "", "Attributes")
    yield from _row("field", "may be", "default", "meaning")
    yield "|---|---|---|---|"
    for field in msgspec.structs.fields(section):
        default = _INHERITED.get(section) or ("**required**" if field.required else _toml(field.default))
        yield from _row(f"`{field.name}`", _marked(allowed(field.type)), default, _marked(said[field.name]))


def meanings(docstring: str, title: str) -> dict[str, str]:
    """Return what a docstring says of each name under a title.

    >>> meanings("Two.\\n\\nAttributes:\\n    one: the first\\n        of them.\\n    two: another.", "Attributes")
    {'one': 'the first of them.', 'two': 'another.'}
    """
    _, _, listed = inspect.cleandoc(docstring).partition(f"{title}:\n")
    return {name: " ".join(text.split()) for name, text in _ENTRY.findall(listed)}


def _fields_of(canonical: str) -> str:
    """Return which fields of a column one of them may have."""
    if canonical == "serial" or canonical in TIME_COLUMNS:
        return ", ".join(f"`{name}`" for name in ("encoding", *(columns.OF_TIMES if canonical in TIME_COLUMNS else ())))
    if canonical in columns.VALUES:
        return f"`values`, with the keys {', '.join(f'`{key}`' for key in columns.VALUES[canonical])}"
    return "-"


def _row(*cells: str) -> Iterator[str]:
    yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _marked(text: str) -> str:
    """Return a sentence of a docstring as Markdown: values as code, pages as links.

    >>> _marked('as in ``[a]``, or "all"; docs/gates.md says why')
    'as in `[a]`, or `"all"`; [gates.md](gates.md) says why'
    """
    text = text.replace("``", "`")
    parts = text.split("`")
    parts[::2] = [re.sub(r'("[^"]*")', r"`\1`", re.sub(r"docs/(\w+\.md)", r"[\1](\1)", part)) for part in parts[::2]]
    return "`".join(parts)


def _toml(value: object) -> str:
    """Return a default as TOML writes it; what is absent by default is called none."""
    if value in (None, (), msgspec.NODEFAULT) or (isinstance(value, Section) and not isinstance(value, Limit)):
        return "none"
    if isinstance(value, Limit):
        return f"`{{ share = {value.share}, count = {value.count} }}`"
    return f"`{str(value).lower()}`" if isinstance(value, bool | int) else f'`"{value}"`'


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
