"""The reports of `pregen logs import` and `pregen asked`, as one JSON object and as lines for people."""

from collections.abc import Iterator

from pregen import clock
from pregen.cli.report import Report, aligned
from pregen.exit_codes import ExitCode
from pregen.logs import AskedAnswer, AskedVerdict, ImportedLogs
from pregen.logs.asking import Said
from pregen.logs.wholeness import Interval, Lack

_EXIT_CODES = {
    AskedVerdict.ASKED: ExitCode.DONE,
    AskedVerdict.NOT_ASKED: ExitCode.NOT_ASKED,
    AskedVerdict.UNKNOWN: ExitCode.UNKNOWABLE,
}
_SHOWN = 10  # days, kinds of answers and lacks, for people; --json has them all


def logs_report(imported: ImportedLogs, seconds: float) -> Report:
    """Return the report of an import of logs."""
    files = imported.files
    lines, requests, broken = (sum(getattr(one, name) for one in files) for name in ("lines", "requests", "broken"))
    document: dict[str, object] = {
        "folder": str(imported.folder),
        "files": len(files),
        "lines": lines,
        "requests": requests,
        "broken": broken,
        "days": imported.days,
        "written_bytes": imported.written_bytes,
        "seconds": round(seconds, 1),
    }
    days = [f"{first} to {last}" if first != last else first for first, last in _ends(imported.days)]
    shown = {**document, "days": f"{len(imported.days)}{f': {days[0]}' if days else ''}", "broken": broken}
    rows = [(name.replace("_", " "), value) for name, value in shown.items() if name != "seconds"]
    return Report(
        document=document,
        lines=aligned(rows),
        findings=imported.warnings,
        done=f"the import is in {imported.folder}",
    )


def asked_report(answer: AskedAnswer) -> Report:
    """Return the report of a question."""
    seen, interval = answer.sightings, answer.interval
    document: dict[str, object] = {
        "verdict": answer.verdict.value,
        "serial": answer.sought.serial,
        "from": None if interval is None else _instant(interval.from_ms),
        "to": None if interval is None else _end(interval),
        "whole_from": None if answer.whole is None else _instant(answer.whole.from_ms),
        "whole_to": None if answer.whole is None else _instant(answer.whole.to_ms),
        "requests": seen.requests,
        "lines": seen.lines,
        "is_estimate": seen.requests != seen.lines,
        "clients": len(seen.clients),
        "first": _instant(seen.first_ms),
        "last": _instant(seen.last_ms),
        "days": dict(sorted(seen.days.items())),
        "said": [{**said._asdict(), "requests": count} for said, count in seen.said.most_common()],
        "undecided": seen.undecided,
        "unreadable": seen.unreadable,
        "behind_cache": answer.is_behind_cache,
        "edges": list(answer.edges),
        "workers": answer.workers,
        "missing": [
            {"code": lack.code, "from": _instant(lack.when.from_ms), "to": _end(lack.when), "message": lack.message}
            for lack in answer.lacks
        ],
    }
    return Report(
        document=document,
        lines=[_verdict(answer), *aligned(list(_rows(answer))), *_missing(answer)],
        findings=answer.warnings,
        exit_code=_EXIT_CODES[answer.verdict],
    )


def _verdict(answer: AskedAnswer) -> str:
    serial = f"the certificate with serial {answer.sought.serial}"
    if answer.verdict is AskedVerdict.ASKED:
        return f"{serial} was asked for"
    if answer.verdict is AskedVerdict.NOT_ASKED:
        text = f"{serial} was not asked for in that time, at the edges whose logs these are"
        unreadable = answer.sightings.unreadable
        return f"{text}, unless by one of {unreadable:,} requests that could not be read" if unreadable else text
    return f"{serial} is in none of the lines, and whether it was asked for cannot be known"


def _rows(answer: AskedAnswer) -> Iterator[tuple[str, object]]:
    seen = answer.sightings
    if answer.interval is not None:
        yield "time", str(answer.interval)
    if seen.lines:
        about = f"about {seen.requests:,}, of {seen.lines:,} lines, of which some stand for several requests"
        yield "requests", about if seen.requests != seen.lines else seen.requests
        yield "clients", len(seen.clients)
        yield "first", _instant(seen.first_ms)
        yield "last", _instant(seen.last_ms)
        yield from _shortened("by day", [(day, count) for day, count in sorted(seen.days.items())])
        yield from _shortened("said", [(_said_text(said), count) for said, count in seen.said.most_common()])
    if answer.edges:
        yield "logs of", ", ".join(answer.edges)
    if seen.unreadable:
        yield "unreadable", f"{seen.unreadable:,} requests of that time name no certificate, for they could not be read"


def _shortened(title: str, rows: list[tuple[str, int]]) -> Iterator[tuple[str, str]]:
    for at, (text, count) in enumerate(rows[:_SHOWN]):
        yield "" if at else title, f"{text}  {count:,}"
    if len(rows) > _SHOWN:
        yield "", f"... {len(rows)} in all (--json lists them)"


def _said_text(said: Said) -> str:
    words = [said.outcome, said.status, said.ocsp if said.ocsp != "successful" else None]
    commit = "" if said.generation is None else f" by commit {said.generation}"
    return f"{', '.join(word for word in words if word)}{commit}"


def _missing(answer: AskedAnswer) -> Iterator[str]:
    """Yield what keeps the logs from telling, or from telling all."""
    seen, reasons = answer.sightings, [_lack_text(lack) for lack in answer.lacks]
    if answer.is_behind_cache:
        reasons.append("a cache stood in front: what it has answered by itself is in no log of an edge")
    if seen.undecided:
        text = f"{seen.undecided:,} requests have that serial, and name an issuer that may be the same"
        reasons.append(f"{text}: say --issuer FILE, its certificate")
    if answer.interval is None:
        reasons.append("there is no line in these logs")
    if reasons:
        yield "there may have been more:" if seen.lines else "missing:"
        yield from (f"    {text}" for text in reasons[:_SHOWN])
    if len(reasons) > _SHOWN:
        yield f"    ... {len(reasons)} in all (--json lists them)"
    if answer.lacks and answer.whole is not None:
        begin, end = _instant(answer.whole.from_ms), _instant(answer.whole.to_ms)
        yield f"the logs are whole of the time in between: --from {begin} --to {end}"


def _lack_text(lack: Lack) -> str:
    end = _end(lack.when)
    return f"{_instant(lack.when.from_ms)} {'on' if end is None else f'to {end}'}: {lack.message}"


def _end(when: Interval) -> str | None:
    return _instant(when.to_ms) if when.is_ended else None


def _instant(time_ms: int | None) -> str | None:
    return None if time_ms is None else clock.text(time_ms // 1000)


def _ends(days: dict[str, int]) -> list[tuple[str, str]]:
    return [(min(days), max(days))] if days else []
