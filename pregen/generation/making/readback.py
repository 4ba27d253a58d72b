"""Read-back: a stored pack is opened as an edge opens it, before any commit names it.

The pack is read from the store again and must be the octets that were built. Every bucket is walked: that is where the
count of responses comes from. Records that are verified must also lie where an edge looks for them, by its own
hash function. One record in 997 (from a random start), one of every template a pack, and one
of every group a run are parsed and verified by an independent implementation against the source rows and the
configuration. The first of every template and of every issuer that a worker meets is also compared octet by octet with
the oracle. The first failure stops the run.

Records that were carried over are looked at like those that were signed. Where a run may have some, each worker
verifies the first record that it meets of each run, whether it was signed or not.

What that catches: a mistake in whatever many responses share (template, window, hashes, key, responder, embedded
certificate) always, because each group of rows has one proof a run. A fault that hits single records, such as a flipped
bit in one signature, with probability 1/997 each: any record is as likely as any other, because the start is random.
So k faults that are independent of each other all escape with probability (996/997) ** k: 1 in 100 for 4,600 of them.
"""

import hashlib
import secrets
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from pregen.clock import instant, text
from pregen.errors import VerificationError
from pregen.generation.making.layout import Layout
from pregen.generation.making.plan import Plan, Record, forms, oracle_of, window_of
from pregen.generation.making.templates import Form
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.generation.rows.rows import ShardRows
from pregen.issuers import Issuer
from pregen.signers import ALGORITHMS, PublicKey
from pregen.validity import ValidityWindow, window_problem
from pregen.verification import Statement, load_public_key, verify_response
from storage.certid import serial_text
from storage.errors import FormatError
from storage.key import key32, part_of
from storage.pack import Pack, PackReader, open_pack, walk
from storage.response import Assembler
from storage.stores.base import Store
from storage.tables import Window

SAMPLE_EVERY = 997  # prime: in turn, samples fall on every lane of an engine that signs eight or sixteen at once


@dataclass(frozen=True, slots=True)
class PackContents:
    """What a read-back found to be there."""

    sha256: bytes
    records: int
    responses: int
    verified: int
    windows: frozenset[tuple[int, int]] = frozenset()  # this_update and next_update, as parsed


