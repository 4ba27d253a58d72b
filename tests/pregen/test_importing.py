import shutil
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pregen import clock
from pregen.config import load_config
from pregen.errors import ConfigError, GateError, InputError, UsageError
from pregen.importing import Imported, import_snapshot
from tests.pki import DAY
from tests.pregen.cli.ca import Ca, Program, Value, instants, octets
from tests.pregen.snapshot.crls.authority import Entry, forged, write


def imported(ca: Ca, out: str = "out", *, part_rows: int = 1_000) -> Imported:
    steps = []
    result = import_snapshot(
        load_config(ca.config),
        ca.folder / out,
        snapshot=None,
        as_of=None,
        now=ca.now,
        progress=lambda *step: steps.append(step),
        part_rows=part_rows,
    )
    assert steps[-1] == ("read", result.rows_in, result.rows_in)
    return result


def unchanged(ca: Ca, before: list[Path]) -> bool:
    return sorted(ca.folder.iterdir()) == before


def test_the_columns_are_the_canonical_ones(ca: Ca) -> None:
    at = ca.now - timedelta(hours=1)
    ca.export(
        serial=octets(1, -2, 2**167 - 1),
        revoked_at=instants(None, at, None),
        reason=pa.array([None, 4, None], pa.int8()),
        not_after=instants(ca.now + DAY, None, ca.now + 2 * DAY),
        not_before=instants(None, ca.now - DAY, None),
    )

    result = imported(ca)

    table = pq.read_table(ca.folder / "out" / "part-00000.parquet", read_dictionary=["issuer", "kind"])
    time = pa.timestamp("ms", "UTC")
    assert {name: table.schema.field(name).type for name in table.schema.names} == {
        "issuer": pa.dictionary(pa.int32(), pa.string()),
        "serial": pa.binary(),
        "status": pa.uint8(),
        "revoked_at": time,
        "reason": pa.int8(),
        "not_before": time,
        "not_after": time,
        "kind": pa.dictionary(pa.int32(), pa.string()),
        "needs_ocsp": pa.bool_(),
    }
    assert table.to_pydict() == {
        "issuer": ["r1"] * 3,
        "serial": [b"\x01", b"\xfe", b"\x7f" + b"\xff" * 20],
        "status": [0, 1, 2],
        "revoked_at": [None, at, None],
        "reason": [None, 4, None],
        "not_before": [None, ca.now - DAY, None],
        "not_after": [ca.now + DAY, None, ca.now + 2 * DAY],
        "kind": ["end-entity"] * 3,
        "needs_ocsp": [True] * 3,
    }
    assert table.schema.metadata[b"pregen.as_of"].decode() == clock.text(ca.now)
    assert (result.rows_in, result.rows, result.files, result.as_of) == (3, 3, 1, clock.seconds(ca.now))


@pytest.mark.parametrize(("rows", "files"), [(9, [9]), (10, [10]), (11, [10, 1]), (25, [10, 10, 5])])
def test_files_are_of_bounded_size_and_have_one_row_group_each(ca: Ca, rows: int, files: list[int]) -> None:
    ca.export_many(rows)

    assert imported(ca, part_rows=10).files == len(files)

    paths = sorted((ca.folder / "out").iterdir())
    assert [path.name for path in paths] == [f"part-{number:05}.parquet" for number in range(len(files))]
    assert [pq.read_metadata(path).num_rows for path in paths] == files
    assert {pq.read_metadata(path).num_row_groups for path in paths} == {1}
    assert pq.read_table(ca.folder / "out")["serial"].to_pylist() == pq.read_table(ca.snapshot)["serial"].to_pylist()


def test_what_is_imported_is_imported_again_to_the_same(ca: Ca) -> None:
    at = ca.now - timedelta(hours=1)
    ca.export(
        serial=octets(1, 2, 3),
        status=pa.array([1, 1, 1]),
        revoked_at=instants(at, at, at),
        reason=pa.array([0, None, 1]),
        kind=pa.array(["ca", "ca", None]),
    )
    imported(ca)
    ca.configure(snapshot={"path": "out"})
    imported(ca, "again")

    first, second = (pq.read_table(ca.folder / name) for name in ("out", "again"))
    assert first.equals(second)
    assert first["reason"].to_pylist() == [0, None, 1], "for a CA, unspecified is a reason"
    assert first["kind"].to_pylist() == ["ca", "ca", "end-entity"]


def test_rows_are_excluded_and_counted_as_by_a_run(ca: Ca) -> None:
    ca.configure(
        snapshot={"path": "snapshot.parquet", "columns": {"status": {"values": {"good": ["0"], "excluded": ["6"]}}}}
    )
    ca.export(status=pa.array([0, 6, 0]), revoked_at=None, reason=None)

    result = imported(ca)

    assert (result.rows_in, result.rows, result.excluded) == (3, 2, {"status": 1})
    table = pq.read_table(ca.folder / "out")
    assert dict(zip(table["serial"].to_pylist(), table["needs_ocsp"].to_pylist(), strict=True)) == {
        **dict.fromkeys((pq.read_table(ca.snapshot)["serial"].to_pylist()), True),
        pq.read_table(ca.snapshot)["serial"][1].as_py(): False,
    }


