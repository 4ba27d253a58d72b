"""Arrow files with types that pyarrow has no class for: errors about the file."""

import io

import pyarrow as pa
import pyarrow.ipc
import pytest

from pregen.snapshot.files.base import slices


def with_interval_of_days() -> pa.RecordBatch:
    """Return a batch that only other programs write: the unit of an interval is changed in its schema."""
    column = pa.array([None, None], pa.month_day_nano_interval())
    written = io.BytesIO()
    with pa.ipc.new_stream(written, pa.schema({"odd": column.type})) as stream:
        stream.write_batch(pa.record_batch({"odd": column}))
    octets = written.getvalue()
    for at in range(8, octets.index(b"\xff\xff\xff\xff", 8)):
        changed = bytearray(octets)
        changed[at] = 1  # DAY_TIME
        try:
            batch: pa.RecordBatch = pa.ipc.open_stream(io.BytesIO(changed)).read_next_batch()
        except (pa.ArrowException, OSError):
            continue
        if str(batch.schema.field(0).type) == "day_time_interval":
            return batch
    raise AssertionError("no octet is the unit")


def test_a_type_without_a_class_is_damage_and_no_internal_error() -> None:
    batch = with_interval_of_days()
    with pytest.raises(KeyError):
        batch.column(0)

    with pytest.raises(pa.ArrowInvalid, match="a type that cannot be read"):
        list(slices(batch))
