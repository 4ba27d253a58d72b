"""What a run is going to sign, decided before the first signature: the tables, and the run number of each group.

Every worker gets the same plan, and every reader gets its tables, so both sides make the same octets. Beside tonight's
runs there are those of records that may be carried over, each with the window that it has. Runs are numbered by shape,
tonight's before the others, then by group: what has one shape lies side by side in a shard, and what of it is signed is
filled and signed in one go, whoever the issuers are. What stays from night to night (issuers, templates, shapes) is
taken from the current generation where it is the same there, so that a night adds its windows and runs alone.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pregen.clock import seconds
from pregen.errors import Finding
from pregen.generation.making.templates import Form, Values, make_template, oracle, oracle_response
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.issuers import Issuer
from pregen.signers import ALGORITHMS, algorithm_of
from pregen.validity import Profile, ValidityWindow, window_until
from storage.key import key64
from storage.response import Assembler, generalized_time, signature_value
from storage.tables import RECORD_FIELDS, KnownAnswer, ResponseShape, Run, Shape, StoredIssuer, Tables, Template, Window
from storage.tables_document import encode_tables, table_name
from storage.windows import encode_windows, windows_name

# Some custom clients read no more (AWS IoT, of a custom responder), and nginx staples out of a buffer of 16 KiB.
LARGE_BYTES = 4096
# What known answers are made of shows mistakes of a port: instants that differ in all of their parts, one of them
# beyond 31 bits and one beyond 32, and a reason that is not the usual one. A refresh_by is in no response.
KNOWN_REVOKED_AT, KNOWN_REASON = 2_345_678_901, 5
KNOWN_WINDOW = Window(produced_at=1_234_567_890, this_update=1_098_765_432, next_update=4_567_890_123, refresh_by=0)


class Carried(NamedTuple):
    """A run of records that are carried over: their group, the window that they have, and `FormerRun.signer`."""

    group: Group
    window: Window
    signer: int = 0

    @property
    def kind(self) -> tuple[Group, int]:
        """What its shape hangs on."""
        return self.group._replace(span_s=0), self.signer


Candidates = Mapping[str, Mapping[int, Carried]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The tables of a run, and which of their runs holds which group of rows.

    Attributes:
        tables: what every reader will have.
        runs: number of the run that holds a group, in ascending order.
        name: of the object that packs name: the windows and runs.
        objects: octets of all that is to be put, by name: the windows, and the tables unless they are there.
        carried: what the runs hold that are not in `runs`, by their numbers.
        numbers: the number that a run of the current generation has tonight, by the name of its windows, then by the
            number that it has there.
        tables_name: of the object that the tables are in.
    """

    tables: Tables
    runs: dict[Group, int]
    name: str
    objects: dict[str, bytes]
    carried: Mapping[int, Carried] = field(default_factory=dict)
    numbers: Mapping[str, Mapping[int, int]] = field(default_factory=dict)
    tables_name: str = ""

    @property
    def groups(self) -> list[Group]:
        """The group of each run, by its number."""
        of_run = {number: group for group, number in self.runs.items()}
        of_run.update((number, one.group) for number, one in self.carried.items())
        return [of_run[number] for number in range(len(of_run))]

    def warnings(self) -> tuple[Finding, ...]:
        """Return a warning where responses are so large that some clients will not take them."""
        largest: dict[str, int] = {}
        for run in self.tables.runs:
            shape, certificate = self.tables.shapes[run.shape], self.tables.issuers[run.issuer].responder_certificate
            for which, response in enumerate(shape.responses):
                if response.signature_bytes + len(certificate or b"") > LARGE_BYTES // 2:  # the rest is a few hundred
                    size = len(Assembler(self.name, self.tables, run, which).response(shape.known_answer.record))
                    algorithm = algorithm_of(response.algorithm, response.signature_bytes)
                    name = algorithm.name if algorithm else "unknown"
                    largest[name] = max(size, largest.get(name, 0))
        return tuple(
            Finding(
                "response.large",
                "warning",
                f"responses signed by {name} have {size:,} octets: some clients take no more than {LARGE_BYTES:,}",
            )
            for name, size in largest.items()
            if size > LARGE_BYTES
        )


