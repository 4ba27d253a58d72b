"""Revocation data in rows that are not revoked: remnants of released holds, or of a status that is mapped wrongly.

Databases keep time and reason when a certificate comes back from hold, and nothing else may come back (RFC 5280,
5.3.1). So a row that is good or unknown, and has a time of revocation, is

    final       where its reason is none of a hold: it says revoked, whatever its status says
    timed       where it has no reason that tells: it may have been on hold
    no remnant  where its reason is certificateHold or removeFromCRL; or where its time is none of a revocation, but
                what a database writes for "never": up to 1970-01-02, or after as_of

and where there is no time, but a reason that is final, it is `reasoned`; unless half of the rows that are not revoked
are so, which is the default of a column. In numbers, which is an error, are three final ones, or ten of all kinds,
if they are more than one in a hundred of all rows that have such data, the revoked ones included; or else more than a
hundred. Fewer are a warning at most (``row.revoked.ignored``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from pregen.errors import MAX_EXAMPLES, Finding

IN_COLUMNS = "revocation.in-columns"
NO_REVOCATION_BEFORE = 86_400  # in seconds since 1970: what is earlier stands for none, in whatever zone
_FEW_FINAL, _FEW, _SHARE, _MANY = 3, 10, 100, 100


@dataclass(frozen=True, slots=True)
class Remnants:
    """How many rows have which data: those that are not revoked by kind, all of these, and those that are revoked."""

    final: int = 0
    timed: int = 0
    reasoned: int = 0
    unrevoked: int = 0
    revoked: int = 0

    def plus(self, other: "Remnants") -> "Remnants":
        """Return the sum of two."""
        return Remnants(
            self.final + other.final,
            self.timed + other.timed,
            self.reasoned + other.reasoned,
            self.unrevoked + other.unrevoked,
            self.revoked + other.revoked,
        )

    @property
    def count(self) -> int:
        """How many rows contradict themselves, if not all of them were on hold."""
        return self.final + self.timed + (self.reasoned if 2 * self.reasoned < self.unrevoked else 0)

    @property
    def are_many(self) -> bool:
        """Whether they are so many that the status is hardly right.

        >>> Remnants(timed=600, unrevoked=5_000).are_many, Remnants(timed=9, unrevoked=5_000).are_many
        (True, False)
        >>> Remnants(final=3, unrevoked=5_000, revoked=200).are_many, Remnants(timed=10, revoked=2_000).are_many
        (True, False)
        """
        return self._is_much(self.final, _FEW_FINAL) or self._is_much(self.count, _FEW)

    def _is_much(self, count: int, few: int) -> bool:
        return count > _MANY or (count >= few and count * _SHARE > count + self.revoked)


def judged(findings: tuple[Finding, ...], remnants: Remnants) -> Iterator[Finding]:
    """Yield findings about rows; those about remnants become one error where they are many, and else are left out."""
    found = [finding for finding in findings if finding.code == IN_COLUMNS]
    if found and remnants.are_many:
        text = (
            f"{found[0].message}: {remnants.count:,} rows that are good or unknown say so beside "
            f"{remnants.revoked:,} that are revoked, and {remnants.final:,} of them give a reason from which no "
            "certificate comes back (RFC 5280, 5.3.1): look whether their status is mapped as it should be "
            "(status.values in [snapshot.columns]); where they were on hold, export the reason certificateHold or "
            "removeFromCRL, or neither time nor reason; where such a time stands for none, name it, in "
            "[snapshot.columns]: absent = [...]"
        )
        examples = tuple(example for finding in found for example in finding.examples)[:MAX_EXAMPLES]
        yield replace(found[0], message=text, count=remnants.count, examples=examples)
    yield from (finding for finding in findings if finding.code != IN_COLUMNS)
