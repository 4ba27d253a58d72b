"""The reports of the commands that keep a store up, as one JSON object and as lines for people."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pregen import clock
from pregen.cli.report import Report

if TYPE_CHECKING:
    from pregen.upkeep import PastCommit


def history_report(commits: "tuple[PastCommit, ...]") -> Report:
    """Return the report of a history, the newest commit first."""
    oldest = commits[-1].number
    earlier = [f"{oldest - 1:,} earlier commits: --last 0 shows all"] if oldest > 1 else []
    return Report(
        document={"commits": [_commit_document(one) for one in commits], "earlier": oldest - 1},
        lines=[*(line for one in commits for line in _commit_lines(one)), *earlier],
    )


def _commit_document(one: "PastCommit") -> dict[str, object]:
    rollback = {
        "possible": one.until is not None,
        "until": None if one.until is None else clock.text(one.until),
        "why_not": one.why_not or None,
    }
    document: dict[str, object] = {"number": one.number}
    if one.commit is not None:
        document |= {
            "kind": one.commit.kind,
            "as_of": clock.text(one.commit.as_of),
            "started_at": clock.text(one.commit.started_at),
            "base": one.commit.base,
            "by": one.commit.by,
            "note": one.commit.note,
            "publisher": one.commit.publisher,
        }
    return document | {
        "reason": one.reason,
        "acceptances": one.acceptances,
        "counts": None if one.manifest is None else {**one.manifest.counts, **one.held},
        "rollback": rollback,
    }


def _commit_lines(one: "PastCommit") -> Iterator[str]:
    if one.commit is None:
        yield f"commit {one.number}: {one.why_not}"
        return
    by = f", by {one.commit.by}" if one.commit.by else ""
    yield (
        f"commit {one.number}: {one.commit.kind}, as of {clock.text(one.commit.as_of)}, "
        f"begun at {clock.text(one.commit.started_at)}{by}"
    )
    if one.commit.note:
        yield f"    note: {one.commit.note}"
    if one.reason:
        yield f"    reason: {one.reason}"
    yield from (f"    {said['gate']} accepted by {said['user']}: {said['reason']}" for said in one.acceptances)
    if one.manifest is not None:
        yield f"    {_held_text(one.held)}"
    if one.until is not None:
        yield f"    can be rolled back to until {clock.text(one.until)}"
    else:
        yield f"    cannot be rolled back to: {one.why_not}"


def _held_text(held: Mapping[str, int]) -> str:
    overlays = (
        f"; {held['in_overlays']:,} in overlays, {held['revoked_in_overlays']:,} revoked" if held["in_overlays"] else ""
    )
    return f"{held['certificates']:,} certificates, {held['revoked']:,} revoked{overlays}"
