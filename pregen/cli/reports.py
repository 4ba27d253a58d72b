"""The reports of the commands that read snapshots or sign, as one JSON object and as lines for people."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import NamedTuple, Self

from pregen import clock
from pregen.audit import Against, Audit
from pregen.cli.contents import contents_text
from pregen.cli.cycle_lines import cycle_rows, cycles_document
from pregen.cli.gate_lines import gate_lines
from pregen.cli.issuer_lines import issuer_lines, issuers_document
from pregen.cli.left_lines import left_behind_document, left_behind_lines
from pregen.cli.report import Report, aligned
from pregen.engines import EngineState
from pregen.exit_codes import ExitCode
from pregen.gates.results import gates_document
from pregen.generation import Checked, Published
from pregen.generation.rows.counts import RowCounts
from pregen.importing import Imported

BY_VALUE = ("status", "no-ocsp")  # reasons why rows are left out for what a column says of them
LEAST_SHARE = 0.005  # of the CPU time


def cpu_seconds() -> float:
    """Return the CPU time of this process so far, and of all those that it has started and that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def run_report(published: Published, seconds: float, cpu_before: float = 0.0) -> Report:
    """Return the report of a run, with the CPU time and the memory of all its processes.

    Args:
        published: what it did.
        seconds: how long it took.
        cpu_before: CPU time of this process that was not for the run.
    """
    cost = _Cost.of_this_process(seconds, cpu_before)
    return Report(
        document=_run_document(published, cost),
        lines=_run_lines(published, cost),
        findings=published.warnings,
        done=f"commit {published.commit} is published",
        exit_code=ExitCode.LEFT_BEHIND if published.left_behind else ExitCode.DONE,
    )


class _Cost(NamedTuple):
    """What a run has cost, all of its processes together."""

    seconds: float
    cpu_seconds: float
    peak_rss_mib: float

    @classmethod
    def of_this_process(cls, seconds: float, cpu_before: float) -> Self:
        own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss: octets there, KiB here
        return cls(seconds, cpu_seconds() - cpu_before, round(max(own.ru_maxrss, workers.ru_maxrss) / unit, 1))


def _cluster(published: Published) -> dict[str, object]:
    """Return what became of the work of a cluster, where one did it."""
    if (figures := published.cluster) is None:
        return {}
    told = {
        "workers": figures.workers,
        "threads": figures.threads,
        "bytes_spooled": published.spooled_bytes,
        "retried": figures.retried,
    }
    return {"cluster": told}


def _run_document(published: Published, cost: _Cost) -> dict[str, object]:
    responses, reasons = published.committed.responses, published.reasons
    return {
        **_counted(published, responses),
        "signed": dict(reasons.signed),
        "signed_because": dict(reasons.differs),
        "carried": reasons.carried,
        "kept": published.kept,
        "octets_read": reasons.octets_read,
        "octets_written": published.stored_bytes + published.committed.history_bytes,
        "engine": published.engine,
        "signing_rates": _rounded(published.prepared.rates),
        "workers": published.workers,
        **_cluster(published),
        "seconds": round(cost.seconds, 3),
        "cpu_seconds": round(cost.cpu_seconds, 3),
        "cpu_by_step": {step: round(spent, 3) for step, spent in published.cpu_by_step.items()},
        "responses_per_second": round(responses / cost.seconds),
        "responses_per_cpu_second": round(responses / cost.cpu_seconds),
        "stored_bytes": published.stored_bytes,
        "history_bytes": published.committed.history_bytes,
        "bytes_per_response": round(published.stored_bytes / responses, 2),
        "peak_rss_mib": cost.peak_rss_mib,
        "commit": published.commit,
        "shards": published.shards,
        "resumed": published.resumed,
        **_times(published),
        "cycle": cycles_document(published.prepared.shared_cycles),
        "left_behind": left_behind_document(published.left_behind),
        "gates": gates_document(published.committed.gates),
    }


