"""What the gates are shown of a run: what was counted and found, put together, with the places of examples."""

import json
from dataclasses import replace

from pregen import clock
from pregen.errors import Finding
from pregen.gates.detector import Verdict, Watch
from pregen.gates.evidence import Evidence
from pregen.generation.comparing.by_issuer import certificates_of, rows_in_spite, without_rows
from pregen.generation.comparing.claims import Claims
from pregen.generation.comparing.disputes import left_out_in_crls, mislabelled, proved_labels, revoked_in_crls
from pregen.generation.comparing.past import named
from pregen.generation.comparing.tally import Tally
from pregen.generation.preparation import Prepared
from pregen.generation.rows.counts import Pair
from pregen.snapshot import IN_COLUMNS, Snapshot
from pregen.validity import REASON_CODES
from storage.certid import serial_text


def evidence_of(
    prepared: Prepared, tally: Tally, verdict: Verdict, watch: Watch, invalid: int, claims: Claims
) -> Evidence:
    """Return what the gates judge by; `invalid`: how many rows cannot be published."""
    snapshot, past, current = prepared.snapshot, prepared.past, prepared.current
    findings = snapshot.findings(matched_before(prepared))
    errors = tuple(finding for finding in findings if finding.severity == "error")
    counts = certificates_of(prepared.issuers, tally.groups)
    evidence = Evidence(
        as_of=watch.as_of,
        started=clock.seconds(prepared.started),
        is_public=bool(prepared.public_windows),
        rows_in=snapshot.rows_in,
        repeated=tally.counts.repeated,
        invalid=invalid,
        rows=tuple(finding for finding in errors if finding.code not in {IN_COLUMNS, *REASON_CODES}),
        against_profile=tuple(finding for finding in errors if finding.code in REASON_CODES),
        empty=without_rows(prepared.issuers, snapshot, prepared.config),
        in_spite=rows_in_spite(prepared.issuers, snapshot, prepared.config),
        revoked_elsewhere=(
            *(finding for finding in errors if finding.code == IN_COLUMNS),
            *revoked_in_crls(tally.held, claims, snapshot),
            *left_out_in_crls(tally.held, claims, snapshot),
        ),
        listed=claims.entries,
        mislabelled=tuple(mislabelled(tally.held, claims, snapshot, prepared.issuers)),
        proved=len(proved_labels(tally.held, claims)),
        conflicts=_conflicts(tally, snapshot),
        repetitions=_repetitions(tally, snapshot),
        precertificates=_precertificates(tally, snapshot),
        zone=verdict.findings,
        certificates={issuer.issuer_id: count for issuer, count in zip(prepared.issuers, counts, strict=True)},
        issuers={issuer.issuer_id: issuer.names[0] for issuer in prepared.issuers},
        alike=tuple(
            frozenset(prepared.issuers[index].issuer_id for index in issuer.rows_of) | {issuer.issuer_id}
            for issuer in prepared.issuers
            if issuer.rows_of
        ),
        why_absent=past.why_absent,
        damage=past.damage + tally.comparison.damaged,
        history=past.history,
        comparison=tally.comparison,
    )
    if current is None:
        return evidence
    returned = {
        one.key: f"{snapshot.locate(*one.row)}, column serial, {serial_text(one.serial)}" for one in tally.returned
    }
    return replace(evidence, named=lambda key: returned.get(key) or named(current, key))


def matched_before(prepared: Prepared) -> frozenset[int]:
    """Return the issuers (indices) of whose CRLs an entry had a row in a generation before, as serials are read now."""
    known = prepared.past.history.anchored if prepared.past.history else frozenset[str]()
    own = (index for index, issuer in enumerate(prepared.issuers) if not issuer.is_further_name)
    return frozenset(index for index in own if match_name(prepared, index) in known)


def match_name(prepared: Prepared, index: int) -> str:
    """Return by which name it is remembered that serials of an issuer's CRLs are those of its rows."""
    column = prepared.snapshot.columns["serial"]
    issuer = prepared.issuers[index].issuer_id
    return json.dumps(["crl", f"{issuer:016x}", column.name, column.encoding])


def _conflicts(tally: Tally, snapshot: Snapshot) -> tuple[Finding, ...]:
    if not tally.counts.conflicting:
        return ()
    return (
        Finding(
            "row.conflict",
            "error",
            "rows of one certificate differ in status, revocation time or reason, or one of them is bad, or left out "
            "and says otherwise: decide at the source which one is right, and export that one alone",
            tally.counts.conflicting,
            tuple(
                f"{_located(one, snapshot)}: "
                f"{'is bad or left out, and contradicts' if one.is_withheld else 'contradicts'} "
                f"{snapshot.locate(*one.row)}"
                for one in tally.examples.conflicts
            ),
        ),
    )


def _repetitions(tally: Tally, snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(
        f"{_located(one, snapshot)}: repeats {snapshot.locate(*one.row)}" for one in tally.examples.repetitions
    )


def _precertificates(tally: Tally, snapshot: Snapshot) -> Finding | None:
    """Return a warning where a precertificate and its final certificate are not revoked alike, or expire otherwise."""
    differing = tally.counts.differing
    if not differing:
        return None
    examples = (
        f"{_located(one, snapshot)}: differs from {snapshot.locate(*one.row)}" for one in tally.examples.differing
    )
    return Finding(
        "row.precertificate-differs",
        "warning",
        f"{differing:,} precertificates are not revoked as their final certificates are, or expire more than a day "
        "before or after them, though both are one to clients (RFC 6962, 3.1): what one of both says is revoked counts "
        "as revoked, since the earlier time of both, and the later expiry counts; look at the source which is right",
        differing,
        tuple(examples),
    )


def _located(pair: Pair, snapshot: Snapshot) -> str:
    """Return where the later row of two is, and the serial of both."""
    return f"{snapshot.locate(*pair.other)}, column serial, {serial_text(pair.serial)}"
