"""The reports of the commands that keep a store up, as one JSON object and as lines for people."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pregen import clock
from pregen.cli.contents import contents_text
from pregen.cli.report import Report, aligned
from pregen.errors import Finding

if TYPE_CHECKING:
    from pregen.upkeep import Amount, Cleaned, PastCommit, RetentionRules
    from pregen.upkeep.rollback import RolledBack


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
        "counts": None if one.manifest is None else {**one.manifest.counts, **one.manifest.contents._asdict()},
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
        yield f"    {contents_text(one.manifest.contents)}"
    if one.until is not None:
        yield f"    can be rolled back to until {clock.text(one.until)}"
    else:
        yield f"    cannot be rolled back to: {one.why_not}"


def gc_report(cleaned: "Cleaned", *, is_dry: bool) -> Report:
    """Return the report of a cleaning."""
    total, went = cleaned.total, "would go" if is_dry else "gone"
    document: dict[str, object] = {
        "dry_run": is_dry,
        "removed": {"count": total.objects, "bytes": total.octets, "folders": amounts_document(cleaned.gone)},
        "finished": cleaned.finished,
        "commits": list(cleaned.commits),
        "kept_generations": cleaned.generations,
        "kept_commits": cleaned.kept,
        "publishers_at_work": len(cleaned.publishers),
        "publishers": [
            {"marker": one.name, "began": clock.text(one.began_s), "counts_until": clock.text(int(one.until_s))}
            for one in cleaned.publishers
        ],
        "held_back": held_back_document(cleaned),
    }
    lines = [
        f"{went}: {total.objects:,} objects of {total.octets:,} octets",
        *aligned([(folder, f"{one.objects:,} objects, {one.octets:,} octets") for folder, one in cleaned.gone.items()]),
        f"stay: {cleaned.generations:,} generations, in {cleaned.kept:,} commits",
    ]
    if cleaned.finished:
        lines.append(f"{cleaned.finished:,} of the objects had been announced by an earlier cleaning")
    if cleaned.publishers:
        lines.append(
            f"publishers at work: {len(cleaned.publishers)}; nothing that was written since the first began goes"
        )
        lines.extend(_held_back_lines(cleaned))
    commits = ", ".join(map(str, cleaned.commits))
    done = f"{total.objects:,} objects were removed, as commit {commits} says" if cleaned.commits else None
    return Report(document=document, lines=lines, findings=cleaned.warnings, done=done)


def _held_back_lines(cleaned: "Cleaned") -> Iterator[str]:
    """Yield what stays for publishers alone: one that was killed holds it back for some hours, and no longer."""
    if cleaned.held_back.objects:
        oldest = cleaned.publishers[0]
        yield (
            f"held back: {cleaned.held_back.objects:,} objects of {cleaned.held_back.octets:,} octets, because of the "
            f"publisher that began at {clock.text(oldest.began_s)} ({oldest.name}); if it was killed, it counts as "
            f"dead from {clock.text(int(oldest.until_s))} on"
        )


def rollback_report(done: "RolledBack", *, is_dry: bool) -> Report:
    """Return the report of a rollback."""
    copied, left = done.tally.copied, done.tally.left
    document: dict[str, object] = {
        "dry_run": is_dry,
        "to": done.to.number,
        **done.tally.figures(),
        "holds_until": clock.text(done.holds_until),
        "left_examples": done.tally.left_examples,
    }
    back = f"commit {done.to.number}, as of {clock.text(done.to.as_of)}"
    lines = [
        f"a rollback would go back to {back}" if is_dry else f"published commit {done.commit.number}: back to {back}",
        *aligned(
            [
                ("copied", ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in copied.items())),
                ("left", ", ".join(f"{count:,} ({name})" for name, count in left.items() if count) or "nothing"),
                ("holds until", clock.text(done.holds_until)),
            ]
        ),
    ]
    said = None if is_dry else f"commit {done.commit.number} is published"
    return Report(document=document, lines=lines, findings=done.warnings, done=said)


def with_cleaning(report: Report, cleaned: "Cleaned | Finding | None") -> Report:
    """Return the report of a run with what was cleaned at its end."""
    if cleaned is None:
        return report
    if isinstance(cleaned, Finding):
        return replace(report, document={**report.document, "cleaned": None}, findings=(*report.findings, cleaned))
    removed = gc_report(cleaned, is_dry=False)
    return replace(
        report,
        document={**report.document, "cleaned": removed.document},
        lines=[*report.lines, *removed.lines],
        findings=(*report.findings, *removed.findings),
    )


def with_what_could_go(report: Report, told: "Cleaned | None", rules: "RetentionRules") -> Report:
    """Return the report of an inspection with what a cleaning would remove."""
    gone = None if told is None else told.gone
    document = {
        **report.document,
        "could_go": None if gone is None else amounts_document(gone),
        "held_back": None if told is None else held_back_document(told),
    }
    kept = " or ".join(
        text
        for text in (
            rules.generations is not None and f"the newest {rules.generations:,} generations",
            rules.keep_s is not None and f"what was current in the last {clock.length_text(rules.keep_s)}",
        )
        if text
    )
    if gone is None:
        line = "what could go nobody knows, since a part of the store cannot be read: look with pregen verify"
    else:
        each = ", ".join(f"{folder} {one.octets:,}" for folder, one in gone.items()) or "nothing"
        octets = sum(one.octets for one in gone.values())
        line = f"could go: {octets:,} octets ({each}), by pregen gc, which keeps {kept}"
    held_back = [] if told is None else _held_back_lines(told)
    return replace(report, document=document, lines=[*report.lines, line, *held_back])


def held_back_document(cleaned: "Cleaned") -> dict[str, object]:
    """Return how much would go, did no publisher seem to be at work."""
    return {"count": cleaned.held_back.objects, "bytes": cleaned.held_back.octets}


def amounts_document(amounts: "Mapping[str, Amount]") -> dict[str, object]:
    """Return numbers and octets of objects by folder, as `pregen inspect` has them."""
    return {folder: {"count": one.objects, "bytes": one.octets} for folder, one in amounts.items()}
