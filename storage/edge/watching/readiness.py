"""Whether an edge is ready, and if not quite, why: the worst of what is known, and never the best of it.

    ==============  =================================================================================  ==============
    state           when                                                                               HTTP status
    ==============  =================================================================================  ==============
    ``ready``       everything is served, and newer answers are not due                                200
    ``degraded``    some answers cannot be served, or soon will not be: a load balancer need do        200, or 503
                    nothing, since what hits all edges at once must not empty all pools, but an        where it is so
                    operator must                                                                      wanted
    ``unready``     nothing can be served                                                              503
    ==============  =================================================================================  ==============

The reasons, each with a code:

    ======================  ===========================================================================================
    ``nothing-loaded``      no generation yet; unready
    ``expired``             the answers of an issuer, or of a shard, have run out; unready if all of them have
    ``not-yet-valid``       answers begin later than it is here; unready if nothing else is loaded
    ``overdue``             refresh_by of an issuer has passed: nobody has published in time
    ``clock``               the clock here is behind the time of what is loaded, or off that of the store
    ``store.unreachable``   the store gives errors, or says nothing, to the look for new commits or to lookups
    ``store.vanished``      the store no longer holds what is loaded
    ``store.damaged``       what should hold an answer is damaged, or holds another one
    ``too-old``             what is loaded, or an issuer of it, is complete for an instant that is longer ago than
                            ``--max-age``
    ``canary``              a certificate whose status is known (``--canary``) is answered wrongly
    ``commit.missing``      a commit is not there, though a newer one is
    ``generation.waiting``  there is a newer generation that cannot be taken over, or what is loaded is not whole;
                            unready if none of its packs is there
    ======================  ===========================================================================================
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum, auto

from storage.edge.caching import EXPIRY_MARGIN_S
from storage.edge.source import AnswerSource, Loaded
from storage.freshness import CLOCK_TOLERANCE_S, Freshness

_MAX_REASONS = 100  # in the answer to a probe; their number is said


class State(StrEnum):
    """How much of what is stored can be served."""

    READY = auto()
    DEGRADED = auto()
    UNREADY = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an edge is not ready.

    Attributes:
        code: one of those above.
        message: what is wrong and since when, in a sentence.
        issuer: whose answers are meant; None: it is not about one of them.
        is_total: whether nothing can be served because of it.
    """

    code: str
    message: str
    issuer: str | None = None
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """The state of an edge, with its reasons, those first because of which nothing can be served."""

    generation: int | None
    reasons: tuple[Reason, ...]

    @property
    def state(self) -> State:
        """The worst of the reasons."""
        if any(reason.is_total for reason in self.reasons):
            return State.UNREADY
        return State.DEGRADED if self.reasons else State.READY

    def encode(self) -> bytes:
        """Return what ``/readyz`` says: one JSON object."""
        listed = [
            {"code": reason.code, "issuer": reason.issuer, "message": reason.message}
            for reason in self.reasons[:_MAX_REASONS]
        ]
        document: dict[str, object] = {"state": self.state.value, "generation": self.generation, "reasons": listed}
        if len(self.reasons) > len(listed):
            document["reasons_in_all"] = len(self.reasons)
        return json.dumps(document).encode() + b"\n"


def readiness_of(source: AnswerSource, now: int, troubles: Sequence[Reason] = ()) -> Readiness:
    """Return how ready an edge is at `now`, in seconds since 1970.

    Args:
        source: what is loaded.
        now: by the clock here.
        troubles: what others have noticed of the store and of the clock.
    """
    generation, freshness = source.generation, source.freshness
    if generation is None or freshness is None:
        nothing = Reason(code="nothing-loaded", message="nothing is loaded", is_total=True)
        return Readiness(None, (nothing, *troubles))
    return Readiness(generation, (*_of_answers(freshness, generation, now), *troubles))


def too_old(loaded: Loaded | None, now: int, max_age_s: int | None) -> Iterator[Reason]:
    """Yield what is complete for an instant that is longer ago than an operator bears.

    Args:
        loaded: what is loaded; None: nothing.
        now: in seconds since 1970.
        max_age_s: so long ago it may be; None: any time.
    """
    if loaded is None or max_age_s is None:
        return
    for label, as_of in ((None, loaded.as_of), *sorted(loaded.behind.items())):
        if now - as_of > max_age_s:
            whose = "all statuses" if label is None else f"statuses of {label}"
            ago, most = (now - as_of) / 3600, max_age_s / 3600
            text = f"{whose} are those of {instant_text(as_of)}, {ago:.1f} h ago, of which at most {most:g} are wanted"
            yield Reason(code="too-old", message=text, issuer=label)


def _of_answers(freshness: Freshness, generation: int, now: int) -> Iterator[Reason]:
    if now > freshness.fresh_until - EXPIRY_MARGIN_S:
        text = f"everything in generation {generation} has expired, at {instant_text(freshness.fresh_until)}"
        yield Reason(code="expired", message=text, is_total=True)
    if now < freshness.begins:
        text = (
            f"answers of generation {generation} begin at {instant_text(freshness.begins)}, which is later than it is "
            "here: look after the clocks of this edge and of the publisher"
        )
        yield Reason(code="not-yet-valid", message=text, is_total=now < freshness.first_begins)
    elif now < freshness.produced_at - CLOCK_TOLERANCE_S:
        text = (
            f"generation {generation} was made at {instant_text(freshness.produced_at)}, which is later than it is "
            "here: look after the clocks of this edge and of the publisher"
        )
        yield Reason(code="clock", message=text)
    if shards := freshness.shards_expired(now, EXPIRY_MARGIN_S):
        text = f"the answers of {shards} of {len(freshness.shard_ends)} shards have run out"
        yield Reason(code="expired", message=text)
    for issuer in freshness.issuers:
        state = issuer.state(now, EXPIRY_MARGIN_S)
        if state == "expired" and issuer.holds_until is not None:
            text = f"answers of {issuer.label} have run out, at {instant_text(issuer.holds_until)}"
            yield Reason(code="expired", message=text, issuer=issuer.label)
        elif state == "overdue" and issuer.refresh_by is not None:
            until = "" if issuer.holds_until is None else f"; they hold until {instant_text(issuer.holds_until)}"
            text = f"newer answers of {issuer.label} were due at {instant_text(issuer.refresh_by)}{until}"
            yield Reason(code="overdue", message=text, issuer=issuer.label)


def instant_text(instant: int) -> str:
    """Return seconds since 1970 as RFC 3339.

    >>> instant_text(1_795_478_400)
    '2026-11-24T00:00:00Z'
    """
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(0, instant)).isoformat().replace("+00:00", "Z")
