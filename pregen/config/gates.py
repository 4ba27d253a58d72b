"""The section ``[gates]``: what of a snapshot is so unusual that it is not published."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

import msgspec

from pregen.config.section import Duration, FieldProblem, Section, duration_problems, parse_duration

_GREATEST_SKEW = timedelta(days=1)


class Limit(Section, frozen=True, kw_only=True):
    """How much of something is usual; what exceeds it stops a run. In the file, what is absent is the gate's default.

    Attributes:
        share: of the certificates that are compared, as a fraction.
        count: a number of certificates.
    """

    share: Annotated[float, msgspec.Meta(ge=0, le=1)]
    count: Annotated[int, msgspec.Meta(ge=0)]


class GrowthLimit(Limit, frozen=True, kw_only=True):
    """How many more there may be than before: of them there may be several times as many.

    Attributes:
        share: of the certificates that there were before; 1 is twice as many.
    """

    share: Annotated[float, msgspec.Meta(ge=0, le=1_000)]


class GatesConfig(Section, frozen=True, kw_only=True):
    """What of a snapshot is so unusual that it is not published (`pregen.gates`).

    Attributes:
        skew: how far times may lie ahead of `as_of`; a day at most.
        shrink: certificates that vanished without expiring, became unknown, or expire at another time than before;
            refused where share or count is exceeded.
        growth: more certificates than before; refused where share and count are exceeded.
        issuer_missing: how many configured issuers that had certificates may have none now.
        unrevoke: how many holds may end at once, where that is more than half of all and more than ten; and how many
            revocations the snapshot may lack, up to 20, which stay. No number frees what was revoked for good.
        mass_revocation: newly revoked certificates; a warning where share and count are exceeded.
        stale_snapshot: greatest age of `as_of` at the start of the run, a second at least. Absent: a day if any issuer
            is under a public profile, else none.
        duplicate: rows that repeat another one; refused where share and count are exceeded.
        rows_invalid: how many rows that cannot be published may be left out.
    """

    skew: Duration = "5m"
    shrink: Limit = Limit(share=0.001, count=100)
    growth: GrowthLimit = GrowthLimit(share=1.0, count=10_000)
    issuer_missing: Annotated[int, msgspec.Meta(ge=0)] = 0
    unrevoke: Annotated[int, msgspec.Meta(ge=0)] = 0
    mass_revocation: Limit = Limit(share=0.01, count=100)
    stale_snapshot: Duration | None = None
    duplicate: Limit = Limit(share=0.01, count=100)
    rows_invalid: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def skew_s(self) -> int:
        """How far times may lie ahead of as_of, in seconds."""
        return int(parse_duration(self.skew).total_seconds())

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        bad = list(duration_problems("skew", self.skew))
        yield from bad
        if not bad and self.skew_s > _GREATEST_SKEW.total_seconds():
            text = (
                f"{self.skew!r} is more than a day, and hardly any wrong zone reaches further, so none would be found: "
                "write 0s to 1d, such as 5m"
            )
            yield FieldProblem("config.bad-value", "skew", text)
        if self.stale_snapshot is None:
            return
        bad = list(duration_problems("stale_snapshot", self.stale_snapshot))
        yield from bad
        if not bad and not parse_duration(self.stale_snapshot):
            text = (
                f"{self.stale_snapshot!r} would refuse a snapshot that is a second old: write 1s or more, such as 6h, "
                "or leave it out"
            )
            yield FieldProblem("config.bad-value", "stale_snapshot", text)