def _run_lines(published: Published, cost: _Cost) -> list[str]:
    count, seconds, cpu = published.committed.responses, cost.seconds, cost.cpu_seconds
    packs = f"every new pack ({len(published.made.packs):,})"
    return [
        f"published commit {published.commit}: {count:,} responses for {published.survey.certificates:,} certificates",
        *aligned(
            [
                *_counted_lines(published),
                *_signed_lines(published),
                *_times_lines(published),
                *cycle_rows(published.prepared.shared_cycles),
                ("read back", f"{packs}; {published.verified:,} responses parsed and verified"),
                *_resumed_lines(published),
                ("engine", f"{published.engine}, {published.workers} worker(s)"),
                *_rate_lines(published.prepared.rates),
                ("time", f"{seconds:,.1f} s, {cpu:,.1f} s of CPU: {round(count / seconds):,} responses/s"),
                ("CPU", _shares(published.cpu_by_step, cpu)),
                ("stored", f"{published.stored_bytes:,} octets, {round(published.stored_bytes / count, 2)} a response"),
                ("history", f"{published.committed.history_bytes:,} octets, for the gates of the next run"),
                ("peak memory", f"{cost.peak_rss_mib} MiB"),
            ]
        ),
        *left_behind_lines(published.left_behind),
        *issuer_lines(published.survey.by_issuer),
        *gate_lines(gates_document(published.committed.gates)),
    ]


def _signed_lines(published: Published) -> list[tuple[str, object]]:
    """Return why rows were signed, what was carried over, and what stays."""
    reasons = published.reasons
    kept = f"{published.kept:,}, in {len(published.made.kept):,} of {published.shards:,} packs, which were not read"
    said = ", ".join(f"{count:,} {name}" for name, count in reasons.signed.items() if count)
    because = ", ".join(f"{name} {count:,}" for name, count in reasons.differs.items() if count)
    carried = f"{reasons.carried:,} from the generation before, of which {reasons.octets_read:,} octets were read"
    return [
        ("signed", f"{said or 'nothing'}{f' (all, because of: {because})' if because else ''}"),
        *([("carried", carried)] if reasons.carried else []),
        *([("kept", kept)] if published.kept else []),
    ]


def _resumed_lines(published: Published) -> list[tuple[str, object]]:
    if not published.resumed:
        return []
    begun = clock.text(published.prepared.started)
    return [("resumed", f"{published.resumed:,} of these shards were stored by the run that began at {begun}")]


def _shares(steps: Mapping[str, float], total: float) -> str:
    """Return the shares of the steps that count."""
    shares = {step: spent / total for step, spent in steps.items()}
    listed = sorted((step for step in shares if shares[step] >= LEAST_SHARE), key=lambda step: -shares[step])
    rest = 1 - sum(shares[step] for step in listed)
    return ", ".join([*(f"{step} {shares[step]:.0%}" for step in listed), f"start-up and rest {rest:.0%}"])


def _rounded(rates: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, int]]:
    return {algorithm: {name: round(rate) for name, rate in each.items()} for algorithm, each in rates.items()}


def _rate_lines(rates: Mapping[str, Mapping[str, float]]) -> list[tuple[str, object]]:
    """Return what engines were chosen by: signatures a second of CPU time, a line an algorithm."""
    return [
        (
            f"{algorithm}/s",
            ", ".join(f"{name} {rate:,.0f}" for name, rate in sorted(each.items(), key=lambda one: -one[1])),
        )
        for algorithm, each in rates.items()
    ]