@dataclass(frozen=True, slots=True)
class Record:
    """What is one certificate's own, with one of its signatures in stored form; reason -1 is none."""

    serial: bytes
    revoked_at: int
    reason: int
    signature: bytes


def make_plan(
    issuers: Sequence[Issuer],
    windows: Sequence[ValidityWindow],
    groups: Iterable[Group],
    current: Mapping[str, Tables] | None = None,
    candidates: Candidates | None = None,
) -> Plan:
    """Return the plan for groups of rows.

    Args:
        issuers: as configured.
        windows: one for each issuer.
        groups: what the snapshot holds, in ascending order.
        current: tables of the current generation, by their names.
        candidates: runs of the current generation that may have records to carry over, by the names of their windows,
            then by their numbers. Where the snapshot has none of their issuer, serial length and status, they are left;
            but those of issuers that are left behind, which sign nothing.
    """
    planner = _Planner(issuers, windows)
    signed = {group: planner.shape(group) for group in groups if not issuers[group.issuer].trouble}
    staying = sorted(
        {
            one.kind
            for of_name in (candidates or {}).values()
            for one in of_name.values()
            if issuers[one.group.issuer].trouble
        }
    )
    planned = {(group._replace(span_s=0), 0): shape for group, shape in signed.items()}
    planned |= {kind: planner.shape(*kind) for kind in staying}
    lasting = Tables(
        issuers=tuple(stored_issuer(issuer) for issuer in planner.signers),
        templates=tuple(planner.templates),
        shapes=tuple(planner.shapes),
    )
    tables_name, lasting, numbers = _there_already(lasting, current or {})
    run_of = {group: Run(group.issuer, numbers[shape], planner.window(group)) for group, shape in signed.items()}
    tonight = {run: group for group, run in run_of.items()}
    former = {
        name: {
            number: (
                Run(planner.signer(*one.kind), numbers[planned[one.kind]], planner.numbered(one.window)),
                one,
            )
            for number, one in of_name.items()
            if one.kind in planned
        }
        for name, of_name in (candidates or {}).items()
    }
    carried = {run: one for of_name in former.values() for run, one in of_name.values() if run not in tonight}
    every = {**tonight, **{run: one.group for run, one in carried.items()}}
    ordered = sorted(every, key=lambda run: (run.shape, run not in tonight, every[run], run.window))
    number_of = {run: number for number, run in enumerate(ordered)}
    runs = {group: number_of[run] for group, run in sorted(run_of.items(), key=lambda one: number_of[one[1]])}
    return replace(
        stored_plan(replace(lasting, windows=planner.windows, runs=tuple(ordered)), runs, tables_name),
        carried={number_of[run]: one for run, one in carried.items()},
        numbers={
            name: {number: number_of[run] for number, (run, _) in of_name.items()} for name, of_name in former.items()
        },
    )


def windows_in_use(plan: Plan, used: AbstractSet[int]) -> Plan:
    """Return a plan without the windows that no record has, if there are any; all runs keep their numbers.

    Which records are carried over is known when all shards are done. A run that has none then stands for another one of
    its issuer and shape, so that nobody waits for a newer answer where there is none to be replaced.

    Args:
        plan: what was signed.
        used: numbers of the runs that have records.
    """
    tables = plan.tables
    stand_in: dict[tuple[int, int], Run] = {}
    for number in sorted(used):
        run = tables.runs[number]
        stand_in.setdefault((run.issuer, run.shape), run)
    runs = [
        run if number in used else stand_in.get((run.issuer, run.shape), run) for number, run in enumerate(tables.runs)
    ]
    if runs == list(tables.runs):
        return plan
    needed = sorted({run.window for run in runs})
    place = {window: at for at, window in enumerate(needed)}
    in_use = replace(
        tables,
        windows=tuple(tables.windows[window] for window in needed),
        runs=tuple(replace(run, window=place[run.window]) for run in runs),
    )
    octets = encode_windows(in_use, plan.tables_name)
    name = windows_name(octets)
    lasting = {name: octets for name, octets in plan.objects.items() if name != plan.name}
    return replace(plan, tables=in_use, name=name, objects={**lasting, name: octets})


