"""Serials that are written otherwise than declared: refused with the right encoding, from every source."""

import random

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet as pq
import pytest

from tests.pregen.cli.ca import Ca, Column, Program, instants

CODE = "serial.encoding"


def numbers(count: int) -> list[int]:
    draw = random.Random(count)
    return [draw.getrandbits(127) | 1 << 126 for _ in range(count)]


def export(ca: Ca, serial: Column, to: str = "snapshot.parquet") -> None:
    count = len(serial)
    ca.export(serial=serial, status=pa.array([0] * count), revoked_at=instants(*[None] * count), reason=None, to=to)


def declare(ca: Ca, encoding: str, path: str = "snapshot.parquet", **run: int) -> None:
    ca.configure(
        snapshot={"path": path, "as_of": ca.now.isoformat(), "columns": {"serial": {"encoding": encoding}}}, run=run
    )


def is_found(ca: Ca, pregen: Program, number: int) -> bool:
    return pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{number:x}").code == 0


@pytest.mark.parametrize("kind", ["parquet", "arrow", "csv"])
def test_decimal_digits_that_are_read_as_hex_are_refused(ca: Ca, pregen: Program, kind: str) -> None:
    serials = numbers(200)
    export(ca, pa.array(list(map(str, serials))))
    table = pq.read_table(ca.snapshot)
    if kind == "arrow":
        with pa.ipc.new_file(str(ca.folder / "snapshot.arrow"), table.schema) as file:
            file.write_table(table)
    if kind == "csv":
        pa.csv.write_csv(table, ca.folder / "snapshot.csv")

    declare(ca, "hex", f"snapshot.{kind}")
    refused = pregen("run", ca.config)
    whole = pregen("run", ca.config, "--accept", "rows-invalid", "--reason", "they are")
    declare(ca, "decimal", f"snapshot.{kind}")
    ended = pregen("run", ca.config)

    assert refused.code == whole.code == 3
    assert f"error {CODE}: column 'serial': 200 of 200 serials hold decimal digits alone" in refused.err
    assert 'serial = { name = "serial", encoding = ... } to "decimal"' in refused.err
    assert ended.code == 0, ended.err
    assert is_found(ca, pregen, serials[0])


@pytest.mark.parametrize("declared", ["binary", "unsigned-binary"])
@pytest.mark.parametrize("right", ["hex", "decimal"])
@pytest.mark.parametrize(
    "kind", [pa.binary(), pa.large_binary(), pa.binary_view(), pa.binary(64), pa.dictionary(pa.int32(), pa.binary())]
)
def test_text_in_a_column_of_octets_is_refused_and_can_be_read(
    ca: Ca, pregen: Program, declared: str, right: str, kind: pa.DataType
) -> None:
    serials = numbers(40)
    text = [(f"{one:X}" if right == "hex" else str(one)).encode() for one in serials]
    if pa.types.is_fixed_size_binary(kind):
        text = [one.ljust(64, b"\0") for one in text]
    column = (
        pa.array(text, pa.binary()).dictionary_encode() if isinstance(kind, pa.DictionaryType) else pa.array(text, kind)
    )
    export(ca, column)

    declare(ca, declared)
    refused = pregen("run", ca.config)
    declare(ca, right)
    ended = pregen("run", ca.config)

    assert refused.code == 3
    assert (
        f"error {CODE}: column 'serial': 40 of 40 serials are text of {'hexa' * (right == 'hex')}decimal digits"
        in refused.err
    )
    assert f'encoding = ... }} to "{right}"' in refused.err
    assert ended.code == 0, ended.err
    assert is_found(ca, pregen, serials[-1])


def test_numbers_made_of_dates_are_accepted_by_their_own_code(ca: Ca, pregen: Program) -> None:
    export(ca, pa.array([f"202611{day:02}{hour:02}{day * hour:06}" for day in range(1, 25) for hour in range(24)]))
    declare(ca, "hex")

    refused = pregen("run", ca.config)
    ended = pregen("run", ca.config, "--accept", CODE, "--reason", "they are made of dates", "--json")

    assert refused.code == 3
    assert f"--accept {CODE}" in refused.err
    assert ended.code == 0, ended.err
    assert "accepted by " in ended.out
    assert "they are made of dates" in ended.out


