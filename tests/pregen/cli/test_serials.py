"""Serials in a binary column that does not hold what it is declared to hold."""

import pyarrow as pa
import pytest

from tests.pregen.cli.ca import Ca, Column, Program, instants


def export_numbers(ca: Ca, serials: list[bytes]) -> None:
    export_columns(ca, pa.array(serials, pa.binary()))


def export_columns(ca: Ca, serials: Column) -> None:
    ca.export(
        serial=serials,
        status=pa.array([0] * len(serials)),
        revoked_at=instants(*[None] * len(serials)),
        reason=None,
    )


def plain(count: int, negative: int) -> list[bytes]:
    return [bytes([0x80 + at if at < negative else 0x10 + at % 64, at]) for at in range(count)]


def test_plain_numbers_in_a_column_of_der_integers_are_refused(ca: Ca, pregen: Program) -> None:
    export_numbers(ca, plain(40, 20))

    refused = pregen("run", ca.config)
    whole = pregen("run", ca.config, "--accept", "rows-invalid", "--reason", "they are")
    ca.configure(snapshot={"columns": {"serial": {"encoding": "unsigned-binary"}}})
    as_numbers = pregen("run", ca.config)

    assert refused.code == whole.code == 3
    assert "error serial.negative: column 'serial': 20 of 40 serials are negative" in refused.err
    assert 'set serial.encoding = "unsigned-binary" in [snapshot.columns]' in refused.err
    assert as_numbers.code == 0, as_numbers.err


def test_negative_serials_can_be_accepted_by_their_own_code(ca: Ca, pregen: Program) -> None:
    export_numbers(ca, plain(40, 20))

    ended = pregen("run", ca.config, "--accept", "serial.negative", "--reason", "they are", "--json")

    assert ended.code == 0, ended.err
    assert ended.document["certificates"] == 40


def test_an_import_of_plain_numbers_is_refused(ca: Ca, pregen: Program) -> None:
    export_numbers(ca, plain(40, 20))

    ended = pregen("import", ca.config, "--out", ca.folder / "out")

    assert ended.code == 3
    assert "error serial.negative: " in ended.err


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("count", "negative", "code"), [(40, 9, 0), (100, 10, 3), (101, 10, 0)])
def test_a_few_negative_serials_are_taken(
    ca: Ca, pregen: Program, count: int, negative: int, code: int, workers: int
) -> None:
    ca.configure(run={"workers": workers})
    export_numbers(ca, plain(count, negative))

    assert pregen("run", ca.config).code == code


@pytest.mark.parametrize("kind", [pa.int64(), pa.string()])
def test_plain_numbers_that_a_database_holds_as_signed_ones_are_refused(
    ca: Ca, pregen: Program, kind: pa.DataType
) -> None:
    numbers = [int.from_bytes(octets * 4, "big", signed=True) for octets in plain(40, 20)]
    ca.configure(snapshot={"columns": {"serial": {"encoding": "decimal"}}})
    export_columns(ca, pa.array(numbers, pa.int64()).cast(kind))

    refused = pregen("run", ca.config)
    accepted = pregen("run", ca.config, "--accept", "serial.negative", "--reason", "they are")

    assert refused.code == 3
    assert "error serial.negative: column 'serial': 20 of 40 serials are negative" in refused.err
    assert "export them without a sign" in refused.err
    assert accepted.code == 0, accepted.err


def test_numbers_that_cannot_be_read_are_not_called_rounded(ca: Ca, pregen: Program) -> None:
    ca.configure(snapshot={"columns": {"serial": {"encoding": "hex"}}})
    export_columns(ca, pa.array([f"1234567890AB==00000000000{at:02}0000" for at in range(40)]))

    refused = pregen("run", ca.config)

    assert refused.code == 3
    assert "row.serial.not-hex" in refused.err
    assert "serial.rounded" not in refused.err