def _there_already(wanted: Tables, current: Mapping[str, Tables]) -> tuple[str | None, Tables, Sequence[int]]:
    """Return the name of tables that have all that is wanted, them, and the number of each wanted shape in them.

    They may have more: what no row needs tonight may be needed tomorrow. None: there are none, and the wanted ones are
    new.
    """
    shapes = [_apart_from_issuers(wanted, shape) for shape in wanted.shapes]
    for name, tables in current.items():
        numbers = {_apart_from_issuers(tables, shape): number for number, shape in enumerate(tables.shapes)}
        if tables.issuers == wanted.issuers and numbers.keys() >= set(shapes):
            return name, tables.lasting, [numbers[shape] for shape in shapes]
    return None, wanted, range(len(wanted.shapes))


def _apart_from_issuers(tables: Tables, shape: Shape) -> tuple[Shape, tuple[Template, ...]]:
    """Return what tells a shape from others, whosever its known answer is and however its templates are numbered."""
    return (
        replace(
            shape,
            responses=tuple(replace(response, template=0) for response in shape.responses),
            known_answer=replace(shape.known_answer, issuer=0, sha256=(), key=None),
        ),
        tuple(tables.templates[response.template] for response in shape.responses),
    )


def stored_plan(tables: Tables, runs: dict[Group, int], tables_name: str | None = None) -> Plan:
    """Return a plan with the octets of its objects; `tables_name` is that of tables that are stored already."""
    objects: dict[str, bytes] = {}
    if tables_name is None:
        octets = encode_tables(tables)
        tables_name = table_name(octets)
        objects[tables_name] = octets
    octets = encode_windows(tables, tables_name)
    name = windows_name(octets)
    return Plan(tables, runs, name, {**objects, name: octets}, tables_name=tables_name)


def forms(issuer: Issuer, group: Group) -> list[Form]:
    """Return what the signed responses of a group look like."""
    status, has_reason = RESPONSE_KINDS[group.kind]
    responder = issuer.responder
    return [
        Form(hashes, group.serial_bytes, status, has_reason, responder.id_kind, len(responder.id_octets))
        for hashes in issuer.cert_ids
    ]


def values_of(issuer: Issuer, window: Window, serial: bytes, revoked_at: int, reason: int) -> Values:
    """Return what fills the holes for one certificate, by way of the configuration and not of the tables."""
    return Values(
        name_hashes=dict(issuer.name_hashes),
        key_hashes=dict(issuer.key_hashes),
        responder_id=issuer.responder.id_octets,
        serial=serial,
        produced_at=generalized_time(window.produced_at),
        this_update=generalized_time(window.this_update),
        next_update=generalized_time(window.next_update),
        revoked_at=generalized_time(revoked_at),
        reason=bytes([max(reason, 0)]),
    )


def oracle_of(issuer: Issuer, window: Window, form: Form, record: Record) -> bytes:
    """Return the DER of the whole response to a record as the oracle encodes it."""
    algorithm = ALGORITHMS[issuer.responder.algorithm]
    values = values_of(issuer, window, record.serial, record.revoked_at, record.reason)
    signature = signature_value(algorithm.encoding, record.signature)
    return oracle_response(oracle(form, values), algorithm.identifier, signature, issuer.responder.certificate)