@pytest.mark.parametrize("workers", [1, 2])
def test_files_are_counted_together(ca: Ca, pregen: Program, workers: int) -> None:
    (ca.folder / "parts").mkdir()
    for part in range(8):
        export(ca, pa.array([f"{part + 1}{number:03}" for number in range(10)]), f"parts/{part}.parquet")
    declare(ca, "hex", "parts", workers=workers)

    refused = pregen("run", ca.config)
    imported = pregen("import", ca.config, "--out", ca.folder / "out")

    assert refused.code == imported.code == 3
    assert f"error {CODE}: column 'serial': 80 of 80 serials" in refused.err
    assert f"error {CODE}: column 'serial': 80 of 80 serials" in imported.err
    assert not (ca.folder / "out").exists()


def test_an_index_txt_holds_hex_whatever_its_digits(ca: Ca, pregen: Program) -> None:
    lines = [f"V\t291231235959Z\t\t{number}\tunknown\t/CN=a\n" for number in range(1_000, 1_900)]
    (ca.folder / "index.txt").write_text("".join(lines))
    ca.configure(snapshot={"path": "index.txt", "kind": "index-txt", "as_of": ca.now.isoformat()})

    assert pregen("run", ca.config).code == 0


def test_rows_that_are_left_out_on_purpose_are_not_counted(ca: Ca, pregen: Program) -> None:
    junk, right = [f"{10**9 + 7_919 * at}" for at in range(200)], ["0A", "0B", "0C"]
    ca.export(
        serial=pa.array(junk + right),
        status=pa.array([0] * 203),
        revoked_at=instants(*[None] * 203),
        reason=None,
        needs_ocsp=pa.array([False] * 200 + [True] * 3),
    )
    declare(ca, "hex")

    assert pregen("run", ca.config).code == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_spreadsheet_has_rounded_is_refused_and_accepted_by_its_own_code(
    ca: Ca, pregen: Program, workers: int
) -> None:
    rows = [f"{number}{at:03}" for at, number in enumerate(numbers(40))]
    text = "serial,revoked_at\n" + "".join(f"{row[:15] if at % 2 else row:0<42},\n" for at, row in enumerate(rows))
    (ca.folder / "snapshot.csv").write_text(text)
    declare(ca, "decimal", "snapshot.csv", workers=workers)

    refused = pregen("run", ca.config)
    imported = pregen("import", ca.config, "--out", ca.folder / "out")
    ended = pregen("run", ca.config, "--accept", "serial.rounded", "--reason", "they are right")

    assert refused.code == imported.code == 3
    assert "error serial.rounded: column 'serial': 20 of 40 serials have 15 digits at most" in refused.err
    assert "snapshot.csv, row 2, serial, '" in refused.err
    assert ended.code == 0, ended.err


def test_scientific_notation_is_refused_as_what_it_is(ca: Ca, pregen: Program) -> None:
    (ca.folder / "snapshot.csv").write_text("serial,revoked_at\n0A1B,\n1.23E+30,\n")
    declare(ca, "hex", "snapshot.csv")

    refused = pregen("run", ca.config)

    assert refused.code == 3
    assert "error row.serial.rounded: column 'serial' is in scientific notation ('1.23E+30')" in refused.err


@pytest.mark.parametrize("encoding", ["binary", "unsigned-binary", "hex", "decimal"])
@pytest.mark.parametrize("count", [3, 200])
def test_whole_integers_of_der_are_refused_in_place_of_their_octets(
    ca: Ca, pregen: Program, encoding: str, count: int
) -> None:
    contents = [number.to_bytes(16, "big") for number in numbers(count)]
    declare(ca, encoding)
    export(ca, _written([b"\x02\x10" + one for one in contents], encoding))
    refused = pregen("check", ca.config)
    export(ca, _written(contents, encoding))
    taken = pregen("check", ca.config)

    assert refused.code == 3
    assert f"error {CODE}: column 'serial': {count} of {count} serials begin with 02 and the count" in refused.err
    assert taken.code == 0, taken.err


def _written(serials: list[bytes], encoding: str) -> Column:
    if encoding == "hex":
        return pa.array([one.hex() for one in serials])
    if encoding == "decimal":
        return pa.array([str(int.from_bytes(one, "big")) for one in serials])
    return pa.array(serials, pa.binary())