class ReadBack:
    """Checks packs against the source rows and the configuration; belongs to one worker.

    Args:
        issuers: as configured.
        windows: one for each issuer, as planned; the tables' windows are what is checked.
        plan: what was signed.
    """

    def __init__(self, issuers: Sequence[Issuer], windows: Sequence[ValidityWindow], plan: Plan) -> None:
        self._issuers = issuers
        self._usual = windows
        self._windows: dict[int, Window] = {}
        self._plan = plan
        self._carries = bool(plan.carried)
        self._strides = [plan.tables.shapes[run.shape].stride for run in plan.tables.runs]
        self._groups = plan.groups
        self._templates = [
            tuple(response.template for response in plan.tables.shapes[run.shape].responses) for run in plan.tables.runs
        ]
        self._met: set[int] = set()  # runs of which a record has been verified, where some are carried over
        self._compared: set[int | tuple[int, ...]] = set()  # issuers and templates
        self._windows_read: set[tuple[int, int]] = set()  # of the pack that is being checked
        self._judged: set[tuple[int, bool, int, int, int]] = set()  # issuers and windows that obey their profiles
        self._keys: dict[int, PublicKey] = {}
        self._assemblers: dict[tuple[int, int], Assembler] = {}

    def check(
        self,
        store: Store,
        name: str,
        pack: Pack,
        bounds: tuple[int, int],
        rows: ShardRows,
        layout: Layout,
        proofs: frozenset[Group],
    ) -> PackContents:
        """Read a pack back and check it.

        Args:
            store: where it was put.
            name: its object name.
            pack: what was put.
            bounds: of the shard's keys, as the manifest will have them.
            rows: the shard's rows.
            layout: which row each record was made of.
            proofs: groups of which at least one record must be verified.

        Raises:
            VerificationError: what is stored is not what was meant.
            OSError: the store does not answer.
        """
        stored = store.get(name)
        if stored != pack.octets:
            raise VerificationError(
                f"{name}: the store returns other octets than were put: check the disk or the bucket"
            )
        self._windows_read.clear()
        try:
            reader = open_pack(name, stored, pack.directory_at, pack.directory_crc)
            walked = _Walk(self, reader, bounds, rows, layout, proofs)
        except FormatError as e:
            raise VerificationError(f"{name} cannot be read back: {e}") from e
        expected = layout.counts.tolist()
        if walked.counts != expected:
            run = next(run for run, count in enumerate(expected) if walked.counts[run] != count)
            raise VerificationError(
                f"{name} holds {walked.counts[run]:,} records of {self.group(run)} where {expected[run]:,} belong"
            )
        responses = sum(len(self.templates(run)) * count for run, count in enumerate(expected))
        return PackContents(
            hashlib.sha256(stored).digest(), sum(expected), responses, walked.verified, frozenset(self._windows_read)
        )

    def is_new(self, run: int) -> bool:
        """Tell whether this worker has not met the run's issuer or its templates yet; the next time, it has."""
        known: set[int | tuple[int, ...]] = {self._plan.tables.runs[run].issuer, self.templates(run)}
        new = not known <= self._compared
        self._compared |= known
        return new

    def needs_proof(self, run: int, proofs: AbstractSet[Group]) -> bool:
        """Tell whether a record of a run must be verified in this pack.

        Where records are carried over, nobody knew beforehand which pack has which run: then each worker verifies one
        of each run that it meets, and the next time, it has met it.
        """
        if not self._carries:
            return self._groups[run] in proofs
        new = run not in self._met
        self._met.add(run)
        return new

    def group(self, run: int) -> Group:
        """Return the group that a run holds."""
        return self._groups[run]

    def templates(self, run: int) -> tuple[int, ...]:
        """Return the templates that a run's responses are made of, one for each response of a record."""
        return self._templates[run]

    def bucket_of(self, group: Group, serial: bytes, bounds: tuple[int, int], buckets: int) -> int | None:
        """Return the bucket in which an edge looks for a certificate; None: it looks in another shard."""
        low, high = bounds
        key = key32(serial, self._issuers[group.issuer].issuer_id)
        return part_of(key, low, high, buckets) if low <= key < high else None

    @property
    def strides(self) -> list[int]:
        """Octets of a record, by run."""
        return self._strides

    def verify(self, run: int, which: int, octets: bytes, row: Record, not_after: int, *, by_oracle: bool) -> None:
        """Check one response: parsed, compared with its source, its signature verified.

        Args:
            run: of the record.
            which: the number of the response in the record.
            octets: the record, as stored.
            row: what the source says; its signature is ignored.
            not_after: of the certificate, as `ShardRows` has it.
            by_oracle: also compare the whole response with the oracle's.

        Raises:
            VerificationError: it is not what was meant.
        """
        group, window = self._groups[run], self._window(run)
        issuer = self._signer(run)
        form = forms(issuer, group)[which]
        assembler = self._assembler(run, which)
        response = assembler.response(octets)
        serial = f"serial {serial_text(row.serial)} of {issuer.names[0]}"
        try:
            said = verify_response(
                response,
                self._meant(issuer, group, window, form, row),
                self._key(run),
                ALGORITHMS[issuer.responder.algorithm],
            )
            for statement in said:
                self._judge_window(run, statement, not_after)
        except VerificationError as e:
            raise VerificationError(f"the response to {serial} is wrong: {e.message}; nothing was published") from e
        if by_oracle:
            signed = Record(row.serial, row.revoked_at, row.reason, octets[assembler.signature])
            if oracle_of(issuer, window, form, signed) != response:
                raise VerificationError(f"the response to {serial} differs from the oracle's; nothing was published")

    def _window(self, run: int) -> Window:
        """Return the window that a run was meant to have: tonight's, or the one that its records have had."""
        if run not in self._windows:
            carried = self._plan.carried.get(run)
            self._windows[run] = carried.window if carried else window_of(self._issuers, self._usual, self._groups[run])
        return self._windows[run]

    def _judge_window(self, run: int, said: Statement, not_after: int) -> None:
        """Refuse a window that breaks the profile of its issuer, or outlives its certificate where it must not."""
        if said.next_update is None:
            raise VerificationError("it has no nextUpdate")
        self._windows_read.add((said.this_update, said.next_update))
        group = self._groups[run]
        if group.span_s and said.next_update > not_after:
            raise VerificationError(f"its window outlives the certificate, which ends at {text(not_after)}")
        read = (group.issuer, group.span_s > 0, said.produced_at, said.this_update, said.next_update)
        if read in self._judged or self._issuers[group.issuer].trouble:  # whose windows stay, whatever is configured
            return
        issuer, planned = self._issuers[group.issuer], self._window(run)
        problem = window_problem(
            profile=issuer.validity.profile.name,
            this_update=instant(said.this_update),
            next_update=instant(said.next_update),
            produced_at=instant(said.produced_at),
            cap=issuer.not_after,
            refresh_by=instant(planned.refresh_by),
            ends_with_certificate=group.span_s > 0,
        )
        if problem:
            raise VerificationError(f"its window breaks the rules: {problem}")
        self._judged.add(read)

    def _meant(self, issuer: Issuer, group: Group, window: Window, form: Form, row: Record) -> list[Statement]:
        status, has_reason = RESPONSE_KINDS[group.kind]
        return [
            Statement(
                hash_oid=oid,
                issuer_name_hash=issuer.name_hashes[oid],
                issuer_key_hash=issuer.key_hashes[oid],
                serial_number=int.from_bytes(row.serial, "big", signed=True),
                status=status,
                revoked_at=row.revoked_at if status == "revoked" else None,
                reason=row.reason if has_reason else None,
                produced_at=window.produced_at,
                this_update=window.this_update,
                next_update=window.next_update,
            )
            for oid in form.hashes
        ]

    def _assembler(self, run: int, which: int) -> Assembler:
        if (run, which) not in self._assemblers:
            tables = self._plan.tables
            self._assemblers[run, which] = Assembler(self._plan.name, tables, tables.runs[run], which)
        return self._assemblers[run, which]

    def _signer(self, run: int) -> Issuer:
        """Return the issuer of a run, as it was when its records were signed."""
        issuer, carried = self._issuers[self._groups[run].issuer], self._plan.carried.get(run)
        return issuer.formers[carried.signer - 1] if carried and carried.signer else issuer

    def _key(self, run: int) -> PublicKey:
        number = self._plan.tables.runs[run].issuer
        if number not in self._keys:
            self._keys[number] = load_public_key(self._signer(run).responder.public_key)
        return self._keys[number]


