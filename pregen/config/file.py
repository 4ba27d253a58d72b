"""The configuration file: TOML in, checked sections out, everything that is wrong with it reported in one go.

Only the file itself is looked at here; keys and certificates that it names are looked at by `pregen.issuers`.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar, get_args, get_origin

import msgspec

from pregen.config.allowed import explained, kind_of, values_of
from pregen.config.columns import COLUMNS, ColumnConfig
from pregen.config.gates import GatesConfig, GrowthLimit, Limit
from pregen.config.section import Section
from pregen.config.sections import (
    SEVERAL_KEYS,
    USUAL_SPOOL,
    ClusterConfig,
    IssuerConfig,
    IssuerValidityConfig,
    PublishConfig,
    RunConfig,
    SnapshotConfig,
    ValidityConfig,
)
from pregen.config.upkeep import RefreshConfig
from pregen.errors import ConfigError, Finding
from storage.stores import Store, StoreAddress, open_store

_TOP = ("snapshot", "issuer", "validity", "refresh", "gates", "run", "cluster", "publish")

S = TypeVar("S", bound=Section)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """A configuration file that is consistent in itself.

    Attributes:
        path: where it was read.
        issuer: the sections ``[[issuer]]`` in the order of the file, one at least.
    """

    path: Path
    snapshot: SnapshotConfig
    issuer: tuple[IssuerConfig, ...]
    validity: ValidityConfig
    refresh: RefreshConfig
    gates: GatesConfig
    run: RunConfig
    cluster: ClusterConfig
    publish: PublishConfig

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the file start from."""
        return self.path.parent

    def resolve(self, name: str) -> Path:
        """Return the path that the file means by a name."""
        return self.folder / name

    @property
    def spool(self) -> Path | StoreAddress:
        """Where rows are spooled: a folder, or a store that several machines reach."""
        address = StoreAddress.seen_from(self.folder, self.run.spool, self.publish.s3.options)
        return address.path or address

    def spool_for(self, cluster: str | None) -> Path | StoreAddress:
        """Return where a command spools rows: only the workers of a cluster need one that several machines reach."""
        return self.spool if cluster else self.journals

    @property
    def journals(self) -> Path:
        """Where the journals of runs are, which go on from them: the folder of the spool, or the usual one."""
        spool = self.spool
        return spool if isinstance(spool, Path) else Path(USUAL_SPOOL)

    @property
    def store(self) -> StoreAddress:
        """Where the store is; a path starts from the folder of the file."""
        return StoreAddress.seen_from(self.folder, self.publish.store, self.publish.s3.options)

    def open_store(self) -> Store:
        """Open the store.

        Raises:
            ConfigError: its endpoint, which may be that of the environment, cannot be one.
            PermissionError: there are no credentials for it.
        """
        try:
            return open_store(self.store)
        except ValueError as error:
            raise ConfigError(f"{self.path}: publish.s3: {error}") from None


def load_config(path: Path) -> Config:
    """Read a configuration file.

    Raises:
        ConfigError: it cannot be read, or holds anything wrong; the findings name all of it.
    """
    return _SectionReader(path.absolute()).config(_read_toml(path))


def _read_toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except OSError as error:
        text = f"{path}: cannot be read: {error.strerror}"
        code = "config.unreadable"
    except UnicodeDecodeError as error:
        text = f"{path}: not UTF-8 at octet {error.start}: save it as UTF-8"
        code = "config.syntax"
    except tomllib.TOMLDecodeError as error:  # its text ends with the line and the column
        text = f"{path}: not TOML: {error}"
        code = "config.syntax"
    raise ConfigError("the configuration cannot be read", (Finding(code, "error", text),))


