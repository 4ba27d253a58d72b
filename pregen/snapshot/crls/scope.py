"""What the CRLs of an issuer cover together, and what they leave out (RFC 5280, 5.2.5).

All together must cover the end-entity certificates that the issuer has rows of, and those of CAs, where the rows tell
them apart. Which rows there are is known when all are read. Whether all distribution points are there cannot be known:
a warning.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pregen.errors import MAX_EXAMPLES, Finding
from pregen.snapshot.batch import CA, END_ENTITY
from pregen.snapshot.crls.crl import Covered
from pregen.snapshot.crls.rules import Effective

NOT_SAID = 2  # beside END_ENTITY and CA: rows of a file without a column that tells them apart
KIND_COUNT = 3


@dataclass(frozen=True, slots=True)
class Uncovered:
    """Certificates that no CRL of their issuer is about: all would be good.

    Attributes:
        index: the issuer's index.
        issuer: what messages call it.
        covered: of which certificates its CRLs are: "user" or "ca".
        count: how many CRLs it has that count.
        paths: files of the first of them.
    """

    index: int
    issuer: str
    covered: Covered
    count: int
    paths: tuple[str, ...]

    def unread(self) -> Finding:
        """Return what to say where no row says of which kind it is."""
        if self.covered == "ca":
            text = f"{self._missing()}; if there are none, export a column kind, which says so"
            return Finding("crl.scope", "error", text, self.count, self.paths)
        return self._perhaps(self.count)

    def found(self, rows: NDArray[np.int64]) -> Iterator[Finding]:
        """Yield what to say of an issuer's rows, int64[KIND_COUNT], counted by kind."""
        if self.covered == "ca" and (wrong := int(rows[END_ENTITY] + rows[NOT_SAID])):
            yield Finding("crl.scope", "error", self._missing(), wrong, self.paths)
        if self.covered == "user" and (wrong := int(rows[CA])):
            yield Finding("crl.scope", "error", self._missing(), wrong, self.paths)
        if self.covered == "user" and (unclear := int(rows[NOT_SAID])):
            yield self._perhaps(unclear)

    def _missing(self) -> str:
        left_out = "end-entity" if self.covered == "ca" else "CA"
        return (
            f"{self._about()} {left_out} certificates would all be good: add the CRL that is about them to crls in "
            "[snapshot]"
        )

    def _perhaps(self, count: int) -> Finding:
        text = f"{self._about()} CA certificates would be good, if there are any: the rows do not say (column kind)"
        return Finding("crl.scope", "warning", text, count, self.paths)

    def _about(self) -> str:
        of = "CA certificates alone (onlyContainsCACerts)"
        if self.covered == "user":
            of = "end-entity certificates alone (onlyContainsUserCerts)"
        return f"the CRLs of issuer {self.issuer!r} are about {of}, so"


def uncovered(effective: Iterable[Effective]) -> tuple[Uncovered, ...]:
    """Return what the CRLs that count leave out, by issuer."""
    found = []
    for parts in _by_issuer(effective):
        covered = frozenset[Covered]().union(*(one.base.covers for one in parts))
        paths = tuple(str(one.base.path) for one in parts)[:MAX_EXAMPLES]
        if len(covered) == 1:
            (alone,) = covered
            found.append(Uncovered(parts[0].issuer.index, parts[0].issuer.name, alone, len(parts), paths))
    return tuple(found)


def out_of_scope(left_out: Iterable[Uncovered], rows: NDArray[np.int64]) -> tuple[Finding, ...]:
    """Return what to say about rows that no CRL is about; `rows` counts them, int64[issuers, KIND_COUNT]."""
    return tuple(finding for one in left_out for finding in one.found(rows[one.index]))


def partition_findings(effective: Iterable[Effective]) -> list[Finding]:
    """Return a warning for each issuer with CRLs of distribution points."""
    findings = []
    for parts in _by_issuer(effective):
        if points := _points(parts):
            text = (
                f"issuer {parts[0].issuer.name!r} has {len(parts)} CRLs that count, of which {len(points)} are about a "
                "distribution point alone; whether all points are here, nobody can tell, and a certificate of another "
                "one would count as good: look that crls in [snapshot] names all of them"
            )
            findings.append(Finding("crl.partition", "warning", text, len(points), tuple(points[:MAX_EXAMPLES])))
    return findings


def _by_issuer(effective: Iterable[Effective]) -> Iterable[Sequence[Effective]]:
    by_issuer: dict[int, list[Effective]] = {}
    for one in effective:
        by_issuer.setdefault(one.issuer.index, []).append(one)
    return by_issuer.values()


def _points(parts: Iterable[Effective]) -> list[str]:
    """Return the distribution points of CRLs, without those whose certificates another CRL covers as a whole."""
    bases = [one.base for one in parts]
    whole = frozenset[Covered]().union(*(base.covers for base in bases if base.point is None))
    return [base.point for base in bases if base.point is not None and not base.covers <= whole]
