"""The report of `pregen lookup`, as one JSON object and as lines for people."""

from pathlib import Path
from typing import TYPE_CHECKING

from pregen import clock
from pregen.cli.report import Report, aligned
from pregen.responses import statements_of
from storage.certid import HASH_NAMES
from storage.reader import Answer

if TYPE_CHECKING:
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
