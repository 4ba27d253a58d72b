"""Rows of precertificates (kind "precertificate"), alone and beside those of their final certificates."""

from datetime import timedelta

import pyarrow as pa
import pytest

from tests.pregen.cli.ca import Ca, Program, instants, octets


def statuses(ca: Ca, pregen: Program, *serials: int) -> list[object]:
    """Return what a store says of certificates; None where it says nothing."""
    asked = [pregen("lookup", ca.store, "--issuer", ca.pem, f"--serial={one:x}", "--json") for one in serials]
    return [None if ended.code == 4 else ended.document["status"] for ended in asked]


def export_pairs(ca: Ca, to: str = "snapshot.parquet", *, only: str | None = None) -> None:
    """Write an orphan, a good pair, and a pair of which each one alone is revoked; `only` rows of one kind."""
    at = ca.now - timedelta(hours=1)
    rows = [
        (5, "precertificate", None),
        (6, "precertificate", None),
        (6, "end-entity", None),
        (7, "precertificate", at),
        (7, "end-entity", None),
        (8, "end-entity", at),
        (8, "Precertificate", None),
        (9, None, None),
    ]
    rows = [row for row in rows if only is None or (str(row[1]).lower() == "precertificate") == (only == "early")]
    serials, kinds, times = zip(*rows, strict=True)
    ca.export(
        to=to,
        serial=octets(*serials),
        kind=pa.array(kinds, pa.string()),
        status=pa.array([int(one is not None) for one in times]),
        revoked_at=instants(*times),
        reason=None,
    )


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("through_import", [False, True])
@pytest.mark.parametrize("files", [1, 2])
def test_pairs_are_joined_and_orphans_are_answered(
    ca: Ca, pregen: Program, workers: int, files: int, *, through_import: bool
) -> None:
    ca.configure(run={"workers": workers}, snapshot={"path": "exports"})
    (ca.folder / "exports").mkdir()
    if files == 1:
        export_pairs(ca, "exports/all.parquet")
    else:  # those of the final certificates first
        export_pairs(ca, "exports/a.parquet", only="final")
        export_pairs(ca, "exports/b.parquet", only="early")
    if through_import:
        assert pregen("import", ca.config, "--out", ca.folder / "imported").code == 0
        ca.configure(run={"workers": workers}, snapshot={"path": "imported"})

    checked, ended = pregen("check", ca.config, "--json"), pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    for one in (checked, ended):
        assert one.document["rows_in"] == 8
        assert one.document["certificates"] == 5
        assert one.document["excluded"] == {"joined-precertificate": 3}
        assert one.document["precertificates"] == {"joined": 3, "alone": 1, "differing": 2}
    assert statuses(ca, pregen, 5, 6, 7, 8, 9) == ["good", "good", "revoked", "revoked", "good"]
    assert "row.precertificate-differs" in ended.out


def test_the_report_for_people_says_how_many_pairs_were_joined(ca: Ca, pregen: Program) -> None:
    export_pairs(ca)

    ended = pregen("run", ca.config)

    assert "3 joined with their final certificates, 1 without one" in ended.out
    assert "row 4, column serial, 7" in ended.err + ended.out


def test_many_pairs_do_not_look_like_a_file_that_is_there_twice(ca: Ca, pregen: Program) -> None:
    serials = octets(*range(1_000, 1_400))
    ca.configure(gates={"duplicate": {"share": 0.0, "count": 0}})
    ca.export(
        serial=pa.concat_arrays([serials, serials]),
        kind=pa.array(["final"] * 400 + ["pre"] * 400),
        status=None,
        revoked_at=pa.nulls(800, pa.timestamp("ms", "UTC")),
        reason=None,
    )
    refused = pregen("run", ca.config, "--json")
    assert refused.code == 3
    assert "map them to ca, end-entity or precertificate" in refused.out
    values = {"end-entity": ["final"], "precertificate": ["pre"]}
    ca.configure(gates={"duplicate": {"share": 0.0, "count": 0}}, snapshot={"columns": {"kind": {"values": values}}})

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    assert (ended.document["certificates"], ended.document["excluded"]) == (400, {"joined-precertificate": 400})


def test_a_precertificate_that_needs_no_ocsp_is_left_out_as_any_row_is(ca: Ca, pregen: Program) -> None:
    ca.export(
        serial=octets(5, 5, 6),
        kind=pa.array(["precertificate", "end-entity", "precertificate"]),
        status=pa.array([0, 0, 0]),
        revoked_at=None,
        needs_ocsp=pa.array([False, True, False]),
        reason=None,
    )

    ended = pregen("run", ca.config, "--json")

    assert ended.document["excluded"] == {"no-ocsp": 2}
    assert statuses(ca, pregen, 5, 6) == ["good", None]


def test_a_final_certificate_that_comes_later_is_no_growth_and_no_change(ca: Ca, pregen: Program) -> None:
    export_pairs(ca, only="early")
    assert pregen("run", ca.config).code == 0
    export_pairs(ca)
    ended = pregen("run", ca.config, "--json", "--now", (ca.now + timedelta(seconds=1)).isoformat())
    assert ended.code == 0, ended.out
    assert statuses(ca, pregen, 5, 6, 7, 8) == ["good", "good", "revoked", "revoked"]
