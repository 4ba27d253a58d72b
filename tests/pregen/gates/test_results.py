"""What gates said, as a manifest keeps it."""

import json

from pregen.errors import Finding
from pregen.gates import Acceptance, GateResult
from pregen.gates.results import MAX_FINDINGS, MAX_ZONES, gates_document


def test_a_result_is_kept_whole() -> None:
    finding = Finding("time.order", "warning", "too early", 7, ("serial 1",), ("America/Denver",))
    result = GateResult(
        gate="zone",
        outcome="accepted",
        findings=(finding,),
        figures={"findings": 1},
        acceptances=(Acceptance("zone", "why", "alice"),),
    )
    assert gates_document([result]) == {
        "zone": {
            "outcome": "accepted",
            "figures": {"findings": 1},
            "findings": [
                {
                    "code": "time.order",
                    "severity": "warning",
                    "message": "too early",
                    "count": 7,
                    "examples": ["serial 1"],
                    "zones": ["America/Denver"],
                }
            ],
            "acceptances": [{"gate": "zone", "reason": "why", "user": "alice"}],
        }
    }


def test_nothing_makes_a_manifest_large() -> None:
    finding = Finding("row.x", "error", "m" * 100_000, 1, ("e" * 100_000,) * 20, ("Zone/Name",) * 1_000)
    document = gates_document([GateResult(gate="rows-invalid", outcome="accepted", findings=(finding,) * 1_000)])
    kept = document["rows-invalid"]
    assert isinstance(kept, dict)
    assert len(kept["findings"]) == MAX_FINDINGS
    assert len(kept["findings"][0]["zones"]) == MAX_ZONES
    assert len(json.dumps(document)) < 200_000


def test_names_of_files_that_are_no_unicode_can_be_kept() -> None:
    finding = Finding("row.x", "error", "day-\udcff.parquet", 1, ("day-\udcff.parquet, row 1",))
    accepted = Acceptance("rows-invalid", "why \udcff", "alice")
    result = GateResult(gate="rows-invalid", outcome="accepted", findings=(finding,), acceptances=(accepted,))
    assert b"day-\\\\udcff" in json.dumps(gates_document([result]), ensure_ascii=False).encode()
