"""Infinity, as PostgreSQL and DuckDB write it: never, where that makes sense, and no time elsewhere."""

import pyarrow as pa
import pytest

from pregen.snapshot.column import Column
from pregen.snapshot.octets import ArrowArray
from pregen.snapshot.times.instants import read_instants

ZONED = "UTC"
LARGEST: dict[str, ArrowArray] = {
    "timestamp[s]": pa.array([2**63 - 1, None, 0], pa.timestamp("s", ZONED)),
    "timestamp[ms]": pa.array([2**63 - 1, None, 0], pa.timestamp("ms", ZONED)),
    "timestamp[us]": pa.array([2**63 - 1, None, 0], pa.timestamp("us", ZONED)),
    "naive": pa.array([2**63 - 1, None, 0], pa.timestamp("us")),
    "date32": pa.array([2**31 - 1, None, 0], pa.date32()),
    "text": pa.array(["infinity", None, "1970-01-01T00:00:00Z"]),
    "Text": pa.array([" Infinity ", "", "1970-01-01T00:00:00Z"], pa.large_string()),
}


def column(canonical: str, kind: str, encoding: str | None = None) -> Column:
    bare = kind in {"naive", "date32"}
    time_of_day = "00:00:00" if kind == "date32" else None
    zone = "UTC" if bare else None
    return Column(canonical, "T", explicit=True, zone=zone, time_of_day=time_of_day, encoding=encoding)


@pytest.mark.parametrize(
    ("canonical", "kind"), [*(("not_after", kind) for kind in LARGEST), ("revoked_at", "text"), ("revoked_at", "Text")]
)
def test_infinity_is_never(canonical: str, kind: str) -> None:
    found = read_instants(LARGEST[kind], column(canonical, kind))

    assert found.given.tolist() == [False, False, True]
    assert not any(fault.rows.any() for fault in found.faults)


@pytest.mark.parametrize(
    ("canonical", "kind"),
    [
        *(("not_before", kind) for kind in LARGEST),
        *(("revoked_at", kind) for kind in LARGEST if kind.lower() != "text"),
    ],
)
def test_no_certificate_begins_at_infinity_and_no_number_says_that_none_is_revoked(canonical: str, kind: str) -> None:
    found = read_instants(LARGEST[kind], column(canonical, kind))

    assert found.given.tolist() == [False, False, True]
    assert [fault.code for fault in found.faults if fault.rows.tolist() == [True, False, False]] == [
        "row.time.malformed" if kind.lower() == "text" else "row.time.out-of-range"
    ]


@pytest.mark.parametrize("canonical", ["not_after", "revoked_at", "not_before"])
@pytest.mark.parametrize(
    "least",
    [
        pa.array([-(2**63)], pa.timestamp("us", "UTC")),
        pa.array([1 - 2**63], pa.timestamp("us", "UTC")),
        pa.array([2**63 - 2], pa.timestamp("us", "UTC")),
        pa.array(["-infinity"]),
        pa.array(["infinite"]),
        pa.array(["infinity\0"]),
    ],
    ids=["least", "minus", "nearly", "text", "another", "longer"],
)
def test_what_is_nearly_infinity_is_no_time(canonical: str, least: "pa.Array[pa.Scalar[pa.DataType]]") -> None:
    found = read_instants(least, column(canonical, ""))

    assert found.given.tolist() == [False]
    assert [fault.rows.tolist() for fault in found.faults if fault.rows.any()] == [[True]]


def test_an_epoch_in_text_may_be_infinite_too() -> None:
    """As `extract(epoch from ...)` writes it."""
    found = read_instants(pa.array(["Infinity", "7"]), column("not_after", "", "epoch-s"))

    assert found.given.tolist() == [False, True]
    assert found.seconds.tolist() == [0, 7]


def test_the_last_nanosecond_of_a_type_is_an_instant() -> None:
    found = read_instants(pa.array([2**63 - 1], pa.timestamp("ns", "UTC")), column("not_after", ""))

    assert found.seconds.tolist() == [9_223_372_036]
