"""An engine belongs to a key: issuers of one algorithm may be signed for by this machine and by devices elsewhere."""

import pickle
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from pregen.config import load_config
from pregen.errors import SigningError
from pregen.generation.making.keyring import KeyRing
from pregen.generation.making.plan import Plan
from pregen.generation.making.shard import ShardSigner
from pregen.generation.preparation import RunOptions, prepare
from pregen.generation.publication import publish_prepared
from pregen.generation.work.steps import Steps
from pregen.generation.work.workers import open_pool
from pregen.issuers import Issuer
from pregen.signers import ALGORITHMS, P256_SHA256, KeySource, Signer, open_signer
from pregen.verification import load_public_key, parse_response, verify_signature
from storage.certid import SHA1, SHA256
from storage.stores.local import LocalStore
from tests.pregen.generation.making.test_shard import every_response
from tests.pregen.generation.test_publication import Authority, quiet
from tests.pregen.generation.workshop import NOW, Bench, make_issuers, various_rows
from tests.pregen.signers.distant import ENGINE, DistantKey


def moved(issuer: Issuer, device: str = "the device", *, refuses: bool = False) -> Issuer:
    """Return an issuer whose key is in a device."""
    source = DistantKey(issuer.responder.key, device, refuses)
    return replace(issuer, responder=replace(issuer.responder, key=source))


def mixed(bench: Bench, *distant: Issuer) -> None:
    """Let `distant` issuers replace the last ones."""
    bench.issuers = (*bench.issuers[: -len(distant)], *distant)
    bench.engines = {issuer.responder.use: ENGINE for issuer in distant}


@pytest.fixture
def three(tmp_path: Path) -> Bench:
    return Bench(tmp_path, make_issuers(tmp_path, {}, {}, {}))


def rings(bench: Bench, plan: Plan) -> list[tuple[str, str, int]]:
    """Return algorithm, engine and number of keys of each signer that a worker opens."""
    opened: list[tuple[str, str, int]] = []

    def listen(algorithm: str, engine: str, keys: Sequence[KeySource]) -> Signer:
        opened.append((algorithm, engine, len(keys)))
        return open_signer(algorithm, engine, keys)

    job = bench.job(plan)
    KeyRing(plan, job.issuers, job.engines, listen)
    return opened


def test_keys_of_files_are_one_signer_and_those_of_each_device_another(three: Bench) -> None:
    plan = three.spool(various_rows(90, issuers=3))
    assert rings(three, plan) == [("p256-sha256", "software", 3)]
    mixed(three, moved(three.issuers[2]))
    assert rings(three, plan) == [("p256-sha256", "software", 2), ("p256-sha256", ENGINE, 1)]
    mixed(three, moved(three.issuers[1], "one"), moved(three.issuers[0], "other"))
    assert rings(three, plan) == [
        ("p256-sha256", "software", 1),
        ("p256-sha256", ENGINE, 1),
        ("p256-sha256", ENGINE, 1),
    ]


def test_rows_of_one_shape_are_signed_by_this_machine_and_by_a_device(three: Bench) -> None:
    mixed(three, moved(three.issuers[1]), moved(three.issuers[2]))
    plan = three.spool(various_rows(270, issuers=3))
    assert len({run.shape for run in plan.tables.runs}) < len(plan.tables.runs), "no shape has rows of two issuers"
    numbers = {issuer.name_hashes[oid]: at for at, issuer in enumerate(three.issuers) for oid in (SHA1, SHA256)}
    seen = [0, 0, 0]
    for response in every_response(three, plan):
        parsed = parse_response(response)
        (number,) = {numbers[one.issuer_name_hash] for one in parsed.statements}
        verify_signature(parsed, load_public_key(three.issuers[number].responder.public_key), P256_SHA256)
        seen[number] += 1
    assert seen == [180, 180, 180]


def test_workers_open_the_keys_of_a_device_themselves(three: Bench) -> None:
    mixed(three, moved(three.issuers[2]))
    plan = three.spool(various_rows(90, issuers=3), shards=2)
    job = replace(three.job(plan), open_store=partial(LocalStore, three.folder / "store"))
    with open_pool(2) as pool:
        signed = list(pool.map(ShardSigner, job, three.tasks()))
    assert sum(one.responses for one in signed) == 180
    assert all(one.verified for one in signed)


def test_a_run_publishes_what_this_machine_and_a_device_have_signed(tmp_path: Path) -> None:
    authority = Authority(tmp_path, issuers=[{}, {}])
    rows = various_rows(60, issuers=2)
    authority.write(rows)
    prepared = prepare(load_config(authority.configure()), RunOptions(now=NOW, workers=1, engine="software"))
    one, other = prepared.issuers[0], moved(prepared.issuers[1])
    uses = [issuer.responder.use for issuer in (one, other)]
    choices = {use: use.source.choose("software", ALGORITHMS[use.algorithm]) for use in uses}
    prepared = replace(prepared, issuers=(one, other), choices=choices)
    assert prepared.engines == {"p256-sha256": f"{ENGINE}, software"}
    published = publish_prepared(prepared, Steps(), quiet)
    assert (published.engine, published.committed.responses) == (f"{ENGINE}, software", 120)
    authority.check_all(rows, (SHA1, SHA256))


def test_a_device_that_cannot_sign_ends_the_shard_before_its_pack_is_stored(three: Bench) -> None:
    mixed(three, moved(three.issuers[2], refuses=True))
    plan = three.spool(various_rows(90, issuers=3))
    signer = ShardSigner(three.job(plan))
    (task,) = three.tasks()
    with pytest.raises(SigningError, match="the device is locked"):
        signer(task)
    assert [info.name for info in three.store.list("packs/")] == []


def test_what_travels_to_a_worker_has_no_octet_of_a_key(three: Bench) -> None:
    plan = three.spool(various_rows(9, issuers=3))
    travels = pickle.dumps(replace(three.job(plan), open_store=partial(LocalStore, three.folder)))
    for issuer in three.issuers:
        octets = Path(issuer.responder.key.describe()).read_bytes()
        secret = b"".join(octets.split(b"\n")[1:-2])  # without the lines around the base64
        assert len(secret) > 100
        assert secret[:40] not in travels
        assert issuer.responder.public_key[-32:] in travels, "the test looks at something else"
