"""The last step of a run: everything is accounted for once more, and then published by one commit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from pregen import clock
from pregen.ended import remember
from pregen.errors import VerificationError
from pregen.gates import GateResult
from pregen.gates.results import gates_document
from pregen.generation.comparing.past import write_past
from pregen.generation.gatekeeping import after_signing
from pregen.generation.left_behind import as_before
from pregen.generation.made import Made
from pregen.generation.making.left_out import with_counts
from pregen.generation.overtaken import OnTop, taken_over
from pregen.generation.preparation import Prepared
from pregen.generation.survey import Survey
from pregen.generation.work.steps import Steps
from pregen.interruption import uninterruptible
from pregen.overlay_keys import put_overlay_keys
from pregen.validity import check_still_timely
from storage.commits import CommitTerms, Head, new_publisher, publish
from storage.ended_part import EndedPart
from storage.errors import CommitRefusedError
from storage.history import HistoryPart
from storage.manifest import Manifest

_ATTEMPTS = 50  # each is of somebody else's urgent change, and takes a second or two: nobody has so many in a row


class Committed(NamedTuple):
    """A generation that is published: its commit, octets put with it and for the next run's gates, and the results."""

    head: Head
    put_bytes: int
    history_bytes: int
    responses: int
    gates: tuple[GateResult, ...]


def commit(prepared: Prepared, survey: Survey, made: Made, steps: Steps, probed_at: int | None) -> Committed:
    """Look at everything that was made once more, and publish it.

    Args:
        prepared: what was looked at before a row was read.
        survey: what came in.
        made: all shards, and the overlay of what stays in one.
        steps: told what it took.
        probed_at: when the store's conditional writes were last tried out.

    Raises:
        VerificationError: a row is not accounted for, or a response is missing.
        CommitError, StorageError, OSError: see `storage.commits.publish`.
    """
    responses = check_counts(prepared, survey, made)
    shards = tuple(one.shard for one in made.in_order)
    windows = frozenset(window for one in made.signed for window in one.windows)
    verified = sum(one.verified for one in made.signed)
    gates = survey.gates + after_signing(
        survey.rows_in, survey.excluded, survey.tally.counts.again, shards, windows, verified
    )
    with steps("gates"):
        parts = _parts(survey, made)
    counts: dict[str, object] = {
        "rows_in": survey.rows_in,
        "certificates": survey.certificates,
        "responses": responses,
        "excluded": survey.excluded,
    }
    if survey.tally.counts.again:
        counts["again"] = survey.tally.counts.again
    manifest = Manifest(
        profile=prepared.profiles,
        shards=shards,
        counts=counts,
        gates=gates_document(gates),
        left_behind=with_counts(prepared.left_behind, prepared.issuers, survey.left_out),
        took_s=prepared.took_s,
        probed_at=probed_at,
    )
    with steps("gates"):
        ended = remember(
            prepared.store,
            prepared.past.ended,
            survey.tally.since,
            clock.seconds(prepared.snapshot.as_of) // clock.DAY_S,
            passes_damage_over=bool(survey.tally.comparison.damaged),  # which gates have let pass
        )
    planned = on_top = OnTop.planned(prepared, made.staying)
    for left in reversed(range(_ATTEMPTS)):
        try:
            _check_timely(prepared, made)
            head, put_bytes, history_bytes = _publish(prepared, survey, manifest, parts, ended, on_top, steps)
            break
        except CommitRefusedError as refused:
            if not left:
                raise
            with steps("commit"):
                on_top = taken_over(prepared, survey, shards, parts, planned, on_top, refused)
    return Committed(head, put_bytes, history_bytes + made.part_bytes, responses, gates)


def _publish(
    prepared: Prepared,
    survey: Survey,
    manifest: Manifest,
    parts: Sequence[HistoryPart],
    ended: Sequence[EndedPart],
    on_top: OnTop,
    steps: Steps,
) -> tuple[Head, int, int]:
    """Publish a generation after a head; return the commit, and octets put for readers and for the next run."""
    store, history, history_bytes = prepared.store, None, 0
    with steps("gates"):
        if survey.history is not None:
            remembered = as_before(survey.history, prepared.past.history, prepared.issuers)
            history, history_bytes = write_past(store, remembered, parts, on_top.parts, ended)
        overlay_keys = put_overlay_keys(store, on_top.overlays, on_top.current)
    whole = replace(manifest, overlays=on_top.overlays, overlay_keys=overlay_keys, history=history)
    terms = CommitTerms(
        publisher=new_publisher(),
        as_of=clock.seconds(prepared.snapshot.as_of),
        started_at=clock.seconds(prepared.started),
        by=prepared.author.by if prepared.author else None,
        note=prepared.author.note if prepared.author else None,
    )
    with steps("commit"), uninterruptible() as done:
        head, put_bytes = publish(store, on_top.head, whole, terms)
        done()
    return head, put_bytes, history_bytes + sum(part.size_bytes for part in on_top.parts)


def _parts(survey: Survey, made: Made) -> list[HistoryPart]:
    """Return what the next run compares with, of each shard that is not empty."""
    made_of = {file.number: file.made_of for file in survey.files}
    return [
        replace(one.history, digest=made_of[one.number] if one.is_whole else None)
        for one in made.in_order
        if one.history is not None
    ]


def _check_timely(prepared: Prepared, made: Made) -> None:
    """Refuse to publish what has to be replaced already, whether it was signed or stays."""
    kept = min((one.shard.refresh_by for one in made.kept), default=None)
    check_still_timely(
        started=prepared.started,
        clock_now=clock.now(),
        windows=prepared.public_windows,
        kept=None if kept is None else clock.instant(kept),
    )


def check_counts(prepared: Prepared, survey: Survey, made: Made) -> int:
    """Return the number of responses, after every row is accounted for by what was read back, or by what stays.

    What stays was counted by its rows and by the manifest, which were found to agree.
    """
    certificates = sum(one.shard.rows for one in made.in_order)
    responses = sum(one.responses for one in made.signed) + survey.kept_responses(prepared.issuers)
    excluded = sum(survey.excluded.values())
    rows_again = survey.tally.counts.again
    if survey.rows_in != certificates - rows_again + excluded:
        again = f", {rows_again:,} of them for a further name or key," if rows_again else ""
        raise VerificationError(
            f"{survey.rows_in:,} rows came in, but {certificates:,} certificates were read back{again} and "
            f"{excluded:,} rows were excluded: nothing was published; please report this"
        )
    if responses != (wanted := survey.responses(prepared.issuers)):
        raise VerificationError(
            f"{responses:,} responses were read back where {wanted:,} belong: nothing was published; please report this"
        )
    return responses
