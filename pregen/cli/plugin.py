"""One line as monitoring plugins print it (Nagios, Icinga, Sensu): a state, what is to be said, and figures.

The form is that of the Monitoring Plugins Development Guidelines: what stands behind the bar is performance data,
``'label'=value[unit];warn;crit;min;max``, where a threshold such as ``43200:`` means that less is bad.
"""

from collections.abc import Iterator, Sequence

from pregen import clock
from pregen.cli.report import Report
from pregen.status import IssuerStatus, Status
from storage.certificate import ENDS_SOON_S

_NAMED = 5  # issuers or problems in the text
_MEASURED = 10  # issuers with figures of their own
_LABEL_CHARACTERS = 60


def plugin_line(level: str, text: str, figures: Sequence[str] = ()) -> str:
    r"""Return the line: no more than one, whatever the text is, and with no bar but the one before the figures.

    >>> plugin_line("UNKNOWN", "s3://b|c:\n no answer")
    'PREGEN UNKNOWN - s3://b/c: no answer'
    """
    said = f"PREGEN {level} - {' '.join(text.split()).replace('|', '/')}"
    return f"{said} | {' '.join(figures)}" if figures else said


def status_report(status: Status, warn_s: int, crit_s: int) -> Report:
    """Return the report of a status: the line, and for `--json` all of it."""
    found, commit, now = status.freshness, status.commit, status.now
    document: dict[str, object] = {
        "state": status.level.name.lower(),
        "holds_until": found and clock.text(found.holds_until),
        "refresh_by": found and clock.text(found.refresh_by),
        "as_of_age_s": commit and now - commit.as_of,
        "warn_s": warn_s,
        "crit_s": crit_s,
        "problems": [
            {"level": one.level.name.lower(), "issuer": one.issuer, "message": one.text} for one in status.problems
        ],
        "issuers": [issuer_document(one, now) for one in status.issuers],
    }
    named = [problem.text for problem in status.problems] or [_standing(one, now) for one in status.issuers]
    more = [f"and {len(named) - _NAMED:,} more"] if len(named) > _NAMED else []
    about = []
    if commit is not None:
        age = clock.length_text(now - commit.as_of)
        about = [f"commit {commit.number}, as of {clock.text(commit.as_of)} ({age} ago)"]
    line = plugin_line(
        status.level.name, "; ".join([*named[:_NAMED], *more, *about]), list(_figures(status, warn_s, crit_s))
    )
    return Report(document=document, lines=[line], exit_code=int(status.level))


def issuer_document(issuer: IssuerStatus, now: int) -> dict[str, object]:
    """Return what is known of one issuer, as data."""
    own = issuer.freshness
    return {
        "name": own.label,
        "id": f"{own.issuer_id:016x}",
        "state": own.state(now),
        "holds_until": _text(own.holds_until),
        "fresh_until": _text(own.fresh_until),
        "refresh_by": _text(own.refresh_by),
        "is_overdue": own.refresh_by is not None and now > own.refresh_by,
        "certificate_ends": _text(issuer.ends.issuer),
        "responder_certificate_ends": _text(issuer.ends.responder),
    }


def _text(instant: int | None) -> str | None:
    return None if instant is None else clock.text(instant)


def _standing(issuer: IssuerStatus, now: int) -> str:
    own = issuer.freshness
    if own.holds_until is None:
        return f"answers of {own.label} end with their certificates" if own.fresh_until else f"{own.label} has none"
    left = clock.length_text(own.holds_until - now)
    return f"answers of {own.label} hold until {clock.text(own.holds_until)}, for {left}"


def _figures(status: Status, warn_s: int, crit_s: int) -> Iterator[str]:
    found, commit, now = status.freshness, status.commit, status.now
    if found is None or commit is None:
        return
    limits = f"{warn_s}:;{crit_s}:"
    if not found.is_over_with_certificates:
        yield _figure("holds", found.holds_until - now, limits)
        yield _figure("refresh", found.refresh_by - now, "0:")
    yield _figure("as_of_age", now - commit.as_of)
    for name, kind in (("responder_certificate", "responder"), ("issuer_certificate", "issuer")):
        ends = [end for one in status.issuers if (end := getattr(one.ends, kind)) is not None]
        if ends:
            yield _figure(name, min(ends) - now, f"{ENDS_SOON_S}:;0:")
    states = [one.freshness.state(now) for one in status.issuers]
    yield f"'issuers'={len(states)};;;0"
    yield f"'expired'={states.count('expired')};;0;0;{len(states)}"
    yield f"'overdue'={states.count('overdue')};0;;0;{len(states)}"
    for one in status.issuers[:_MEASURED]:
        if one.freshness.holds_until is not None:
            yield _figure(f"{one.freshness.label} holds", one.freshness.holds_until - now, limits)


def _figure(label: str, seconds: int, limits: str = "") -> str:
    clean = " ".join(label.split()).replace("'", "_").replace("=", "_").replace("|", "/")[:_LABEL_CHARACTERS]
    return f"'{clean}'={seconds}s;{limits}" if limits else f"'{clean}'={seconds}s"
