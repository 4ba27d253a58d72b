"""Certification authorities that issue and revoke as real ones do, in numpy, and the snapshots that they export.

Everything here is true UTC. What a wrong zone makes of it is `misread`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pregen.gates import History
from pregen.gates.detector.anchor_files import Anchors, CertificateAnchor, CrlAnchor
from pregen.gates.detector.case import Case
from pregen.gates.detector.lag import Lags, judge_lag
from pregen.gates.detector.observation import Observation, Watch
from pregen.gates.detector.observer import Observer, all_observed
from pregen.gates.detector.recollection import remember
from pregen.gates.detector.verdict import Verdict
from pregen.gates.history import witness_share
from pregen.issuers import Issuer, KeyFile, Responder
from pregen.snapshot import NO_REASON, RowStatus, StatusBatch
from pregen.snapshot.batch import Late
from pregen.snapshot.column import Column
from pregen.validity import CLOCK_SKEW_S, PROFILES, Validity
from pregen.zones import zone

GOOD, REVOKED = RowStatus.GOOD, RowStatus.REVOKED

HOUR, DAY = 3_600, 86_400
NOTHING = Verdict()
FIRST, LAST = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (2024, 2029))
Times = NDArray[np.int64]
Rhythm = Literal["automated", "office", "nightly", "monthly"]


@dataclass(frozen=True)
class Habits:
    """How a CA works.

    Attributes:
        per_day: certificates on a usual day.
        rhythm: around the clock with a daily swing; Monday to Friday, 8 to 18; one batch a night; once a month or so.
        home_s: its offices' offset from UTC.
        backdate_s: not_before is so much before issuance.
        validity_days: of each certificate.
        postdated: share of certificates that become valid later.
        postdated_by_s: by how much at most.
        revoked: share of certificates that are revoked one day.
        holidays: days, counted from 1970, on which offices are closed and automated customers ask for half.
    """

    per_day: float
    rhythm: Rhythm = "automated"
    home_s: int = 0
    backdate_s: int = 0
    validity_days: int = 200
    postdated: float = 0.0
    postdated_by_s: int = 7 * DAY
    revoked: float = 0.02
    holidays: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Register:
    """Everything that some CAs have issued: arrays of one length, `revoked_at` 0 where it never is."""

    issued_at: Times
    not_before: Times
    not_after: Times
    revoked_at: Times
    issuer: NDArray[np.int32]
    key: NDArray[np.uint64]
    serial: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.key)

    def where(self, keep: NDArray[np.bool_]) -> "Register":
        return Register(*(getattr(self, name)[keep] for name in self.__dataclass_fields__))


def work(habits: tuple[Habits, ...], start: int, end: int, rng: np.random.Generator) -> Register:
    """Let CAs issue from `start` to `end`."""
    issued, not_before, not_after, revoked, issuer = [], [], [], [], []
    for index, habit in enumerate(habits):
        at = np.sort(_issuances(habit, start, end, rng))
        begins = at - habit.backdate_s
        later = rng.random(len(at)) < habit.postdated
        begins = np.where(later, at + rng.integers(600, habit.postdated_by_s, len(at)), begins)
        ends = begins + habit.validity_days * DAY - 1
        # Mistakes are noticed within hours, keys lost and shops closed at any time.
        soon = rng.exponential(6 * HOUR, len(at)).astype(np.int64) + 60
        some_day = rng.integers(60, habit.validity_days * DAY, len(at))
        at_last = at + np.where(rng.random(len(at)) < 0.3, soon, some_day)
        revoked.append(np.where(rng.random(len(at)) < habit.revoked, at_last, 0))
        issued.append(at)
        not_before.append(begins)
        not_after.append(ends)
        issuer.append(np.full(len(at), index, np.int32))
    count = sum(map(len, issued))
    return Register(
        np.concatenate(issued),
        np.concatenate(not_before),
        np.concatenate(not_after),
        np.concatenate(revoked),
        np.concatenate(issuer),
        rng.integers(0, 2**64, count, dtype=np.uint64),
        rng.integers(0, 128, (count, 16), dtype=np.uint8) | np.uint8(1),
    )


def _issuances(habit: Habits, start: int, end: int, rng: np.random.Generator) -> Times:
    if habit.rhythm == "monthly":
        return rng.integers(start, end, rng.poisson((end - start) / (30 * DAY) * max(1.0, habit.per_day)))
    hours = np.arange(start // HOUR, end // HOUR + 1) * HOUR
    local = hours + habit.home_s
    day, hour = local // DAY, local // HOUR % 24
    weekend = (day + 3) % 7 >= 5
    free = np.isin(day, list(habit.holidays))
    if habit.rhythm == "nightly":
        nights = np.unique(day[~weekend & ~free]) * DAY + HOUR - habit.home_s
        sizes = rng.poisson(habit.per_day, len(nights))
        at = np.repeat(nights, sizes) + rng.integers(0, 20 * 60, int(sizes.sum()))
        return at[(at >= start) & (at < end)]
    if habit.rhythm == "office":
        weight = np.where((hour >= 8) & (hour < 18) & ~weekend & ~free, 2.4, 0.0)
    else:
        weight = 1 + 0.6 * np.sin((hour - 9) / 24 * 2 * np.pi)
        weight = weight * np.where(weekend, 0.7, 1.0) * np.where(free, 0.5, 1.0)
    counts = rng.poisson(weight * habit.per_day / 24)
    at = np.repeat(hours, counts) + rng.integers(0, HOUR, int(counts.sum()))
    return at[(at >= start) & (at < end)]


Scan = Literal["instant", "by-serial", "by-issuance"]


def export(register: Register, as_of: int, *, scan: Scan = "instant", runs_s: int = 0, behind_s: int = 60) -> Register:
    """Return what an export has that begins at `as_of`, of a database that is `behind_s` behind.

    One without a consistent view that runs for long finds what was issued meanwhile: everything where it reads in the
    order of issuance; where it reads by serials, what lies before it. Expired certificates are gone.
    """
    seen_until = np.full(len(register), as_of)
    if scan == "by-issuance":
        seen_until += runs_s
    elif scan == "by-serial":
        seen_until += (register.serial[:, 0] / 128 * runs_s).astype(np.int64)
    seen = register.where((register.issued_at <= seen_until - behind_s) & (register.not_after >= as_of))
    return replace(seen, revoked_at=np.where(seen.revoked_at <= as_of - behind_s, seen.revoked_at, 0))


@cache
def changes(name: str) -> tuple[Times, Times]:
    """Return a zone's offsets of the years in which all this happens: when each begins, and what it is."""
    rules = zone(name)

    def offset(at: int) -> int:
        delta = datetime.fromtimestamp(at, UTC).astimezone(rules).utcoffset()
        assert delta is not None
        return int(delta.total_seconds())

    begins, values = [FIRST], [offset(FIRST)]
    for at in range(FIRST, LAST, 5 * DAY):  # shorter than Ramadan, for which Morocco changes its clocks
        low, high = at, at + 5 * DAY
        if offset(high) == values[-1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if offset(middle) == values[-1] else (low, middle)
        begins.append(high)
        values.append(offset(high))
    return np.array(begins), np.array(values)


def offsets(name: str, at: Times) -> Times:
    """Return the offsets of a zone at many instants."""
    assert not len(at) or FIRST <= at.min() <= at.max() <= LAST
    begins, values = changes(name)
    return np.asarray(values[np.searchsorted(begins, at, "right") - 1])


def misread(true: Times, meant: str, declared: str) -> Times:
    """Return what comes out where local times of the zone `meant` are read as those of the zone `declared`."""
    local = true + offsets(meant, true)
    return local - offsets(declared, local - offsets(declared, local))


def batch_of(register: Register, as_of: int) -> StatusBatch:
    """Return the rows as the intake hands them on: revocations after as_of are late."""
    late = register.revoked_at > as_of + CLOCK_SKEW_S
    kept = register.where(~late)
    gone = register.where(late)
    examples = tuple((row.tobytes(), at) for row, at in zip(gone.serial[:20], gone.revoked_at.tolist(), strict=False))
    octets = pa.py_buffer(kept.serial.tobytes())
    serial = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), len(kept), [None, octets]).cast(pa.binary())
    assert isinstance(serial, pa.BinaryArray)
    return StatusBatch(
        serial=serial,
        issuer=kept.issuer,
        status=np.where(kept.revoked_at > 0, REVOKED, GOOD).astype(np.uint8),
        revoked_at=kept.revoked_at,
        reason=np.full(len(kept), NO_REASON, np.int8),
        not_after=kept.not_after,
        not_before=kept.not_before,
        row=np.arange(len(kept)),
        late=Late(gone.revoked_at, examples),
    )


