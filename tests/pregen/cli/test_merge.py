"""The ninth overlay: those before become one by copying, and say what they said."""

import io
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from pregen.overlays.records import MOST_OVERLAYS, overlay_count
from storage.commits import CommitTerms, publish
from storage.history import encode_index, read_index
from storage.overlay_part import ORIGINS, read_overlay_part
from storage.reader import open_reader
from storage.stores.local import LocalStore
from tests.pki import DAY, make_key, make_responder
from tests.pregen.cli.ca import GOOD, Ca, Program, instants, octets

MANY = 40


def serials() -> list[int]:
    return [1 << 40 | number for number in range(MANY)]


def answers(ca: Ca, pregen: Program) -> dict[tuple[int, str], bytes]:
    """Return the DER of the answers that an edge would give."""
    found = {}
    for serial in serials():
        for name in ("sha1", "sha256"):
            out = ca.folder / "answer.der"
            words = ("--issuer", ca.pem, "--serial", f"{serial:x}", "--hash", name, "--out", out)
            assert pregen("lookup", ca.store, *words).code == 0
            found[serial, name] = out.read_bytes()
    return found


@pytest.fixture
def ca(ca: Ca, pregen: Program) -> Ca:
    ca.configure(validity={"profile": "lab"})
    ca.export_many(MANY)
    assert pregen("run", ca.config).code == 0
    return ca


def test_the_ninth_overlay_merges_the_others_octet_by_octet(ca: Ca, pregen: Program) -> None:
    one = serials()
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{one[1]:x}", "--serial", f"{one[2]:x}").code == 0
    again = ("--serial", f"{one[1]:x}", "--reason", "keyCompromise")
    assert pregen("revoke", ca.config, "--issuer", "r1", *again).code == 0
    assert pregen("hold", ca.config, "--issuer", "r1", "--serial", f"{one[20]:x}").code == 0
    assert pregen("release", ca.config, "--issuer", "r1", "--serial", f"{one[20]:x}").code == 0
    ca.export(
        to="delta.parquet",
        serial=octets(GOOD, one[30]),
        status=pa.array([0, 1], pa.uint8()),
        revoked_at=instants(None, ca.now),
        reason=pa.array([None, 4], pa.int8()),
    )
    assert pregen("delta", ca.config, ca.folder / "delta.parquet").code == 0
    store = LocalStore(ca.store)
    while (current := open_reader(store).current) and overlay_count(current.manifest.overlays) < MOST_OVERLAYS:
        spare = one[39 - overlay_count(current.manifest.overlays)]
        assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{spare:x}").code == 0
    before, said = answers(ca, pregen), remembered(store)
    done = pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{one[25]:x}", "--json")

    assert done.code == 0, done.err
    current = open_reader(store).current
    assert current is not None
    assert overlay_count(current.manifest.overlays) == 2
    after = answers(ca, pregen)
    changed = {serial for serial, _ in before if before[serial, "sha1"] != after[serial, "sha1"]}
    assert changed == {one[25]}
    assert {key: value for key, value in remembered(store).items() if key in said} == said
    assert pregen("verify", ca.store).code == 0


def remembered(store: LocalStore) -> dict[int, tuple[int, int, str]]:
    """Return as_of, not_after and origin of each entry, by key; of several the newest one's."""
    current = open_reader(store).current
    assert current is not None
    assert current.manifest.history is not None
    index = read_index(store, current.manifest.history)
    assert [part.pack for part in index.overlays] == [one.pack for one in current.manifest.overlays]
    found: dict[int, tuple[int, int, str]] = {}
    for part in index.overlays:
        columns = read_overlay_part(store, part)
        rows = zip(
            memoryview(columns.keys).cast("Q"),
            memoryview(columns.as_of).cast("Q"),
            memoryview(columns.not_after).cast("I"),
            columns.origins,
            strict=True,
        )
        for key, as_of, not_after, origin in rows:
            found.setdefault(key, (as_of, not_after, ORIGINS[origin]))
    return found


def test_overlays_of_a_publisher_that_did_not_remember_them_are_remembered(ca: Ca, pregen: Program) -> None:
    one = serials()
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{one[1]:x}").code == 0
    store = LocalStore(ca.store)
    current = open_reader(store).current
    assert current is not None
    assert current.manifest.history is not None
    history, octets_ = encode_index(replace(read_index(store, current.manifest.history), overlays=()))
    store.put(history, octets_)
    terms = CommitTerms(publisher="other", as_of=current.commit.as_of, started_at=current.commit.as_of, kind="delta")
    publish(store, current.head, replace(current.manifest, history=history), terms)

    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{one[2]:x}").code == 0
    assert sorted(origin for _, _, origin in remembered(store).values()) == ["delta", "revoke"]
    assert pregen("verify", ca.store).code == 0


def test_a_mass_is_cut_into_packs_and_is_one_overlay(
    tmp_path: Path, pregen: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its signatures are large, so that a thousand records are more than a pack."""
    (tmp_path / "large").mkdir()
    ca = Ca(tmp_path / "large")
    key = make_key("ml-dsa-87")
    make_responder(ca.issuer, key=key, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY).write(ca.folder, "ocsp")
    ca.configure(run={"workers": 2})
    ca.export_many(1_100)
    assert pregen("run", ca.config).code == 0
    many = [1 << 40 | number for number in range(1_100)]
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(f"{one:x}" for one in many[:1_000])))
    done = pregen("revoke", ca.config, "--issuer", "r1", "--serial", "-", "--json")

    assert done.code == 0, done.err
    assert (done.document["changed"], done.document["overlays"]) == (1_000, 2)
    current = open_reader(LocalStore(ca.store)).current
    assert current is not None
    assert overlay_count(current.manifest.overlays) == 1
    assert sum(one.rows for one in current.manifest.overlays) == 1_000
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(f"{one:x}" for one in many)))
    few = pregen("revoke", ca.config, "--issuer", "r1", "--serial", "-", "--json")
    assert (few.document["changed"], few.document["unchanged"], few.document["overlays"]) == (100, 1_000, 3)
    assert pregen("verify", ca.store).code == 0
    for serial in many[::97]:
        found = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{serial:x}", "--json")
        assert found.document["status"] == "revoked"
