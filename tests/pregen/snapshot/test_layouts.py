"""Types that other programs write: read where they are exact, else refused by name."""

import base64
import zlib
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pregen.config import ColumnConfig
from pregen.snapshot.layouts import plain
from pregen.snapshot.octets import ArrowArray
from tests.pregen.snapshot.desk import Desk, table

UNSIGNED: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="unsigned-binary")}
LATE = 1_700_000_000
DECIMAL: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="decimal")}
FILES = ["s.parquet", "s.arrow", "s.ipc"]
# A column `serial` of Int128 (2**100) and a column `status`, as polars 2.1.0 writes them with write_ipc_stream.
INT128_OF_POLARS = (
    "c-o~=I|{-"
    ";5S@*yMBO543JVJlVPTo81QZbh0TcTi$s^=El1eNrg!Rp2iVzSaPT2XqH*aT&_uk)#$l^SZ$C4ZP8O<q#xAa2ap%da`G=SgfObu*"
    "<7zs{fSOE4$--0ngUX*EhEr=TQ_NccwYvu+#w*)Jqg-kn{eS%jpE}B!|VXJezoYSn;2gTRAL!&ucyZ;DEE75kS?!b-WneNK(i-"
    "9>*WBP89#-!IzdU&PLb~u5)p=;)cyM~w@ICskP!ynhmf8h85%Plz#"
)


def refusal(desk: Desk, data: pa.Table, columns: dict[str, str | ColumnConfig], name: str = "s.parquet") -> str:
    [finding] = desk.refusal(desk.write(name, data), columns).findings
    assert finding.code == "column.type"
    return finding.message


def runs(array: ArrowArray) -> ArrowArray:
    encoded: ArrowArray = pc.call_function("run_end_encode", [array])
    return encoded


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "kind", [pa.decimal128(38, 0), pa.decimal256(49, 0), pa.decimal64(18, 0), pa.int64(), pa.uint64()], ids=str
)
def test_serials_in_columns_of_whole_numbers_are_read_to_the_last_digit(
    desk: Desk, name: str, kind: pa.DataType
) -> None:
    """Oracle's NUMBER, PostgreSQL's numeric(38,0), and Int128 of polars once it is cast."""
    largest = {"decimal128(38, 0)": 10**38 - 1, "decimal256(49, 0)": 2**160 - 1}.get(str(kind), 10**18 - 1)
    numbers = [1, 128, largest]

    _, [batch] = desk.read(table(3, serial=pa.array(numbers, pa.decimal256(49, 0)).cast(kind)), DECIMAL, name)

    assert [int.from_bytes(serial or b"", "big", signed=True) for serial in batch.serial.to_pylist()] == numbers


@pytest.mark.parametrize("name", FILES)
def test_uuids_are_sixteen_octets(desk: Desk, name: str) -> None:
    uuids = [UUID(int=1), UUID(int=2**128 - 1), UUID("aa2328c0-900c-4676-8206-452d9a219d81")]
    column = pa.array([one.bytes for one in uuids], pa.uuid())

    _, [batch] = desk.read(table(3, serial=column), UNSIGNED, name)

    assert [int.from_bytes(serial or b"", "big") for serial in batch.serial.to_pylist()] == [one.int for one in uuids]
    assert "row.serial.not-decimal" in desk.findings(table(3, serial=column), DECIMAL, name)


@pytest.mark.parametrize("encoding", ["binary", "unsigned-binary", "hex", "decimal"])
@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()], ids=str)
def test_serials_that_were_made_floats_are_refused_by_name(desk: Desk, kind: pa.DataType, encoding: str) -> None:
    column = pa.array([1.0, 2.0, 3.0]).cast(kind)

    message = refusal(desk, table(3, serial=column), {"serial": ColumnConfig(encoding=encoding)})

    assert "a float keeps 15 digits of a number" in message
    assert "DuckDB writes HUGEINT so" in message


