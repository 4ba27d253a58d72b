"""The reports of the commands that look at what is published, as one JSON object and as lines for people."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pregen import clock
from pregen.cli.gate_lines import gate_lines
from pregen.cli.plugin import issuer_document
from pregen.cli.report import Report, aligned
from pregen.responses import statements_of
from pregen.status import IssuerStatus
from storage.certid import HASH_NAMES
from storage.freshness import Freshness
from storage.reader import Answer

_NAMED = 20  # issuers that are overdue or have run out; --json has all

if TYPE_CHECKING:
    from pregen.inspection import Inspection
    from pregen.lookup import Found


def lookup_report(found: "Found", out: Path | None) -> Report:
    """Return the report of a lookup."""
    answer, now = found.answer, clock.seconds(clock.now())
    # One response may speak of both hashes of a CertID; what it says of the one that was asked for is reported.
    said = next(one for one in statements_of(answer.der) if one.cert_id.hash_oid == found.cert_id.hash_oid)
    state = "early" if now < answer.this_update else "expired" if now > answer.next_update else "current"
    is_overdue = now > answer.refresh_by and answer.next_update >= answer.refresh_by
    document: dict[str, object] = {
        "serial": f"{found.cert_id.serial_number:x}",
        "hash": HASH_NAMES[found.cert_id.hash_oid],
        "status": answer.status,
        "revoked_at": said.revoked_at,
        "reason": said.reason,
        "state": state,
        "produced_at": clock.text(answer.produced_at),
        "this_update": clock.text(answer.this_update),
        "next_update": clock.text(answer.next_update),
        "refresh_by": clock.text(answer.refresh_by),
        "is_overdue": is_overdue,
        "commit": answer.generation,
        "bytes": len(answer.der),
    }
    marks = {
        "state": "" if state == "current" else f"  {_mark(answer, state, now)}",
        "refresh_by": f"  OVERDUE for {clock.length_text(now - answer.refresh_by)}" if is_overdue else "",
    }
    lines = aligned(
        [
            (name.replace("_", " "), f"{value}{marks[name]}" if name in marks else value)
            for name, value in document.items()
            if value is not None and name != "is_overdue"
        ]
    )
    if out is not None:
        document["out"] = str(out)
        lines.append(f"written to {out}; to see it: openssl ocsp -respin {out} -resp_text -noverify")
    return Report(
        document=document,
        lines=lines,
        done=None if out is None else f"the response is in {out}",
        is_stale=state != "current" or is_overdue,
    )


def _mark(answer: Answer, state: str, now: int) -> str:
    if state == "early":
        return f"NOT YET VALID: it begins in {clock.length_text(answer.this_update - now)}"
    mark = f"EXPIRED for {clock.length_text(now - answer.next_update)}"
    return mark if answer.next_update >= answer.refresh_by else f"{mark}, as it ends with its certificate"


def inspect_report(found: "Inspection") -> Report:
    """Return the report of an inspection."""
    head, manifest, fresh, now = found.commits[0], found.manifest, found.freshness, clock.seconds(clock.now())
    standing = {
        one.issuer_id: issuer_document(IssuerStatus(freshness=one, ends=found.ends[one.issuer_id]), now)
        for one in fresh.issuers
    }
    state = fresh.state(now)
    document: dict[str, object] = {
        "store": found.url,
        "profile": manifest.profile,
        "state": state,
        "holds_until": clock.text(fresh.holds_until),
        "refresh_by": clock.text(fresh.refresh_by),
        "counts": manifest.counts,
        "gates": manifest.gates,
        "history": manifest.history,
        "current_bytes": found.current_bytes,
        "objects": {folder: {"count": count, "bytes": size} for folder, (count, size) in found.objects.items()},
        "commits": [
            {
                "number": commit.number,
                "as_of": clock.text(commit.as_of),
                "started_at": clock.text(commit.started_at),
                "publisher": commit.publisher,
                "manifest": commit.manifest,
            }
            for commit in found.commits
        ],
        "issuers": [
            {
                "id": f"{issuer.issuer_id:016x}",
                "names": list(issuer.names),
                "delegated": issuer.responder_certificate is not None,
                **{name: value for name, value in standing[issuer.issuer_id].items() if name not in ("id", "name")},
            }
            for issuer in found.issuers
        ],
        "windows": [{name: clock.text(second) for name, second in asdict(window).items()} for window in found.windows],
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
        "overlays": len(manifest.overlays),
    }
    stored = sum(size for _, size in found.objects.values())
    first = [f"{clock.text(window.this_update)} .. {clock.text(window.next_update)}" for window in found.windows[:1]]
    more = f" (and {len(found.windows) - 1} more)" if len(found.windows) > 1 else ""
    lines = [
        f"{found.url}: commit {head.number} as of {clock.text(head.as_of)}",
        *aligned(
            [
                ("certificates", sum(shard.rows for shard in manifest.shards)),
                ("revoked", sum(shard.revoked for shard in manifest.shards)),
                ("issuers", len(found.issuers)),
                ("shards", len(manifest.shards)),
                ("window", f"{'none' if not first else first[0]}{more}"),
                ("refresh by", f"{clock.text(fresh.refresh_by)}{_late('OVERDUE', fresh, fresh.refresh_by)}"),
                ("hold until", f"{clock.text(fresh.holds_until)}{_late('EXPIRED', fresh, fresh.holds_until)}"),
                ("stored", f"{found.current_bytes:,} octets in current packs, {stored:,} in the whole store"),
            ]
        ),
        *(
            f"commit {one.number}: as of {clock.text(one.as_of)}, run at {clock.text(one.started_at)}"
            for one in found.commits
        ),
        *_stale_issuers(fresh, now),
        *gate_lines(manifest.gates),
    ]
    return Report(document=document, lines=lines, is_stale=state != "fresh")


def _stale_issuers(fresh: Freshness, now: int) -> list[str]:
    stale = [
        f"issuer {one.label}: {one.state(now).upper()}, all of its answers hold until {clock.text(one.holds_until)}"
        for one in fresh.issuers
        if one.holds_until is not None and one.state(now) != "fresh"
    ]
    more = [f"and {len(stale) - _NAMED:,} more issuers"] if len(stale) > _NAMED else []
    return [*stale[:_NAMED], *more]


def _late(mark: str, fresh: Freshness, instant: int) -> str:
    now = clock.seconds(clock.now())
    return f"  {mark} for {clock.length_text(now - instant)}" if fresh.state(now) != "fresh" and now > instant else ""