def check_report(checked: Checked) -> Report:
    """Return the report of a check."""
    prepared, survey = checked.prepared, checked.survey
    responses, number = survey.responses(prepared.issuers), prepared.head.commit.number if prepared.head else None
    document: dict[str, object] = {
        **_counted(checked, responses),
        "engines": prepared.engines,
        "signing_rates": _rounded(prepared.rates),
        "shards": len(survey.files),
        "as_of": clock.text(prepared.snapshot.as_of),
        **_times(checked),
        "cycle": cycles_document(prepared.shared_cycles),
        "left_behind": left_behind_document(prepared.left_behind),
        "current_commit": number,
        "store": prepared.store.url,
        "gates": gates_document(survey.gates),
    }
    current = "nothing yet" if number is None else f"commit {number}"
    lines = [
        f"all right: a run would publish {responses:,} responses for {survey.certificates:,} certificates",
        *aligned(
            [
                *_counted_lines(checked),
                ("as of", document["as_of"]),
                *_times_lines(checked),
                *cycle_rows(prepared.shared_cycles),
                ("engines", ", ".join(f"{name}: {engine}" for name, engine in prepared.engines.items())),
                *_rate_lines(prepared.rates),
                ("store", f"{prepared.store.url}: holds {current}; racing creates have one winner"),
            ]
        ),
        *left_behind_lines(prepared.left_behind),
        *issuer_lines(survey.by_issuer),
        *gate_lines(gates_document(survey.gates)),
    ]
    return Report(document=document, lines=lines, findings=checked.warnings)


def _counted(done: Checked | Published, responses: int) -> dict[str, object]:
    survey = done.survey
    return {
        "rows_in": survey.rows_in,
        "certificates": survey.certificates,
        "excluded": survey.excluded,
        "excluded_values": done.prepared.snapshot.excluded_values,
        "precertificates": _precertificates(survey.tally.counts),
        "again": survey.tally.counts.again,
        "responses": responses,
        "issuers": len(done.prepared.issuers),
        "by_issuer": issuers_document(survey.by_issuer),
    }


def _counted_lines(done: Checked | Published) -> list[tuple[str, object]]:
    survey = done.survey
    return [
        ("rows in", survey.rows_in),
        ("excluded", _left_out(survey.excluded, done.prepared.snapshot.excluded_values)),
        *_pairs(survey.tally.counts),
        *_again(survey.tally.counts.again),
        ("issuers", len(done.prepared.issuers)),
    ]


def _times(done: Checked | Published) -> dict[str, object]:
    times = done.prepared.times
    if isinstance(done, Published):  # what was carried over is older than what a check knows of
        times = {**times, "refresh_by": done.refresh_by}
    return {name: clock.text(instant) for name, instant in times.items()}


def _times_lines(done: Checked | Published) -> list[tuple[str, object]]:
    times = _times(done)
    return [("window", f"{times['this_update']} .. {times['next_update']}"), ("refresh by", times["refresh_by"])]


def verify_report(audit: Audit) -> Report:
    """Return the report of a verification."""
    document: dict[str, object] = {
        "commit": audit.commit,
        "packs": audit.shards,
        "history_parts": audit.parts,
        **audit.contents._asdict(),
        "verified": audit.verified,
        "trust": "named certificates" if audit.trusted else "the store's own certificates",
        "state": audit.state,
        "holds_until": clock.text(audit.freshness.holds_until),
        "refresh_by": clock.text(audit.freshness.refresh_by),
    }
    checksums = f"checksums of every pack ({audit.shards:,}), with {contents_text(audit.contents)}"
    lines = [
        f"commit {audit.commit} is right: {checksums}",
        f"{audit.verified:,} responses parsed and their signatures verified",
        f"history for the gates of the next run: {audit.parts:,} part(s), whole" if audit.parts else "no history",
        f"trust comes from {document['trust']}",
    ]
    if audit.state != "fresh":
        lines.append(f"{audit.state.upper()}: all of its answers hold until {document['holds_until']}")
    return Report(document=document, lines=lines, findings=audit.warnings, is_stale=audit.state != "fresh")


def with_against(report: Report, found: Against) -> Report:
    """Return the report of a verification with what came of holding it against a snapshot."""
    document = {
        "as_of": clock.text(found.as_of),
        "rows_in": found.rows_in,
        "certificates": found.certificates,
        "ahead": found.ahead,
        "alone": found.alone,
    }
    line = f"it says what the snapshot as of {document['as_of']} says of its {found.certificates:,} certificates"
    if found.ahead:
        line += f", but for {found.ahead:,} that urgent changes have changed since, or that it does not know of yet"
    if found.alone:
        line += f"; {found.alone:,} more are good by urgent changes alone, and it lacks them"
    return replace(report, document={**report.document, "against": document}, lines=[*report.lines, line])


