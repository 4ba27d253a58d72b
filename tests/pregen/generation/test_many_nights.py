"""Many nights of runs that sign, carry over and keep: nothing grows, and answers are those of the snapshot."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pregen.clock import seconds
from pregen.generation.kept_shards import KEPT_DOCUMENTS
from pregen.generation.rows import sharding
from pregen.snapshot import RowStatus
from storage.certid import SHA1
from storage.key import key32
from storage.manifest import Manifest
from tests.pregen.generation.nights import Nights, assert_says
from tests.pregen.generation.workshop import NOW, Row

GOOD, REVOKED = RowStatus.GOOD, RowStatus.REVOKED

NOW_S, DAY_S = seconds(NOW), 86_400
ROWS = 400
VALIDITY = 'profile = "lab"\nlifetime = "9d"'
ALONE = {"cert_ids": "sha1", "alone": "yes"}  # its certificate lasts for all nights


def nights_of(count: int) -> Iterator[list[Row]]:
    """Yield the rows of each night: certificates come, expire and are revoked, and some nights change none.

    In the middle third of the nights there are up to twice as many certificates.
    """
    random, lives_days = np.random.default_rng(count), min(40, count // 6)
    rows: list[Row] = []
    for night in range(count):
        at = NOW_S + night * DAY_S
        rows = [row for row in rows if row.not_after >= at]
        wanted = int(ROWS * (1 + max(0.0, 1 - abs(6 * night / count - 3))))
        new = 0 if night % 5 == 4 else max(0, wanted - len(rows))
        days = random.integers(1, lives_days, new) if not night else np.full(new, lives_days)
        rows += [Row(b"\x11" + random.bytes(15), not_after=at + day * DAY_S) for day in days.tolist()]
        for place in random.integers(0, len(rows), new // 10).tolist():
            if rows[place].status == GOOD:
                rows[place] = rows[place]._replace(status=REVOKED, revoked_at=at - 60, reason=1)
        yield list(rows)


def live_through(folder: Path, count: int) -> list[tuple[int, ...]]:
    """Publish so many nights, and return what was counted after each of them."""
    nights = Nights(folder, issuers=[dict(ALONE)], validity=VALIDITY)
    seen = []
    for night, rows in enumerate(nights_of(count)):
        published = nights.publish(night, rows)
        generation = nights.generation
        manifest = generation.manifest
        assert sum(shard.rows for shard in manifest.shards) == len(rows)
        windows = [set(loaded.tables.windows) for loaded in generation.tables.values()]
        runs = max(len(loaded.tables.runs) for loaded in generation.tables.values())
        sizes = [len(nights.store.get(name)) for name in (generation.commit.manifest, str(manifest.history))]
        seen.append((len(windows), len(set().union(*windows)), runs, len(manifest.shards), *sizes))
        assert len(documents(manifest)) == len(windows) <= 8
        assert published.kept + published.reasons.carried + sum(published.reasons.signed.values()) == len(rows)
        now = NOW_S + night * DAY_S
        assert all(shard.refresh_by > now + DAY_S for shard in manifest.shards)
        if night % 50 in {0, 7}:
            check_answers(nights, rows)
    nights.store.delete([one.name for one in nights.store.list("packs/") if one.name not in named(manifest)])
    check_answers(nights, rows)
    return seen


def check_answers(nights: Nights, rows: list[Row]) -> None:
    """Have cryptography verify what is answered for each row."""
    for row, answers in zip(rows, nights.answers(rows), strict=True):
        answer = answers[SHA1]
        assert answer is not None
        assert_says(answer.der, row, nights.signer(0))


def documents(manifest: Manifest) -> set[str]:
    return {shard.windows for shard in manifest.searched}


def named(manifest: Manifest) -> set[str]:
    return {shard.pack for shard in manifest.searched}


def check_nothing_grows(seen: list[tuple[int, ...]]) -> None:
    """Fail if the last third of the nights needs more than the first one, which had as many certificates."""
    third = len(seen) // 3
    for first, last in zip(np.max(seen[:third], axis=0), np.max(seen[-third // 4 :], axis=0), strict=True):
        assert last <= 1.5 * first + 2


@pytest.mark.parametrize("count", [12, pytest.param(1_000, marks=pytest.mark.slow)])
def test_nothing_grows_over_many_nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(sharding, "SHARD_ROWS", 40)
    check_nothing_grows(live_through(tmp_path, count))


def test_a_manifest_names_few_documents_of_windows_however_long_answers_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "SHARD_ROWS", 20)
    lasting = 'profile = "lab"\nlifetime = "200d"'
    nights = Nights(tmp_path, issuers=[{"cert_ids": "sha1"}], validity=lasting, refresh="spread = false")
    rows = [Row(bytes([1, number]) * 8) for number in range(200)]
    nights.publish(0, rows)
    shards = len(nights.generation.manifest.shards)
    assert shards >= 10
    made, named_documents = [], []
    for night in range(1, 13):
        manifest = nights.generation.manifest
        oldest = manifest.shards[night % shards].pack
        at = next(at for at, row in enumerate(rows) if pack_of(nights, row) == oldest and row.status == GOOD)
        rows[at] = rows[at]._replace(status=REVOKED, revoked_at=NOW_S + night * DAY_S - 9)
        made.append(len(nights.publish(night, rows).made.signed))
        named_documents.append(len(documents(nights.generation.manifest)))
    assert max(named_documents) == KEPT_DOCUMENTS + 1
    assert made[:7] == [1] * 7
    assert max(made) <= shards
    assert sum(made) < 12 * shards // 2
    check_answers(nights, rows)


def pack_of(nights: Nights, row: Row) -> str:
    generation = nights.generation
    (issuer,) = next(iter(generation.tables.values())).tables.issuers
    key = key32(row.serial, issuer.issuer_id)
    return next(shard.pack for shard in generation.manifest.shards if shard.low <= key < shard.high)
