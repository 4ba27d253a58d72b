"""The reports of the commands: what they found, as one JSON object and as lines for people."""

import resource
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from pregen import clock
from pregen.audit import Audit
from pregen.cli.report import Report, aligned
from pregen.config import REASONS
from pregen.engines import EngineState
from pregen.gates.results import gates_document
from pregen.generation import Checked, Published
from pregen.generation.rows import Precertificates
from pregen.importing import Imported
from pregen.inspection import Inspection
from pregen.lookup import Found
from pregen.verification import parse_response
from storage.certid import HASH_NAMES

LEAST_SHARE = 0.005  # of the CPU time
REASON_NAMES = {number: name for name, number in REASONS.items()}


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
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    cpu = cpu_seconds() - cpu_before
    unit = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss: octets there, KiB here
    document: dict[str, object] = {
        "rows_in": published.rows_in,
        "certificates": published.certificates,
        "excluded": published.excluded,
        "precertificates": _precertificates(published.precertificates),
        "responses": published.responses,
        "issuers": published.issuers,
        "engine": published.engine,
        "signing_rates": _rounded(published.rates),
        "workers": published.workers,
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu, 3),
        "cpu_by_step": {step: round(spent, 3) for step, spent in published.cpu_by_step.items()},
        "responses_per_second": round(published.responses / seconds),
        "responses_per_cpu_second": round(published.responses / cpu),
        "stored_bytes": published.stored_bytes,
        "history_bytes": published.history_bytes,
        "bytes_per_response": round(published.stored_bytes / published.responses, 2),
        "peak_rss_mib": round(max(own.ru_maxrss, workers.ru_maxrss) / unit, 1),
        "commit": published.commit,
        "shards": published.shards,
        "this_update": clock.text(published.this_update),
        "next_update": clock.text(published.next_update),
        "refresh_by": clock.text(published.refresh_by),
        "gates": gates_document(published.gates),
    }
    certificates = f"{published.certificates:,} certificates"
    lines = [
        f"published commit {published.commit}: {published.responses:,} responses for {certificates}",
        *aligned(
            [
                ("rows in", published.rows_in),
                ("excluded", _counts(published.excluded)),
                *_pairs(published.precertificates),
                ("issuers", published.issuers),
                ("window", f"{document['this_update']} .. {document['next_update']}"),
                ("refresh by", document["refresh_by"]),
                (
                    "read back",
                    f"every pack ({published.shards:,}); {published.verified:,} responses parsed and verified",
                ),
                ("engine", f"{published.engine}, {published.workers} worker(s)"),
                *_rate_lines(published.rates),
                ("time", f"{seconds:,.1f} s, {cpu:,.1f} s of CPU: {document['responses_per_second']:,} responses/s"),
                ("CPU", _shares(published.cpu_by_step, cpu)),
                ("stored", f"{published.stored_bytes:,} octets, {document['bytes_per_response']} a response"),
                ("history", f"{published.history_bytes:,} octets, for the gates of the next run"),
                ("peak memory", f"{document['peak_rss_mib']} MiB"),
            ]
        ),
        *gate_lines(gates_document(published.gates)),
    ]
    return Report(document=document, lines=lines, findings=published.warnings)


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
    document: dict[str, object] = {
        "rows_in": checked.rows_in,
        "certificates": checked.certificates,
        "excluded": checked.excluded,
        "precertificates": _precertificates(checked.precertificates),
        "responses": checked.responses,
        "issuers": checked.issuers,
        "engines": checked.engines,
        "signing_rates": _rounded(checked.rates),
        "shards": checked.shards,
        "as_of": clock.text(checked.as_of),
        "this_update": clock.text(checked.this_update),
        "next_update": clock.text(checked.next_update),
        "refresh_by": clock.text(checked.refresh_by),
        "current_commit": checked.current_commit,
        "store": checked.store,
        "gates": gates_document(checked.gates),
    }
    current = "nothing yet" if checked.current_commit is None else f"commit {checked.current_commit}"
    lines = [
        f"all right: a run would publish {checked.responses:,} responses for {checked.certificates:,} certificates",
        *aligned(
            [
                ("rows in", checked.rows_in),
                ("excluded", _counts(checked.excluded)),
                *_pairs(checked.precertificates),
                ("issuers", checked.issuers),
                ("as of", document["as_of"]),
                ("window", f"{document['this_update']} .. {document['next_update']}"),
                ("refresh by", document["refresh_by"]),
                ("engines", ", ".join(f"{name}: {engine}" for name, engine in checked.engines.items())),
                *_rate_lines(checked.rates),
                ("store", f"{checked.store}: holds {current}; racing creates have one winner"),
            ]
        ),
        *gate_lines(gates_document(checked.gates)),
    ]
    return Report(document=document, lines=lines, findings=checked.warnings)


