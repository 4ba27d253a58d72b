"""The report of `pregen inspect`, as one JSON object and as lines for people."""

from typing import TYPE_CHECKING

from pregen import clock
from pregen.cli.contents import overlays_text
from pregen.cli.gate_lines import gate_lines
from pregen.cli.left_lines import left_behind_document, left_behind_lines
from pregen.cli.plugin import issuer_document
from pregen.cli.report import Report, aligned
from pregen.status import IssuerStatus
from storage.freshness import Freshness

_TIMES = ("produced_at", "this_update", "next_update", "refresh_by")
_NAMED = 20  # issuers that are overdue or have run out; --json has all

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pregen.inspection import Inspection
    from storage.manifest import Contents
    from storage.tables import Window


def inspect_report(found: "Inspection") -> Report:
    """Return the report of an inspection."""
    now = clock.seconds(clock.now())
    return Report(
        document=_document(found, now), lines=_lines(found, now), is_stale=found.freshness.state(now) != "fresh"
    )


def _document(found: "Inspection", now: int) -> dict[str, object]:
    manifest, fresh = found.manifest, found.freshness
    return {
        "store": found.url,
        "profile": manifest.profile,
        "state": fresh.state(now),
        "holds_until": clock.text(fresh.holds_until),
        "refresh_by": clock.text(fresh.refresh_by),
        "counts": manifest.counts,
        "gates": manifest.gates,
        "left_behind": left_behind_document(manifest.left_behind),
        "history": manifest.history,
        **manifest.contents._asdict(),
        "current_bytes": found.current_bytes,
        "objects": {folder: {"count": count, "bytes": size} for folder, (count, size) in found.objects.items()},
        "commits": [
            {
                "number": commit.number,
                "as_of": clock.text(commit.as_of),
                "started_at": clock.text(commit.started_at),
                "kind": commit.kind,
                "publisher": commit.publisher,
                "manifest": commit.manifest,
            }
            for commit in found.commits
        ],
        "issuers": _issuers(found, now),
        "windows": [{name: clock.text(getattr(window, name)) for name in _TIMES} for window in found.windows],
        "shards": [
            {
                "low": f"{shard.low:08x}",
                "pack": shard.pack,
                "rows": shard.rows,
                "revoked": shard.revoked,
                "bytes": shard.size_bytes,
                "refresh_by": clock.text(shard.refresh_by),
                "next_update": clock.text(shard.next_update),
            }
            for shard in manifest.shards
        ],
    }


def _issuers(found: "Inspection", now: int) -> list[dict[str, object]]:
    standing = {
        one.issuer_id: issuer_document(IssuerStatus(freshness=one, ends=found.ends[one.issuer_id]), now)
        for one in found.freshness.issuers
    }
    return [
        {
            "id": f"{issuer.issuer_id:016x}",
            "names": list(issuer.names),
            "delegated": issuer.responder_certificate is not None,
            **{name: value for name, value in standing[issuer.issuer_id].items() if name not in ("id", "name")},
        }
        for issuer in found.issuers
    ]


def _lines(found: "Inspection", now: int) -> list[str]:
    head, manifest, fresh = found.commits[0], found.manifest, found.freshness
    stored = sum(size for _, size in found.objects.values())
    return [
        f"{found.url}: commit {head.number} as of {clock.text(head.as_of)}",
        *aligned(
            [
                ("certificates", manifest.contents.certificates),
                ("revoked", manifest.contents.revoked),
                ("issuers", len(found.issuers)),
                ("shards", len(manifest.shards)),
                *_overlays(manifest.contents),
                ("window", _window_text(found.windows)),
                ("refresh by", f"{clock.text(fresh.refresh_by)}{_late('OVERDUE', fresh, fresh.refresh_by, now)}"),
                ("hold until", f"{clock.text(fresh.holds_until)}{_late('EXPIRED', fresh, fresh.holds_until, now)}"),
                ("stored", f"{found.current_bytes:,} octets in current packs, {stored:,} in the whole store"),
            ]
        ),
        *(
            f"commit {one.number}: as of {clock.text(one.as_of)}, {one.kind} at {clock.text(one.started_at)}"
            for one in found.commits
        ),
        *left_behind_lines(manifest.left_behind),
        *_stale_issuers(fresh, now),
        *gate_lines(manifest.gates),
    ]


def _overlays(contents: "Contents") -> list[tuple[str, str]]:
    """Return what is on top of the shards, if anything is: what it holds is counted apart."""
    return [("overlays", overlays_text(contents))] if contents.overlays else []


def _window_text(windows: "Sequence[Window]") -> str:
    if not windows:
        return "none"
    more = f" (and {len(windows) - 1} more)" if len(windows) > 1 else ""
    return f"{clock.text(windows[0].this_update)} .. {clock.text(windows[0].next_update)}{more}"


def _stale_issuers(fresh: Freshness, now: int) -> list[str]:
    stale = [
        f"issuer {one.label}: {one.state(now).upper()}, all of its answers hold until {clock.text(one.holds_until)}"
        for one in fresh.issuers
        if one.holds_until is not None and one.state(now) != "fresh"
    ]
    more = [f"and {len(stale) - _NAMED:,} more issuers"] if len(stale) > _NAMED else []
    return [*stale[:_NAMED], *more]


def _late(mark: str, fresh: Freshness, instant: int, now: int) -> str:
    return f"  {mark} for {clock.length_text(now - instant)}" if fresh.state(now) != "fresh" and now > instant else ""
