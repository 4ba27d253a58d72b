"""Bad rows, counted by kind, with the first examples of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pregen.errors import MAX_EXAMPLES, Finding, Severity
from pregen.snapshot.location import Location
from pregen.snapshot.octets import ArrowArray, ArrowScalar, Fault
from pregen.snapshot.remnants import IN_COLUMNS
from pregen.validity import duration_text

_SHOWN_CHARACTERS = 64
_NEGATIVE_COUNT, _NEGATIVE_SHARE = 10, 10  # so many serials, and one in so many

_AS_IT_IS = "docs/profiles.md says which profile wants what"
# What each kind says of its column; {values} are the first distinct values, {skew} is the one of [gates].
_NO_SERIAL = "export a serial for every certificate, or map the status of such rows to `excluded`"
_ADVICE: Mapping[str, str] = MappingProxyType(
    {
        "line.malformed": "lines are none that `openssl ca` writes: restore or correct them; none may be left out, as "
        "each stands for a certificate",
        "row.serial.null": f"is null: {_NO_SERIAL}",
        "row.serial.empty": f"is empty: {_NO_SERIAL}",
        "row.serial.too-long": "has more than 21 octets, as no certificate has: look for another kind of serial, or "
        "for a wrong encoding in [snapshot.columns]",
        "row.serial.not-minimal": "begins with a superfluous 00 or ff, so it does not hold content octets of DER "
        'INTEGERs: set serial.encoding = "unsigned-binary" in [snapshot.columns] if these are plain numbers',
        "row.serial.not-hex": 'is no hexadecimal number: correct the rows, or set serial.encoding = "decimal" in '
        "[snapshot.columns] if that is what the column holds",
        "row.serial.rounded": "is in scientific notation ({values}), as a spreadsheet writes long numbers once it has "
        "rounded them, and what they were is lost: export them again as text, and open that in no spreadsheet",
        "row.serial.not-decimal": 'is no decimal number: correct the rows, or set serial.encoding = "hex" in '
        "[snapshot.columns] if that is what the column holds",
        "row.status.null": "is null or empty: export the status of every certificate",
        "row.status.unknown": "has values without a meaning ({values}): map them to good, revoked, unknown or excluded "
        "in [snapshot.columns], status.values",
        "row.reason.unknown": "has values that are no revocation reason ({values}): allowed are 1-6, 9 and 10, their "
        "names, and 0 or null for none (7 is unused; 8, removeFromCRL, means that the certificate is good again); map "
        "others in [snapshot.columns], reason.values",
        "row.reason.missing": "is null in revoked rows of CA certificates, where the profile of their issuer wants a "
        f"reason (TLS Baseline Requirements, 7.3): export it, other than unspecified; {_AS_IT_IS}",
        "row.reason.unspecified": "is unspecified (0) in revoked rows of CA certificates, whose reason must be in the "
        "answer, says the profile of their issuer (TLS Baseline Requirements, 7.3); but unspecified is the absence of "
        f"one (RFC 5280, 5.3.1): export the reason; {_AS_IT_IS}",
        "row.reason.hold": "is certificateHold (6) in revoked rows, which the profile of their issuer forbids (TLS "
        "Baseline Requirements, 4.9.13 and 7.2.2): revoke these certificates for good, or release them; end-entity "
        "certificates may be on hold under profile cabf-smime (S/MIME, but for the Strict ones), all under microsoft, "
        f"where these are the rules of this issuer; {_AS_IT_IS}",
        "row.reason.ca-compromise": "is cACompromise (2) in revoked rows of end-entity certificates (a null kind is "
        "one), which the profile of their issuer forbids (TLS Baseline Requirements, 7.2.2): export keyCompromise (1) "
        'if their own key is meant, superseded (4) if that of the CA is, or kind = "ca" if they are CAs; '
        f"{_AS_IT_IS}",
        "row.reason.aa-compromise": "is aACompromise (10), a reason of attribute authorities, which the profile of the "
        f"issuer forbids (TLS Baseline Requirements, 7.2.2): export the right one; {_AS_IT_IS}",
        "row.kind.end-entity": "is not ca in rows of issuers under profile offline-ca, whose windows of up to twelve "
        'months are for certificates of CAs alone (TLS Baseline Requirements, 4.9.9): export kind = "ca" for these '
        "(null means end-entity), and needs_ocsp = false for those of OCSP responders; an issuer of other certificates "
        "needs another profile",
        "row.kind.unknown": "has values without a meaning ({values}): map them to ca, end-entity or precertificate in "
        "[snapshot.columns], kind.values; null means end-entity",
        "row.needs-ocsp.unknown": "has values that are neither true nor false ({values}): map them in "
        "[snapshot.columns], needs_ocsp.values; null means true",
        "row.revoked.no-time": "is null in revoked rows (without a column of statuses, those that give a reason are): "
        "export when each certificate was revoked, and no reason where none was",
        "row.revoked.after-as-of": "lies more than {skew} after as_of ([gates] skew): either as_of is too early for "
        "these files, or these times are read in a wrong zone: the declared one, or UTC where they are local; if "
        "such a value stands for none, name it, in [snapshot.columns]: absent = [...]",
        "row.revoked.out-of-range": "lies before 1970 or after 2106-02-07T06:28:15Z ({values}): correct the time of "
        "revocation; if such a value stands for none, name it, in [snapshot.columns]: absent = [...]",
        "row.revoked.ignored": "is set in rows that are not revoked; their status counts, the time is ignored: look "
        "whether the status is mapped as it should be",
        "row.revoked.left-out": "is set in rows that are left out by their status, and have not expired: clients that "
        "ask for these certificates get no answer, which many take for good; look whether their status is mapped to "
        "excluded by mistake (status.values in [snapshot.columns])",
        IN_COLUMNS: "has revocations in rows that are not revoked",
        "row.expired.after-as-of": "lies more than {skew} after as_of ([gates] skew), or is empty, in lines with the "
        "status E (expired), which `openssl ca -updatedb` writes afterwards alone: look whether as_of is right, and "
        "restore or correct these lines",
        "row.issuer.null": "is null: export the issuer of every certificate",
        "row.issuer.unknown": "names issuers that are not configured ({values}): add [[issuer]] with name, certificate "
        "and key for each, or add the name to the list of an issuer that has several",
        "issuer.unplaced": "names no configured issuer in so many rows that do not say good that they cannot be held "
        "against the certificates of each: correct the names, or leave these rows out of the export",
        "row.time.not-utc": "holds times without a zone: convert them to UTC in the export and append Z, or declare "
        'the zone that they are in, in [snapshot.columns]: zone = "<IANA zone, such as Europe/Berlin>"',
        "row.time.ambiguous": "holds local times that clocks showed twice when they were set back: export UTC, or "
        'declare which of the two instants is meant, in [snapshot.columns]: ambiguous = "earliest" or "latest"',
        "row.time.nonexistent": "holds local times that no clock showed, as clocks were set forward over them: look "
        "whether the zone is the right one, export UTC, or declare what is meant, in [snapshot.columns]: nonexistent = "
        '"shift-forward" (the first instant after the gap) or "shift-backward" (the last second before it)',
        "row.time.malformed": "holds values that are no time, or none in the declared encoding ({values}): write RFC "
        "3339, such as 2026-11-24T00:00:00Z (hour 24 and second 60 are not taken), or declare how they are written, in "
        "[snapshot.columns]: encoding = ...; if such a value stands for none, name it there: absent = [...]",
        "row.time.out-of-range": "lies outside of the years 0 to 9999: correct the time, look whether its unit "
        "is the declared one, or export null; if such a value stands for none, name it, in [snapshot.columns]: "
        "absent = [...]",
    }
)
# What they say of an index.txt, whose columns cannot be declared otherwise.
_ADVICE_OF_LINES: Mapping[str, str] = MappingProxyType(
    {
        "row.kind.end-entity": "cannot be said in an index.txt, and profile offline-ca is for certificates of CAs "
        "alone: import it by `pregen import`, add kind and needs_ocsp to the Parquet file (docs/profiles.md), and "
        "publish that",
        "row.serial.empty": "is empty: restore or correct these lines; each stands for a certificate",
        "row.serial.too-long": "has more than 21 octets, as no certificate has: restore or correct these lines",
        "row.serial.not-hex": "is no hexadecimal number: restore or correct these lines",
        "row.revoked.out-of-range": "lies before 1970 or after 2106-02-07T06:28:15Z: restore or correct these lines",
        "row.revoked.after-as-of": "lies more than {skew} after as_of ([gates] skew): as_of is too early for this file",
        "row.time.malformed": "holds values that are neither UTCTime nor GeneralizedTime, such as 261124000000Z: "
        "restore or correct these lines",
        "row.time.out-of-range": "lies outside of the years 0 to 9999: restore or correct these lines",
    }
)
_WARNINGS = frozenset({"row.revoked.ignored", "row.revoked.left-out"})


class RowPlace(NamedTuple):
    """A row: the file's number and place, the row's number in it, from 0, and what people call rows of such files."""

    file: int
    path: Location
    row: int
    unit: str = "row"


@dataclass(slots=True)
class _CodeCount:
    """What is kept of one code in one column."""

    column: str
    unit: str
    count: int = 0
    examples: list[str] = field(default_factory=list)
    values: dict[str, None] = field(default_factory=dict)  # distinct, in the order of the rows


class RowFindings:
    """Collects faults batch by batch; memory does not grow with the number of bad rows."""

    def __init__(self) -> None:
        """Nothing is wrong yet."""
        self._kinds: dict[tuple[str, str], _CodeCount] = {}

    def note(self, fault: Fault, name: str, column: "ArrowArray | None", first: RowPlace) -> None:
        """Count a fault's rows; `column` is what the file holds under `name`, its row 0 is the row `first`."""
        count = int(np.count_nonzero(fault.rows))
        if not count:
            return
        kind = self._kinds.setdefault((fault.code, name), _CodeCount(name, first.unit))
        kind.count += count
        for at in np.flatnonzero(fault.rows)[: MAX_EXAMPLES - len(kind.examples)].tolist():
            value = "null" if column is None else shown(column[at])
            place = located(first.path, first.row + at, first.unit)
            kind.examples.append(f"{place}, {name}, {value}" if name else f"{place}, {value}")
        if "{values}" in _ADVICE[fault.code] and column is not None and len(kind.values) <= MAX_EXAMPLES:
            distinct = pc.unique(column.filter(pa.array(fault.rows)))[: MAX_EXAMPLES + 1]
            kind.values |= dict.fromkeys(map(shown, distinct))

    def add(self, later: "RowFindings") -> None:
        """Count what was noted in later rows too."""
        for key, other in later._kinds.items():  # noqa: SLF001 - of the same class
            kind = self._kinds.setdefault(key, _CodeCount(other.column, other.unit))
            kind.count += other.count
            kind.examples += other.examples[: MAX_EXAMPLES - len(kind.examples)]
            if len(kind.values) <= MAX_EXAMPLES:
                kind.values |= other.values

    def findings(self, skew_s: int) -> tuple[Finding, ...]:
        """Return what was noted so far: one finding per kind and column, errors first, in the order of appearance.

        `skew_s` is how far revocations may lie after as_of.
        """
        found = [_finding(code, kind, skew_s) for (code, _), kind in self._kinds.items()]
        return tuple(sorted(found, key=lambda finding: finding.severity))