@pytest.mark.parametrize("column", ["issuer", "status", "revoked_at", "reason", "not_before", "not_after", "kind"])
def test_so_are_floats_of_every_other_column(desk: Desk, column: str) -> None:
    columns = {column: ColumnConfig(encoding="epoch-s")} if column in {"revoked_at", "not_before", "not_after"} else {}

    message = refusal(desk, table(3, **{column: pa.array([1.0, 2.0, 3.0])}), {**columns})

    assert f"column {column!r} is double: a float keeps" in message


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", [pa.decimal128(38, 2), pa.decimal128(20, -2)], ids=str)
def test_decimals_with_another_scale_are_refused(desk: Desk, name: str, kind: pa.DataType) -> None:
    if name == "s.parquet" and kind.scale < 0:  # type: ignore[attr-defined]
        return  # Parquet has none
    message = refusal(desk, table(3, serial=pa.array([100, 200, 300], pa.decimal128(20, 0)).cast(kind)), DECIMAL, name)

    assert f"column 'serial' is {kind}: export serials as octets" in message


@pytest.mark.parametrize("name", FILES)
def test_codes_and_epochs_may_be_decimals_without_digits_after_the_point(desk: Desk, name: str) -> None:
    number = pa.decimal128(38, 0)
    data = table(
        3,
        status=pa.array([0, 1, 20], number),
        revoked_at=pa.array([None, 1_700_000_000, 10**30], number),
        reason=pa.array([None, 4, None], number),
        kind=pa.array([7, 7, None], number),
        needs_ocsp=pa.array([1, 1, 1], number),
    )
    columns: dict[str, str | ColumnConfig] = {
        "status": ColumnConfig(values={"good": ["0", "20"], "revoked": ["1"]}),
        "revoked_at": ColumnConfig(encoding="epoch-s"),
        "kind": ColumnConfig(values={"ca": ["7"]}),
    }

    snapshot, [batch] = desk.read(data, columns, name)

    assert batch.status.tolist() == [0, 1, 0]
    assert batch.revoked_at.tolist() == [0, 1_700_000_000, 0]
    assert batch.reason.tolist() == [-1, 4, -1]
    assert batch.kind is not None
    assert batch.kind.tolist() == [1, 1, 0]
    assert snapshot.findings() == ()