def observe(register: Register, watch: Watch) -> Observation:
    late = register.revoked_at > watch.as_of + CLOCK_SKEW_S
    observer = Observer(watch)
    observer.add(batch_of(register, watch.as_of), register.key[~late])
    return all_observed([observer.take()], watch)


def watch_for(register: Register, as_of: int, issuers: int, keys: NDArray[np.uint64] | None = None) -> Watch:
    keys = np.empty(0, np.uint64) if keys is None else np.unique(keys)
    return Watch(as_of, 300, issuers, keys, witness_share(len(register)))


def case_of(
    register: Register,
    watch: Watch,
    history: History | None = None,
    *dates: str,
    zones: Mapping[str, str] | None = None,
) -> Case:
    """Return what the detector judges of a snapshot; `dates` and `zones` are those of its columns."""
    return Case(
        observation=observe(register, watch),
        watch=watch,
        columns=columns(*dates, **(zones or {})),
        issuers=make_issuers(watch.issuers),
        history=history,
    )


def publish(
    register: Register, as_of: int, issuers: tuple[Issuer, ...], history: History | None, verdict: Verdict = NOTHING
) -> History:
    """Return what a generation leaves behind that was made of a snapshot as it is."""
    counts = np.bincount(register.issuer, minlength=len(issuers))
    return remember(verdict, case_of(register, watch_for(register, as_of, len(issuers)), history), counts)