def negative_finding(name: str, encoding: str, negative: int, rows: int) -> tuple[Finding, ...]:
    """Return an error where so many serials are negative that they are hardly meant to be; one in ten thousand is.

    Of plain numbers, every second one begins with an octet that makes it negative, also where a program wrote them as
    signed integers; `encoding` is the declared one.
    """
    if negative < _NEGATIVE_COUNT or negative * _NEGATIVE_SHARE < rows:
        return ()
    remedy = 'set serial.encoding = "unsigned-binary" in [snapshot.columns] if these are plain numbers'
    if encoding != "binary":
        remedy = (
            "a signed integer of a database, or a program that takes the first bit of octets for a sign, writes plain "
            "numbers so: export them without a sign, or as octets"
        )
    text = (
        f"column {name!r}: {negative:,} of {rows:,} serials are negative, and nobody would ask for these certificates "
        f"if they are not: {remedy}"
    )
    return (Finding("serial.negative", "error", text),)  # no row is bad by itself


def located(path: Location, row: int, unit: str = "row") -> str:
    """Return what messages call a row; `row` counts from 0, people from 1.

    >>> from pathlib import Path
    >>> located(Path("day.parquet"), 0)
    'day.parquet, row 1'
    """
    return f"{path}, {unit} {row + 1}"