class _Walk:
    """One pass over all buckets of a pack: counts records by run, and verifies the sample on the way."""

    def __init__(
        self,
        read_back: ReadBack,
        pack: PackReader,
        bounds: tuple[int, int],
        rows: ShardRows,
        layout: Layout,
        proofs: frozenset[Group],
    ) -> None:
        self.counts = [0] * len(read_back.strides)
        self.verified = 0
        self._read_back = read_back
        self._bounds = bounds
        self._buckets = pack.buckets
        self._bucket = 0
        self._rows = rows
        self._layout = layout
        self._proofs = set(proofs)
        self._proven: set[tuple[int, ...]] = set()
        next_sample = secrets.randbelow(SAMPLE_EVERY)  # from the start on, counted over the whole pack
        seen, counts, strides = 0, self.counts, read_back.strides
        for self._bucket in range(pack.buckets):
            for run, start, count, octets in walk(pack, self._bucket, strides):
                before = counts[run]
                if not before:
                    self._verify_first(run, octets[start : start + strides[run]])
                while next_sample < seen + count:
                    at = next_sample - seen
                    self._verify(run, before + at, octets[start + at * strides[run] :][: strides[run]])
                    next_sample += SAMPLE_EVERY
                counts[run] = before + count
                seen += count

    def _verify_first(self, run: int, octets: bytes) -> None:
        """Verify the first record of a run where its template is new in this pack, or its group needs a proof."""
        templates, is_new = self._read_back.templates(run), self._read_back.is_new(run)
        needs_proof = self._read_back.needs_proof(run, self._proofs)
        if is_new or needs_proof or templates not in self._proven:
            self._proven.add(templates)
            self._verify(run, 0, octets, by_oracle=is_new)

    def _verify(self, run: int, index: int, octets: bytes, *, by_oracle: bool = False) -> None:
        read_back, rows = self._read_back, self._rows
        group, row = read_back.group(run), self._layout.row(run, index)
        if row is None:
            raise VerificationError(f"a pack holds a record of {group} that its source does not have")
        start = rows.starts[row]
        serial = rows.octets[start : start + group.serial_bytes].tobytes()
        source = Record(serial, int(rows.revoked_at[row]), int(rows.reason[row]), b"")
        if read_back.bucket_of(group, source.serial, self._bounds, self._buckets) != self._bucket:
            raise VerificationError(
                f"serial {serial_text(source.serial)} lies in bucket {self._bucket} of its "
                "pack, where no edge would look for it: nothing was published; please report this"
            )
        for which in range(len(read_back.templates(run))):
            read_back.verify(run, which, octets, source, int(rows.not_after[row]), by_oracle=by_oracle)
            self.verified += 1