def lags_of(register: Register, watch: Watch, history: History) -> Lags:
    """Return what the newest issuances of one issuer say."""
    case = case_of(register, watch, history)
    return judge_lag(case, case.events())


def anchors_of(register: Register, issuer: int = 0) -> Anchors:
    """Return the newest certificate of an issuer, and its CRL."""
    own = register.where(register.issuer == issuer)
    at = int(np.argmax(own.issued_at))
    certificate = CertificateAnchor(
        Path("issued.pem"),
        issuer,
        own.serial[at].tobytes(),
        int(own.key[at]),
        int(own.not_before[at]),
        int(own.not_after[at]),
    )
    revoked = own.where(own.revoked_at > 0)
    order = np.argsort(revoked.key)
    serials = tuple(row.tobytes() for row in revoked.serial[order])
    return Anchors(
        (certificate,), (CrlAnchor(Path("ca.crl"), issuer, revoked.key[order], serials, revoked.revoked_at[order]),)
    )


def columns(*dates: str, **zones: str) -> dict[str, Column]:
    """Return the columns of times, with the zones that are declared for them; some may hold `dates`."""
    names = ("not_before", "not_after", "revoked_at")
    return {
        name: Column(
            name,
            name.upper(),
            explicit=True,
            zone=zones.get(name, "UTC" if name in dates else None),
            time_of_day="00:00:00" if name in dates else None,
        )
        for name in names
    }


@cache
def make_issuers(count: int) -> tuple[Issuer, ...]:
    """Return issuers as messages need them: with names and ids alone."""
    nobody = Responder(
        certificate=None,
        public_key=b"",
        id_kind="by-key",
        id_octets=b"",
        key=KeyFile(Path("none.key")),
        algorithm="ecdsa-p256-sha256",
    )
    return tuple(
        Issuer(
            names=(f"r{index + 1}",),
            certificates=(),
            subject=b"",
            key_bits=b"",
            issuer_id=index + 1,
            name_hashes={},
            key_hashes={},
            responder=nobody,
            cert_ids=(),
            not_after=datetime(2040, 1, 1, tzinfo=UTC),
            validity=Validity(PROFILES["strict"], timedelta(days=4), timedelta(0)),
        )
        for index in range(count)
    )