def _finding(code: str, kind: _CodeCount, skew_s: int) -> Finding:
    listed = list(kind.values)[:MAX_EXAMPLES]
    values = ", ".join(listed) + (", ..." if len(kind.values) > MAX_EXAMPLES else "")
    advice = _ADVICE_OF_LINES if kind.unit == "line" and code in _ADVICE_OF_LINES else _ADVICE
    text = advice[code].format(values=values, skew=duration_text(timedelta(seconds=skew_s)))
    if kind.column:
        text = f"column {kind.column!r} {text}"
    severity: Severity = "warning" if code in _WARNINGS else "error"
    return Finding(code, severity, text, kind.count, tuple(kind.examples))


def shown(value: ArrowScalar) -> str:
    r"""Return one value of a file as people write it, cut where it is long.

    >>> shown(pa.scalar(b"\x0a\xff")), shown(pa.scalar("lost")), shown(pa.scalar(1500, pa.timestamp("ms", "UTC")))
    ('0aff', "'lost'", '1970-01-01T00:00:01.500Z')
    """
    if not value.is_valid:
        return "null"
    if isinstance(value, pa.TimestampScalar):
        # not as_py(): that needs a zone database, and ends with the year 9999
        return f"{np.datetime64(value.value, value.type.unit)}{'Z' if value.type.tz else ''}"
    if isinstance(value, pa.Date32Scalar):
        return str(np.int64(value.cast(pa.int32()).as_py()).astype("datetime64[D]"))
    if isinstance(value, pa.Date64Scalar):
        return str(np.int64(value.cast(pa.int64()).as_py()).astype("datetime64[ms]").astype("datetime64[D]"))
    plain = value.as_py()
    if plain is None:  # a null among the values of a dictionary
        return "null"
    text = plain.hex() if isinstance(plain, bytes) else repr(plain) if isinstance(plain, str) else str(plain)
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