def engines_report(states: list[EngineState]) -> Report:
    """Return the report about engines."""
    document = {
        "engines": [
            {
                "name": state.name,
                "available": state.unavailable is None,
                "reason": state.unavailable,
                "algorithms": list(state.algorithms),
                "signatures_per_second": {name: round(rate) for name, rate in state.rates.items()},
            }
            for state in states
        ]
    }
    lines = []
    for state in states:
        lines.append(f"{state.name:<12} {'works' if state.unavailable is None else f'no: {state.unavailable}'}")
        for name in state.algorithms if state.unavailable is None else ():
            rate = f"{state.rates[name]:>12,.0f} signatures/s on one core" if name in state.rates else ""
            lines.append(f"    {name:<20}{rate}".rstrip())
    return Report(document=document, lines=lines)


def import_report(imported: Imported) -> Report:
    """Return the report of an import."""
    document: dict[str, object] = {
        "rows_in": imported.rows_in,
        "rows": imported.rows,
        "certificates": sum(one.certificates for one in imported.issuers.values()),
        "revoked": sum(one.revoked for one in imported.issuers.values()),
        "by_issuer": {name: asdict(one) for name, one in imported.issuers.items()},
        "excluded": imported.excluded,
        "excluded_values": imported.excluded_values,
        "files": imported.files,
        "bytes": imported.written_bytes,
        "as_of": clock.text(imported.as_of),
        "out": str(imported.folder),
    }
    lines = [
        f"wrote {imported.rows:,} rows to {imported.folder}",
        *aligned(
            [
                ("rows in", imported.rows_in),
                ("written", f"{imported.rows:,} rows of certificates, {document['revoked']:,} of them revoked"),
                ("excluded", _left_out(imported.excluded, imported.excluded_values)),
                ("files", f"{imported.files:,}, {imported.written_bytes:,} octets"),
                ("as of", document["as_of"]),
            ]
        ),
        *(
            f"issuer {name}: {one.certificates:,} certificates, {one.revoked:,} revoked, {one.excluded:,} excluded"
            for name, one in imported.issuers.items()
        ),
        f'to publish it: path = "{imported.folder}" in [snapshot], without kind and columns; anchors stay',
    ]
    return Report(
        document=document,
        lines=lines,
        findings=imported.warnings,
        done=f"{imported.rows:,} rows were written to {imported.folder}",
    )


def _precertificates(seen: RowCounts) -> dict[str, int]:
    return {"joined": seen.joined, "alone": seen.alone, "differing": seen.differing}


def _pairs(seen: RowCounts) -> list[tuple[str, object]]:
    if not seen.joined and not seen.alone:
        return []
    return [("precertificates", f"{seen.joined:,} joined with their final certificates, {seen.alone:,} without one")]


def _again(count: int) -> list[tuple[str, object]]:
    return [("again", f"{count:,} of the certificates for a further name or key of their issuer")] if count else []


def _left_out(excluded: Mapping[str, int], values: Mapping[str, Mapping[str, int]]) -> str:
    """Return which rows are left out, and for which values; the number of rows always stands first.

    >>> _left_out({"expired": 3, "status": 40}, {"STATE": {"60": 40}})
    '3 rows (expired), 40 rows (STATE is "60")'
    """
    named = [f'{count:,} rows ({column} is "{value}")' for column, of in values.items() for value, count in of.items()]
    rest = [f"{count:,} rows ({reason})" for reason, count in excluded.items() if reason not in BY_VALUE]
    unnamed = sum(excluded.get(reason, 0) for reason in BY_VALUE) - sum(sum(of.values()) for of in values.values())
    return ", ".join([*rest, *named, *([f"{unnamed:,} rows (by status)"] if unnamed > 0 else [])]) or "none"