class _Planner:
    """Collects templates, shapes and windows, each once."""

    def __init__(self, issuers: Sequence[Issuer], windows: Sequence[ValidityWindow]) -> None:
        self._issuers = issuers
        self._usual = windows
        self.signers: list[Issuer] = list(issuers)  # and what some that are left behind have been
        self._former_of: dict[tuple[int, int], int] = {}
        self._window_of: dict[Window, int] = {}
        for issuer, window in zip(issuers, windows, strict=True):
            if issuer.trouble:
                continue
            self.numbered(stored_window(window, issuer.validity.profile))
        self.templates: list[Template] = []
        self._template_of: dict[Form, int] = {}
        self.shapes: list[Shape] = []
        self._shape_of: dict[tuple[tuple[Form, ...], str], int] = {}

    @property
    def windows(self) -> tuple[Window, ...]:
        """All that groups have, by their numbers; those of issuers come first."""
        return tuple(self._window_of)

    def window(self, group: Group) -> int:
        """Return the number of a group's window."""
        return self.numbered(window_of(self._issuers, self._usual, group))

    def numbered(self, window: Window) -> int:
        """Return the number of a window."""
        return self._window_of.setdefault(window, len(self._window_of))

    def signer(self, group: Group, former: int = 0) -> int:
        """Return the number of whoever signs, or has signed, records of a group."""
        if not former:
            return group.issuer
        key = group.issuer, former
        if key not in self._former_of:
            self._former_of[key] = len(self.signers)
            self.signers.append(self._issuers[group.issuer].formers[former - 1])
        return self._former_of[key]

    def shape(self, group: Group, former: int = 0) -> int:
        """Return the number of a group's shape."""
        signer = self.signer(group, former)
        issuer = self.signers[signer]
        wanted = tuple(forms(issuer, group))
        key = wanted, issuer.responder.algorithm
        if key not in self._shape_of:
            self._shape_of[key] = len(self.shapes)
            self.shapes.append(self._shape(group, wanted, signer))
        return self._shape_of[key]

    def _shape(self, group: Group, wanted: tuple[Form, ...], signer: int) -> Shape:
        issuer = self.signers[signer]
        algorithm = ALGORITHMS[issuer.responder.algorithm]
        status, has_reason = RESPONSE_KINDS[group.kind]
        fields = ("revoked_at", "reason")[: 1 + has_reason] if status == "revoked" else ()
        record = _known_record(group.serial_bytes, fields, algorithm.signature_bytes)
        octets = record.serial
        for name in fields:
            octets += getattr(record, name).to_bytes(RECORD_FIELDS[name], "little")
        octets += record.signature * len(wanted)
        answers = [oracle_of(issuer, KNOWN_WINDOW, form, record) for form in wanted]
        return Shape(
            serial_bytes=group.serial_bytes,
            status=status,
            fields=fields,
            responses=tuple(
                ResponseShape(
                    template=self._template(form),
                    hashes=form.hashes,
                    algorithm=algorithm.identifier,
                    encoding=algorithm.encoding,
                    signature_bytes=algorithm.signature_bytes,
                )
                for form in wanted
            ),
            known_answer=KnownAnswer(
                issuer=signer,
                window=KNOWN_WINDOW,
                record=octets,
                sha256=tuple(hashlib.sha256(answer).digest() for answer in answers),
                key=key64(record.serial, issuer.issuer_id),
            ),
        )

    def _template(self, form: Form) -> int:
        if form not in self._template_of:
            self._template_of[form] = len(self.templates)
            self.templates.append(make_template(form))
        return self._template_of[form]


def _known_record(serial_bytes: int, fields: Sequence[str], signature_bytes: int) -> Record:
    """Return a record that shows mistakes of a port: its signature has leading zeros in r, and the top bit set in s."""
    serial = bytes(range(1, serial_bytes + 1))
    signature = bytearray((index * 7 + 1) % 256 for index in range(signature_bytes))
    signature[:2] = b"\0\0"
    signature[signature_bytes // 2] |= 0x80
    reason = KNOWN_REASON if "reason" in fields else -1
    return Record(serial, KNOWN_REVOKED_AT if fields else 0, reason, bytes(signature))


def window_of(issuers: Sequence[Issuer], windows: Sequence[ValidityWindow], group: Group) -> Window:
    """Return the window of a group; `windows` are the usual ones, one for each issuer."""
    validity = issuers[group.issuer].validity
    window = stored_window(window_until(windows[group.issuer], validity, group.span_s), validity.profile)
    return replace(window, ends_with_certificate=group.span_s > 0)


def stored_window(window: ValidityWindow, profile: Profile | None = None) -> Window:
    """Return a window as the tables have it; `profile` has the rules that it was made by."""
    return Window(
        produced_at=seconds(window.produced_at),
        this_update=seconds(window.this_update),
        next_update=seconds(window.next_update),
        refresh_by=seconds(window.refresh_by),
        backdate=None if window.backdate is None else int(window.backdate.total_seconds()),
        profile=profile.name if profile else "",
    )


def stored_issuer(issuer: Issuer) -> StoredIssuer:
    """Return what readers learn of an issuer."""
    return StoredIssuer(
        issuer_id=issuer.issuer_id,
        names=issuer.names,
        certificates=issuer.certificates,
        name_hashes=dict(issuer.name_hashes),
        key_hashes=dict(issuer.key_hashes),
        responder_id=issuer.responder.id_octets,
        responder_certificate=issuer.responder.certificate,
    )
