"""Tables that hold what several others do, so that records of all of them can lie in one pack."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from storage.key import key64
from storage.reader import LoadedTables
from storage.tables import KnownAnswer, Run, Shape, StoredIssuer, Tables, Template, Window
from storage.tables_document import encode_tables, table_name
from storage.windows import encode_windows, windows_name

_NO_WINDOW = Window(produced_at=0, this_update=0, next_update=0, refresh_by=0)
_NO_ANSWER = KnownAnswer(issuer=0, window=_NO_WINDOW, record=b"", sha256=())


@dataclass(frozen=True, slots=True)
class Union:
    """Tables of several tables.

    Attributes:
        tables: all of it; runs are numbered by their shapes.
        numbers: the number that a run has here, by the name of its tables, then by its number there.
        name: of the object that packs name.
        objects: octets of all that is to be put, by name.
    """

    tables: Tables
    numbers: Mapping[str, tuple[int, ...]]
    name: str
    objects: Mapping[str, bytes]


def unite(loaded: Mapping[str, LoadedTables]) -> Union:
    """Return the union of tables, by the names that manifests say of them."""
    collected = _Collected()
    runs = {name: [collected.run(one.tables, run) for run in one.tables.runs] for name, one in loaded.items()}
    ordered = sorted(
        {run for some in runs.values() for run in some}, key=lambda run: (run.shape, run.issuer, run.window)
    )
    place = {run: number for number, run in enumerate(ordered)}
    numbers = {name: tuple(place[run] for run in some) for name, some in runs.items()}
    tables = Tables(
        issuers=tuple(collected.issuers),
        templates=tuple(collected.templates),
        shapes=tuple(collected.shapes.values()),
        windows=tuple(collected.windows),
        runs=tuple(ordered),
    )
    objects: dict[str, bytes] = {}
    lasting = next(
        (one for one in loaded.values() if one.tables.lasting == tables.lasting and one.name != one.tables_name), None
    )
    if lasting is None:
        octets = encode_tables(tables)
        tables_name = table_name(octets)
        objects[tables_name] = octets
    else:
        tables_name = lasting.tables_name
    octets = encode_windows(tables, tables_name)
    name = windows_name(octets)
    return Union(tables, numbers, name, {**objects, name: octets})


class _Collected:
    """What tables have, each once."""

    def __init__(self) -> None:
        self.issuers: list[StoredIssuer] = []
        self.templates: dict[Template, int] = {}
        self.shapes: dict[Shape, Shape] = {}  # as they are apart from their known answers, and as they are stored
        self.windows: dict[Window, int] = {}
        self._shape_of: dict[Shape, int] = {}

    def run(self, tables: Tables, run: Run) -> Run:
        """Return what a run of some tables is here."""
        return Run(
            self._issuer(tables.issuers[run.issuer]),
            self._shape(tables, tables.shapes[run.shape]),
            self.windows.setdefault(tables.windows[run.window], len(self.windows)),
        )

    def _issuer(self, issuer: StoredIssuer) -> int:
        if issuer not in self.issuers:
            self.issuers.append(issuer)
        return self.issuers.index(issuer)

    def _shape(self, tables: Tables, shape: Shape) -> int:
        responses = tuple(
            replace(one, template=self.templates.setdefault(tables.templates[one.template], len(self.templates)))
            for one in shape.responses
        )
        known = shape.known_answer
        issuer = tables.issuers[known.issuer]
        key = known.key if known.key is not None else key64(known.record[: shape.serial_bytes], issuer.issuer_id)
        apart = replace(shape, responses=responses, known_answer=_NO_ANSWER)
        if apart not in self._shape_of:
            self._shape_of[apart] = len(self.shapes)
            answer = replace(known, issuer=self._issuer(issuer), key=key)
            self.shapes[apart] = replace(shape, responses=responses, known_answer=answer)
        return self._shape_of[apart]
