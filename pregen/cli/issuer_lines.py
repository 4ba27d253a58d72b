"""What reports say of each issuer."""

from collections.abc import Sequence

from pregen import clock
from pregen.errors import MAX_EXAMPLES
from pregen.generation.comparing.by_issuer import IssuerFigures


def issuers_document(issuers: Sequence[IssuerFigures]) -> list[dict[str, object]]:
    """Return the figures of issuers as JSON has them."""
    return [
        {
            "name": one.name,
            "rows": one.rows,
            "certificates": one.certificates,
            "revoked": one.revoked,
            "newest_issuance": None if one.newest is None else clock.text(one.newest),
        }
        for one in issuers
    ]


def issuer_lines(issuers: Sequence[IssuerFigures]) -> list[str]:
    """Return a line for each issuer, and where there are many, for those with the fewest rows.

    >>> issuer_lines([IssuerFigures(name="r1", rows=5_000, certificates=4_990, revoked=12, newest=1_795_910_400)])
    ['issuer r1: rows 5,000, certificates 4,990, revoked 12, newest issuance 2026-11-29T00:00:00Z']
    """
    shown = issuers if len(issuers) <= MAX_EXAMPLES else sorted(issuers, key=lambda one: one.rows)[:MAX_EXAMPLES]
    lines = [
        f"issuer {one.name}: rows {one.rows:,}, certificates {one.certificates:,}, revoked {one.revoked:,}, newest "
        f"issuance {'unknown' if one.newest is None else clock.text(one.newest)}"
        for one in shown
    ]
    more = len(issuers) - len(shown)
    return [*lines, f"{more:,} issuers more, with as many rows or more (--json lists all)"] if more else lines
