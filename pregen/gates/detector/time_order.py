"""Order: certificates revoked before they were issued, or issued after they expired.

Single ones exist (a key known to be compromised before, a postdated certificate that was withdrawn). Two columns that
are read in different zones make many, namely all that were revoked within the offset after issuance; and none that is
further off. So an error needs that they

    * are more than arise by chance: the probability of as many as were seen, or more, where each row is odd with
      `ORDER_CHANCE` by itself (exact, binomial), is below `SIGNIFICANCE`; and
    * nearly all lie within what a zone can explain, and end at an offset that exists; or are a tenth of all rows.

Where one of the two columns holds dates, only a day or more counts, which no offset explains. Revocations from CRLs are
UTC by standard, so issuance is to blame.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pregen.clock import DAY_S
from pregen.gates.detector.case import Case
from pregen.gates.detector.clues import Clue, example, issuer_name, time_text
from pregen.gates.detector.observation import BIN_S, HALF, SIGHTING_KINDS, Watch
from pregen.gates.detector.offsets import is_date, nearest_possible, offset_text, possible_shifts
from pregen.gates.detector.sightings import Sightings, sighted_serial
from pregen.issuers import Issuer
from pregen.snapshot.column import Column

# One row in fifty is far more than single ones that are known to be odd: no CA is to be accused of its habits.
ORDER_CHANCE = 0.02
SIGNIFICANCE = 1e-6  # of one run: of a CA that has so many, a false alarm in some thousand years of nights
_MIN_COUNT = 3
FAR_SHARE, MANY_SHARE = 0.1, 0.1  # of the odd rows, beyond what zones can explain; of all rows
_EDGE_SHARE = 0.02  # of the odd rows, those that go furthest are left out of the estimate: they were odd before


def chance_of(count: int, among: int, chance: float = ORDER_CHANCE) -> float:
    """Return the probability of at least `count` of `among` rows, where each one has the probability `chance`.

    Of a count that is not above what is to be expected, 1 is said.

    >>> round(chance_of(2, 2, 0.5), 6), chance_of(0, 9)
    (0.25, 1.0)
    """
    if count <= among * chance:
        return 1.0
    # The terms fall from here on, each by a factor below one: the sum is done when they no longer count.
    log_term = math.lgamma(among + 1) - math.lgamma(count + 1) - math.lgamma(among - count + 1)
    log_term += count * math.log(chance) + (among - count) * math.log1p(-chance)
    term = math.exp(log_term)
    total = 0.0
    for k in range(count, among + 1):
        total += term
        if term <= total * 1e-12:
            break
        term *= (among - k) / (k + 1) * chance / (1 - chance)
    return min(1.0, total)


def judge_order(case: Case) -> tuple[Clue, ...]:
    """Return what the order of times says against revoked_at and not_after, each with not_before."""
    *_, of_revocations, of_expiries = case.observation.table(case.watch)
    found = (
        _clue(case, of_revocations, "revoked_at", "revoked", "revoked-early"),
        _clue(case, of_expiries, "not_after", "expired", "expired-early"),
    )
    return tuple(clue for clue in found if clue is not None)


def early_shift(counts: NDArray[np.int64], possible: frozenset[int]) -> int | None:
    """Return by how much the later time seems to be too early: where the odd rows end; None: that is no offset.

    Args:
        counts: int64[COLUMNS], by 5 minutes from the earlier time (`Observation.table`).
        possible: by how many seconds it can be read too early (negative).
    """
    early = counts[1:HALF]  # column 0 holds what is further off than any two zones are
    total = int(early.sum())
    if not total or counts[0] > FAR_SHARE * total:
        return None
    reached = np.flatnonzero(np.cumsum(early) > _EDGE_SHARE * total)[0]
    seen_s = (HALF - 1 - int(reached)) * BIN_S - BIN_S / 2
    return nearest_possible(-seen_s / (1 - _EDGE_SHARE), possible)  # as far as they go where they are spread evenly


def _clue(case: Case, counts: NDArray[np.int64], canonical: str, verb: str, kind: str) -> Clue | None:
    """Return what `counts`, int64[COLUMNS] by 5 minutes from issuance, say; `kind` is that of the examples."""
    column, issuance, watch = case.columns[canonical], case.columns["not_before"], case.watch
    has_dates = is_date(column) or is_date(issuance)
    allowed_s = DAY_S if has_dates else 0  # which comes first on one day, dates do not say
    among, early = int(counts.sum()), int(counts[: HALF - allowed_s // BIN_S].sum())
    if not early:
        return None
    is_likely = early < _MIN_COUNT or chance_of(early, among) >= SIGNIFICANCE
    blamed = "not_before" if watch.has_crls and canonical == "revoked_at" else canonical
    shift = None if is_likely or has_dates else early_shift(counts, _possible(case.columns[blamed], blamed, watch))
    serious = shift is not None or (not is_likely and early >= MANY_SHARE * among)
    issued = issuance.name
    text = f"{early:,} of {among:,} certificates are {verb} before they are issued ({issued!r})"
    text += ", by a day or more" if has_dates else ""
    if not is_likely:
        text += f", which happens by chance with a probability below {SIGNIFICANCE:g}"
    if shift is not None:
        text += f"; they go back up to about {offset_text(-shift)[1:]}"
        text += "" if blamed == "not_before" else f", unless {issued!r} is too late by as much"
    rows = case.observation.examples[SIGHTING_KINDS.index(kind)]
    return Clue(
        code="time.order",
        severity="error" if serious else "warning",
        canonical=blamed,
        text=text,
        advice=f"look whether {column.name!r} and {issued!r} are the right columns, and these rows right",
        shift_s=-shift if shift is not None and blamed == "not_before" else shift,
        count=early,
        examples=_examples(rows[rows[canonical] < rows["not_before"] - allowed_s], column, issued, case.issuers),
    )


def _possible(column: Column, canonical: str, watch: Watch) -> frozenset[int]:
    """Return by how much the later time can seem too early: it is, or the issuance is too late by as much."""
    shifts = possible_shifts(column, watch.issued_until)
    return frozenset(-shift for shift in shifts) if canonical == "not_before" else shifts


def _examples(rows: Sightings, column: Column, issued: str, issuers: Sequence[Issuer]) -> tuple[str, ...]:
    texts = []
    for row in rows:
        whose = issuer_name(issuers, int(row["issuer"]))
        text = example(whose, sighted_serial(row), issued, int(row["not_before"]), None)
        texts.append(f"{text}, {column.name} {time_text(int(row[column.canonical]))}")
    return tuple(texts)
