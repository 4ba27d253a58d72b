"""What a worker says of itself once a second, in JSON: how ready it is, and until when what it has loaded holds."""

from typing import Any

from storage.edge.source import Loaded
from storage.edge.watching.readiness import Readiness
from storage.freshness import Freshness

_MOST_ISSUERS = 1_000  # those whose answers run out first


def state_of(
    readiness: Readiness,
    *,
    freshness: Freshness | None,
    loaded: Loaded | None,
    is_silent: bool,
    canaries: dict[str, int],
) -> dict[str, Any]:
    """Return what a worker says of itself.

    Args:
        readiness: its state, with reasons.
        freshness: until when what is loaded holds.
        loaded: what it is.
        is_silent: whether the store is known not to answer lookups.
        canaries: how many were answered rightly or wrongly, or were skipped.
    """
    issuers = [] if freshness is None else [one for one in freshness.issuers if one.holds_until is not None]
    issuers.sort(key=lambda one: one.holds_until or 0)
    return {
        "state": readiness.state.value,
        "reasons": sorted({(reason.code, reason.issuer or "") for reason in readiness.reasons})[:_MOST_ISSUERS],
        "generation": readiness.generation,
        "as_of": None if loaded is None else loaded.as_of,
        "overlays": None if loaded is None else loaded.overlays,
        "is_silent": is_silent,
        "canaries": canaries,
        "issuers": [[one.label, one.holds_until, one.refresh_by] for one in issuers[:_MOST_ISSUERS]],
    }