class _SectionReader:
    """Turns one parsed file into sections, and goes on after a mistake so that all of them are found."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._findings: list[Finding] = []
        self._places: set[str] = set()

    def config(self, raw: Mapping[str, object]) -> Config:
        """Return the configuration that a parsed file holds.

        Raises:
            ConfigError: it has mistakes; all of them are named.
        """
        self._unknown(raw, _TOP, "")
        snapshot = self._table(raw.get("snapshot", {}), SnapshotConfig, "snapshot")
        before = len(self._findings)
        validity = self._table(raw.get("validity", {}), ValidityConfig, "validity")
        common = validity if len(self._findings) == before else None
        refresh = self._table(raw.get("refresh", {}), RefreshConfig, "refresh")
        gates = self._table(raw.get("gates", {}), GatesConfig, "gates")
        run = self._table(raw.get("run", {}), RunConfig, "run")
        cluster = self._table(raw.get("cluster", {}), ClusterConfig, "cluster")
        publish = self._table(raw.get("publish", {}), PublishConfig, "publish")
        if run and publish and not self._findings and "://" in run.spool:
            one, other = (f"{StoreAddress(address).url}/" for address in (run.spool, publish.store))
            if one.startswith(other) or other.startswith(one):
                text = "must be another place than the store, and neither in the other: both are cleaned"
                self._note("config.bad-value", "run.spool", text)
        issuers = tuple(self._issuers(raw.get("issuer", [])))
        self._validities(common, issuers)
        if self._findings:
            self._missing_files(issuers, snapshot)
        if self._findings or not (snapshot and validity and refresh and gates and run and cluster and publish):
            count = len(self._findings)
            text = f"the configuration has {count} mistake{'s' * (count > 1)}; correct {self._path.name} and run again"
            raise ConfigError(text, self._findings)
        return Config(
            path=self._path,
            snapshot=snapshot,
            issuer=issuers,
            validity=validity,
            refresh=refresh,
            gates=gates,
            run=run,
            cluster=cluster,
            publish=publish,
        )

    def _missing_files(self, issuers: Sequence[IssuerConfig], snapshot: SnapshotConfig | None) -> None:
        """Note which files are not there, where something else is wrong anyway.

        Else they are for those who need them, who say more of them: an edge has no keys.
        """
        named: list[tuple[str, str | None]] = []
        for index, issuer in enumerate(issuers):
            place = _issuer_place({"name": list(issuer.names)}, index)
            named += [(f"{place}.certificate", name) for name in issuer.certificates]
            named += [(f"{place}.responder_certificate", issuer.responder_certificate), (f"{place}.key", issuer.key)]
        for index, anchor in enumerate(() if snapshot is None else snapshot.anchor):
            place = f"snapshot.anchor[{index}]"
            named += [(f"{place}.certificate", anchor.certificate), (f"{place}.crl", anchor.crl)]
        for place, name in named:
            if name and not (self._path.parent / name).exists():
                self._note(
                    "config.missing-file", place, f"there is no file {name!r}: correct the name, or put it there"
                )

    def _validities(self, validity: ValidityConfig | None, issuers: Sequence[IssuerConfig]) -> None:
        """Note what is wrong with what holds for issuers that have a validity of their own.

        Where the common one is wrong itself (None), only what they say alone is judged.
        """
        for index, issuer in enumerate(issuers):
            own = issuer.validity
            if own == IssuerValidityConfig():
                continue
            given = {field for field in own.__struct_fields__ if getattr(own, field) is not None}
            for problem in (validity or ValidityConfig()).changed_by(own).problems():
                if validity is not None or given.issuperset({problem.field, *problem.besides}):
                    place = _issuer_place({"name": list(issuer.names)}, index)
                    self._note(problem.code, f"{place}.validity.{problem.field}", problem.text)

    def _issuers(self, raw: object) -> Iterator[IssuerConfig]:
        if not isinstance(raw, list):
            self._note("config.wrong-type", "issuer", "is one of a list: write [[issuer]], with two brackets each")
            return
        if not raw:
            self._note(
                "config.missing-field", "issuer", "at least one [[issuer]] with name, certificate and key is needed"
            )
        sections: dict[str, int] = {}
        for index, table in enumerate(raw):
            issuer = self._table(table, IssuerConfig, _issuer_place(table, index))
            if issuer is None:
                continue
            for name in filter(None, issuer.names):
                if name in sections:
                    text = (
                        f"the name {name!r} is taken by issuer number {sections[name] + 1} already: names are unique, "
                        f"and tell whose a row is; {SEVERAL_KEYS}"
                    )
                    self._note("config.duplicate", f"{_issuer_place(table, index)}.name", text)
                sections.setdefault(name, index)
            yield issuer

    def _table(self, raw: object, kind: type[S], place: str) -> S | None:
        """Return one section, without what is wrong in it, all of which is noted; or None, if it is no table."""
        if not isinstance(raw, dict):
            self._note("config.wrong-type", place, f"must be a table, not {kind_of(raw)}{_example(kind)}")
            return None
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        raw = {name: _completed(value, fields[name].default if name in fields else None) for name, value in raw.items()}
        self._unknown(raw, tuple(fields), place)
        read: dict[str, object] = {}
        for name, field in fields.items():
            inside, before = f"{place}.{name}", len(self._findings)
            if name not in raw:
                if field.required:
                    self._note("config.missing-field", inside, "is required in this section")
                continue
            value = raw[name]
            if name == "columns":
                read[name] = self._columns(value, inside)
                continue
            if isinstance(field.type, type) and issubclass(field.type, Section):
                if (section := self._table(value, field.type, inside)) is not None:
                    read[name] = section
                continue
            if (element := _section_in(field.type)) is not None:
                self._tables(value, element, inside)
            else:
                self._value(value, field.type, inside, _example(kind))
            if len(self._findings) == before:
                read[name] = msgspec.convert(value, field.type)
        return self._judged(kind, place, read, frozenset(raw))

    def _judged(self, kind: type[S], place: str, read: Mapping[str, object], given: frozenset[str]) -> S:
        """Return a section with what could be read of it, and note what its fields say wrongly beyond their types.

        In place of what could not be read are defaults, which nothing is said of: a mistake hides no other one.
        """
        fields = msgspec.structs.fields(kind)
        unread = {field.name for field in fields if field.name not in read and (field.required or field.name in given)}
        stand_ins = {field.name: _stand_in(field.type) for field in fields if field.required and field.name in unread}
        section = kind(**stand_ins, **read)
        for problem in section.problems():
            inside = f"{place}.{problem.field}"
            if unread.isdisjoint({problem.field.partition(".")[0], *problem.besides}) and inside not in self._places:
                self._note(problem.code, inside, problem.text)
        return section

    def _tables(self, raw: object, kind: type[Section], place: str) -> None:
        if not isinstance(raw, list):
            self._note("config.wrong-type", place, f"is one of a list: write [[{place}]], with two brackets each")
            return
        for index, table in enumerate(raw):
            self._table(table, kind, f"{place}[{index}]")

    def _columns(self, raw: object, place: str) -> dict[str, object]:
        """Return those columns that can be read."""
        if not isinstance(raw, dict):
            self._note("config.wrong-type", place, f"must be a table, not {kind_of(raw)}")
            return {}
        self._unknown(raw, COLUMNS, place)
        read: dict[str, object] = {}
        for canonical, source in raw.items():
            column = source
            if isinstance(source, dict):
                column = self._table(source, ColumnConfig, f"{place}.{canonical}")
            elif not isinstance(source, str):
                text = f"must be the column's name in the files, or a table with it; not {kind_of(source)}"
                self._note("config.wrong-type", f"{place}.{canonical}", text)
                continue
            if canonical in COLUMNS:
                read[canonical] = column
        return read

    def _value(self, raw: object, kind: object, place: str, example: str) -> None:
        if isinstance(raw, dict) and (inner := values_of(kind)) is not None:
            for key, value in raw.items():
                self._value(value, inner, f"{place}.{key}", example)
            return
        try:
            msgspec.convert(raw, kind)
        except msgspec.ValidationError as error:
            code, place, text = explained(raw, kind, place, str(error))
            self._note(code, place, text + example)

    def _unknown(self, raw: Mapping[str, object], known: tuple[str, ...], place: str) -> None:
        for name in raw:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
                self._note("config.unknown-field", f"{place}.{name}".lstrip("."), f"is not a known field; {hint}")

    def _note(self, code: str, place: str, text: str) -> None:
        self._places.add(place)
        self._findings.append(Finding(code, "error", f"{self._path}: {place}: {text}"))


def _completed(raw: object, default: object) -> object:
    """Return a limit of which one half may be absent with the default's in its place; anything else as it is."""
    if isinstance(raw, dict) and isinstance(default, Limit):
        return {"share": default.share, "count": default.count, **raw}
    return raw


def _example(kind: type[Section]) -> str:
    if issubclass(kind, GrowthLimit):
        return ", as in { share = 1.0, count = 10000 }"
    return ", as in { share = 0.001, count = 100 }" if issubclass(kind, Limit) else ""


def _stand_in(kind: object) -> object:
    """Return what stands in a section for a required field that cannot be read: its problems are not noted."""
    number = get_args(kind)[0] if get_origin(kind) is Annotated else None
    return number(0) if number in {int, float} else ""


def _section_in(kind: object) -> type[Section] | None:
    """Return what a field that is a list of sections holds."""
    first = get_args(kind)[0] if get_origin(kind) is tuple else None
    return first if isinstance(first, type) and issubclass(first, Section) else None


def _issuer_place(table: object, index: int) -> str:
    """Return how messages name a section ``[[issuer]]``: by its name if it has one, because there may be a thousand."""
    name = table.get("name") if isinstance(table, dict) else None
    if isinstance(name, list) and name:
        name = name[0]
    return f'issuer["{name}"]' if isinstance(name, str) and name else f"issuer[{index}]"