def test_a_zone_that_was_declared_must_still_be_proved_after_an_import(ca: Ca, pregen: Program) -> None:
    local = [f"{ca.now - timedelta(days=3 + at):%Y-%m-%d 12:00:00}" for at in range(3)]
    declared = {"not_before": {"zone": "America/Denver"}}
    ca.export(status=pa.array([0, 0, 0], pa.uint8()), revoked_at=None, reason=None, not_before=pa.array(local))
    ca.configure(snapshot={"path": "snapshot.parquet", "columns": declared})

    original = pregen("check", ca.config)
    assert pregen("import", ca.config, "--out", ca.folder / "out").code == 0
    ca.configure(snapshot={"path": "out"})
    again = pregen("check", ca.config)
    assert pregen("import", ca.config, "--out", ca.folder / "twice").code == 0
    ca.configure(snapshot={"path": "twice"})

    for ended in (original, again, pregen("check", ca.config)):
        assert ended.code == 3
        assert "column 'not_before' is read in the declared zone America/Denver, and nothing proves" in ended.err


@pytest.mark.parametrize("left_out", [6, 1])
def test_a_run_on_an_import_finds_the_contradictions_that_the_original_has(
    ca: Ca, pregen: Program, left_out: int
) -> None:
    values = {"good": ["0"], "revoked": ["1"], "excluded": ["6"]}
    ca.configure(snapshot={"path": "snapshot.parquet", "columns": {"status": {"values": values}}})
    ca.export(
        serial=octets(5, 5, 7),
        status=pa.array([left_out, 0, 0]),
        revoked_at=instants(ca.now - DAY, None, None),
        needs_ocsp=pa.array([left_out == 6, True, True]),
        reason=None,
    )

    original = pregen("check", ca.config)
    assert pregen("import", ca.config, "--out", ca.folder / "out").code == 0
    ca.configure(snapshot={"path": "out"})
    again = pregen("check", ca.config)

    for ended in (original, again):
        assert ended.code == 3
        assert "error row.conflict: " in ended.err


def test_rows_that_are_left_out_and_contradict_nothing_do_so_after_an_import_too(ca: Ca, pregen: Program) -> None:
    at = ca.now - timedelta(hours=1)
    ca.export(
        serial=octets(5, 5, 7, 7),
        status=pa.array([0, 0, 1, 1]),
        revoked_at=instants(None, None, at, at),
        needs_ocsp=pa.array([False, True, False, True]),
        reason=None,
    )

    original = pregen("check", ca.config, "--json")
    assert pregen("import", ca.config, "--out", ca.folder / "out").code == 0
    ca.configure(snapshot={"path": "out"})
    again = pregen("check", ca.config, "--json")

    for ended in (original, again):
        assert ended.code == 0, ended.err
        assert (ended.document["certificates"], ended.document["excluded"]) == (2, {"no-ocsp": 2})


SWAPPED: dict[str, Value] = {
    "serial": {"name": "NUMBER", "encoding": "hex"},
    "status": {"name": "STATE", "values": {"good": ["1"], "revoked": ["2"], "excluded": ["0"]}},
    "reason": {"values": {"keyCompromise": ["4"]}},
}


def export_swapped(ca: Ca) -> None:
    """Write a source whose codes mean something else in an import: 5 is good, 7 revoked, 8 left out."""
    ca.configure(snapshot={"path": "snapshot.parquet", "columns": SWAPPED})
    ca.export(
        serial=None,
        status=None,
        NUMBER=pa.array(["5", "7", "8"]),
        STATE=pa.array([1, 2, 0]),
        revoked_at=instants(None, ca.now - timedelta(hours=1), None),
        reason=pa.array([None, 4, None]),
    )


@pytest.mark.parametrize("times", [1, 2])
def test_a_run_on_an_import_does_not_apply_the_maps_of_the_source_again(ca: Ca, pregen: Program, times: int) -> None:
    export_swapped(ca)
    assert pregen("import", ca.config, "--out", ca.folder / "out1").code == 0
    if times == 2:
        again = pregen("import", ca.config, "--snapshot", ca.folder / "out1", "--out", ca.folder / "out2")
        assert again.code == 0
        assert "columns.of-import" in again.err

    ended = pregen("run", ca.config, "--snapshot", ca.folder / f"out{times}", "--json")

    assert ended.code == 0, ended.err
    assert "warning columns.of-import: " in ended.err
    assert (ended.document["certificates"], ended.document["excluded"]) == (2, {"no-ocsp": 1})
    found = {
        serial: pregen("lookup", ca.store, "--issuer", ca.pem, f"--serial={serial}", "--json").document
        for serial in (5, 7)
    }
    assert (found[5]["status"], found[7]["status"], found[7]["reason"]) == ("good", "revoked", "keyCompromise")


