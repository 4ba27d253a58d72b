"""A certificate stands in a pack once, also where its issuer has two responders, and so two entries in the tables."""

import pytest

from pregen.audit.placement import RunRecords, check_places
from pregen.errors import VerificationError
from storage.reader import open_reader
from storage.tables import Run
from tests.storage.golden_store import VERSION_2, golden_store


def test_a_certificate_that_stands_in_the_runs_of_two_responders_is_found() -> None:
    current = open_reader(golden_store(VERSION_2)).current
    assert current is not None
    overlay = current.manifest.overlays[0]
    loaded = current.tables[overlay.windows]
    tables = loaded.tables
    ids = [issuer.issuer_id for issuer in tables.issuers]
    assert ids[0] == ids[2]
    loaded.tables = replaced = type(tables)(
        issuers=tables.issuers,
        templates=tables.templates,
        shapes=tables.shapes,
        windows=tables.windows,
        runs=(Run(0, 1, 0), Run(2, 1, 0)),
    )
    loaded.strides = [replaced.shapes[1].stride] * 2
    one, other = b"\1" * loaded.strides[0], b"\2" * loaded.strides[0]

    def stored(first: bytes, second: bytes) -> dict[int, RunRecords]:
        blocks = {0: RunRecords(), 1: RunRecords()}
        for run, record in enumerate((first, second)):
            blocks[run].add(0, 1, record)
        return blocks

    check_places(overlay, 1, loaded, stored(one, other))
    with pytest.raises(VerificationError, match="stands there twice"):
        check_places(overlay, 1, loaded, stored(one, one))
