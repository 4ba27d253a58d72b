"""What a snapshot has of each issuer: rows, certificates, revocations, the newest issuance; and who has nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pregen.config import Config
from pregen.gates.detector import Observation
from pregen.generation.rows.groups import RESPONSE_KINDS, Group
from pregen.issuers import Issuer
from pregen.snapshot import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerFigures:
    """One issuer in a snapshot.

    Attributes:
        name: what messages call it.
        rows: that name it, those that get no answers included.
        certificates: that get answers.
        revoked: how many of them are revoked.
        newest: the latest not_before that is not after as_of, in seconds since 1970; None: no row says.
    """

    name: str
    rows: int
    certificates: int
    revoked: int
    newest: int | None


def figures_by_issuer(
    issuers: Sequence[Issuer], snapshot: Snapshot, groups: Mapping[Group, int], observation: Observation
) -> tuple[IssuerFigures, ...]:
    """Return the figures of all issuers that may have rows, in their order; `groups` are what gets answers."""
    certificates, revoked = [0] * len(issuers), [0] * len(issuers)
    for group, count in groups.items():
        certificates[group.issuer] += count
        revoked[group.issuer] += count * (RESPONSE_KINDS[group.kind][0] == "revoked")
    newest = {int(row["issuer"]): int(row["not_before"]) for row in observation.newest}
    rows = snapshot.rows_of.sum(axis=1).tolist()
    return tuple(
        IssuerFigures(
            name=issuer.names[0],
            rows=rows[index],
            certificates=certificates[index],
            revoked=revoked[index],
            newest=newest.get(index),
        )
        for index, issuer in enumerate(issuers)
        if not issuer.is_further_name
    )


def without_rows(issuers: Sequence[Issuer], snapshot: Snapshot, config: Config) -> tuple[int, ...]:
    """Return the ids of the issuers that no row names, less those that are declared to have issued nothing yet.

    Rows that are left out by their status are none: comments of an index.txt are such. Rows of another name or key that
    an issuer answers for are rows of it as well.
    """
    declared = {name for section in config.issuer if section.empty for name in section.names}
    rows = snapshot.rows_of[:, 0].tolist()
    return tuple(
        issuer.issuer_id
        for index, issuer in enumerate(issuers)
        if not issuer.is_further_name
        and not any(rows[one] for one in (index, *issuer.rows_of))
        and not declared & set(issuer.names)
    )


def rows_in_spite(issuers: Sequence[Issuer], snapshot: Snapshot, config: Config) -> dict[int, int]:
    """Return how many rows name each issuer, by id, that is declared to have issued nothing yet, where any do."""
    declared = {name for section in config.issuer if section.empty for name in section.names}
    rows = snapshot.rows_of[:, 0].tolist()
    return {
        issuer.issuer_id: rows[index]
        for index, issuer in enumerate(issuers)
        if not issuer.is_further_name and rows[index] and declared & set(issuer.names)
    }


def certificates_of(issuers: Sequence[Issuer], groups: Mapping[Group, int]) -> list[int]:
    """Return how many certificates get answers, by the index of their issuer."""
    counts = [0] * len(issuers)
    for group, count in groups.items():
        counts[group.issuer] += count
    return counts