@pytest.mark.parametrize("name", ["s.arrow", "s.ipc"])
def test_columns_of_runs_are_read(desk: Desk, name: str) -> None:
    data = table(
        4,
        serial=runs(pa.array([b"\1", b"\2", b"\3", b"\4"], pa.binary())),
        issuer=runs(pa.array(["demo-r1"] * 4)),
        status=runs(pa.array([0, 0, 1, 1], pa.uint8())),
        revoked_at=runs(pa.array([None, None, LATE, LATE], pa.int64())),
        reason=runs(pa.array([None, None, "keyCompromise", "keyCompromise"])),
        not_after=runs(pa.array([2**40] * 4, pa.timestamp("ms", "UTC"))),
    )

    snapshot, [batch] = desk.read(data, {"revoked_at": ColumnConfig(encoding="epoch-s")}, name)

    assert batch.serial.to_pylist() == [b"\1", b"\2", b"\3", b"\4"]
    assert batch.status.tolist() == [0, 0, 1, 1]
    assert batch.revoked_at.tolist() == [0, 0, LATE, LATE]
    assert batch.reason.tolist() == [-1, -1, 1, 1]
    assert batch.not_after.tolist() == [2**40 // 1000] * 4
    assert snapshot.findings() == ()


def test_a_part_of_runs_is_that_part() -> None:
    array = runs(pa.array(["a", "a", "b", "b"])).slice(1, 2)

    assert plain(array, "issuer").equals(pa.array(["a", "b"]))


@pytest.mark.parametrize("name", FILES)
def test_an_extension_type_that_nobody_knows_here_is_refused_by_name(desk: Desk, name: str) -> None:
    """DuckDB's HUGEINT is such a one, of 16 octets with the lowest one first."""
    data = table(1)
    octets = pa.array([b"\5" + bytes(15)], pa.binary(16))
    field = pa.field("serial", octets.type, metadata={"ARROW:extension:name": "duckdb.hugeint"})

    message = refusal(desk, data.set_column(0, field, octets), UNSIGNED, name)

    assert "whose type 'duckdb.hugeint' is not known here" in message
    opaque = pa.ExtensionArray.from_storage(pa.opaque(octets.type, "hugeint", "DuckDB"), octets)
    message = refusal(desk, data.set_column(0, "serial", opaque), UNSIGNED, name)
    assert "type_name=hugeint, vendor_name=DuckDB]>: export serials as octets" in message


@pytest.mark.parametrize("name", FILES)
def test_what_nobody_reads_may_be_of_any_type(desk: Desk, name: str) -> None:
    octets = pa.array([b"\5" + bytes(15)], pa.binary(16))
    opaque = pa.ExtensionArray.from_storage(pa.opaque(octets.type, "hugeint", "DuckDB"), octets)
    more = {"hugeint": opaque, "uuid": pa.array([bytes(16)], pa.uuid()), "float": pa.array([1.5])}

    snapshot, [batch] = desk.read(table(1, **more), name=name)

    assert len(batch) == 1
    assert snapshot.findings() == ()


def test_integers_that_arrow_cannot_read_are_called_so_and_not_damaged(desk: Desk) -> None:
    path = desk.folder / "s.ipc"
    path.write_bytes(zlib.decompress(base64.b85decode(INT128_OF_POLARS)))

    message = next(one.message for one in desk.refusal(path, DECIMAL).findings if one.code == "column.type")

    assert "integers of more than 64 bits (Int128 of polars)" in message
    assert 'cast it to text, with encoding = "decimal"' in message


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.orc"])
def test_texts_in_columns_of_octets_are_read(desk: Desk, name: str) -> None:
    """Impala, and Hive without UTF8 annotations, write all of their texts so."""
    texts: dict[str, list[str | None]] = {
        "issuer": ["demo-r1"] * 3,
        "status": ["good", " Revoked ", "good"],
        "revoked_at": [None, "2026-11-20T00:00:00Z", None],
        "reason": [None, "keyCompromise", None],
        "not_after": ["2027-11-20T00:00:00Z"] * 3,
        "kind": ["end-entity", "ca", None],
        "needs_ocsp": ["true"] * 3,
    }
    written = table(3, **{key: pa.array(values, pa.string()) for key, values in texts.items()})
    octets = table(3, **{key: pa.array(values, pa.string()).cast(pa.binary()) for key, values in texts.items()})

    _, [wanted] = desk.read(written, {}, name)
    _, [batch] = desk.read(octets, {}, name)

    assert len(batch) == 3
    for field in ("status", "revoked_at", "reason", "not_after", "kind"):
        assert getattr(batch, field).tolist() == getattr(wanted, field).tolist(), field


def test_octets_that_are_no_text_are_faults_of_their_rows(desk: Desk) -> None:
    data = table(3, status=pa.array([b"good", b"go\xffod", b"revoked"], pa.binary()))

    snapshot, _ = desk.read(data, {})

    assert ("row.status.unknown", 1) in [(one.code, one.count) for one in snapshot.findings()]


def test_views_and_dictionaries_of_octets_are_text_too() -> None:
    octets = pa.array([b"good", None, b"revoked"], pa.binary())
    texts = pa.array(["good", None, "revoked"], pa.large_string())

    assert plain(octets.cast(pa.binary_view()), "status").equals(texts)
    assert plain(octets.dictionary_encode(), "status").cast(pa.large_string()).equals(texts)
    assert plain(octets.dictionary_encode(), "not_after").equals(texts)
    assert plain(octets, "issuer_key").equals(octets)