def lookup_report(found: Found, out: Path | None) -> Report:
    """Return the report of a lookup."""
    answer, now = found.answer, clock.seconds(clock.now())
    # One response may speak of both hashes of a CertID; what it says of the one that was asked for is reported.
    oid, statements = found.cert_id.hash_oid, parse_response(answer.der).statements
    said = next(statement for statement in statements if statement.hash_oid == oid)
    state = "early" if now < answer.this_update else "expired" if now > answer.next_update else "current"
    document: dict[str, object] = {
        "serial": f"{found.cert_id.serial_number:x}",
        "hash": HASH_NAMES[found.cert_id.hash_oid],
        "status": answer.status,
        "revoked_at": None if said.revoked_at is None else clock.text(said.revoked_at),
        "reason": None if said.reason is None else REASON_NAMES.get(said.reason, str(said.reason)),
        "state": state,
        "produced_at": clock.text(answer.produced_at),
        "this_update": clock.text(answer.this_update),
        "next_update": clock.text(answer.next_update),
        "refresh_by": clock.text(answer.refresh_by),
        "commit": answer.generation,
        "bytes": len(answer.der),
    }
    lines = aligned([(name.replace("_", " "), value) for name, value in document.items() if value is not None])
    if out is not None:
        document["out"] = str(out)
        lines.append(f"written to {out}; to see it: openssl ocsp -respin {out} -resp_text -noverify")
    return Report(document=document, lines=lines)


def inspect_report(found: Inspection) -> Report:
    """Return the report of an inspection."""
    head, manifest = found.commits[0], found.manifest
    document: dict[str, object] = {
        "store": found.url,
        "profile": manifest.profile,
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
                ("refresh by", clock.text(min(shard.refresh_by for shard in manifest.shards))),
                ("stored", f"{found.current_bytes:,} octets in current packs, {stored:,} in the whole store"),
            ]
        ),
        *(
            f"commit {one.number}: as of {clock.text(one.as_of)}, run at {clock.text(one.started_at)}"
            for one in found.commits
        ),
        *gate_lines(manifest.gates),
    ]
    return Report(document=document, lines=lines)


def verify_report(audit: Audit) -> Report:
    """Return the report of a verification."""
    document: dict[str, object] = {
        "commit": audit.commit,
        "packs": audit.shards,
        "history_parts": audit.parts,
        "certificates": audit.records,
        "verified": audit.verified,
        "trust": "named certificates" if audit.trusted else "the store's own certificates",
    }
    checksums = f"checksums of every pack ({audit.shards:,}) with {audit.records:,} certificates"
    lines = [
        f"commit {audit.commit} is right: {checksums}",
        f"{audit.verified:,} responses parsed and their signatures verified",
        f"history for the gates of the next run: {audit.parts:,} part(s), whole" if audit.parts else "no history",
        f"trust comes from {document['trust']}",
    ]
    return Report(document=document, lines=lines, findings=audit.warnings)


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
        "excluded": imported.excluded,
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
                ("excluded", _counts(imported.excluded)),
                ("files", f"{imported.files:,}, {imported.written_bytes:,} octets"),
                ("as of", document["as_of"]),
            ]
        ),
        f'to publish it: path = "{imported.folder}" in [snapshot], without kind and columns; anchors stay',
    ]
    return Report(document=document, lines=lines, findings=imported.warnings)


def gate_lines(gates: Mapping[str, object]) -> list[str]:
    """Return what gates said, a line each, and one for those that were skipped for the same reason.

    `gates` may come from a store, where others may have written it.

    >>> gate_lines({"shrink": {"outcome": "passed", "figures": {"before": 3000, "vanished": 0}}})
    ['gate shrink: passed (before 3,000, vanished 0)']
    """
    lines = []
    skipped: dict[str, list[str]] = {}
    for name, result in gates.items():
        members = result if isinstance(result, dict) else {}
        figures = members.get("figures")
        given = dict(figures) if isinstance(figures, dict) else {}
        if members.get("outcome") == "skipped":
            skipped.setdefault(str(given.get("why", "unknown")), []).append(name)
            continue
        shown = ", ".join(_figure(*one) for one in given.items() if one[1] is not None)
        lines.append(f"gate {name}: {members.get('outcome', 'unknown')}" + (f" ({shown})" if shown else ""))
        acceptances = members.get("acceptances")
        lines += [
            f"    {one.get('gate')} accepted by {one.get('user')}: {one.get('reason')}"
            for one in (acceptances if isinstance(acceptances, list) else ())
            if isinstance(one, dict)
        ]
    return [*lines, *(f"gates skipped: {', '.join(names)} ({why})" for why, names in skipped.items())]


def _figure(name: str, value: object) -> str:
    if isinstance(value, dict):
        return f"{name.replace('_', ' ')} {', '.join(_figure(*one) for one in value.items()) or 'none'}"
    if isinstance(value, int) and name.endswith("_s"):
        name, value = name.removesuffix("_s"), clock.length_text(value)
    return f"{name.replace('_', ' ')} {value:,}" if isinstance(value, int) else f"{name.replace('_', ' ')} {value}"


def _precertificates(seen: Precertificates) -> dict[str, int]:
    return {"joined": seen.joined, "alone": seen.alone, "differing": seen.differing}


def _pairs(seen: Precertificates) -> list[tuple[str, object]]:
    if not seen.joined and not seen.alone:
        return []
    return [("precertificates", f"{seen.joined:,} joined with their final certificates, {seen.alone:,} without one")]


def _counts(excluded: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in excluded.items()) or "none"
