"""Findings about whole columns, where they are about the rows of some issuers, or of some files, alone.

Two CAs that are exported into one snapshot may write the same column in two ways, and so may two files. What the many
rows of one do not have is no comfort for those of the other, and a remedy for the whole column would spoil the rest.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import NamedTuple

from pregen.errors import Finding

_NAMED = 5


class Parts(NamedTuple):
    """What is found in parts of a snapshot, each judged by itself and called by its name, and how many there are."""

    findings: Mapping[str, tuple[Finding, ...]]
    parts: int


def narrowed(whole: tuple[Finding, ...], *kinds: Parts) -> tuple[Finding, ...]:
    """Return what is found in the whole, or where it is in some of its parts alone, what is found there.

    The first kind of parts that tells it wins. What is found in all parts is found in the whole.

    >>> one, other = Finding("serial.negative", "error", "so many"), Finding("serial.rounded", "error", "so few")
    >>> [found.message for found in narrowed((other,), Parts({"r1": (one,)}, 2), Parts({"a": (other,)}, 1))]
    ['so few', 'rows of r1: so many; where other rows are written otherwise, export all alike, as all are read alike']
    """
    parts = chain.from_iterable(part for kind in kinds for part in kind.findings.values())
    codes = dict.fromkeys(finding.code for finding in chain(whole, parts))
    return tuple(chain.from_iterable(_of_code(code, whole, kinds) for code in codes))


def _of_code(code: str, whole: tuple[Finding, ...], kinds: tuple[Parts, ...]) -> Iterator[Finding]:
    everywhere = [finding for finding in whole if finding.code == code]
    for kind in kinds:
        those = {name: one for name, found in kind.findings.items() for one in found[::-1] if one.code == code}
        if those and len(those) < kind.parts:
            yield _named(those)
            return
        everywhere = everywhere or list(those.values())[:1]
    yield from everywhere


def _named(those: Mapping[str, Finding]) -> Finding:
    first, *_ = those.values()
    names = ", ".join([*those][:_NAMED]) + (f" and {len(those) - _NAMED:,} more" if len(those) > _NAMED else "")
    text = f"{first.message}; where other rows are written otherwise, export all alike, as all are read alike"
    return replace(first, message=f"rows of {names}: {text}")