def test_an_import_beside_other_files_is_refused_where_columns_are_mapped(ca: Ca, pregen: Program) -> None:
    export_swapped(ca)
    assert pregen("import", ca.config, "--out", ca.folder / "out").code == 0
    shutil.copy(ca.snapshot, ca.folder / "out" / "today.parquet")

    mixed = pregen("run", ca.config, "--snapshot", ca.folder / "out")
    ca.configure()
    nothing = pa.nulls(3, pa.timestamp("ms", "UTC"))
    ca.export(
        to="out/today.parquet",
        issuer=pa.array(["r1"] * 3),
        not_before=nothing,
        not_after=nothing,
        kind=pa.array(["end-entity"] * 3),
        needs_ocsp=pa.array([True] * 3),
    )
    canonical = pregen("run", ca.config, "--snapshot", ca.folder / "out")

    assert mixed.code == 3
    assert "error columns.of-import: " in mixed.err
    assert "name a folder that holds nothing but an import" in mixed.err
    assert "columns.of-import" not in canonical.err, "without a map it is two exports, which differ in their columns"


def test_an_import_that_lost_a_column_is_refused_where_columns_are_mapped(ca: Ca, pregen: Program) -> None:
    export_swapped(ca)
    assert pregen("import", ca.config, "--out", ca.folder / "out").code == 0
    path = ca.folder / "out" / "part-00000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["needs_ocsp"]), path)

    ended = pregen("run", ca.config, "--snapshot", ca.folder / "out")

    assert ended.code == 3
    assert "error columns.of-import: " in ended.err


@pytest.mark.parametrize(("kind", "says"), [("crl", "columns.of-import"), ("index-txt", 'set kind = "files"')])
def test_an_import_is_of_the_kind_files(ca: Ca, pregen: Program, kind: str, says: str) -> None:
    assert pregen("import", ca.config, "--out", ca.folder / "out").code == 0
    write(ca.folder, "base.crl", forged(ca.issuer, [Entry(serial=1)], this_update=ca.now, next_update=ca.now + DAY))
    ca.configure(snapshot={"kind": kind} | ({"crls": "base.crl"} if kind == "crl" else {}))

    words = ["--as-of", ca.now.isoformat()] if kind == "index-txt" else []
    ended = pregen("run", ca.config, "--snapshot", ca.folder / "out" / "part-00000.parquet", *words)

    assert ended.code == 3
    assert says in ended.err
    assert ca.published() == {}


def test_bad_rows_leave_nothing_behind(ca: Ca) -> None:
    ca.export(status=pa.array([0, 9, 8]))
    before = sorted(ca.folder.iterdir())

    with pytest.raises(InputError, match="nothing was written") as caught:
        imported(ca, part_rows=1)

    assert [(one.code, one.count) for one in caught.value.findings] == [("row.status.unknown", 2)]
    assert unchanged(ca, before)


def test_nothing_to_write_leaves_nothing_behind(ca: Ca) -> None:
    ca.configure(
        snapshot={"path": "snapshot.parquet", "columns": {"status": {"values": {"excluded": ["0", "1", "2"]}}}}
    )
    before = sorted(ca.folder.iterdir())

    with pytest.raises(GateError, match="all 3 rows are excluded"):
        imported(ca)

    assert unchanged(ca, before)


def test_a_stop_on_the_way_leaves_nothing_behind(ca: Ca) -> None:
    before = sorted(ca.folder.iterdir())

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_snapshot(load_config(ca.config), ca.folder / "out", snapshot=None, as_of=None, now=ca.now, progress=stop)

    assert unchanged(ca, before)


def test_an_empty_folder_is_used_and_no_other_one(ca: Ca) -> None:
    (ca.folder / "out").mkdir()
    imported(ca)

    with pytest.raises(UsageError, match="not an empty folder"):
        imported(ca)
    with pytest.raises(UsageError, match="not an empty folder"):
        imported(ca, "pregen.toml")
    with pytest.raises(UsageError, match="make it first"):
        imported(ca, "none/out")


def test_no_key_and_no_certificate_is_needed_for_files(ca: Ca) -> None:
    for name in ("issuer.pem", "issuer.key", "ocsp.pem", "ocsp.key"):
        (ca.folder / name).unlink()

    assert imported(ca).rows == 3


def crl_config(ca: Ca, *more: dict[str, str]) -> None:
    write(ca.folder, "base.crl", forged(ca.issuer, [Entry(serial=1)], this_update=ca.now, next_update=ca.now + DAY))
    ca.configure(*more, snapshot={"path": "snapshot.parquet", "kind": "crl", "crls": "base.crl"})


def test_certificates_are_needed_for_crls(ca: Ca) -> None:
    crl_config(ca)
    (ca.folder / "issuer.pem").unlink()

    with pytest.raises(ConfigError) as caught:
        imported(ca)

    assert [one.code for one in caught.value.findings] == ["certificate.unreadable"]


def test_two_sections_of_one_issuer_are_refused_because_one_would_lose_its_revocations(ca: Ca) -> None:
    crl_config(ca, {"name": "again", "certificate": "issuer.pem", "key": "ocsp.key"})

    with pytest.raises(ConfigError) as caught:
        imported(ca)

    assert [one.code for one in caught.value.findings] == ["issuer.same-id"]
