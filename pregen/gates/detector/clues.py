"""What one kind of evidence says of one column, before it becomes a finding (`verdict.py`)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pregen import clock
from pregen.errors import MAX_EXAMPLES, Severity
from pregen.gates.detector.observation import Watch
from pregen.gates.detector.offsets import Difference, Sample, offset_text
from pregen.gates.detector.sightings import sighted_serial
from pregen.issuers import Issuer
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE
from pregen.snapshot.column import Column
from storage.certid import serial_text

_TEXT_YEARS = (-62_135_596_800, 253_402_300_799)  # 0001 to 9999, what a text can say


@dataclass(frozen=True, slots=True, kw_only=True)
class Clue:
    """One kind of evidence about one column.

    Attributes:
        code: of the finding.
        severity: of the finding.
        canonical: the column that seems to be read wrongly.
        text: what was compared and seen, with numbers; a sentence without its full stop.
        advice: what to do where no offset explains it.
        otherwise: what else than a wrong zone may explain it.
        shift_s: by how much the column is read too late (negative: too early), the one constant; None: unknown, or
            several.
        samples: what the offset of the zone that was meant must have been, at which instants.
        count: rows.
        examples: up to 20 of them.
    """

    code: str
    severity: Severity
    canonical: str
    text: str
    advice: str
    otherwise: str = ""
    shift_s: int | None = None
    samples: tuple[Sample, ...] = ()
    count: int = 1
    examples: tuple[str, ...] = ()


def time_text(seconds: int) -> str:
    """Return an instant, or the number where no text can say it."""
    return clock.text(seconds) if _TEXT_YEARS[0] <= seconds <= _TEXT_YEARS[1] else f"{seconds} s since 1970"


def about(seconds: int) -> str:
    """Return a duration, from an hour on in whole minutes.

    >>> about(3_599), about(3_661), about(-86_399)
    ('59m 59s', '1h 1m', '-23h 59m')
    """
    return clock.length_text(seconds if abs(seconds) < 3_600 else int(seconds / 60) * 60)


def example(issuer: str, serial: bytes, column: str, read: int, true: int | None) -> str:
    r"""Return one example: whose certificate, the value as it was read, and what it is or would be in UTC.

    >>> example("", b"\x7f", "REVOKED", 0, None)
    'serial 7f, REVOKED 1970-01-01T00:00:00Z'
    """
    text = f"serial {serial_text(serial)}, {column} {time_text(read)}"
    text = f"{issuer}, {text}" if issuer else text
    return text if true is None else f"{text}, in UTC {time_text(true)}"


def examples(
    sightings: Iterable[np.void], issuers: Sequence[Issuer], column: Column, shift_s: int | None
) -> tuple[str, ...]:
    """Return examples of sighted rows, with the time that a shift would make right."""
    texts = []
    for row in sightings:
        read = int(row[column.canonical])
        if read in {NO_ISSUANCE, NO_EXPIRY}:
            continue
        true = None if shift_s is None else read - shift_s
        texts.append(example(issuer_name(issuers, int(row["issuer"])), sighted_serial(row), column.name, read, true))
    return tuple(texts[:MAX_EXAMPLES])


def issuer_name(issuers: Sequence[Issuer], index: int) -> str:
    """Return what messages call an issuer; nothing where `index` is -1: whose it is was not noted."""
    return f'issuer "{issuers[index].names[0]}"' if 0 <= index < len(issuers) else ""


def until_text(watch: Watch) -> str:
    """Return what messages call the instant that not_before is judged by."""
    return f"the list of certificates ({time_text(watch.issued_until)})" if watch.has_crls else "as_of"


def shifts_text(difference: Difference) -> str:
    """Return how values differ, in words."""
    parts = [f"{count:,} by {offset_text(shift)}" for shift, count in difference.shifts[:3]]
    if len(difference.shifts) > 3:
        parts.append(f"{sum(count for _, count in difference.shifts[3:]):,} by other quarters of an hour")
    if difference.odd:
        what = "a day or more" if difference.of_dates else "no whole quarters of an hour"
        parts.append(f"{difference.odd:,} by {what}")
    return ", ".join(parts)
